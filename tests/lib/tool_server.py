#!/usr/bin/env python3
"""A well-behaved MCP server over stdio:  tool_server.py FOLDER

Each line that it gets is appended to FOLDER/journal, so a test can see what was really sent (with
the very bytes of the arguments) and what never was. Calls run side by side, each in a thread.

    echo {text}       says it again; says of itself that it only reads
    write {text}      appends the text to FOLDER/written
    gate {name}       reports progress until the file FOLDER/name is there
    big {n, text}     answers with n times the text, which is x if there is none
    fails {text}      a result that is an error
    strict {city, n}  has a schema: city is needed, n is an integer of 1 to 9, nothing else is known
    environ {}        the environment that it was started with
"""

import json
import os
import sys
import threading
import time

FOLDER = sys.argv[1]
ANY = {"type": "object"}
STRICT = {"type": "object", "required": ["city"], "additionalProperties": False,
          "properties": {"city": {"type": "string"}, "n": {"type": "integer", "minimum": 1, "maximum": 9}}}
LOCK = threading.Lock()


def path(name):
    return os.path.join(FOLDER, name)


def append(name, text):
    with open(path(name), "a", encoding="utf-8") as f:
        f.write(text)


def send(message):
    with LOCK:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}, ensure_ascii=False) + "\n")
        sys.stdout.flush()


def gate(a, token):
    end = time.monotonic() + 600
    step = 0
    while not os.path.exists(path(a["name"])) and time.monotonic() < end:
        if token is not None:
            send({"method": "notifications/progress", "params": {
                "progressToken": token, "progress": step % 10, "total": 10, "message": f"step {step}"}})
        step += 1
        time.sleep(0.05)
    return "through " + a["name"]


def write(a, _):
    append("written", a["text"] + "\n")
    return "written: " + a["text"]


CALLS = {
    "echo": lambda a, _: a.get("text", ""),
    "write": write,
    "gate": gate,
    "big": lambda a, _: a.get("text", "x") * a["n"],
    "fails": lambda a, _: "it did not work: " + a["text"],
    "strict": lambda a, _: json.dumps(a),
    "environ": lambda a, _: json.dumps(dict(os.environ)),
}
TOOLS = [{"name": n, "description": n, "inputSchema": STRICT if n == "strict" else ANY,
          "annotations": {"readOnlyHint": n == "echo"}} for n in CALLS]


def call(request):
    params = request["params"]
    token = params.get("_meta", {}).get("progressToken")
    text = CALLS[params["name"]](params.get("arguments") or {}, token)
    send({"id": request["id"], "result": {"content": [{"type": "text", "text": text}],
                                          "isError": params["name"] == "fails"}})


def serve(request):
    method = request.get("method")
    if "id" not in request or method is None:
        return
    if method == "initialize":
        send({"id": request["id"], "result": {
            "protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
            "serverInfo": {"name": "kit", "version": "1"}}})
    elif method == "tools/list":
        send({"id": request["id"], "result": {"tools": TOOLS}})
    elif method == "tools/call":
        threading.Thread(target=call, args=(request,), daemon=True).start()
    elif method == "ping":
        send({"id": request["id"], "result": {}})
    else:
        send({"id": request["id"], "error": {"code": -32601, "message": "Method not found"}})


def main():
    for line in sys.stdin:
        append("journal", line)
        serve(json.loads(line))


main()
