"""Limits that hold for all serving processes together: exact wherever connections fall, and what a killed process held comes back."""

import contextlib
import os
import selectors
import signal
import socket
import time

from lib import http, sse, tap
from lib.auth import ANN, BOB, AuthStack, D
from lib.daemons import connections_of
from lib.several import Several
from lib.tools import ToolUpstream
from lib.wait import scaled, until

PROCESSES = 4
PER_ADDRESS, PER_OWNER, CONNECTIONS = 10, 8, 60
KEYS = {"processes": PROCESSES, "max_connections_per_address": PER_ADDRESS, "max_viewers_per_owner": PER_OWNER,
        "max_connections": CONNECTIONS, "trusted_proxies": "127.0.0.1", "head_timeout": 120}


class Clients:
    """Connections from one address that ask and stay; they count as `inside` as long as they are answered 200."""

    def __init__(self, t, source):
        self.t, self.source = t, source
        self.inside, self.answers = [], []

    def come(self, n):
        """n at once; each is answered."""
        ask = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{self.t.port}\r\n\r\n".encode()
        with selectors.DefaultSelector() as selector:
            for _ in range(n):
                s = socket.socket()
                s.bind((self.source, 0))
                s.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    s.connect(("127.0.0.1", self.t.port))
                selector.register(s, selectors.EVENT_WRITE)
            until_then = time.monotonic() + scaled(20)
            while selector.get_map():
                assert time.monotonic() < until_then, f"{len(selector.get_map())} were not answered"
                for key, events in selector.select(0.1):
                    s = key.fileobj
                    if events & selectors.EVENT_WRITE:
                        with contextlib.suppress(ConnectionError):  # told before it asked
                            s.send(ask)
                        selector.modify(s, selectors.EVENT_READ)
                        continue
                    selector.unregister(s)
                    self.note(s)
        return self

    def note(self, s):
        try:
            status = int(s.recv(4096)[9:12])
        except (ConnectionError, ValueError):  # reset for what it still sent: refused as well
            status = 0
        self.answers.append(status)
        if status == 200:
            self.inside.append(s)
        else:
            s.close()

    def drop_dead(self):
        """Those whose process has died. How many."""
        dead = []
        for s in self.inside:
            with contextlib.suppress(BlockingIOError):
                try:
                    data = s.recv(4096)
                except ConnectionError:
                    data = b""
                if not data:
                    dead.append(s)
        for s in dead:
            s.close()
            self.inside.remove(s)
        return len(dead)

    def leave(self):
        for s in self.inside:
            s.close()
        self.inside = []


def spread(t, source=None):
    return {n: connections_of(pid, source) for n, pid in t.serving_pids().items()}


def kill_fullest(t, source):
    """kill -9. How many of the source's connections it had, and its number."""
    before = spread(t, source)
    n = max(before, key=before.get)
    os.kill(t.serving_pids()[n], signal.SIGKILL)
    return before[n], n


def test_an_address_has_its_limit_wherever_its_connections_fall(t):
    """SEC-4, PRC-6"""
    for i in range(8):
        c = Clients(t, f"127.0.1.{i + 1}").come(30)
        where = spread(t, c.source)
        tap.note(f"connections by process: {where}")
        tap.eq(len(c.inside), PER_ADDRESS, f"got in of 30 at once: {c.answers}")
        tap.eq(sum(where.values()), PER_ADDRESS, "open in the processes")
        c.come(5)
        tap.eq(len(c.inside), PER_ADDRESS, "and no more later")
        for s in c.inside[:3]:
            s.close()
        del c.inside[:3]
        until(lambda: sum(spread(t, c.source).values()) == PER_ADDRESS - 3, "three left")  # noqa: B023
        c.come(30)
        tap.eq(len(c.inside), PER_ADDRESS, "three more got in")
        c.leave()
    until(lambda: sum(spread(t).values()) == 0, "all have left")
    assert "http.crowded" in t.streamerd.log(), "it is logged"


def test_places_of_a_process_that_is_killed_come_back(t):
    """SEC-4, PRC-6, DUR-7"""
    c = Clients(t, "127.0.2.1").come(20)
    tap.eq(len(c.inside), PER_ADDRESS, "got in")
    for _ in range(3):
        held, n = kill_fullest(t, c.source)
        tap.note(f"process {n} had {held} of {PER_ADDRESS}")
        assert held, "it had some"
        until(lambda: f"process.died process={n} " in t.streamerd.log(), "its death was seen")  # noqa: B023
        until(c.drop_dead, "its clients notice")
        until(lambda: c.drop_dead() or len(c.inside) == PER_ADDRESS - held, "all of them")  # noqa: B023
        c.come(20)
        tap.eq(len(c.inside), PER_ADDRESS, "got in again")
        until(lambda: len(t.serving_pids()) == PROCESSES, "it was replaced")
        t.streamerd.mark()
    c.leave()
    t.wait_ready()


def test_an_owner_has_its_limit_of_streams(t):
    """SEC-4, PRC-6"""
    sid = t.post_as(ANN, t.up.on("watched", D.text("x"))).json()["session_id"]
    bobs = t.post_as(BOB, t.up.on("of bob", D.text("x"))).json()["session_id"]

    def come(n):
        made = [Several(t.port, headers=ANN) if i % 3 == 0 else sse.Viewer(t.port, sid, headers=ANN) for i in range(n)]
        return [v for v in made if v.status == 200], [v.status for v in made if v.status != 200]

    with contextlib.ExitStack() as all_of_them:
        kept, refused = come(12)
        tap.eq((len(kept), set(refused)), (PER_OWNER, {429}), "streams")
        other = all_of_them.enter_context(sse.Viewer(t.port, bobs, headers=BOB))
        tap.eq(other.status, 200, "another owner's")
        for v in kept[:2]:
            v.close()
        until(lambda: t.metrics(ANN)["streamerd_viewers"] == PER_OWNER - 1, "two have left")
        more, refused = come(4)
        tap.eq((len(more), set(refused)), (2, {429}), "two more got in")
        before = t.serving_pids()
        os.kill(before[0], signal.SIGKILL)
        os.kill(before[2], signal.SIGKILL)
        until(lambda: t.streamerd.log().count("process.died") == 2, "their death was seen")
        until(lambda: len(t.serving_pids()) == PROCESSES and not {before[0], before[2]} & set(t.serving_pids().values()),
              "they were replaced")
        t.wait_ready()
        mine = sum(1 for v in kept[2:] + more if is_open(v))
        again, refused = come(PER_OWNER + 2)
        tap.eq((mine + len(again), set(refused)), (PER_OWNER, {429}), f"{mine} are left, and others got in")
        for v in kept + more + again:
            v.close()
    until(lambda: t.metrics(ANN)["streamerd_viewers"] == 0, "all have left")


def is_open(v):
    v.sock.setblocking(False)
    try:
        while v.sock.recv(65536):
            pass
    except BlockingIOError:
        return True
    except ConnectionError:
        pass
    return False


def test_all_connections_together_have_a_limit_and_who_is_beyond_it_waits(t):
    """SEC-4, PRC-6, PRC-5"""
    def inside():
        return sum(spread(t).values())

    def connect(i):  # half a head: neither idle nor over
        s = socket.socket()
        s.bind((f"127.0.3.{i // PER_ADDRESS + 1}", 0))
        s.connect(("127.0.0.1", t.port))
        s.send(b"GET / HTTP/1.1\r\n")
        return s

    def inside_for_a_while():  # at each look, for longer than a process waits until it looks again
        seen = []
        until_then = time.monotonic() + 0.5
        while time.monotonic() < until_then:
            seen.append(inside())
        return min(seen), max(seen)

    t.streamerd.mark()
    clients = [connect(i) for i in range(CONNECTIONS + 5)]
    until(lambda: inside() == CONNECTIONS, "the limit is reached")
    tap.note(f"connections by process: {spread(t)}")
    tap.eq(inside_for_a_while(), (CONNECTIONS, CONNECTIONS), "connections")
    assert "http.full" in t.streamerd.log(), "it is logged"
    for _ in range(3):
        clients.pop(0).close()
    until(lambda: inside() == CONNECTIONS, "of the five that wait three get in")
    tap.eq(inside_for_a_while(), (CONNECTIONS, CONNECTIONS), "connections")
    held, n = kill_fullest(t, None)
    assert held >= 2, spread(t)
    until(lambda: inside() == CONNECTIONS + 2 - held, f"{held} are gone with process {n}, and the other two get in")
    for s in clients:
        s.close()
    t.wait_ready()
    tap.eq(http.request(t.port, "GET", "/healthz").status, 200, "and all is well")


if __name__ == "__main__":
    with ToolUpstream() as up:
        with AuthStack(up, http=KEYS, workers=1) as stack:
            tap.run(globals(), stack)
    tap.finish()
