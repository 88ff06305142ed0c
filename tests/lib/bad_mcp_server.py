#!/usr/bin/env python3
"""An MCP server over stdio that misbehaves:  bad_mcp_server.py MODE [ARGUMENT]

Whatever the mode, it opens properly (unless the mode is about that) and has the tools echo, which
only reads, and act. What goes wrong is in a function of the mode's name below. `replay FILE` plays a
recorded exchange: each request gets what the recorded server answered to the like of it.
"""
import json
import os
import signal
import subprocess
import sys
import time

MODE = sys.argv[1] if len(sys.argv) > 1 else "good"
ARGUMENT = sys.argv[2] if len(sys.argv) > 2 else ""
SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}}
TOOLS = [
    {"name": "echo", "description": "says it again", "inputSchema": SCHEMA,
     "annotations": {"readOnlyHint": True}},
    {"name": "act", "description": "does something", "inputSchema": SCHEMA},
]


def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()


def send(message):
    write(json.dumps(dict({"jsonrpc": "2.0"}, **message), ensure_ascii=False) + "\n")


def answer(request, result):
    send({"id": request["id"], "result": result})


def fail(request, code, message, **data):
    send({"id": request["id"], "error": dict({"code": code, "message": message}, **data)})


def text(s, **more):
    return dict({"content": [{"type": "text", "text": s}]}, **more)


def say(s):
    sys.stderr.write(s + "\n")
    sys.stderr.flush()


def read():
    """The next message, or None at the end."""
    line = sys.stdin.buffer.readline()
    return json.loads(line) if line else None


def forever():
    while True:
        time.sleep(60)


# ---- what a call does, by mode; the default is to answer it ----

def good(request):
    answer(request, text(request["params"]["arguments"].get("text", "")))


def dies_during(request):
    say("Error: out of cheese")
    say("    at the mill")
    os._exit(3)


def is_killed_during(request):
    os.kill(os.getpid(), signal.SIGKILL)


def dies_after(request):
    good(request)
    os._exit(0)


def never_answers(request):
    pass


OPEN = []


def counts(request):
    """Answers none before ARGUMENT are there, then all with how many there were: "more" if another came."""
    OPEN.append(request)
    if len(OPEN) < int(ARGUMENT):
        return
    time.sleep(0.2)
    os.set_blocking(0, False)
    more = sys.stdin.buffer.peek(1)
    os.set_blocking(0, True)
    while OPEN:
        answer(OPEN.pop(0), text("more" if more else ARGUMENT))


def hangs(request):
    forever()


def slow(request):
    """Answers after a while, and other requests in the meantime."""
    time.sleep(float(ARGUMENT))
    good(request)


def answers_twice(request):
    good(request)
    answer(request, text("once more"))


def other_id(request):
    send({"id": request["id"] + 1000, "result": text("who wants this?")})
    send({"id": str(request["id"]), "result": text("not the same id")})
    send({"id": None, "result": text("nobody's")})


def big_result(request):
    answer(request, text("\u00e4" * (4 * 1024 * 1024)))


def too_long(request):
    answer(request, text("x" * (17 * 1024 * 1024)))


def invalid_json(request):
    write("{\"jsonrpc\":\"2.0\",\"id\":%d,\"result\":{\n" % request["id"])
    write("[" + json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": {}}) + "]\n")
    write("\n\r\n \n")


def floods_nonsense(request):
    while True:
        write("Loading...\n" * 100)


def floods_stderr(request):
    for _ in range(2000):
        sys.stderr.write("x" * 1000 + "\n")
    sys.stderr.flush()
    good(request)


def reports_progress(request):
    token = request["params"]["_meta"]["progressToken"]
    for i in range(int(ARGUMENT)):
        send({"method": "notifications/progress", "params": {
            "progressToken": token, "progress": i, "total": int(ARGUMENT), "message": "step %d" % i}})
        time.sleep(0.15)
    good(request)


def asks_us(request):
    """Sends requests of its own and tells what it got; its ids are the same as the client's."""
    got = []
    for method in ("ping", "roots/list", "sampling/createMessage", "elicitation/create"):
        send({"id": request["id"], "method": method, "params": {}})
        reply = read()
        got.append("%s=%s" % (method, reply.get("error", {}).get("code", "ok")))
    answer(request, text(" ".join(got)))


def asks_for_ever(request):
    """Asks without ever reading what it is told."""
    ping = json.dumps({"jsonrpc": "2.0", "id": "x" * 100000, "method": "ping"}) + "\n"
    while True:
        write(ping)


def lone_surrogate(request):
    write('{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"a\\ud83db"}]}}\n'
          % request["id"])


def isnt_utf8(request):
    line = '{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"a\udcffb"}]}}\n'
    sys.stdout.buffer.write((line % request["id"]).encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def not_a_result(request):
    answer(request, "done")


def refuses(request):
    fail(request, -32602, "no such\nluck")


def sees(request):
    """What it sees of the world."""
    fds = sorted(int(f) for f in os.listdir("/proc/self/fd"))
    answer(request, text(json.dumps({
        "env": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv[2:],
        "mode": oct(os.stat(".").st_mode & 0o777), "fds": [f for f in fds if os.path.exists("/proc/self/fd/%d" % f)],
        "session": os.getsid(0) == os.getpid(), "group": os.getpgrp() == os.getpid()})))


def leaves_a_child(request):
    child = subprocess.Popen(["sleep", "600"])
    answer(request, text(str(child.pid)))


def wants_input(request):
    if "inputResponses" in request["params"] and ARGUMENT != "always":
        answer(request, dict(text(json.dumps([request["params"]["inputResponses"],
                                              request["params"].get("requestState")])),
                             resultType="complete"))
        return
    method = "sampling/createMessage" if ARGUMENT == "sampling" else "elicitation/create"
    answer(request, {"resultType": "input_required", "requestState": "s1",
                     "inputRequests": {"sure": {"method": method, "params": {}}}})


def replaces_tools(request):
    """Has another tool from now on, and says so too often."""
    TOOLS[1] = {"name": "new", "inputSchema": SCHEMA}
    for _ in range(5):
        send({"method": "notifications/tools/list_changed"})
    good(request)


# ---- replaying a recorded exchange ----

class Recording:
    def __init__(self, path):
        with open(path, encoding="utf-8") as f:
            self.entries = [e for e in map(json.loads, f) if e["dir"] in "<>"]
        self.used = set()

    def asked(self):
        """Requests that the recorded client made."""
        return [(i, e["msg"]) for i, e in enumerate(self.entries)
                if e["dir"] == ">" and "method" in e["msg"] and "id" in e["msg"]]

    def find(self, request):
        what = request["params"]
        for i, m in self.asked():
            if i in self.used or m["method"] != request["method"]:
                continue
            if m["method"] != "tools/call" or all(
                    m["params"].get(k) == what.get(k) for k in ("name", "arguments")):
                self.used.add(i)
                return i, m
        return None, None

    def play(self, request):
        i, recorded = self.find(request)
        if recorded is None:
            return False
        token = recorded.get("params", {}).get("_meta", {}).get("progressToken")
        ours = request["params"].get("_meta", {}).get("progressToken")
        for e in self.entries[i + 1:]:
            m = e["msg"]
            if e["dir"] != "<":
                continue
            if m.get("id") == recorded["id"] and "method" not in m:
                send(dict(m, id=request["id"]))
                break
            if token is not None and m.get("params", {}).get("progressToken") == token:
                send(dict(m, params=dict(m["params"], progressToken=ours)))
            elif "method" in m and "id" in m:
                send(m)
        return True


def replay(recording, request):
    method = request["method"]
    if recording.play(request):
        return
    if method == "initialize":
        fail(request, -32022, "unsupported", data={"supported": ["2026-07-28"]})
    elif method == "server/discover":
        answer(request, {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})
    elif method == "tools/list":
        names = sorted({m["params"]["name"] for _, m in recording.asked()
                        if m["method"] == "tools/call"})
        answer(request, {"tools": [{"name": n, "inputSchema": SCHEMA} for n in names]})
    else:
        fail(request, -32601, "Method not found")


# ---- opening ----

MODERN = ("modern", "modern_only", "wants_input")


def initialize(request):
    if MODE == "never_opens":
        say("waiting for the moon")
    elif MODE == "refuses_to_open":
        fail(request, -32603, "not today")
    elif MODE in MODERN:
        fail(request, -32022, "Unsupported protocol version", data={"supported": ["2026-07-28"]})
    else:
        answer(request, {"protocolVersion": ARGUMENT if MODE == "speaks" else "2025-11-25",
                         "capabilities": {} if MODE == "no_tools" else {"tools": {"listChanged": True}},
                         "serverInfo": {"name": "bad", "version": "1"}})


def discover(request):
    if MODE in MODERN:
        versions = ["2030-01-01"] if MODE == "modern_only" else ["2026-07-28"]
        answer(request, {"supportedVersions": versions, "capabilities": {"tools": {}},
                         "resultType": "complete"})
    else:
        fail(request, -32601, "Method not found")


def list_tools(request):
    page = int(request["params"].get("cursor", "0"))
    if MODE in ("no_tools", "cant_list"):
        fail(request, -32601, "Method not found")
    elif MODE == "pages":
        more = {"nextCursor": str(page + 1)} if page + 1 < int(ARGUMENT) else {}
        answer(request, dict({"tools": [{"name": "tool%d" % page, "inputSchema": SCHEMA}]}, **more))
    elif MODE == "pages_for_ever":
        answer(request, {"tools": [{"name": "tool%d" % page}], "nextCursor": str(page + 1)})
    else:
        answer(request, {"tools": TOOLS})
    if MODE == "dies_idle":
        say("Error: bored")
        os._exit(1)
    if MODE == "goes_deaf":
        os.close(1)


def serve(request):
    method = request.get("method")
    if "id" not in request or method is None:
        return
    if MODE in ("modern",) and method not in ("initialize",) and \
            "io.modelcontextprotocol/protocolVersion" not in request["params"]["_meta"]:
        fail(request, -32602, "Request is missing the required _meta envelope")
    elif method == "initialize":
        initialize(request)
    elif method == "server/discover":
        discover(request)
    elif method == "tools/list":
        list_tools(request)
    elif method == "ping":
        answer(request, {})
    elif method == "tools/call":
        globals().get(MODE, good)(request)
    else:
        fail(request, -32601, "Method not found")


def main():
    recording = Recording(ARGUMENT) if MODE == "replay" else None
    if MODE == "ignores_end":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "exits_at_once":
        say("Error: Cannot find module 'x'")
        sys.exit(1)
    while True:
        request = read()
        if request is None:
            break
        if recording is None:
            serve(request)
        elif "id" in request and "method" in request:
            replay(recording, request)
    if MODE == "ignores_end":
        forever()


if __name__ == "__main__":
    main()
