"""What holds behind any proxy: the examples of systemd/examples are tested by it.

    class Caddy(Proxy): ...           # sets name, dir, port, context, process
    Proxy.main(globals(), Caddy)      # a stack of which the proxy is trusted, and its tests
"""

import http.client
import json
import os
import shutil
import socket
import subprocess
import threading
import time

from lib import tap
from lib.daemons import Stack
from lib.upstream import DONE, Upstream, chunk, text
from lib.wait import scaled, until

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../systemd/examples")
HOST = "chat.example.org"


def example(name, *changes):
    """The text of an example with those (old, new) in it, each of which stands there once."""
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as f:
        out = f.read()
    for old, new in changes:
        assert out.count(old) == 1, f"{old!r} stands {out.count(old)} times in {name}"
        out = out.replace(old, new)
    return out


class Proxy:
    name, dir, port, context, process = "proxy", None, None, None, None

    def run(self, *argv, **kw):
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, **kw)
        until(self.answers, f"{self.name} answers", 20)

    def answers(self):
        assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}"
        try:
            return self.call("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def connect(self, source="127.0.0.1", timeout=30):
        c = http.client.HTTPSConnection(HOST, self.port, timeout=scaled(timeout), context=self.context,
                                        source_address=(source, 0))
        # the name is in no DNS: the connection goes to loopback, the name to TLS and Host
        c._create_connection = lambda address, t, s: socket.create_connection(("127.0.0.1", address[1]), t, s)
        return c

    def call(self, method, target, body=None, headers=None, source="127.0.0.1"):
        c = self.connect(source)
        try:
            c.request(method, target, None if body is None else json.dumps(body),
                      {"Content-Type": "application/json", "Host": HOST, **(headers or {})})
            r = c.getresponse()
            return r.status, r.read().decode()
        finally:
            c.close()

    def stream(self, session, headers=None):
        c = self.connect()
        c.request("GET", f"/v1/sessions/{session}/events", headers={"Host": HOST, **(headers or {})})
        r = c.getresponse()
        tap.eq(r.status, 200, "the stream")
        return c, r

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(scaled(20))
        shutil.rmtree(self.dir, ignore_errors=True)


def gathers_nothing(t, n):
    """Nothing on the way gathers: a viewer has the first words before the provider says the next"""
    go_on = threading.Event()

    def script(x):
        x.head()
        x.pieces([chunk("first words ")])
        assert go_on.wait(scaled(30)), "the viewer never saw the first words"
        x.pieces([chunk("last words"), chunk(finish="stop", usage=(3, 5)), DONE])
        x.end()

    t.up.on("slowly", script)
    status, body = n.call("POST", "/v1/messages", {"content": "slowly"})
    tap.eq(status, 202, body)
    c, r = n.stream(json.loads(body)["session_id"])
    seen = b""
    try:
        while b"first words" not in seen:
            seen += r.read1(65536)
        tap.eq(r.headers["Content-Type"].split(";")[0], "text/event-stream", "type")
        go_on.set()
        while b"event: response_end" not in seen:
            seen += r.read1(65536)
    finally:
        go_on.set()
        c.close()


def stays_open(t, n):
    """Heartbeats come through."""
    t.up.on("hi", text("hello"))
    doc = t.say("hi")
    t.wait_idle(doc["session_id"])
    c, r = n.stream(doc["session_id"])
    began, seen = time.monotonic(), b""
    try:
        while b"\n:\n" not in seen and b"\n:" not in seen.split(b"\n\n")[-1]:
            part = r.read1(65536)
            assert part, "the stream ended"
            seen += part
        tap.note(f"a heartbeat after {time.monotonic() - began:.1f} s")
    finally:
        c.close()


def is_believed(t, n):
    """Log lines have the client's address; what a client says of itself is not believed"""
    t.streamerd.mark()
    status, body = n.call("POST", "/v1/messages", {"content": "hi"}, source="127.0.0.7",
                          headers={"X-Forwarded-For": "203.0.113.9"})
    tap.eq(status, 202, body)
    until(lambda: "127.0.0.7" in t.streamerd.log(), "the client's address is logged", 10)
    assert "203.0.113.9" not in t.streamerd.log(), "a client's own word was believed"


def resumes(t, n):
    """A viewer that comes back through it gets what came after, and only that."""
    t.up.on("to be continued", text("hello"))
    doc = t.say("to be continued")
    t.wait_idle(doc["session_id"])
    c, r = n.stream(doc["session_id"], {"Last-Event-ID": f"{doc['generation']}-1"})
    seen = b""
    try:
        while b"event: response_end" not in seen:
            part = r.read1(65536)
            assert part, "the stream ended"
            seen += part
    finally:
        c.close()
    assert b"event: snapshot" not in seen, "the cursor was lost on the way"
    first = next(line for line in seen.splitlines() if line.startswith(b"id: "))
    tap.eq(first.decode(), f"id: {doc['generation']}-2", "the first event")


def sees_them_go(t, n):
    """It closes behind it what the client left, so no viewer is left over"""
    doc = t.say("hi")
    c, r = n.stream(doc["session_id"])
    r.read1(100)
    until(lambda: t.metrics()["streamerd_viewers"] >= 1, "the viewer is counted", 10)
    r.close()
    c.close()
    until(lambda: t.metrics()["streamerd_viewers"] == 0, "the viewer is gone", 20)


def main(tests, proxy):
    """Runs the tests of a module behind proxy(port of streamerd), which skips where it can't be."""
    try:
        with Upstream() as up, Stack(up, streamerd=f"[auth]\nallowed_hosts = {HOST}\n", start=False) as t:
            with open(t.streamerd_conf, encoding="utf-8") as f:
                conf = f.read()
            with open(t.streamerd_conf, "w", encoding="utf-8") as f:
                f.write(conf.replace("[http]\n", "[http]\ntrusted_proxies = 127.0.0.1\n"))
            t.start()
            n = proxy()
            try:
                n.start(t.port)
                tap.run(tests, t, n)
            finally:
                n.stop()
    except tap.Skip as why:
        tap.one(f"behind {proxy.name}", lambda why=why: (_ for _ in ()).throw(why))
    tap.finish()
