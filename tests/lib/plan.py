"""Turns that are the same whenever they are asked for again.

A plan is the user's message itself, as JSON: {"plan": name, "steps": [{"say": [deltas], "calls": [[tool,
arguments], ...]}, ...], "rate": deltas a second}. The scripted provider finds out from the
conversation which step it is at, so a step that was cut is answered as it was the first time, and
what a turn must end with follows from its message alone.
"""

import json
import time

from lib.upstream import DONE, Gone, chunk


def plan(name, *steps, rate=60):
    return json.dumps({"plan": name, "steps": [{"say": s, "calls": c} for s, c in steps], "rate": rate})


def answer_of(text):
    """What a turn of this message ends with."""
    return "".join(d for s in json.loads(text)["steps"] for d in s["say"])


def step_of(messages):
    """(plan, number of the step that is asked for) of a request's messages."""
    step = 0
    for m in reversed(messages):
        if m["role"] == "user":
            content = m["content"]
            return json.loads(content if isinstance(content, str) else content[0]["text"]), step
        if m["role"] == "assistant" and m.get("tool_calls"):
            step += 1
    raise AssertionError(f"no user message in {messages}")


def call_id(name, step, i):
    return f"{name}.{step}.{i}"


def script(x):
    """For Upstream.default: answers every plan."""
    p, n = step_of(x.json["messages"])
    step = p["steps"][n]
    x.head()
    at = time.monotonic()
    for d in step["say"]:
        x.piece(chunk(d))
        at += 1 / p["rate"]
        if x.is_gone(max(0.0, at - time.monotonic())) or x.server.stopped:
            raise Gone
    calls = [
        {"index": i, "id": call_id(p["plan"], n, i), "type": "function",
         "function": {"name": tool, "arguments": json.dumps(arguments)}}
        for i, (tool, arguments) in enumerate(step["calls"])
    ]
    if calls:
        x.piece(chunk(tool_calls=calls))
    x.piece(chunk(finish="tool_calls" if calls else "stop", usage=(3, len(step["say"]))) + DONE)
    x.end()
