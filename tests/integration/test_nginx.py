"""Behind nginx, with the configuration of systemd/examples and a certificate of its own."""

import os
import re
import shutil
import ssl
import subprocess
import tempfile

from lib import proxied, tap
from lib.daemons import free_port
from lib.proxied import HOST, Proxy

HEARTBEAT = 15


class Nginx(Proxy):
    """nginx in the foreground with the example in it; only paths, ports and the name's address differ."""

    name = "nginx"

    def start(self, backend):
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
        text = proxied.example(
            "nginx.conf", ("server 127.0.0.1:8080;", f"server 127.0.0.1:{backend};"),
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
            ("/etc/ssl/chat.example.org.pem", cert), ("/etc/ssl/chat.example.org.key", key))
        conf = os.path.join(self.dir, "nginx.conf")
        folders = "".join(f"{kind}_temp_path {self.dir}/{kind};\n"
                          for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"daemon off;\npid {self.dir}/pid;\nerror_log {self.dir}/error.log;\nworker_processes 1;\n"
                    + ("user root;\n" if os.geteuid() == 0 else "")
                    + f"events {{ worker_connections 512; }}\nhttp {{\naccess_log {self.dir}/access.log;\n"
                    f"{folders}{text}\n}}\n")
        self.context = ssl.create_default_context(cafile=cert)
        self.run("nginx", "-p", self.dir, "-c", conf)


def test_each_event_comes_as_it_is_written(t, n):
    """API-3, DUR-1: nothing on the way gathers: a viewer has the first words before the provider says the next"""
    proxied.gathers_nothing(t, n)


def test_a_silent_stream_stays_open(t, n):
    """API-3: heartbeats come through, well inside nginx's time-out"""
    timeout = int(re.search(r"proxy_read_timeout (\d+)s", proxied.example("nginx.conf")).group(1))
    assert timeout >= 2 * HEARTBEAT, f"{timeout} s is no time-out for heartbeats of {HEARTBEAT} s"
    proxied.stays_open(t, n)


def test_streamerd_knows_who_is_behind_the_proxy(t, n):
    """SEC-4: log lines have the client's address; what a client says of itself is not believed"""
    proxied.is_believed(t, n)


def test_a_cursor_comes_through(t, n):
    """DUR-4: Last-Event-ID reaches streamerd"""
    proxied.resumes(t, n)


def test_a_foreign_host_is_turned_away_behind_the_proxy_too(t, n):
    """SEC-1: the Host that the client sent reaches streamerd"""
    tap.eq(n.call("GET", "/v1/sessions", headers={"Host": "evil.example.net"})[0], 421, "a foreign Host")
    tap.eq(n.call("GET", "/v1/sessions")[0], 200, "the right one")


def test_a_viewer_that_goes_is_seen_to_go(t, n):
    """PRC-5: nginx closes behind it what the client left, so no viewer is left over"""
    proxied.sees_them_go(t, n)


if __name__ == "__main__":
    proxied.main(globals(), Nginx)
