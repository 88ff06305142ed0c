"""Real chatd and streamerd, in a folder of their own, started and stopped by tests.

    with Upstream() as up, Stack(up) as t:
        first = t.say("hello")              # 202: {session_id, turn_id, generation, created}
        t.viewer(first["session_id"]).to_end()

Environment (meson sets the first two):
    CHATD, STREAMERD   the programs
    WRAPPER            put in front of both, e.g. "valgrind --trace-children=yes -q ..."
    TIME_SCALE         factor on all deadlines
    KEEP               keep the folders

What is checked whenever a stack ends: both daemons exit with 0 on SIGTERM, and neither said
anything that only a bug says (broken invariant, a sanitizer's or valgrind's report).
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading


from lib import http, sse, tap
from lib.db import Log
from lib.wait import scaled, until

BUG = re.compile(
    r"broken invariant|Sanitizer|runtime error:|^==\d+== (?!Warning: set address range)|"
    r"database disk image is malformed|double free|corrupted size",
    re.MULTILINE,
)
KEY = "sk-test-0123456789-never-to-be-logged"
CHATD = os.environ.get("CHATD", "build/chatd/chatd")
STREAMERD = os.environ.get("STREAMERD", "build/streamerd/streamerd")
WRAPPER = shlex.split(os.environ.get("WRAPPER", ""))


def connections_of(pid, source=None):
    """Open TCP connections of a process, of all peers or of those at one IPv4 address."""
    inodes = set()
    with contextlib.suppress(OSError):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                inodes.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    peer = source and "".join(f"{int(x):02X}" for x in reversed(source.split(".")))
    return sum(1 for r in rows if r[3] == "01" and f"socket:[{r[9]}]" in inodes and peer in (None, r[2].split(":")[0]))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Daemon:
    """One process in the foreground with its stderr in a file."""

    def __init__(self, name, argv, log, env=None):
        self.name, self.argv, self.log_path, self.env = name, argv, log, env
        self.mark_at = 0
        self.process = None

    def start(self):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                WRAPPER + self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(self.env or {})}, start_new_session=True,
            )

    def log(self, whole=False):
        try:
            with open(self.log_path, encoding="utf-8", errors="replace") as f:
                f.seek(0 if whole else self.mark_at)
                return f.read()
        except FileNotFoundError:
            return ""

    def mark(self):
        self.mark_at = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0

    @property
    def pid(self):
        return self.process.pid

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def children(self, option):
        """The processes that it keeps running: number → pid. `option` names the number in their argv."""
        found = {}
        try:
            with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as f:
                pids = [int(p) for p in f.read().split()]
        except OSError:
            return found
        for pid in pids:
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    argv = f.read().split(b"\0")
            except OSError:
                continue
            for word, value in zip(argv, argv[1:]):
                if word == option.encode():
                    found[int(value)] = pid
        return found

    def wait(self, timeout=15):
        """Exit status; kills it and complains if it does not end."""
        try:
            return self.process.wait(scaled(timeout))
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {scaled(timeout):g} s") from None

    def term(self, timeout=15):
        self.process.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        if self.is_running():
            self.process.kill()
            self.process.wait()


class Stack:
    """chatd and streamerd over one folder. `providers` are [provider NAME] sections by name."""

    def __init__(self, up=None, providers=None, workers=2, db=None, chatd="", streamerd="", streamerd_http="",
                 defaults=None, drain="200ms", start=True):
        self.up = up
        self.dir = tempfile.mkdtemp(prefix="chatd-it-")
        self.tool_dir = os.path.join(self.dir, "tools")  # in the log's own folder a tool server can't write
        os.mkdir(self.tool_dir)
        self.bus = os.path.join(self.dir, "run")
        self.db_path = db or os.path.join(self.dir, "events.db")
        self.workers, self.drain = workers, drain
        self.port = free_port()
        self.key_file = os.path.join(self.dir, "key")
        with open(self.key_file, "w", encoding="ascii") as f:
            f.write(KEY + "\n")
        os.chmod(self.key_file, 0o600)
        os.makedirs(self.bus, exist_ok=True)
        self.chatd_conf = os.path.join(self.dir, "chatd.conf")
        self.streamerd_conf = os.path.join(self.dir, "streamerd.conf")
        self.chatd_extra, self.streamerd_extra = chatd, streamerd
        self.streamerd_http = streamerd_http  # lines of its [http]
        self.providers = self._providers(providers)
        self.defaults = defaults or {"provider": next(iter(self.providers))}
        self.write_conf()
        self.chatd = Daemon("chatd", [CHATD, "-c", self.chatd_conf], os.path.join(self.dir, "chatd.log"))
        self.streamerd = Daemon("streamerd", [STREAMERD, "-c", self.streamerd_conf],
                                os.path.join(self.dir, "streamerd.log"))
        self._log = threading.local()
        self.is_checked = False
        if start:
            try:
                self.start()
            except BaseException:
                shutil.rmtree(self.dir, ignore_errors=True)
                raise

    # --- configuration ---

    def _providers(self, extra):
        p = {}
        if self.up:
            p["main"] = {"type": "openai", "base_url": self.up.url + "/v1", "model": "test-model",
                         "api_key_file": self.key_file}
        p["demo"] = {"type": "demo"}
        for name, keys in (extra or {}).items():
            keys = dict(keys)
            if keys.get("type") == "openai":
                keys.setdefault("base_url", (self.up.url + "/v1") if self.up else "http://127.0.0.1:9/v1")
                keys.setdefault("model", "test-model")
            if keys.get("type") == "anthropic":
                keys.setdefault("base_url", self.up.url if self.up else "http://127.0.0.1:9")
                keys.setdefault("model", "claude-test")
                keys.setdefault("api_key_file", self.key_file)
            p[name] = keys
        return p

    def write_conf(self):
        lines = ["[log]", f"path = {self.db_path}", "[bus]", f"dir = {self.bus}",
                 "[workers]", f"count = {self.workers}", f"drain_timeout = {self.drain}", "[defaults]"]
        lines += [f"{k} = {v}" for k, v in self.defaults.items()]
        for name, keys in self.providers.items():
            lines.append(f"[provider {name}]")
            lines += [f"{k} = {v}" for k, v in keys.items()]
        with open(self.chatd_conf, "w", encoding="utf-8") as f:
            f.write("\n".join(lines) + "\n" + self.chatd_extra)
        with open(self.streamerd_conf, "w", encoding="utf-8") as f:
            f.write(f"[http]\nlisten = 127.0.0.1:{self.port}\n{self.streamerd_http}[bus]\ndir = {self.bus}\n"
                    + self.streamerd_extra)

    # --- life ---

    def start(self):
        try:
            self.chatd.start()
            self.streamerd.start()
            self.wait_ready()
        except Exception:
            self.explain()
            self.chatd.kill()
            self.streamerd.kill()
            raise

    def wait_ready(self, timeout=20):
        def ready():
            for d in (self.chatd, self.streamerd):
                assert d.is_running(), f"{d.name} ended with {d.process.returncode}"
            try:
                return http.request(self.port, "GET", "/readyz").status == 200
            except (ConnectionError, OSError):
                return False

        until(ready, "/readyz says 200", timeout, poll=0.02)

    def worker_pids(self):
        """Number of worker → pid."""
        return self.chatd.children("--worker")

    def serving_pids(self):
        """Number of serving process → pid."""
        return self.streamerd.children("--process")

    def kill_workers(self, *numbers):
        """kill -9 for these workers (all if none is named); returns once the kernel has them."""
        pids = self.worker_pids()
        gone = [pids[n] for n in (numbers or pids)]
        for pid in gone:
            os.kill(pid, signal.SIGKILL)
        until(lambda: not set(gone) & set(self.worker_pids().values()), "the killed workers are gone")

    def restart_streamerd(self, kill=True):
        if kill:
            self.streamerd.kill()
        else:
            tap.eq(self.streamerd.term(), 0, "exit status of streamerd")
        self.streamerd.start()
        self.wait_ready()

    def stop(self):
        """SIGTERM to both, streamerd first; checks how they end."""
        codes = {}
        for d in (self.streamerd, self.chatd):
            if d.process is not None:
                codes[d.name] = d.term() if d.is_running() else d.process.returncode
        return codes

    def check_end(self):
        """RUN-1, PRV-6"""
        if self.is_checked:
            return
        self.is_checked = True
        was_running = {d.name for d in (self.chatd, self.streamerd) if d.is_running()}
        codes = self.stop()
        for d in (self.chatd, self.streamerd):
            found = BUG.search(d.log(whole=True))
            if found:
                text = d.log(whole=True)
                at = max(0, found.start() - 200)
                raise AssertionError(f"{d.name} said:\n{text[at:at + 3000]}")
            assert KEY not in d.log(whole=True), f"the API key is in the log of {d.name}"
        for name in was_running:
            tap.eq(codes[name], 0, f"exit status of {name} on SIGTERM")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            if kind is None:
                self.check_end()
            else:
                self.explain()
        finally:
            self.chatd.kill()
            self.streamerd.kill()
            if not os.environ.get("KEEP"):
                shutil.rmtree(self.dir, ignore_errors=True)

    # --- logs ---

    def mark(self):
        self.chatd.mark()
        self.streamerd.mark()

    def explain(self):
        for d in (self.chatd, self.streamerd):
            lines = d.log().splitlines()
            tap.note(f"--- {d.name} said ({len(lines)} lines, the last 60):")
            for line in lines[-60:]:
                tap.note("    " + line[:400])
        if self.up and self.up.faults:
            tap.note(f"--- the scripted provider had faults: {self.up.faults}")

    @property
    def log(self):
        """The event log, one connection for each thread."""
        if not hasattr(self._log, "db"):
            self._log.db = Log(self.db_path)
        return self._log.db

    # --- the API in short ---

    def call(self, method, target, body=None, headers=None, timeout=10):
        return http.request(self.port, method, target, body, headers, timeout)

    def post(self, content, session_id=None, **more):
        body = {"content": content, **more}
        if session_id:
            body["session_id"] = session_id
        return self.call("POST", "/v1/messages", body)

    def say(self, content, session_id=None, **more):
        """Posts a message that must be accepted; returns the 202's document."""
        r = self.post(content, session_id, **more)
        assert r.status == 202, f"POST /v1/messages: {r}"
        doc = r.json()
        for member in ("session_id", "turn_id", "generation", "created"):
            assert doc.get(member) is not None, f"{member} is missing in {doc}"
        return doc

    def viewer(self, session_id, last_event_id=None, **kw):
        v = sse.Viewer(self.port, session_id, last_event_id, **kw)
        assert v.status == 200 or kw.get("query"), f"events: {v.status} {v.response}"
        return v

    def snapshot(self, session_id):
        r = self.call("GET", f"/v1/sessions/{session_id}/snapshot")
        assert r.status == 200, f"snapshot: {r}"
        return r.json()

    def messages(self, session_id, query=""):
        r = self.call("GET", f"/v1/sessions/{session_id}/messages{query}")
        assert r.status == 200, f"messages: {r}"
        return r.json()

    def abort(self, session_id, body=None):
        return self.call("POST", f"/v1/sessions/{session_id}/abort", body if body is not None else {})

    def wait_idle(self, session_id, timeout=20):
        """Waits, without a viewer, until no turn runs; returns the snapshot."""
        def idle():
            s = self.snapshot(session_id)
            return s if s["state"] == "idle" else None

        return until(idle, f"{session_id} is idle", timeout)

    def wait_state(self, turn_id, *states, timeout=20):
        """Waits, in the log alone, until the turn is in one of these states; returns its row."""
        def there():
            row = self.log.turn(turn_id)
            return row if row and row["state"] in states else None

        return until(there, f"turn {turn_id} is {states}", timeout)

    def metrics(self, headers=None):
        """The samples of streamerd's /metrics: "name{labels}" → number."""
        found = {}
        for line in self.call("GET", "/metrics", headers=headers).body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                found[name] = float(value)
        return found


