"""HTTP/1.1 over a plain socket: what is sent is exactly what the test says, what comes back is read strictly."""

import json
import socket
import time

from lib.wait import scaled


class Response:
    """status, reason, headers (a list of pairs as they came), body."""

    def __init__(self, status, reason, headers, body, version):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body
        self.version = version

    def header(self, name):
        """Value of a header that may come once at most; None if absent."""
        found = [v for k, v in self.headers if k.lower() == name.lower()]
        assert len(found) <= 1, f"header {name} came {len(found)} times"
        return found[0] if found else None

    def json(self):
        kind = self.header("content-type")
        assert kind and kind.startswith("application/json"), f"not JSON but {kind}: {self.body[:200]!r}"
        return json.loads(self.body)

    def error(self):
        """The "error" object of API-1."""
        doc = self.json()
        assert isinstance(doc.get("error"), dict), f"no error object in {doc}"
        error = doc["error"]
        assert isinstance(error.get("code"), str) and error["code"], f"no code in {error}"
        assert isinstance(error.get("message"), str) and error["message"], f"no message in {error}"
        return error

    def __repr__(self):
        return f"<{self.status} {self.body[:400]!r}>"


class Closed(ConnectionError):
    """The peer closed before a response began."""


class Reader:
    """Buffered reading from a socket with a deadline for each call."""

    def __init__(self, sock):
        self.sock, self.buf = sock, bytearray()

    def more(self, deadline):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("nothing came in time")
        self.sock.settimeout(left)
        data = self.sock.recv(65536)
        self.buf += data
        return len(data)

    def line(self, deadline):
        """One line without its CRLF."""
        while b"\n" not in self.buf:
            if not self.more(deadline):
                raise Closed(f"closed after {bytes(self.buf)!r}")
        end = self.buf.index(b"\n")
        line = bytes(self.buf[:end])
        del self.buf[: end + 1]
        assert line.endswith(b"\r"), f"bare LF in {line!r}"
        return line[:-1].decode("latin-1")

    def exactly(self, n, deadline):
        while len(self.buf) < n:
            if not self.more(deadline):
                raise Closed(f"{len(self.buf)} of {n} bytes")
        data = bytes(self.buf[:n])
        del self.buf[:n]
        return data

    def rest(self, deadline):
        while self.more(deadline):
            pass
        data = bytes(self.buf)
        self.buf.clear()
        return data


def read_head(reader, deadline):
    line = reader.line(deadline)
    version, status, reason = (line.split(" ", 2) + [""])[:3]
    assert version in ("HTTP/1.1", "HTTP/1.0") and len(status) == 3, f"bad status line {line!r}"
    headers = []
    while True:
        line = reader.line(deadline)
        if not line:
            return version, int(status), reason, headers
        name, colon, value = line.partition(":")
        assert colon and name and name == name.strip(), f"bad header line {line!r}"
        headers.append((name, value.strip()))


def read_response(reader, method, timeout):
    deadline = time.monotonic() + scaled(timeout)
    while True:
        version, status, reason, headers = read_head(reader, deadline)
        if status >= 200:
            break
    r = Response(status, reason, headers, b"", version)
    if method == "HEAD" or status in (204, 304):
        return r
    if r.header("transfer-encoding") == "chunked":
        body = bytearray()
        while True:
            size = int(reader.line(deadline), 16)
            body += reader.exactly(size, deadline)
            eq = reader.line(deadline)
            assert eq == "", f"chunk not ended: {eq!r}"
            if not size:
                break
        r.body = bytes(body)
    elif r.header("content-length") is not None:
        r.body = reader.exactly(int(r.header("content-length")), deadline)
    else:
        r.body = reader.rest(deadline)
    return r


def connect(port, timeout=10):
    """To a port of loopback, or to a Unix socket whose path is given in its place."""
    if isinstance(port, str):
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(scaled(timeout))
        sock.connect(port)
        return sock
    sock = socket.create_connection(("127.0.0.1", port), timeout=scaled(timeout))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def head(method, target, port, headers, body):
    """Bytes of a request. A header given as None is left out."""
    lines = {"Host": "localhost" if isinstance(port, str) else f"127.0.0.1:{port}"}
    if body is not None:
        lines["Content-Type"] = "application/json"
        lines["Content-Length"] = str(len(body))
    for name, value in (headers or {}).items():
        lines.pop(name, None)
        if value is not None:
            lines[name] = value
    text = f"{method} {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    return text.encode("utf-8") + b"\r\n"


class Connection:
    """One keep-alive connection."""

    def __init__(self, port, timeout=10):
        self.port, self.timeout = port, timeout
        self.sock = connect(port, timeout)
        self.reader = Reader(self.sock)

    def send(self, data):
        self.sock.sendall(data)

    def request(self, method, target, body=None, headers=None, timeout=None):
        if isinstance(body, (dict, list)):
            body = json.dumps(body, ensure_ascii=False).encode()
        elif isinstance(body, str):
            body = body.encode()
        self.send(head(method, target, self.port, headers, body) + (body or b""))
        return self.response(method, timeout)

    def response(self, method="GET", timeout=None):
        return read_response(self.reader, method, timeout or self.timeout)

    def is_closed(self, timeout=5):
        """True once the peer has closed; what it still says before that is not looked at."""
        deadline = time.monotonic() + scaled(timeout)
        try:
            while self.reader.more(deadline):
                pass
            return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def request(port, method, target, body=None, headers=None, timeout=10):
    """One request on a connection of its own."""
    with Connection(port, timeout) as c:
        return c.request(method, target, body, headers)


def raw(port, data, timeout=10):
    """Sends bytes as they are and reads one response."""
    with Connection(port, timeout) as c:
        c.send(data)
        return c.response()
