"""Behind Caddy, with the Caddyfile of systemd/examples and certificates that it makes itself."""

import json
import os
import shutil
import ssl
import tempfile

from lib import proxied, tap
from lib.daemons import free_port
from lib.proxied import HOST, Proxy


class Caddy(Proxy):
    """caddy in the foreground with the example in it; streamerd's port is another, and before it stand
    the port, the address and the folder that this run has: without, it would ask a public authority."""

    name = "caddy"

    def start(self, backend):
        if not shutil.which("caddy"):
            raise tap.Skip("there is no caddy here")
        self.dir = tempfile.mkdtemp(prefix="chatd-caddy-")
        self.port = free_port()
        conf = os.path.join(self.dir, "Caddyfile")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"{{\nadmin off\nhttps_port {self.port}\nauto_https disable_redirects\nlocal_certs\n"
                    f"skip_install_trust\ndefault_bind 127.0.0.1\nstorage file_system {self.dir}\n}}\n"
                    + proxied.example("Caddyfile", ("reverse_proxy 127.0.0.1:8080", f"reverse_proxy 127.0.0.1:{backend}")))
        self.log = os.path.join(self.dir, "log")
        with open(self.log, "wb") as log:
            self.run("caddy", "run", "--config", conf, "--adapter", "caddyfile", stdout=log, stderr=log,
                     env={"PATH": os.environ["PATH"], "HOME": self.dir, "XDG_DATA_HOME": self.dir,
                          "XDG_CONFIG_HOME": self.dir})

    def answers(self):
        ca = os.path.join(self.dir, "pki/authorities/local/root.crt")
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as f:
                raise AssertionError(f"caddy ended with {self.process.returncode}: {f.read()[-2000:]}")
        if not os.path.exists(ca) or not os.path.getsize(ca):
            return False
        self.context = ssl.create_default_context(cafile=ca)
        return super().answers()


def test_each_event_comes_as_it_is_written(t, n):
    """API-3, DUR-1: nothing on the way gathers: a viewer has the first words before the provider says the next"""
    proxied.gathers_nothing(t, n)


def test_a_silent_stream_stays_open(t, n):
    """API-3: heartbeats come through; Caddy has no time-out for what it reads"""
    proxied.stays_open(t, n)


def test_streamerd_knows_who_is_behind_the_proxy(t, n):
    """SEC-4: log lines have the client's address; what a client says of itself is not believed"""
    proxied.is_believed(t, n)


def test_a_cursor_comes_through(t, n):
    """DUR-4: Last-Event-ID reaches streamerd"""
    proxied.resumes(t, n)


def test_a_foreign_host_gets_nothing(t, n):
    """SEC-1: Caddy has no such site; streamerd is not even asked"""
    t.streamerd.mark()
    status, body = n.call("GET", "/v1/sessions", headers={"Host": "evil.example.net"})
    assert "sessions" not in body, (status, body)
    tap.eq(n.call("GET", "/v1/sessions")[0], 200, "the right one")


def test_the_largest_body_fits(t, n):
    """API-2, SEC-4: what streamerd takes by default, the example lets through"""
    size = 1024 * 1024 - len(json.dumps({"content": ""}))
    status, body = n.call("POST", "/v1/messages", {"content": "x" * size})
    assert status == 202, (status, body[:300])


def test_a_viewer_that_goes_is_seen_to_go(t, n):
    """PRC-5: Caddy closes behind it what the client left, so no viewer is left over"""
    proxied.sees_them_go(t, n)


if __name__ == "__main__":
    proxied.main(globals(), Caddy)
