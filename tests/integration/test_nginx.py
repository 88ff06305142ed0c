"""Behind nginx, with the configuration of systemd/examples and a certificate of its own."""

import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import threading
import time

from lib import tap
from lib.daemons import Stack, free_port
from lib.upstream import DONE, Upstream, chunk, text
from lib.wait import scaled, until

EXAMPLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../systemd/examples/nginx.conf")
HOST = "chat.example.org"
HEARTBEAT = 15


class Nginx:
    """nginx in the foreground with the example in it; only paths, ports and the name's address differ."""

    def __init__(self, backend):
        if not shutil.which("nginx"):
            raise tap.Skip("there is no nginx here")
        if not shutil.which("openssl"):
            raise tap.Skip("there is no openssl to make a certificate")
        self.dir = tempfile.mkdtemp(prefix="chatd-nginx-")
        self.port = free_port()
        cert, key = (os.path.join(self.dir, n) for n in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-days", "2", "-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}",
                        "-keyout", key, "-out", cert], check=True, capture_output=True)
        with open(EXAMPLE, encoding="utf-8") as f:
            example = f.read()
        for old, new in (("server 127.0.0.1:8080;", f"server 127.0.0.1:{backend};"),
                         ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
                         ("/etc/ssl/chat.example.org.pem", cert), ("/etc/ssl/chat.example.org.key", key)):
            assert example.count(old) == 1, f"{old!r} stands {example.count(old)} times in the example"
            example = example.replace(old, new)
        conf = os.path.join(self.dir, "nginx.conf")
        folders = "".join(f"{kind}_temp_path {self.dir}/{kind};\n"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"daemon off;\npid {self.dir}/pid;\nerror_log {self.dir}/error.log;\nworker_processes 1;\n"
                    + ("user root;\n" if os.geteuid() == 0 else "")
                    + f"events {{ worker_connections 512; }}\nhttp {{\naccess_log {self.dir}/access.log;\n"
                    f"{folders}{example}\n}}\n")
        self.context = ssl.create_default_context(cafile=cert)
        self.process = subprocess.Popen(["nginx", "-p", self.dir, "-c", conf], stdin=subprocess.DEVNULL)
        until(self.answers, "nginx answers", 20)

    def answers(self):
        assert self.process.poll() is None, f"nginx ended with {self.process.returncode}"
        try:
            return self.call("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def connect(self, source="127.0.0.1", timeout=30):
        c = http.client.HTTPSConnection(HOST, self.port, timeout=scaled(timeout), context=self.context,
                                        source_address=(source, 0))
        # the name is in no DNS: the connection goes to loopback, the name to TLS and Host
        c._create_connection = lambda address, t, s: __import__("socket").create_connection(
            ("127.0.0.1", address[1]), t, s)
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

    def stream(self, session, source="127.0.0.1"):
        c = self.connect(source)
        c.request("GET", f"/v1/sessions/{session}/events", headers={"Host": HOST})
        r = c.getresponse()
        tap.eq(r.status, 200, "the stream")
        return c, r

    def stop(self):
        self.process.terminate()
        self.process.wait(scaled(20))
        shutil.rmtree(self.dir, ignore_errors=True)


def test_each_event_comes_as_it_is_written(t, n):
    """API-3, DUR-1: nothing on the way gathers: a viewer has the first words before the provider says the next"""
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


def test_a_silent_stream_stays_open(t, n):
    """API-3: heartbeats come through, well inside nginx's time-out"""
    timeout = int(re.search(r"proxy_read_timeout (\d+)s", open(EXAMPLE, encoding="utf-8").read()).group(1))
    assert timeout >= 2 * HEARTBEAT, f"{timeout} s is no time-out for heartbeats of {HEARTBEAT} s"
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


def test_streamerd_knows_who_is_behind_the_proxy(t, n):
    """SEC-4: log lines have the client's address; what a client says of itself is not believed"""
    t.streamerd.mark()
    status, body = n.call("POST", "/v1/messages", {"content": "hi"}, source="127.0.0.7",
                          headers={"X-Forwarded-For": "203.0.113.9"})
    tap.eq(status, 202, body)
    until(lambda: "127.0.0.7" in t.streamerd.log(), "the client's address is logged", 10)
    assert "203.0.113.9" not in t.streamerd.log(), "a client's own word was believed"


def test_a_foreign_host_is_turned_away_behind_the_proxy_too(t, n):
    """SEC-1: the Host that the client sent reaches streamerd"""
    tap.eq(n.call("GET", "/v1/sessions", headers={"Host": "evil.example.net"})[0], 421, "a foreign Host")
    tap.eq(n.call("GET", "/v1/sessions")[0], 200, "the right one")


def test_a_viewer_that_goes_is_seen_to_go(t, n):
    """PRC-5: nginx closes behind it what the client left, so no viewer is left over"""
    doc = t.say("hi")
    c, r = n.stream(doc["session_id"])
    r.read1(100)
    until(lambda: t.metrics()["streamerd_viewers"] >= 1, "the viewer is counted", 10)
    r.close()
    c.close()
    until(lambda: t.metrics()["streamerd_viewers"] == 0, "the viewer is gone", 20)


def main():
    extra = f"[auth]\nallowed_hosts = {HOST}\n"
    with Upstream() as up, Stack(up, streamerd=extra, start=False) as t:
        with open(t.streamerd_conf, encoding="utf-8") as f:
            conf = f.read()
        with open(t.streamerd_conf, "w", encoding="utf-8") as f:
            f.write(conf.replace("[http]\n", "[http]\ntrusted_proxies = 127.0.0.1\n"))
        t.start()
        n = Nginx(t.port)
        try:
            tap.run(globals(), t, n)
        finally:
            n.stop()


if __name__ == "__main__":
    try:
        main()
    except tap.Skip as why:
        tap.one("behind nginx", lambda why=why: (_ for _ in ()).throw(why))
    tap.finish()
