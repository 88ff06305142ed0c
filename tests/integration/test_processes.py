"""streamerd's processes: several serve one chatd, the sockets outlive them, and systemd may hold those."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

from lib import crowd, http, tap, upstream
from lib.daemons import STREAMERD, WRAPPER, Stack, connections_of
from lib.upstream import Upstream
from lib.wait import SCALE, scaled, until

PROCESSES = "processes = 4\nmax_connections_per_address = 20000\n"
VIEWERS = 400


class Knocker(threading.Thread):
    """Connects again and again, each time with a request. Being refused is what must not happen."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.over = port, False
        self.refused, self.cut, self.answered, self.longest = [], 0, 0, 0.0
        self.start()

    def run(self):
        while not self.over:
            began = time.monotonic()
            try:
                if http.request(self.port, "GET", "/healthz", timeout=30).status == 200:
                    self.answered += 1
            except ConnectionRefusedError as e:
                self.refused.append(e)
            except (OSError, AssertionError):  # it was with the process that died
                self.cut += 1
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.002)

    def stop(self):
        self.over = True
        self.join(scaled(60))
        tap.note(f"{self.answered} answered, {self.cut} cut off, the longest took {self.longest * 1000:.0f} ms")
        tap.eq(self.refused, [], "refused connections")


def test_viewers_spread_over_the_processes_and_all_see_the_same_bytes(t):
    """PRC-6, SDC-10, PRC-4, OPS-5"""
    t.up.on("many", upstream.drip([f"{i} " for i in range(150)], 100))
    pids = until(lambda: len(t.serving_pids()) == 4 and t.serving_pids(), "four processes serve")
    turn = t.say("many")
    before = t.metrics()
    with crowd.Crowd(t.port, turn["session_id"], VIEWERS) as c:
        c.wait(lambda v: v.status == 200 and b"event: snapshot" in v.bytes, "all have their snapshot", 60)
        spread = {n: connections_of(pid) for n, pid in pids.items()}
        tap.note(f"connections by process: {spread}")
        for n, count in spread.items():
            assert count >= VIEWERS / 4 / 2, f"process {n} has {count} of {VIEWERS} viewers: {spread}"
        # whichever process is asked, it tells the sums
        for _ in range(8):
            tap.eq(t.metrics()["streamerd_viewers"], float(VIEWERS), "streamerd_viewers")
        c.wait(lambda v: b"event: response_end" in v.bytes, "all have the end", 60)
        longest = {}
        for v in c.viewers:
            for ident, frame in v.events():
                if b"\nevent: snapshot\n" not in frame:
                    tap.eq(frame, longest.setdefault(ident, frame), f"viewer {v.number}: {ident}")
        for v in c.viewers:
            seqs = [int(ident.split("-")[1]) for ident, _ in v.events()]
            tap.eq(seqs, list(range(seqs[0], seqs[0] + len(seqs))), f"seqs of viewer {v.number}")
        now = t.metrics()
        tap.eq(now["streamerd_feeds"], 4.0, "feeds: one in each process")
        events = len(t.log.events(turn["session_id"]))
        came = now["streamerd_events_in_total"] - before["streamerd_events_in_total"]
        assert came <= 4 * events, f"{came} events came for {events} in the log"


def test_a_process_that_is_killed_under_load_costs_its_own_viewers_a_reconnect(t):
    """DUR-7, DUR-8, DUR-4, PRC-6, SDC-4"""
    t.up.on("killed", upstream.drip([f"{i} " for i in range(300)], 60 / SCALE))
    turn = t.say("killed")
    knocker = Knocker(t.port)
    with crowd.Crowd(t.port, turn["session_id"], 80) as c:
        c.wait(lambda v: v.status == 200 and b"event: snapshot" in v.bytes, "all have their snapshot", 60)
        for n in (0, 2):
            pid = t.serving_pids()[n]
            own = connections_of(pid)
            os.kill(pid, signal.SIGKILL)
            before = sum(v.visits for v in c.viewers)
            until(lambda: c.pump() or sum(v.lost for v in c.viewers), "its viewers notice")
            # answered, not only connected: who still queues would be one more of the next that dies
            until(lambda: c.revive() or c.pump() or (not any(v.lost for v in c.viewers)
                                                    and all(v.status for v in c.viewers)), "they are back")
            came_back = sum(v.visits for v in c.viewers) - before
            assert 1 <= came_back <= own + 1, f"{came_back} came back, the dead process had {own} connections"
            until(lambda: t.serving_pids().get(n, pid) != pid, f"process {n} was replaced")  # noqa: B023
        c.wait(lambda v: b"event: response_end" in v.bytes, "all have the end", 60, each=c.revive)
        knocker.stop()
        tap.eq(c.refusals, [], "answers other than a stream")
        rows = [f"{r['generation']}-{r['seq']}" for r in t.log.events(turn["session_id"])]
        for v in c.viewers:
            ids = [ident for ident, frame in v.events() if b"\nevent: snapshot\n" not in frame]
            tap.eq(ids, rows[len(rows) - len(ids):], f"events of viewer {v.number}")
    assert "process.died" in t.streamerd.log(), "the death was not logged"


def test_a_process_that_hangs_leaves_new_connections_to_the_others(t):
    """PRC-6, PRC-5"""
    pid = t.serving_pids()[1]
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(20):
            tap.eq(t.call("GET", "/healthz").status, 200, "healthz")
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_reload_reaches_every_process(t):
    """RUN-1, SEC-2"""
    with open(t.streamerd_conf, "a", encoding="utf-8") as f:
        f.write("[auth]\nallowed_hosts = later.example\n")
    t.streamerd.process.send_signal(signal.SIGHUP)
    until(lambda: t.streamerd.log().count("conf.reloaded") == 4, "all have read it")
    for _ in range(12):
        tap.eq(t.call("GET", "/healthz", headers={"Host": "later.example"}).status, 200, "status")


def test_if_the_parent_is_killed_its_processes_end_and_the_next_one_serves(t):
    """DUR-7, PRC-6"""
    pids = list(t.serving_pids().values())
    t.streamerd.kill()
    t.streamerd.start()
    t.wait_ready()
    until(lambda: not any(os.path.exists(f"/proc/{p}") and open(f"/proc/{p}/stat").read().split()[2] != "Z"
                          for p in pids), "the old ones have ended")


# --- sockets that systemd passes ---

SPAWNER = "import os, sys; os.environ['LISTEN_PID'] = str(os.getpid()); os.execvp(sys.argv[1], sys.argv[1:])"


def start_with(t, socks, names="http", conf=None):
    """streamerd with listening sockets as fds 3, 4 …, as systemd would start it."""
    def place():
        copies = [os.dup(fd) for fd in fds]
        for i, fd in enumerate(copies):
            os.dup2(fd, 3 + i, inheritable=True)

    fds = [s.fileno() for s in socks]
    log = open(t.streamerd.log_path, "ab")
    with log:
        return subprocess.Popen([sys.executable, "-c", SPAWNER, *WRAPPER, STREAMERD, "-c", conf or t.streamerd_conf],
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=place,
                                close_fds=False, start_new_session=True,
                                env={**os.environ, "LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": names})


def listening(address="127.0.0.1", port=0):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, port))
    s.listen(4096)
    return s


def test_with_the_socket_held_by_systemd_a_restart_refuses_nobody(t):
    """DUR-8, OPS-4"""
    t.up.on("restart", upstream.drip([f"{i} " for i in range(400)], 50 / SCALE))
    tap.eq(t.streamerd.term(), 0, "exit status")
    held = listening(port=t.port)
    t.streamerd.process = start_with(t, [held])
    t.wait_ready()
    turn = t.say("restart")
    knockers = [Knocker(t.port) for _ in range(3)]
    with crowd.Crowd(t.port, turn["session_id"], 40) as c:
        c.wait(lambda v: v.status == 200 and b"event: snapshot" in v.bytes, "all have their snapshot", 60)
        for sig in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
            t.streamerd.process.send_signal(sig)
            tap.eq(t.streamerd.wait(30), 0 if sig == signal.SIGTERM else -sig, "exit status")
            t.streamerd.process = start_with(t, [held])
            until(lambda: c.revive() or c.pump() or (not any(v.lost for v in c.viewers)
                                                    and all(v.status for v in c.viewers)), "all are back", 30)
        c.wait(lambda v: b"event: response_end" in v.bytes, "all have the end", 60, each=c.revive)
        tap.eq(c.refusals, [], "answers other than a stream")
        for k in knockers:
            k.stop()
        rows = [f"{r['generation']}-{r['seq']}" for r in t.log.events(turn["session_id"])]
        for v in c.viewers:
            ids = [ident for ident, frame in v.events() if b"\nevent: snapshot\n" not in frame]
            tap.eq(ids, rows[len(rows) - len(ids):], f"events of viewer {v.number}")
    held.close()
    tap.eq(t.streamerd.term(), 0, "exit status")
    t.streamerd.start()
    t.wait_ready()


def ends_with(t, socks, conf):
    t.streamerd.mark()
    p = start_with(t, socks, conf=conf)
    return p.wait(scaled(15)), t.streamerd.log()


def test_what_is_passed_and_what_the_config_says_must_fit(t):
    """OPS-4, SEC-1, RUN-1"""
    conf = os.path.join(t.dir, "passed.conf")

    def write(text):
        with open(conf, "w", encoding="utf-8") as f:
            f.write(text + f"[bus]\ndir = {t.bus}\n")

    with listening() as s, listening("0.0.0.0") as world, socket.socket() as deaf:
        port = s.getsockname()[1]
        write("[http]\nlisten = 127.0.0.1:1\n")
        status, log = ends_with(t, [s], conf)
        tap.eq(status, 78, "a socket that listen does not name")
        assert "[http] listen does not name it" in log, log
        write("")
        status, log = ends_with(t, [world], conf)
        tap.eq(status, 78, "beyond loopback without tokens")
        assert "beyond loopback" in log, log
        deaf.bind(("127.0.0.1", 0))
        status, log = ends_with(t, [deaf], conf)
        tap.eq(status, 78, "a socket that does not listen")
        # without `listen` the passed one is what is listened on, and nothing else
        p = start_with(t, [s], conf=conf)
        try:
            until(lambda: http.request(port, "GET", "/readyz").status == 200, "it serves", 20)
            r = http.request(port, "GET", "/healthz", headers={"Host": "elsewhere.example"})
            tap.eq(r.status, 421, "a foreign host")
        finally:
            p.send_signal(signal.SIGTERM)
            tap.eq(p.wait(scaled(15)), 0, "exit status")


def test_the_number_of_processes_is_checked(t):
    """RUN-1, RUN-2"""
    conf = os.path.join(t.dir, "count.conf")
    for value, status in (("1", 0), ("32", 0), ("auto", 0), ("0", 78), ("33", 78), ("many", 78)):
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"[http]\nprocesses = {value}\n[bus]\ndir = {t.bus}\n")
        p = subprocess.run([*WRAPPER, STREAMERD, "-c", conf, "--check"], capture_output=True, text=True, check=False)
        tap.eq(p.returncode, status, f"processes = {value}")
        if status:
            assert f"{conf}:2: [http] processes" in p.stderr, p.stderr


def test_an_address_that_is_taken_is_a_clear_error(t):
    """RUN-1"""
    conf = os.path.join(t.dir, "taken.conf")
    with listening() as s:
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"[http]\nlisten = 127.0.0.1:{s.getsockname()[1]}\n[bus]\ndir = {t.bus}\n")
        p = subprocess.run([*WRAPPER, STREAMERD, "-c", conf], capture_output=True, text=True, check=False,
                           timeout=scaled(20))
    tap.eq(p.returncode, 73, "exit status")
    assert "http.listen" in p.stderr and "in use" in p.stderr, p.stderr


if __name__ == "__main__":
    with Upstream() as provider, Stack(provider, streamerd_http=PROCESSES) as stack:
        tap.run(globals(), stack)
    tap.finish()
