"""Limits as clients meet them: at each the last one that passes and the first that doesn't; slow senders beside honest users."""

import contextlib
import resource
import selectors
import socket
import threading
import time

from lib import http, sse, tap
from lib.auth import ANN, BOB, AuthStack, D, refusal
from lib.tools import ToolUpstream
from lib.upstream import chunk, hang
from lib.wait import scaled, until

SLOW = 1000
PER_ADDRESS = 100
KEYS = {"head_timeout": 2, "body_timeout": 2, "write_timeout": 3, "max_connections_per_address": PER_ADDRESS,
        "max_viewers_per_owner": 4, "trusted_proxies": "127.0.9.0/24, unix"}


def connect_from(t, source):
    s = socket.socket()
    s.settimeout(scaled(10))
    s.bind((source, 0))
    s.connect(("127.0.0.1", t.port))
    return s


def say_as(t, who, key, **more):
    return t.post_as(who, key, **more)


def test_turns_of_one_owner(t):
    """SEC-4"""
    turns = [say_as(t, ANN, t.up.on(f"mine {i}", hang(chunk("x")))).json() for i in range(3)]
    for r in (say_as(t, ANN, "one more"), say_as(t, ANN, "in line", session_id=turns[0]["session_id"], on_busy="queue")):
        tap.eq((refusal(r), r.header("retry-after")), ((429, "too_many"), "1"), "one more")
    r = say_as(t, ANN, "x", session_id=turns[0]["session_id"])
    tap.eq(refusal(r), (409, "already_processing"), "refused for its own reason")
    r = say_as(t, ANN, t.up.on("instead", hang(chunk("x"))), session_id=turns[0]["session_id"], on_busy="interrupt")
    tap.eq(r.status, 202, "one in the place of another")
    bobs = say_as(t, BOB, t.up.on("of bob", hang(chunk("x")))).json()["session_id"]
    tap.eq(t.call("POST", f"/v1/sessions/{turns[1]['session_id']}/abort", {}, ANN).status, 202, "one ends")
    r = say_as(t, ANN, "in line", session_id=turns[0]["session_id"], on_busy="queue")
    tap.eq(r.status, 202, f"one in line for it: {r}")
    tap.eq(refusal(say_as(t, ANN, "one more")), (429, "too_many"), "a queued one counts")
    t.up.on("in line", D.text("at last"))
    for turn, who in ((turns[0], ANN), (turns[2], ANN)):
        tap.eq(t.call("POST", f"/v1/sessions/{turn['session_id']}/abort", {}, who).status, 202, "abort")
    until(lambda: t.snapshot_as(ANN, turns[0]["session_id"])["content"] == "at last", "the queued one runs")
    tap.eq(t.call("POST", f"/v1/sessions/{bobs}/abort", {}, BOB).status, 202, "abort")
    until(lambda: say_as(t, ANN, t.up.on("again", D.text("x"))).status == 202, "room again")


def test_viewers_of_one_owner(t):
    """SEC-4"""
    sid = say_as(t, ANN, t.up.on("seen by many", D.text("x"))).json()["session_id"]
    bobs = say_as(t, BOB, t.up.on("seen by bob", D.text("x"))).json()["session_id"]
    with contextlib.ExitStack() as all_of_them:
        views = [all_of_them.enter_context(t.viewer(sid, headers=ANN)) for _ in range(4)]
        r = t.call("GET", f"/v1/sessions/{sid}/events", headers=ANN)
        tap.eq((refusal(r), r.header("retry-after")), ((429, "too_many"), "1"), "one more")
        all_of_them.enter_context(t.viewer(bobs, headers=BOB))
        views[0].close()
        until(lambda: opens(t, sid), "room again")


def opens(t, sid):
    with sse.Viewer(t.port, sid, headers=ANN) as v:
        return v.status == 200


def test_connections_of_one_address(t):
    """SEC-4"""
    ask = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{t.port}\r\n\r\n".encode()
    with contextlib.ExitStack() as all_of_them:
        def one(source, data=ask):
            s = all_of_them.enter_context(connect_from(t, source))
            s.sendall(data)
            return s, http.read_response(http.Reader(s), "GET", 10)

        kept = [one("127.0.1.1")[0] for _ in range(PER_ADDRESS)]
        _, r = one("127.0.1.1", b"")  # it is told without being asked
        tap.eq((refusal(r), r.header("retry-after"), r.header("connection")), ((429, "too_many"), "1", "close"), "one more")
        tap.eq(one("127.0.1.2")[1].status, 200, "another address")
        for _ in range(PER_ADDRESS + 5):
            tap.eq(one("127.0.9.1")[1].status, 200, "a proxy")
        kept[0].close()

        def again():
            with contextlib.suppress(ConnectionError):
                return one("127.0.1.1")[1].status == 200

        until(again, "room again")
    crowded = t.call("GET", "/metrics", headers=ANN).body.decode()
    n = [x for x in crowded.splitlines() if x.startswith("streamerd_connections_crowded_total ")]
    assert n and int(n[0].split()[1]) >= 1, n
    assert "http.crowded" in t.streamerd.log(), "it is logged"


def test_who_is_behind_a_trusted_proxy_is_in_the_log(t):
    """SEC-4, SEC-5"""
    def ask(source, forwarded, number):
        data = (f"GET /nothing/{number} HTTP/1.1\r\nHost: 127.0.0.1:{t.port}\r\n"
                f"X-Forwarded-For: {forwarded}\r\nConnection: close\r\n\r\n").encode("latin-1")
        with connect_from(t, source) as s:
            s.sendall(data)
            http.read_response(http.Reader(s), "GET", 10)
        line = until(lambda: [x for x in t.streamerd.log().splitlines() if f'/nothing/{number}"' in x], "the line")[0]
        return line.rpartition(" peer=")[2]

    tap.eq(ask("127.0.9.7", "198.51.100.9, 192.0.2.7", 1), "192.0.2.7", "the last hop of a trusted proxy")
    tap.eq(ask("127.0.9.7", "192.0.2.7, 2001:db8::1", 2), "[2001:db8::1]", "an IPv6 one")
    for n, (source, value) in enumerate((("127.0.1.7", "192.0.2.7"), ("127.0.9.7", 'x" status=200 peer="192.0.2.7'),
                                         ("127.0.9.7", "unknown"), ("127.0.9.7", ""))):
        assert ask(source, value, 10 + n).startswith(source + ":"), f"{source} says {value}"


class SlowSenders(threading.Thread):
    """Keeps so many connections that never get on with their request; each that is closed is made anew."""

    def __init__(self, t, count):
        super().__init__(daemon=True)
        self.t, self.count, self.stopped = t, count, False
        self.made = self.closed = 0
        self.answers = set()

    def request(self, n):
        host = f"Host: 127.0.0.1:{self.t.port}\r\n"
        whole = ("GET / HTTP/1.1\r\n" + host if n % 3 == 0 else
                 "POST /v1/messages HTTP/1.1\r\n" + host + "Content-Length: 900\r\n\r\n" if n % 3 == 1 else "")
        return whole.encode()  # a head without end, a body without end, or silence

    def connect(self, selector, n):
        s = socket.socket()
        s.bind((f"127.0.2.{n // PER_ADDRESS + 1}", 0))
        s.connect(("127.0.0.1", self.t.port))
        s.setblocking(False)
        s.send(self.request(n))
        selector.register(s, selectors.EVENT_READ, n)
        self.made += 1

    def run(self):
        with selectors.DefaultSelector() as selector:
            for n in range(self.count):
                self.connect(selector, n)
            while not self.stopped:
                for key, _ in selector.select(0.05):
                    self.receive(selector, key)
                for key in list(selector.get_map().values())[self.made % 7::7]:
                    with contextlib.suppress(OSError):
                        if key.data % 3 != 2:
                            key.fileobj.send(b"x")
            for key in list(selector.get_map().values()):
                key.fileobj.close()

    def receive(self, selector, key):
        try:
            data = key.fileobj.recv(4096)
        except ConnectionError:
            data = b""
        if data:
            self.answers.add(data[9:12].decode("latin-1"))
            return
        selector.unregister(key.fileobj)
        key.fileobj.close()
        self.closed += 1
        self.connect(selector, key.data)


def honest(t, n):
    """One user's visit: asks, sees the answer, lists. The longest time that an answer took."""
    slowest = 0
    began = time.monotonic()
    r = say_as(t, BOB, t.up.on(f"honest {n}", D.text("all ", "is ", "well")))
    tap.eq(r.status, 202, f"visit {n}")
    slowest = max(slowest, time.monotonic() - began)
    with t.viewer(r.json()["session_id"], headers=BOB) as v:
        v.to_end()
        tap.eq(v.state.content, "all is well", f"visit {n}")
    began = time.monotonic()
    tap.eq(t.status(BOB), 200, f"visit {n}")
    return max(slowest, time.monotonic() - began)


def test_a_thousand_slow_senders_beside_honest_users_who_notice_nothing(t):
    """SEC-4"""
    alone = sorted(honest(t, n) for n in range(20))
    slow = SlowSenders(t, SLOW)
    slow.start()
    try:
        until(lambda: t.metrics(ANN)["streamerd_connections"] >= SLOW, "all are there", 30)
        visits = []
        while slow.closed < 2 * SLOW and len(visits) < 2000:
            visits.append(honest(t, 1000 + len(visits)))
    finally:
        slow.stopped = True
        slow.join(scaled(20))
    visits.sort()
    tap.note(f"{slow.made} slow connections, {slow.closed} closed, answers {sorted(slow.answers)}; {len(visits)} visits, slowest answer "
             f"median {visits[len(visits) // 2] * 1e3:.1f} ms, largest {visits[-1] * 1e3:.1f} ms; "
             f"alone {alone[10] * 1e3:.1f} and {alone[-1] * 1e3:.1f} ms")
    assert slow.closed >= 2 * SLOW, f"only {slow.closed} of the slow ones were closed"
    # 429 for who comes back before its last connection is quite over
    assert "408" in slow.answers and slow.answers <= {"408", "429"}, f"slow senders are told {slow.answers}"
    assert visits[-1] < scaled(2), f"an honest user waited {visits[-1]:.2f} s"
    until(lambda: t.metrics(ANN)["streamerd_connections"] < 20, "they are gone")


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    with ToolUpstream() as up:
        with AuthStack(up, http=KEYS, workers=1, keys={"max_turns_per_owner": 3}) as stack:
            tap.run(globals(), stack)
    tap.finish()
