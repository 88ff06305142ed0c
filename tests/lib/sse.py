"""A viewer: a strict SSE client and the reducer that turns what it is sent into a state.

Strict means that what API-3 promises is checked on every byte: `retry:` comes first; an event is
exactly `id`, `event`, one `data` line and a blank line; the data is JSON with the common members
and its id is `<generation>-<seq>`; after a snapshot or a cursor the seqs go on by one, without a
hole or a repeat. Anything else is an AssertionError in the test that looks.

Frames without id (seq null) are not in the log: the `error` (not fatal) that says that storing fails
at the moment, or that the worker is away, and the `warning` that it is back. They are kept in
`notices` and are no events.
"""

import json
import socket
import struct
import time

from lib import http
from lib.wait import Late, scaled

TERMINAL = ("response_end", "aborted", "error")


class Event:
    """name, id (text), generation, seq, raw (bytes of the data line), data (parsed), at (monotonic)."""

    def __init__(self, name, ident, raw):
        self.name, self.id, self.raw = name, ident, raw
        self.data = json.loads(raw)
        self.at = time.monotonic()
        generation, seq = ident.split("-")
        self.generation, self.seq = int(generation), int(seq)

    def is_terminal(self):
        return self.name in TERMINAL and (self.name != "error" or self.data.get("fatal") is True)

    def __repr__(self):
        return f"<{self.id} {self.name} {self.raw[:160]!r}>"


class State:
    """What a page would show: a snapshot, and each later event applied to it once."""

    def __init__(self):
        self.seq = None
        self.session_id = None
        self.state = None
        self.turn_id = None
        self.content = self.reasoning = ""
        self.tools = {}
        self.usage = self.stop_reason = self.error = None
        self.messages = []
        self.ended = []  # names of the terminal events seen here
        self.cleared = False
        self._message_id = None

    def snapshot(self, d):
        self.session_id, self.seq = d["session_id"], d["seq"]
        self.state = d["state"]
        self.turn_id = d["turn"]["id"] if d["turn"] else None
        self.content, self.reasoning = d["content"], d["reasoning"]
        self.tools = {t["id"]: self._tool(t["name"], t["input"], t["status"]) for t in d["tool_invocations"]}
        self.usage, self.stop_reason = d["usage"], d["stop_reason"]
        self.error = self._error(d["error"])
        self.messages = [(m["id"], m["role"], m["content"], m["status"]) for m in d["messages"]]
        self._message_id = None

    @staticmethod
    def _error(e):
        return (e["code"], e["message"]) if e else None

    @staticmethod
    def _tool(name, value, status):
        return {"name": name, "input": value, "status": status}

    def apply(self, name, d):
        if name == "snapshot":
            self.snapshot(d)
            return
        assert self.seq is None or d["seq"] == self.seq + 1, f"seq {d['seq']} after {self.seq}"
        self.seq = d["seq"]
        getattr(self, "on_" + name, lambda d: None)(d)

    def on_response_start(self, d):
        self.state, self.turn_id = "processing", d["turn_id"]
        self.content = self.reasoning = ""
        self.tools, self.usage, self.stop_reason, self.error = {}, None, None, None
        m = d["message"]
        self.messages.append((m["id"], m["role"], m["content"], m["status"]))
        self._message_id = d["message_id"]

    def on_turn_resumed(self, d):
        self.content, self.reasoning = d["content"], d["reasoning"]
        self.tools = {t["id"]: self._tool(t["name"], t["input"], t["status"]) for t in d["tool_invocations"]}

    def on_response_chunk(self, d):
        self.content += d["content"]

    def on_reasoning_chunk(self, d):
        self.reasoning += d["content"]

    def on_tool_start(self, d):
        self.tools[d["tool_invocation_id"]] = self._tool(d["name"], None, "pending")

    def on_tool_input(self, d):
        self.tools[d["tool_invocation_id"]]["input"] = d.get("input")

    def on_tool_end(self, d):
        self.tools[d["tool_invocation_id"]]["status"] = d["status"]

    def _end(self, name, d, status):
        self.state = "idle"
        self.ended.append(name)
        ident = d.get("message_id") or self._message_id
        self.messages.append((ident, "assistant", self.content, status))

    def on_response_end(self, d):
        self.stop_reason, self.usage = d["stop_reason"], d["usage"]
        self._end("response_end", d, "complete")

    def on_aborted(self, d):
        self._end("aborted", d, "aborted")

    def on_error(self, d):
        if d["fatal"]:
            self.error = (d["code"], d["message"])
            self._end("error", d, "error")

    def on_session_cleared(self, d):
        self.cleared = True

    def shown(self):
        """What two viewers of the same moment must agree on."""
        return {
            "seq": self.seq,
            "state": self.state,
            "content": self.content,
            "reasoning": self.reasoning,
            "tools": {k: (v["name"], v["input"]) for k, v in self.tools.items()},
            "stop_reason": self.stop_reason,
            "error": self.error,
            "messages": self.messages,
        }


def state_of(snapshot):
    """The State that a snapshot (as JSON) alone gives."""
    s = State()
    s.snapshot(snapshot)
    return s


class Viewer:
    """One SSE connection. Not for several threads at once."""

    def __init__(self, port, session_id, last_event_id=None, query="", headers=None, state=None, timeout=10):
        self.port, self.session_id = port, session_id
        self.events, self.notices, self.comments = [], [], 0
        self.state = state or State()
        self.ended = False
        self.cursor = last_event_id
        self._expect = int(last_event_id.split("-")[1]) if last_event_id and "-" in last_event_id else None
        self._seen_retry = False
        self._block, self._rest = [], bytearray()
        self._chunked = False
        lines = {"Accept": "text/event-stream"}
        if last_event_id is not None:
            lines["Last-Event-ID"] = last_event_id
        lines.update(headers or {})
        self.sock = http.connect(port)
        self.sock.sendall(http.head("GET", self._path() + query, port, lines, None))
        self.reader = http.Reader(self.sock)
        deadline = time.monotonic() + scaled(timeout)
        version, status, reason, head = http.read_head(self.reader, deadline)
        self.response = http.Response(status, reason, head, b"", version)
        self.status = status
        if status != 200:
            length = self.response.header("content-length")
            if length:
                self.response.body = self.reader.exactly(int(length), deadline)
            self.ended = True
            return
        kind = self.response.header("content-type")
        assert kind and kind.split(";")[0] == "text/event-stream", f"content type {kind}"
        self._chunked = self.response.header("transfer-encoding") == "chunked"

    def _path(self):
        return f"/v1/sessions/{self.session_id}/events"

    # --- bytes to events ---

    def _more(self, deadline):
        """Reads some bytes of the stream; False at its end."""
        if self._chunked:
            line = self.reader.line(deadline)
            size = int(line, 16)
            self._rest += self.reader.exactly(size, deadline)
            assert self.reader.line(deadline) == ""
            return size > 0
        if not self.reader.buf and not self.reader.more(deadline):
            return False
        self._rest += self.reader.buf
        self.reader.buf.clear()
        return True

    def _take(self):
        """The next whole event among the bytes at hand, or None."""
        while True:
            end = self._rest.find(b"\n")
            if end < 0:
                return None
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            assert b"\r" not in line and b"\0" not in line, f"CR or NUL in {line!r}"
            if not self._seen_retry:
                assert line.startswith(b"retry: ") and line[7:].isdigit(), f"first line is {line!r}"
                self._seen_retry = True
                continue
            if line.startswith(b":"):
                self.comments += 1
                continue
            if line:
                self._block.append(line)
                continue
            if not self._block:
                continue
            block, self._block = self._block, []
            if block[0] in (b"event: error", b"event: warning", b"event: sessions_changed") and len(block) == 2:
                self._notice(block[0][7:].decode(), json.loads(block[1].removeprefix(b"data: ")))
                continue
            assert len(block) == 3, f"an event of {len(block)} lines: {block!r}"
            for part, field in zip(block, (b"id: ", b"event: ", b"data: ")):
                assert part.startswith(field), f"{field!r} expected in {block!r}"
            return self._check(Event(block[1][7:].decode(), block[0][4:].decode(), block[2][6:]))

    def _notice(self, name, d):
        known = [("error", "persist_error"), ("error", "worker_unavailable"), ("warning", "worker_unavailable")]
        assert (name, d["code"]) in known and d["seq"] is None, f"an {name} without id: {d}"
        assert name != "error" or d["fatal"] is False, f"a fatal error without id: {d}"
        assert d["session_id"] == self.session_id, f"foreign session in {d}"
        self.notices.append(d)

    def _check(self, e):
        d = e.data
        for member in ("session_id", "turn_id", "generation", "seq", "ts"):
            assert member in d, f"{member} missing in {e}"
        assert d["session_id"] == self.session_id, f"foreign session in {e}"
        assert (d["generation"], d["seq"]) == (e.generation, e.seq), f"id and data differ in {e}"
        if e.name != "snapshot" and self._expect is not None:
            assert e.seq == self._expect + 1, f"{e} after seq {self._expect}"
        assert e.name == "snapshot" or self._expect is not None, f"{e} before any snapshot"
        self._expect = e.seq
        self.cursor = e.id
        self.events.append(e)
        self.state.apply(e.name, d)
        return e

    # --- for tests ---

    def next(self, timeout=10):
        """The next event; None once the stream has ended. Late if nothing comes."""
        deadline = time.monotonic() + scaled(timeout)
        while True:
            e = self._take()
            if e or self.ended:
                return e
            try:
                if not self._more(deadline):
                    self.ended = True
            except (http.Closed, ConnectionError):
                self.ended = True
            except TimeoutError:
                raise Late(f"no event within {scaled(timeout):g} s; last: {self.events[-1:]}") from None

    def until(self, condition, timeout=20):
        """Reads until condition(event) and returns that event. `condition` may be an event name."""
        if isinstance(condition, str):
            name = condition
            condition = lambda e: e.name == name  # noqa: E731
        deadline = time.monotonic() + scaled(timeout)
        while True:
            left = (deadline - time.monotonic()) / scaled(1)
            e = self.next(max(left, 0.001))
            if e is None:
                raise AssertionError(f"the stream ended early; last: {self.events[-2:]}")
            if condition(e):
                return e

    def to_end(self, timeout=20):
        """Reads until the turn's terminal event (or a snapshot that says it is over)."""
        return self.until(lambda e: e.is_terminal() or (e.name == "snapshot" and e.data["state"] == "idle"), timeout)

    def drain(self, timeout=20):
        """Reads until the server ends the stream."""
        while self.next(timeout):
            pass
        return self.events

    def close(self, reset=False):
        if reset:  # RST instead of FIN, as a phone that loses its network
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
