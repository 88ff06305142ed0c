#!/usr/bin/env python3
"""An MCP server over stdio that writes down each execution:  journal_mcp_server.py JOURNAL

Tools look (only reads), put (idempotent), act (neither) and risky (neither; tests let people be
asked before it). Each takes {"key": text, "ms": how long}. A line "TOOL KEY" is in the journal
before the work begins: a call whose line is there may have had its effect.
"""
import json
import os
import sys
import threading
import time

SCHEMA = {"type": "object", "properties": {"key": {"type": "string"}, "ms": {"type": "integer"}}, "required": ["key"]}
HINTS = {"look": {"readOnlyHint": True}, "put": {"readOnlyHint": False, "idempotentHint": True},
         "act": {"readOnlyHint": False}, "risky": {"readOnlyHint": False, "destructiveHint": True}}
TOOLS = [{"name": n, "description": n, "inputSchema": SCHEMA, "annotations": h} for n, h in HINTS.items()]
lock = threading.Lock()


def send(message):
    with lock:
        sys.stdout.write(json.dumps(dict({"jsonrpc": "2.0"}, **message)) + "\n")
        sys.stdout.flush()


def call(request, journal):
    name, given = request["params"]["name"], request["params"].get("arguments") or {}
    os.write(journal, f"{name} {given['key']}\n".encode())  # O_APPEND: whole lines, whoever writes
    time.sleep(given.get("ms", 0) / 1000)
    send({"id": request["id"], "result": {"content": [{"type": "text", "text": f"{name} did {given['key']}"}]}})


def main():
    journal = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for line in sys.stdin:
        m = json.loads(line)
        if "id" not in m or "method" not in m:
            continue
        if m["method"] == "initialize":
            send({"id": m["id"], "result": {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                                            "serverInfo": {"name": "journal", "version": "1"}}})
        elif m["method"] == "tools/list":
            send({"id": m["id"], "result": {"tools": TOOLS}})
        elif m["method"] == "tools/call":
            threading.Thread(target=call, args=(m, journal), daemon=True).start()
        else:
            send({"id": m["id"], "error": {"code": -32601, "message": "no such method"}})


main()
