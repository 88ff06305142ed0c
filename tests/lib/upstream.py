"""A scripted provider: a real HTTP server on loopback that plays what a test tells it to.

A test registers scripts under a key and sends that key as the user's message:

    up.on("hello", text("Hello, ", "world"))
    t.say("hello")

The script is looked up by the last user message of the request, so one server serves any number
of turns at once. A list of scripts is played one after the other, one a request (to see retries);
the last one repeats.

A script is a function of an Exchange and may do whatever a provider, a proxy or a broken network
does: answer in pieces of any size, hang, cut, send garbage. Pieces are sent as HTTP chunks, each
of which libcurl hands over by itself: a split of 1 really arrives byte by byte.

Every request is recorded with its body, its headers and the moment at which the peer closed the
connection: so a test can see that an abort reached the wire.
"""

import json
import os
import random
import select
import socket
import struct
import threading
import time

from lib.wait import until

GOLDEN = os.environ.get("GOLDEN_PROVIDERS") or os.path.join(
    os.path.dirname(__file__), "..", "golden", "providers"
)


class Exchange:
    """One request and its answer."""

    def __init__(self, server, sock, path, headers, body):
        self.server, self.sock, self.path, self.headers, self.body = server, sock, path, headers, body
        self.began = time.monotonic()
        self.closed = None  # when the peer was seen to have closed
        self.finished = None  # when the script was over
        self.keep = True  # may the connection be used again
        self.chunked = False
        try:
            self.json = json.loads(body)
        except ValueError:
            self.json = None
        self.key = last_user_text(self.json)

    # --- answering ---

    def head(self, status=200, headers=None, chunked=True, length=None):
        lines = {"Content-Type": "text/event-stream"}
        lines.update(headers or {})
        if length is not None:
            lines["Content-Length"] = str(length)
        elif chunked:
            lines["Transfer-Encoding"] = "chunked"
        else:
            lines["Connection"] = "close"
            self.keep = False
        self.chunked = chunked and length is None
        text = f"HTTP/1.1 {status} X\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items()) + "\r\n"
        self.send(text.encode())

    def piece(self, data):
        self.pieces([data])

    def pieces(self, pieces):
        """Each piece is one HTTP chunk (or plain bytes where the answer is not chunked)."""
        if not self.chunked:
            self.send(b"".join(pieces))
            return
        out = bytearray()
        for p in pieces:
            out += b"%x\r\n%b\r\n" % (len(p), p)
            if len(out) > 200_000:
                self.send(out)
                out = bytearray()
        self.send(out)

    def end(self):
        if self.chunked:
            self.send(b"0\r\n\r\n")

    def send(self, data):
        try:
            self.sock.sendall(data)
        except OSError as e:
            self._gone()
            raise Gone from e

    def hang(self, seconds=600):
        """Does nothing until the peer closes. Raises Gone then."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.server.stopped:
            if self.is_gone(0.2):
                raise Gone
        self.keep = False

    def is_gone(self, timeout=0.0):
        """Has the peer closed? Waits for it up to `timeout`."""
        p = select.poll()
        p.register(self.sock, select.POLLIN | select.POLLRDHUP)
        if not p.poll(timeout * 1000):
            return False
        try:
            if self.sock.recv(1, socket.MSG_PEEK):
                return False
        except OSError:
            pass
        self._gone()
        return True

    def _gone(self):
        if self.closed is None:
            self.closed = time.monotonic()

    def cut(self, reset=False):
        """Ends the connection in the middle: FIN, or RST."""
        self.keep = False
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Gone(Exception):
    """The peer has closed: the script is over."""


def last_user_text(doc):
    """The text of the last user message, of either protocol."""
    for m in reversed((doc or {}).get("messages") or []):
        if m.get("role") != "user":
            continue
        c = m.get("content")
        if isinstance(c, list):
            c = "".join(p.get("text", "") for p in c if isinstance(p, dict))
        if c:  # Anthropic's tool results are of the user's role as well
            return c
    return None


class Upstream:
    """The server. Use as a context manager, or start() and stop()."""

    def __init__(self):
        self.scripts, self.requests, self.lock = {}, [], threading.Lock()
        self.default = text("ok")
        self.keeps = True  # requests, for of(); hours of whole conversations fill a machine
        self.stopped = False
        self.faults = []  # what went wrong in here: a test's own bug
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.listener.close()

    def on(self, key, *scripts):
        with self.lock:
            self.scripts[key] = list(scripts)
        return key

    def of(self, key):
        """The exchanges that came for a key, in order."""
        with self.lock:
            return [x for x in self.requests if x.key == key]

    def wait(self, key, n=1):
        """Waits for the n-th request of a key and returns it."""
        return until(lambda: (self.of(key) + [None] * n)[n - 1], f"request {n} for {key!r} at the provider")

    def _accept(self):
        while not self.stopped:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        buf = bytearray()
        try:
            while not self.stopped:
                x = self._read(sock, buf)
                if not x or not self._play(x):
                    break
        except OSError:
            pass
        finally:
            try:
                sock.close()
            except OSError:
                pass

    def _read(self, sock, buf):
        while b"\r\n\r\n" not in buf:
            data = sock.recv(65536)
            if not data:
                return None
            buf += data
            if buf[:1] == b"\x16":  # a TLS ClientHello: answered as web servers do
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
                return None
        end = buf.index(b"\r\n\r\n") + 4
        lines = buf[:end].decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            if line:
                name, _, value = line.partition(":")
                headers[name.lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        need = end + int(headers.get("content-length", 0))
        while len(buf) < need:
            data = sock.recv(65536)
            if not data:
                return None
            buf += data
        x = Exchange(self, sock, path, headers, bytes(buf[end:need]))
        del buf[:need]
        return x

    def _play(self, x):
        with self.lock:
            if self.keeps:
                self.requests.append(x)
            scripts = self.scripts.get(x.key)
            script = self.default if not scripts else scripts.pop(0) if len(scripts) > 1 else scripts[0]
        try:
            script(x)
        except Gone:
            x.keep = False
        except OSError:
            x._gone()
            x.keep = False
        except Exception as e:  # kept for the test to see
            self.faults.append(repr(e))
            x.keep = False
        x.finished = time.monotonic()
        return x.keep


# --- bodies ---


def data_line(doc):
    return b"data: " + json.dumps(doc, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


def chunk(text=None, finish=None, usage=None, **delta):
    """One chunk of the OpenAI protocol."""
    if text is not None:
        delta["content"] = text
    doc = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    doc["choices"] = [{"index": 0, "delta": delta, "finish_reason": finish}]
    if usage:
        doc["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return data_line(doc)


DONE = b"data: [DONE]\n\n"


def answer(*texts, finish="stop", usage=(3, 5)):
    """Bytes of a whole answer of these deltas."""
    return b"".join([chunk(x) for x in texts] + [chunk(finish=finish, usage=usage), DONE])


def anthropic_answer(*texts):
    """The same in the Anthropic protocol, without usage."""
    events = [("message_start", {"message": {"id": "m1", "type": "message", "role": "assistant", "content": []}}),
              ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})]
    events += [("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": t}}) for t in texts]
    events += [("content_block_stop", {"index": 0}), ("message_delta", {"delta": {"stop_reason": "end_turn"}}),
               ("message_stop", {})]
    return b"".join(b"event: " + name.encode() + b"\n" + data_line({"type": name, **doc}) for name, doc in events)


def split(data, how, rng=None):
    """Pieces of data: how = "whole", a size, or "random"."""
    if how == "whole":
        return [data] if data else []
    if how == "random":
        rng = rng or random.Random(len(data))
        pieces, at = [], 0
        while at < len(data):
            n = rng.choice((1, 2, 3, 7, 50, 300, 1448, 5000))
            pieces.append(data[at : at + n])
            at += n
        return pieces
    return [data[i : i + how] for i in range(0, len(data), how)]


# --- scripts ---


def text(*texts, **kw):
    """Answers with these deltas at once."""
    body = answer(*texts, **kw)

    def script(x):
        x.head()
        x.pieces([body])
        x.end()

    return script


def replay(body, how="whole", headers=None, rng=None):
    """Plays recorded bytes in pieces. "close": as one piece whose end is the end of the connection."""

    def script(x):
        if how == "close":
            x.head(200, headers, chunked=False)
            x.send(body)
            return
        x.head(200, headers)
        x.pieces(split(body, how, rng))
        x.end()

    return script


def error(status, body=b"", headers=None):
    """An answer with an error status."""
    if isinstance(body, (dict, list)):
        body = json.dumps(body).encode()

    def script(x):
        x.head(status, {"Content-Type": "application/json", **(headers or {})}, length=len(body))
        x.send(body)

    return script


def hang(before=b"", head=True):
    """Sends the head and these bytes and then nothing, until the peer closes."""

    def script(x):
        if head:
            x.head()
            if before:
                x.piece(before)
        x.hang()

    return script


def cut(before=b"", reset=False, head=True):
    """Breaks off after these bytes."""

    def script(x):
        if head:
            x.head()
            if before:
                x.piece(before)
        x.cut(reset)

    return script


def drip(texts, rate, ends=True):
    """These deltas at `rate` a second; if not `ends`, goes round for ever."""

    def script(x):
        x.head()
        at = time.monotonic()
        while True:
            for t in texts:
                x.piece(chunk(t))
                at += 1 / rate
                if x.is_gone(max(0.0, at - time.monotonic())) or x.server.stopped:
                    raise Gone
            if ends:
                break
        x.piece(chunk(finish="stop", usage=(1, len(texts))) + DONE)
        x.end()

    return script


def gated(first, gate, rest):
    """These deltas, then the others once the event `gate` is set."""

    def script(x):
        x.head()
        x.pieces([chunk(t) for t in first])
        while not gate.wait(0.05):
            if x.is_gone() or x.server.stopped:
                raise Gone
        x.pieces([chunk(t) for t in rest] + [chunk(finish="stop", usage=(1, 2)), DONE])
        x.end()

    return script


# --- recordings ---


def recordings():
    """(name, body, expectation) of every recorded stream and error body."""
    found = []
    for folder in sorted(os.listdir(GOLDEN)):
        where = os.path.join(GOLDEN, folder)
        if not os.path.isdir(where):
            continue
        for name in sorted(os.listdir(where)):
            if not name.endswith(".expect.json"):
                continue
            stem = os.path.join(where, name[: -len(".expect.json")])
            with open(os.path.join(where, name), encoding="utf-8") as f:
                expect = json.load(f)
            path = stem + (".body" if expect["protocol"] == "http-error" else ".sse")
            with open(path, "rb") as f:
                found.append((f"{folder}/{os.path.basename(stem)}", f.read(), expect))
    return found
