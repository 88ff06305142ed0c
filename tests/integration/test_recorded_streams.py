"""Every recorded provider stream, over real HTTP, split in five ways, is stored exactly.

Nobody watches: what is compared is what the log and the snapshot have when the turn is over.
"""

import json

from lib import tap, upstream
from lib.daemons import Stack
from lib.upstream import Upstream
from lib.wait import until

SPLITS = ("whole", "close", 1, 3, 1448, "random")
AT_ONCE = 24
PROTOCOL = {"openai-chat": "main", "anthropic-messages": "claude"}


def is_json_object(text):
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def compare_calls(events, snap, expect):
    """Names and ids as they came, arguments byte for byte."""
    wanted = expect["tool_calls"]
    starts = [json.loads(e["payload"]) for e in events if e["type"] == "tool_start"]
    tap.eq([(s["tool_invocation_id"], s["name"]) for s in starts], [(c["id"], c["name"]) for c in wanted], "calls")
    inputs = {}
    for e in events:
        if e["type"] == "tool_input":
            payload = json.loads(e["payload"])
            inputs[payload["tool_invocation_id"]] = payload
    tools = {x["id"]: x for x in snap["tool_invocations"]}
    for c in wanted:
        payload = inputs[c["id"]]
        tap.eq(payload.get("raw", ""), c["arguments"], "arguments as they came")
        arguments = c["arguments"].strip() or "{}"
        if is_json_object(arguments):
            tap.eq(payload["input"], json.loads(arguments), "input")
            tap.eq(tools[c["id"]]["input"], json.loads(arguments), "input in the snapshot")
        else:
            assert payload["parse_error"], payload
        tap.eq(tools[c["id"]]["status"], "incomplete", "status of a call that is not run")
    if wanted:
        warned = [json.loads(e["payload"])["code"] for e in events if e["type"] == "warning"]
        assert "calls_not_run" in warned, f"warnings: {warned}"


def compare(t, turn, expect):
    events = t.log.events(turn["session_id"])
    row = t.log.turn(turn["turn_id"])
    snap = t.snapshot(turn["session_id"])
    message = t.messages(turn["session_id"])["messages"][-1]
    tap.eq(t.log.text(turn["session_id"]), expect["text"], "text of the deltas")
    tap.eq(t.log.text(turn["session_id"], "reasoning_chunk"), expect["reasoning"], "reasoning of the deltas")
    tap.eq(snap["content"], expect["text"], "text of the snapshot")
    tap.eq(snap["reasoning"], expect["reasoning"], "reasoning of the snapshot")
    tap.eq((message["role"], message["content"]), ("assistant", expect["text"]), "stored message")
    tap.eq(message.get("reasoning") or "", expect["reasoning"], "reasoning of the stored message")
    if expect["error"]:
        wanted = expect["error"]
        tap.eq(events[-1]["type"], "error", "the terminal event")
        error = json.loads(events[-1]["payload"])
        tap.eq(message["status"], "error", "status of the message")
        tap.eq(error["fatal"], True, "fatal")
        tap.eq(snap["error"]["code"], error["code"], "code in the snapshot")
        if wanted["type"] == "truncated":
            tap.eq((error["code"], error.get("type")), ("provider_truncated", "truncated"), "code")
        else:
            tap.eq(error["code"], "provider_error", "code")
            tap.eq(error.get("type"), wanted["type"], "the provider's type")
            assert wanted["message"] in error["message"], error
            tap.eq(str(error.get("provider_code")), str(wanted["code"]), "the provider's code")
        tap.eq(row["error_code"], error["code"], "v_turns.error_code")
        return
    tap.eq(events[-1]["type"], "response_end", "the terminal event")
    end = json.loads(events[-1]["payload"])
    tap.eq(message["status"], "complete", "status of the message")
    tap.eq((end["stop_reason"], row["stop_reason"], snap["stop_reason"]),
           (expect["stop_reason"],) * 3, "stop reason")
    usage = expect["usage"]
    if usage:
        wanted = (usage["input"], usage["output"])
        tap.eq((end["usage"]["input_tokens"], end["usage"]["output_tokens"]), wanted, "usage")
        tap.eq((row["input_tokens"], row["output_tokens"]), wanted, "usage in v_turns")
        if "cache_read" in usage:
            tap.eq((end["usage"].get("cache_read_tokens", 0), end["usage"].get("cache_write_tokens", 0)),
                   (usage["cache_read"], usage["cache_write"]), "cache usage")
    compare_calls(events, snap, expect)
    if expect.get("refusal"):
        assert any(e["type"] == "warning" and expect["refusal"] in e["payload"] for e in events), "the refusal is shown"


def play(t, how):
    """Runs all recordings with one split, AT_ONCE at a time; complains of all that differ."""
    cases = [(n, b, e) for n, b, e in upstream.recordings() if e["protocol"] in PROTOCOL]
    assert len(cases) >= 100, f"only {len(cases)} recordings in {upstream.GOLDEN}"
    wrong, running = [], []

    def settle(turn, name, expect):
        until(lambda: (t.log.turn(turn["turn_id"]) or {}).get("ended"), f"{name} ends", 60)
        try:
            compare(t, turn, expect)
            t.log.check_seqs(turn["session_id"])
        except (AssertionError, KeyError, TypeError) as e:
            wrong.append(f"{name}: {e!r}")

    for name, body, expect in cases:
        key = f"{name} {how}"
        headers = {"Content-Type": expect["content_type"]} if "content_type" in expect else None
        t.up.on(key, upstream.replay(body, how, headers))
        running.append((t.say(key, provider=PROTOCOL[expect["protocol"]]), name, expect))
        if len(running) >= AT_ONCE:
            settle(*running.pop(0))
    for r in running:
        settle(*r)
    tap.note(f"{len(cases)} streams, split {how}")
    assert not wrong, f"{len(wrong)} of {len(cases)} differ:\n" + "\n".join(wrong)


def split_test(how):
    def test(t):
        play(t, how)

    test.__doc__ = "SDC-1, SDC-15, SDC-16, PRV-1, PRV-2, PRV-5"
    return test


for _how in SPLITS:
    globals()[f"test_recorded_streams_arriving_{_how}_are_stored_exactly"] = split_test(_how)


if __name__ == "__main__":
    with Upstream() as up:
        # A stream that breaks off before its first token may be tried again: here it must not be.
        providers = {"main": {"type": "openai", "max_retries": 0}, "claude": {"type": "anthropic", "max_retries": 0}}
        with Stack(up, providers) as stack:
            tap.run(globals(), stack)
    tap.finish()
