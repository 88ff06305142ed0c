"""A machine with a real systemd as PID 1, booted in half a second: namespaces over an overlay.

    with Machine() as m:                    # over this machine's own root; nothing of it changes
        m.install()                         # what `meson install` installs
        m.ctl("start", "chatd")
        m.sh("journalctl -u chatd").stdout

Its root is a tmpfs over `root`, so all that happens in it is gone with it. It has a network of its
own with a loopback only. Skips with a reason where namespaces, overlays or cgroups can't be had.

A client inside: m.python("...") runs Python in the machine with tests/ in its path.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from lib import tap
from lib.wait import scaled, until

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)


def cgroup2():
    """Where the unified hierarchy is mounted."""
    with open("/proc/mounts", encoding="utf-8") as f:
        for line in f:
            words = line.split()
            if words[2] == "cgroup2":
                return words[1]
    raise tap.Skip("there is no cgroup v2 here")


def run(*argv, check=True, **kw):
    r = subprocess.run(argv, capture_output=True, text=True, **kw)
    if check and r.returncode:
        raise AssertionError(f"{' '.join(argv)}: {r.returncode}\n{r.stdout[-2000:]}\n{r.stderr[-3000:]}")
    return r


def unit_states(text):
    """What `systemctl show` printed, as a dict."""
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


class Machine:
    def __init__(self, root="/"):
        self.lower, self.pid1, self.process = root, None, None
        self.dir = tempfile.mkdtemp(prefix="chatd-machine-")
        os.chmod(self.dir, 0o755)
        self.root = os.path.join(self.dir, "root")
        self.cgroup = None

    # --- life ---

    def __enter__(self):
        if os.geteuid() != 0:
            raise tap.Skip("only root can boot a machine")
        if not os.path.exists(os.path.join(self.lower, "lib/systemd/systemd")):
            raise tap.Skip("there is no systemd here")
        try:
            self._mount()
            self._boot()
        except BaseException:
            self._down()
            raise
        return self

    def __exit__(self, *why):
        if why[0] is not None and why[0] is not tap.Skip:
            self.explain()
        self._down()

    def _mount(self):
        up = os.path.join(self.dir, "up")
        for d in (up, self.root):
            os.makedirs(d)
        if run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", up, check=False).returncode:
            raise tap.Skip("mounts are not permitted")
        for d in ("u", "w"):
            os.mkdir(os.path.join(up, d), 0o755)
        r = run("mount", "-t", "overlay", "overlay", "-o",
                f"lowerdir={self.lower},upperdir={up}/u,workdir={up}/w", self.root, check=False)
        if r.returncode:
            raise tap.Skip("overlays are not permitted: " + r.stderr.strip())
        etc = os.path.join(self.root, "etc/systemd/system")
        os.makedirs(etc, exist_ok=True)
        for name in os.listdir(etc):  # what this machine starts is not that one's business
            if name.endswith((".wants", ".requires")):
                shutil.rmtree(os.path.join(etc, name))
        for unit in ("console-getty.service", "systemd-timesyncd.service", "systemd-resolved.service",
                     "systemd-networkd.service", "systemd-logind.service", "systemd-udevd.service"):
            path = os.path.join(etc, unit)
            if os.path.lexists(path):
                os.unlink(path)
            os.symlink("/dev/null", path)
        for level in range(7):
            shutil.rmtree(os.path.join(self.root, f"etc/rc{level}.d"), ignore_errors=True)
        journal = os.path.join(self.root, "etc/systemd/journald.conf.d")
        os.makedirs(journal, exist_ok=True)
        with open(os.path.join(journal, "test.conf"), "w", encoding="ascii") as f:
            f.write("[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n")

    def _boot(self):
        self.cgroup = os.path.join(cgroup2(), "chatd-test-" + os.path.basename(self.dir))
        try:
            os.mkdir(self.cgroup)
        except OSError as e:
            raise tap.Skip(f"cgroups can't be made: {e}") from None
        # the machine goes with us, however we end
        enter = f"echo $BASHPID > {self.cgroup}/cgroup.procs && exec setsid setpriv --pdeathsig KILL " \
            "unshare --kill-child=KILL --fork --pid --mount --uts --ipc --net --cgroup --propagation private " \
            f"bash {HERE}/boot_init.sh {self.root}"
        with open(os.path.join(self.dir, "console"), "wb") as console:
            self.process = subprocess.Popen(["bash", "-c", enter], stdin=subprocess.DEVNULL,
                                            stdout=console, stderr=console)

        def booted():
            if self.process.poll() is not None:
                with open(os.path.join(self.dir, "console"), encoding="utf-8", errors="replace") as f:
                    raise tap.Skip("namespaces are not permitted: " + f.read()[-300:])
            if not self.pid1:
                with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children", encoding="ascii") as f:
                    pids = f.read().split()
                if not pids:
                    return False
                with open(f"/proc/{pids[0]}/comm", encoding="ascii") as f:
                    if f.read().strip() != "systemd":
                        return False
                self.pid1 = int(pids[0])
            state = self.sh("systemctl is-system-running", check=False).stdout.strip()
            return state in ("running", "degraded")

        until(booted, "systemd is up", 60, poll=0.05)

    def _down(self):
        if self.pid1:
            try:
                os.kill(self.pid1, signal.SIGKILL)
            except ProcessLookupError:
                pass
        if self.process:
            if not self.pid1:
                self.process.kill()
            self.process.wait()
        if self.cgroup and os.path.isdir(self.cgroup):
            deadline = time.monotonic() + 10
            while os.path.isdir(self.cgroup) and time.monotonic() < deadline:
                for path, _, _ in os.walk(self.cgroup, topdown=False):
                    try:
                        os.rmdir(path)
                    except OSError:
                        time.sleep(0.02)
        for d in ("root", "up"):
            run("umount", "-l", os.path.join(self.dir, d), check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def explain(self):
        if not self.pid1:
            return
        for line in self.sh("journalctl -o short-monotonic --no-pager -n 80", check=False).stdout.splitlines():
            tap.note("    " + line[:300])

    # --- in the machine ---

    def enter(self, *argv):
        return ["nsenter", "-t", str(self.pid1), "-a", "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:"
                "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0", *argv]

    def sh(self, script, check=True, user=None, timeout=60):
        """Runs a shell script in it. user: as whom."""
        argv = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        return run(*self.enter(*argv, "sh", "-c", script), check=check, timeout=scaled(timeout))

    def python(self, script, *args, wait=True):
        """Runs Python in it, with tests/ in its path; what it printed as JSON, or the process."""
        argv = self.enter("PYTHONPATH=/run/tests", "PYTHONDONTWRITEBYTECODE=1",
                          f"TIME_SCALE={os.environ.get('TIME_SCALE', '1')}", "python3", "-c", script, *args)
        if not wait:
            return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return json.loads(run(*argv, timeout=scaled(100)).stdout)

    def ctl(self, *args, **kw):
        return self.sh("systemctl " + " ".join(args), **kw)

    def show(self, unit, *keys):
        return unit_states(self.ctl("show", unit, *(f"-p {k}" for k in keys)).stdout)

    def journal(self, unit):
        """Every entry of a unit, as journald has it."""
        lines = self.sh(f"journalctl -u {unit} -o json --no-pager").stdout.splitlines()
        return [json.loads(line) for line in lines]

    def write(self, path, text, mode=0o644):
        whole = f"/proc/{self.pid1}/root{path}"
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(whole, mode)

    def take(self, path):
        """The text of a file in it."""
        with open(f"/proc/{self.pid1}/root{path}", encoding="utf-8") as f:
            return f.read()

    def share_tests(self):
        shutil.copytree(TESTS, f"/proc/{self.pid1}/root/run/tests",
                        ignore=shutil.ignore_patterns("__pycache__", "corpus", "golden", "node", "unit"))

    def share_golden(self):
        shutil.copytree(os.path.join(TESTS, "golden"), f"/proc/{self.pid1}/root/run/tests/golden")

    def install(self, build):
        """meson install into it, then what a package's scripts would do."""
        run("meson", "install", "-C", build, "--no-rebuild", "--quiet",
            env={**os.environ, "DESTDIR": f"/proc/{self.pid1}/root"})
        self.sh("systemd-sysusers && systemd-tmpfiles --create --prefix=/usr/local/etc/chatd && "
                "systemctl daemon-reload")
        self.share_tests()
