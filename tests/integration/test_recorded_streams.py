"""Every recorded provider stream, over real HTTP, split in six ways, is stored exactly.

Nobody watches: what is compared is what the log and the snapshot have when the turn is over.

Where the recording ends with tool calls, the turn goes on: nobody offers these tools here, so the
model is told so, and the upstream plays a second, short answer. What it was sent for that says
whether the calls came back to the model as it had made them.
"""

import json

from lib import tap, upstream
from lib.daemons import Stack
from lib.upstream import Upstream
from lib.wait import until

SPLITS = ("whole", "close", 1, 3, 1448, "random")
AT_ONCE = 24
PROTOCOL = {"openai-chat": "main", "anthropic-messages": "claude"}


AFTER = "[after the calls]"
CUT = ("length", "max_tokens", "content_filter")


def goes_on(expect):
    """Does this recording make chatd ask again?"""
    if expect["error"] or expect["stop_reason"] in CUT:
        return False
    return bool(expect["tool_calls"]) or expect["stop_reason"] == "pause_turn"


def is_json_object(text):
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def compare_calls(events, snap, expect, journal):
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
        kept = journal[c["id"]] if goes_on(expect) else payload["raw"]
        tap.eq(kept, c["arguments"], "arguments as they came")
        arguments = c["arguments"].strip() or "{}"
        if is_json_object(arguments):
            tap.eq(payload["input"], json.loads(arguments), "input")
            tap.eq(tools[c["id"]]["input"], json.loads(arguments), "input in the snapshot")
        else:
            assert payload["parse_error"], payload
        tap.eq(tools[c["id"]]["status"], "failed" if goes_on(expect) else "incomplete", "status of a call")
    if wanted and not goes_on(expect):
        warned = [json.loads(e["payload"])["code"] for e in events if e["type"] == "warning"]
        assert "calls_not_run" in warned, f"warnings: {warned}"


def compare_echo(asked, expect):
    """The calls in the second request are those of the model, and each has its result."""
    messages = asked.json["messages"]
    if "max_tokens" in asked.json and "anthropic-version" in asked.headers:
        blocks = [b for m in messages if isinstance(m["content"], list) for b in m["content"]]
        made = [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
        wanted = [(c["id"], c["name"], json.loads(c["arguments"] or "{}")) for c in expect["tool_calls"]]
        answered = [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"]
        signatures = [b["signature"] for b in blocks if b["type"] == "thinking"]
        tap.eq(signatures, expect.get("signatures", []), "signed thinking in the second request")
    else:
        calls = [c for m in messages for c in m.get("tool_calls") or []]
        made = [(c["id"], c["function"]["name"], c["function"]["arguments"] or "{}") for c in calls]
        wanted = [(c["id"], c["name"], c["arguments"] or "{}") for c in expect["tool_calls"]]
        answered = [m["tool_call_id"] for m in messages if m["role"] == "tool"]
    tap.eq(made, wanted, "calls in the second request")
    tap.eq(answered, [c["id"] for c in expect["tool_calls"]], "results in the second request")


def compare(t, turn, expect, asked):
    text, stop = expect["text"], expect["stop_reason"]
    if goes_on(expect):
        text += AFTER
        stop = "end_turn" if expect["protocol"].startswith("anthropic") else "stop"
        tap.eq(len(asked), 2, "requests")
        compare_echo(asked[1], expect)
    events = t.log.events(turn["session_id"])
    row = t.log.turn(turn["turn_id"])
    snap = t.snapshot(turn["session_id"])
    message = t.messages(turn["session_id"])["messages"][-1]
    tap.eq(t.log.text(turn["session_id"]), text, "text of the deltas")
    tap.eq(t.log.text(turn["session_id"], "reasoning_chunk"), expect["reasoning"], "reasoning of the deltas")
    tap.eq(snap["content"], text, "text of the snapshot")
    tap.eq(snap["reasoning"], expect["reasoning"], "reasoning of the snapshot")
    tap.eq((message["role"], message["content"]), ("assistant", text), "stored message")
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
           (stop,) * 3, "stop reason")
    usage = expect["usage"]
    if usage:
        wanted = (usage["input"], usage["output"])
        tap.eq((end["usage"]["input_tokens"], end["usage"]["output_tokens"]), wanted, "usage")
        tap.eq((row["input_tokens"], row["output_tokens"]), wanted, "usage in v_turns")
        if "cache_read" in usage:
            tap.eq((end["usage"].get("cache_read_tokens", 0), end["usage"].get("cache_write_tokens", 0)),
                   (usage["cache_read"], usage["cache_write"]), "cache usage")
    journal = t.log.rows("SELECT tool_invocation_id AS id, arguments FROM v_calls WHERE turn_id = ?", turn["turn_id"])
    compare_calls(events, snap, expect, {x["id"]: x["arguments"] for x in journal})
    if expect.get("refusal"):
        assert any(e["type"] == "warning" and expect["refusal"] in e["payload"] for e in events), "the refusal is shown"


def play(t, how):
    """Runs all recordings with one split, AT_ONCE at a time; complains of all that differ."""
    cases = [(n, b, e) for n, b, e in upstream.recordings() if e["protocol"] in PROTOCOL]
    assert len(cases) >= 100, f"only {len(cases)} recordings in {upstream.GOLDEN}"
    wrong, running = [], []

    def settle(turn, key, name, expect):
        until(lambda: (t.log.turn(turn["turn_id"]) or {}).get("ended"), f"{name} ends", 60)
        try:
            compare(t, turn, expect, t.up.of(key))
            t.log.check_seqs(turn["session_id"])
        except (AssertionError, KeyError, TypeError) as e:
            wrong.append(f"{name}: {e!r}")

    for name, body, expect in cases:
        key = f"{name} {how}"
        headers = {"Content-Type": expect["content_type"]} if "content_type" in expect else None
        is_anthropic = expect["protocol"].startswith("anthropic")
        end = upstream.anthropic_answer(AFTER) if is_anthropic else upstream.answer(AFTER, usage=None)
        t.up.on(key, upstream.replay(body, how, headers), upstream.replay(end))
        running.append((t.say(key, provider=PROTOCOL[expect["protocol"]]), key, name, expect))
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
