"""The test suites under the filters of the units: daemons, tools and all, as chatd.service confines them.

SUITES names others than those that are run by default (SUITES=all: every one that can be). Those of NOT can't.
Each runs as a service of its own with all that chatd.service is forbidden, the tests' Python included.
"""

import glob
import os
import re
import shutil
import time

from lib import tap
from lib.booted import Machine

BUILD = os.path.abspath(os.environ.get("BUILD_DIR", "build"))
TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
THERE = "/usr/local/src/chat"  # the tree, with a build folder in which the installed programs are
# what exercises the most different system calls in the time that there is
SUITES = "first_turn tools prompts crash disk retention"
NOT = {
    "syscall_faults": "strace traces, and the filter lets nobody trace",
    "upgrade": "it freezes a worker as a debugger does, and the filter lets nobody trace",
    "mcp_servers": "npm installs its servers, and the machine has no network",
    "fanout": "the load of the benchmarks is in no installation",
    "nginx": "nginx does not come up under it, and is not what the units start",
    "aimock": "npm installs it, and the machine has no network",
}
KEYS = ("SystemCallArchitectures", "SystemCallFilter", "SystemCallErrorNumber", "RestrictAddressFamilies",
        "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "NoNewPrivileges",
        "LimitCORE", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups",
        "ProtectClock", "ProtectHostname", "PrivateDevices", "PrivateIPC", "RemoveIPC", "KeyringMode", "UMask")


def filters(m):
    text = m.take("/usr/local/lib/systemd/system/chatd.service")
    return [line for line in text.splitlines() if re.match(r"(%s)=" % "|".join(KEYS), line)]


def share_tree(m):
    there = f"/proc/{m.pid1}/root{THERE}"
    shutil.copytree(TOP, there, symlinks=True, ignore=shutil.ignore_patterns(
        "build", "build-*", ".git", "__pycache__", "node_modules", "corpus", "unit"))
    for link, program in (("chatd/chatd", "chatd"), ("chatd/ctl/chatctl", "chatctl"), ("streamerd/streamerd", "streamerd")):
        os.makedirs(os.path.dirname(f"{there}/build/{link}"), exist_ok=True)
        os.symlink(f"/usr/local/bin/{program}", f"{there}/build/{link}")


def run_suite(m, name):
    unit = "[Service]\nType=oneshot\nTimeoutStartSec=300\nPrivateTmp=yes\n" + "\n".join(filters(m)) + f"""
WorkingDirectory={THERE}
Environment=PYTHONPATH={THERE}/tests BUILD_DIR={THERE}/build
Environment=CHATD={THERE}/build/chatd/chatd STREAMERD={THERE}/build/streamerd/streamerd
Environment=PYTHONDONTWRITEBYTECODE=1 TIME_SCALE={os.environ.get("TIME_SCALE", "1")}
ExecStart=/usr/bin/python3 {THERE}/tests/integration/test_{name}.py
"""
    m.write(f"/etc/systemd/system/suite-{name}.service", unit)
    m.ctl("daemon-reload")
    began = time.monotonic()
    r = m.ctl(f"start suite-{name}", check=False, timeout=290)
    out = m.sh(f"journalctl -u suite-{name} -o cat --no-pager").stdout
    ok = len(re.findall(r"^ok ", out, re.M))
    tap.note(f"{name}: {ok} ok, {len(re.findall(r'^not ok ', out, re.M))} not ok, "
             f"{len(re.findall(r'# SKIP', out))} skipped, {time.monotonic() - began:.0f} s")
    assert r.returncode == 0 and ok > 0, out[-6000:]


def suites():
    """A test for each program that is to run."""
    names = (os.environ.get("SUITES") or SUITES).split()
    if names == ["all"]:
        here = sorted(os.path.basename(p)[5:-3] for p in glob.glob(f"{TOP}/tests/integration/test_*.py"))
        names = [n for n in here if n not in NOT]
    for name in names:
        def test(m, name=name):
            """OPS-4: it runs under chatd.service's system call filter and restrictions"""
            if name in NOT:
                raise tap.Skip(NOT[name])
            run_suite(m, name)

        yield f"test_{name}_under_the_filters", test


def test_the_filter_bites(m):
    """OPS-4: what the units forbid does fail: the control for the test above"""
    m.write("/etc/systemd/system/control.service", "[Service]\nType=oneshot\n" + "\n".join(filters(m)) +
            "\nExecStart=/usr/bin/unshare --user true\n")
    m.ctl("daemon-reload")
    assert m.ctl("start control", check=False).returncode != 0, "a namespace could be made"


if __name__ == "__main__":
    try:
        with Machine() as machine:
            machine.install(BUILD)
            share_tree(machine)
            tap.run({**dict(suites()), **globals()}, machine)
    except tap.Skip as why:
        tap.one("the suites under the filters", lambda why=why: (_ for _ in ()).throw(why))
    tap.finish()
