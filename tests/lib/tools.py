"""What tests of tools and prompts share: a provider that calls tools, servers that have some.

A dialect (OPENAI, ANTHROPIC) plays answers that call tools and reads from the next request what
chatd made of them, so that one test serves both:

    t.up.on("go", d.calls(("c1", "kit__echo", '{"text":"hi"}')), d.text("done"))
    turn = t.say("go", provider=d.provider)
    d.results(t.up.wait("go", 2).json)      # [("c1", "hi", False)]
"""

import json
import os
import shutil
import sys
import tempfile

from lib.daemons import Stack
from lib.upstream import DONE, Upstream, chunk, data_line, last_user_text, text
from lib.wait import until

HERE = os.path.dirname(os.path.abspath(__file__))


class ToolUpstream(Upstream):
    """Anthropic's results are user messages too: the key is the last one in which a user speaks."""

    def _read(self, sock, buf):
        x = super()._read(sock, buf)
        if x:
            spoken = [m for m in (x.json or {}).get("messages") or []
                      if m.get("role") == "user" and last_user_text({"messages": [m]})]
            x.key = last_user_text({"messages": spoken})
        return x


def body(data):
    """A script that answers with these bytes."""

    def script(x):
        x.head()
        x.pieces([data])
        x.end()

    return script


class OpenAI:
    provider = "main"

    def text(self, *texts):
        return text(*texts)

    def calls(self, *calls, say="", finish="tool_calls", thinking=None):
        """An answer with these (id, name, bytes of the arguments), which come in two pieces each."""
        out = []
        if thinking:
            out.append(chunk(reasoning_content=thinking))
        if say:
            out.append(chunk(say))
        for i, (ident, name, arguments) in enumerate(calls):
            half = len(arguments) // 2
            out.append(chunk(tool_calls=[{"index": i, "id": ident, "type": "function", "function": {
                "name": name, "arguments": arguments[:half]}}]))
            out.append(chunk(tool_calls=[{"index": i, "function": {"arguments": arguments[half:]}}]))
        out.append(chunk(finish=finish, usage=(3, 5)))
        return body(b"".join(out) + DONE)

    def cut(self, *calls):
        return self.calls(*calls, finish="length")

    def answered(self, request):
        """The calls that stand in the last answer of a request: [(id, name, arguments as text)]."""
        last = [m for m in request["messages"] if m["role"] == "assistant"][-1]
        return [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in last.get("tool_calls") or []]

    def results(self, request):
        """The results behind it: [(id, text, is_error)]; this protocol has no mark for errors."""
        found = []
        for m in reversed(request["messages"]):
            if m["role"] != "tool":
                break
            found.insert(0, (m["tool_call_id"], m["content"], None))
        return found


class Anthropic:
    provider = "claude"

    @staticmethod
    def _event(kind, **more):
        return b"event: " + kind.encode() + b"\n" + data_line({"type": kind, **more})

    def _answer(self, blocks, stop):
        e = self._event
        out = [e("message_start", message={
            "id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "stop_reason": None,
            "usage": {"input_tokens": 3, "output_tokens": 1}})]
        for i, (start, deltas) in enumerate(blocks):
            out.append(e("content_block_start", index=i, content_block=start))
            out += [e("content_block_delta", index=i, delta=d) for d in deltas]
            out.append(e("content_block_stop", index=i))
        out.append(e("message_delta", delta={"stop_reason": stop, "stop_sequence": None}, usage={"output_tokens": 5}))
        out.append(e("message_stop"))
        return body(b"".join(out))

    def _texts(self, texts):
        return ({"type": "text", "text": ""}, [{"type": "text_delta", "text": x} for x in texts])

    def text(self, *texts):
        return self._answer([self._texts(texts)], "end_turn")

    def calls(self, *calls, say="", stop="tool_use", thinking=None):
        blocks = []
        if thinking:
            blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, [
                {"type": "thinking_delta", "thinking": thinking},
                {"type": "signature_delta", "signature": "c2ln" + thinking.encode().hex()}]))
        if say:
            blocks.append(self._texts([say]))
        for ident, name, arguments in calls:
            half = len(arguments) // 2
            blocks.append(({"type": "tool_use", "id": ident, "name": name, "input": {}}, [
                {"type": "input_json_delta", "partial_json": p} for p in (arguments[:half], arguments[half:])]))
        return self._answer(blocks, stop)

    def cut(self, *calls):
        return self.calls(*calls, stop="max_tokens")

    def _last(self, request):
        return [m for m in request["messages"] if m["role"] == "assistant"][-1]["content"]

    def answered(self, request):
        return [(b["id"], b["name"], b["input"]) for b in self._last(request) if b["type"] == "tool_use"]

    def results(self, request):
        m = request["messages"][-1]
        assert m["role"] == "user", m
        return [(b["tool_use_id"], b.get("content", ""), b.get("is_error", False))
                for b in m["content"] if b["type"] == "tool_result"]

    def blocks(self, request):
        """The types of the blocks of the last answer, in order."""
        return [b["type"] for b in self._last(request)]

    def thinking(self, request):
        return [(b["thinking"], b["signature"]) for b in self._last(request) if b["type"] == "thinking"]


OPENAI, ANTHROPIC = OpenAI(), Anthropic()
DIALECTS = (OPENAI, ANTHROPIC)


def section(name, command, **keys):
    """[tools NAME] for a config."""
    lines = [f"[tools {name}]", "command = " + " ".join(command)]
    return "\n".join(lines + [f"{k} = {v}" for k, v in keys.items()]) + "\n"


def kit_command(folder):
    return [sys.executable, os.path.join(HERE, "tool_server.py"), folder]


def bad_command(mode, *arguments):
    return [sys.executable, os.path.join(HERE, "bad_mcp_server.py"), mode, *arguments]


class ToolStack(Stack):
    """A Stack with tool servers. `tools` gets the folder and returns the sections.

    `keys` are for [workers]. `owner_tokens` are used instead of no authentication."""

    def __init__(self, up, tools=None, keys=None, **more):
        self.folder = tempfile.mkdtemp(prefix="chatd-tools-")
        self.worker_keys = keys or {}
        more["chatd"] = more.get("chatd", "") + (tools(self.folder) if tools else kit_sections(self.folder))
        providers = {"claude": {"type": "anthropic"}, **more.pop("providers", {})}
        super().__init__(up, providers, **more)

    def write_conf(self):
        super().write_conf()
        with open(self.chatd_conf, encoding="utf-8") as f:
            conf = f.read()
        keys = "".join(f"{k} = {v}\n" for k, v in self.worker_keys.items())
        with open(self.chatd_conf, "w", encoding="utf-8") as f:
            f.write(conf.replace("[workers]\n", "[workers]\n" + keys))

    def __exit__(self, *why):
        super().__exit__(*why)
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- what the tool servers saw ---

    def touch(self, name):
        with open(os.path.join(self.folder, name), "w", encoding="ascii"):
            pass

    def lines(self, name):
        try:
            with open(os.path.join(self.folder, name), encoding="utf-8") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def calls_made(self, tool=None):
        """The parameters of every tools/call that any of the servers got."""
        found = [m["params"] for m in map(json.loads, self.lines("journal")) if m.get("method") == "tools/call"]
        return [p for p in found if tool in (None, p["name"])]

    # --- prompts ---

    def prompts(self, session_id, n=1):
        """Waits until this many prompts are open; returns them as the snapshot has them."""
        def there():
            snap = self.snapshot(session_id)
            return snap["pending_prompts"] if len(snap["pending_prompts"]) == n else None

        return until(there, f"{n} prompts are open in {session_id}")

    def wait_waiting(self, session_id):
        """Waits until the session waits for a person; returns the snapshot."""
        def there():
            snap = self.snapshot(session_id)
            return snap if snap["state"] == "waiting" else None

        return until(there, f"{session_id} waits")

    def answer(self, session_id, prompt_id, document, **kw):
        return self.call("POST", f"/v1/sessions/{session_id}/prompts/{prompt_id}", document, **kw)

    def post_as(self, headers, content, **more):
        return self.call("POST", "/v1/messages", {"content": content, **more}, headers)

    def events(self, session_id, kind=None):
        """The stored events, payloads read."""
        rows = self.log.events(session_id)
        return [dict(r, payload=json.loads(r["payload"])) for r in rows if kind in (None, r["type"])]


def kit_sections(folder):
    """kit: everything runs. asks: only what reads runs unasked. never: nothing runs."""
    command = kit_command(folder)
    return (section("kit", command, permission="allow")
            + section("asks", command, permission="ask", read_only="allow")
            + section("never", command, permission="deny"))


def processes(*words):
    """pids of processes whose command line has all of these words, zombies apart."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                line = f.read().decode(errors="replace")
        except OSError:
            continue
        if line and all(w in line for w in words):
            found.append(int(pid))
    return found


def healthy(t):
    """All processes are there and a turn without tools works."""
    t.up.on("are you well", text("yes"))
    pids = t.worker_pids()
    assert len(pids) == t.workers, pids
    t.wait_ready()
    turn = t.say("are you well", provider="main")
    snap = t.wait_idle(turn["session_id"])
    assert (snap["content"], snap["error"]) == ("yes", None), snap
    return pids
