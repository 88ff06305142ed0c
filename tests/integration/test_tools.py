"""Tools in real turns: what runs, what does not, what the model is told, in both protocols."""

import json
import os
import re
import sys

from lib import tap, upstream
from lib.daemons import KEY
from lib.tools import ANTHROPIC, DIALECTS, OPENAI, ToolStack, ToolUpstream, healthy, kit_sections, processes
from lib.tools import HERE, bad_command, section
from lib.wait import until

SECRET = "sk-from-the-environment-never-to-be-seen"
AT_ONCE = 16


def tools_of(snap):
    return {x["id"]: x for x in snap["tool_invocations"]}


def run(t, d, key, *scripts, sid=None):
    """Plays the scripts under a key of the dialect; returns (snapshot at the end, requests)."""
    key = f"{key} of {d.provider}"
    t.up.on(key, *scripts)
    turn = t.say(key, sid, provider=d.provider)
    snap = t.wait_idle(turn["session_id"])
    t.log.check_seqs(turn["session_id"])
    return snap, [x.json for x in t.up.of(key)]


def test_a_call_that_is_allowed_runs_and_its_result_goes_back(t):
    """TOL-2, TOL-4, SDC-15"""
    arguments = '{ "text" : "h\\u00e9llo", "n": 1.50, "big": 12345678901234567890.10 }'
    for d in DIALECTS:
        before = len(t.calls_made("echo"))
        snap, asked = run(t, d, "one call", d.calls(("c1", "kit__echo", arguments), say="I look. "), d.text("Done."))
        tap.eq((snap["content"], snap["error"]), ("I look. Done.", None), d.provider)
        tool = tools_of(snap)["c1"]
        tap.eq((tool["name"], tool["server"], tool["status"], tool["output"], tool["is_error"]),
               ("echo", "kit", "done", "héllo", False), "the invocation")
        tap.eq((tool["at"], tool["duration_ms"] >= 0), (len("I look. "), True), "where it stands, how long it took")
        tap.eq(tool["input"]["text"], "héllo", "input")
        tap.eq(len(asked), 2, "requests")
        offered = json.dumps(asked[0]["tools"])
        for name in ("kit__echo", "kit__strict", "ask_user"):
            assert f'"{name}"' in offered, f"{name} is not offered"
        tap.eq([(i, str(x)) for i, x, _ in d.results(asked[1])], [("c1", "héllo")], "result")
        tap.eq([c[:2] for c in d.answered(asked[1])], [("c1", "kit__echo")], "the call in the answer")
        raw = t.up.of(f"one call of {d.provider}")[1].body.decode()
        wanted = json.dumps(arguments)[1:-1] if d is OPENAI else arguments
        assert wanted in raw, f"the arguments are not sent back byte for byte: {raw[-1500:]}"
        tap.eq(len(t.calls_made("echo")), before + 1, "calls that the server got")
        row = t.log.rows("SELECT * FROM v_calls WHERE session_id = ?", snap["session"]["id"])[0]
        tap.eq((row["arguments"], row["output"], row["status"]), (arguments, "héllo", "done"), "the journal")
    with open(os.path.join(t.folder, "journal"), encoding="utf-8") as f:
        assert "12345678901234567890.10" in f.read(), "the server did not get the model's own bytes"


def test_the_events_of_a_call_come_in_order_and_are_stored_before_the_model_is_told(t):
    """API-5, DUR-2, TOL-1"""
    for d in DIALECTS:
        snap, _ = run(t, d, "order", d.calls(("c1", "kit__echo", '{"text":"x"}')), d.text("ok"))
        events = t.events(snap["session"]["id"])
        tap.eq([e["type"] for e in events],
               ["response_start", "tool_start", "tool_input", "tool_end", "response_chunk", "response_end"], "events")
        start, given, end = (e["payload"] for e in events[1:4])
        tap.eq((start["tool_invocation_id"], start["name"], start["server"]), ("c1", "echo", "kit"), "tool_start")
        tap.eq((given["tool_invocation_id"], given["input"]), ("c1", {"text": "x"}), "tool_input")
        tap.eq((end["tool_invocation_id"], end["output"], end["is_error"], end["status"]),
               ("c1", "x", False, "done"), "tool_end")


def test_anthropic_gets_its_thinking_back_with_its_signature_and_errors_are_marked(t):
    """TOL-4, PRV-2"""
    d = ANTHROPIC
    snap, asked = run(t, d, "thinks", d.calls(
        ("c1", "kit__echo", '{"text":"a"}'), ("c2", "kit__fails", '{"text":"b"}'), say="So. ", thinking="hm"),
        d.calls(("c3", "kit__echo", '{"text":"c"}'), thinking="hm hm"), d.text("end"))
    tap.eq(d.blocks(asked[1]), ["thinking", "text", "tool_use", "tool_use"], "blocks of the first answer")
    tap.eq(d.thinking(asked[1]), [("hm", "c2ln" + b"hm".hex())], "thinking and signature")
    tap.eq(d.results(asked[1]), [("c1", "a", False), ("c2", "it did not work: b", True)], "results")
    tap.eq(d.results(asked[2]), [("c3", "c", False)], "results of the second step")
    tap.eq(d.thinking(asked[2]), [("hm hm", "c2ln" + b"hm hm".hex())], "thinking of the second step")
    roles = [m["role"] for m in asked[2]["messages"]]
    tap.eq(roles, ["user", "assistant", "user", "assistant", "user"], "roles")
    tap.eq((snap["reasoning"], snap["content"]), ("hmhm hm", "So. end"), "what is shown")
    tap.eq(tools_of(snap)["c2"]["status"], "failed", "status of what failed")


def test_openai_gets_reasoning_back_within_the_turn_and_not_later(t):
    """TOL-4, PRV-1"""
    d = OPENAI
    snap, asked = run(t, d, "reasons", d.calls(("c1", "kit__echo", '{"text":"a"}'), thinking="hm"), d.text("end"))
    last = [m for m in asked[1]["messages"] if m["role"] == "assistant"][-1]
    tap.eq(last.get("reasoning_content"), "hm", "in the same turn")
    _, asked = run(t, d, "reasons later", d.text("yes"), sid=snap["session"]["id"])
    assert "reasoning_content" not in json.dumps(asked[0]["messages"]), asked[0]


def test_another_provider_gets_calls_and_results_but_not_the_blocks_of_the_first(t):
    """TOL-4, PRV-2"""
    for d, other in (DIALECTS, DIALECTS[::-1]):
        snap, _ = run(t, d, "begins", d.calls(("c1", "kit__echo", '{"text":"a"}'), say="so ", thinking="secret"), d.text("e"))
        _, asked = run(t, other, "goes on after " + d.provider, other.text("yes"), sid=snap["session"]["id"])
        text = json.dumps(asked[0]["messages"])
        assert '"c1"' in text and '"a"' in text and "so " in text, text
        assert "signature" not in text and "secret" not in text and "reasoning" not in text, text


def test_the_next_turn_still_has_calls_and_results_of_the_one_before(t):
    """TOL-4, SDC-15"""
    for d in DIALECTS:
        snap, _ = run(t, d, "first", d.calls(("c1", "kit__echo", '{"text":"a"}'), say="look "), d.text("seen"))
        _, asked = run(t, d, "second", d.text("yes"), sid=snap["session"]["id"])
        messages = asked[0]["messages"]
        text = json.dumps(messages)
        assert '"c1"' in text and "seen" in text and "look" in text, text
        roles = [m["role"] for m in messages if m["role"] != "system"]
        wanted = (["user", "assistant", "tool", "assistant", "user"] if d is OPENAI
                  else ["user", "assistant", "user", "assistant", "user"])
        tap.eq(roles, wanted, d.provider)


def test_ids_that_a_provider_gives_twice_do_not_mix_up_results(t):
    """TOL-4, PRV-5"""
    for d in DIALECTS:
        same = ("call_0", "kit__echo", '{"text":"two"}')
        snap, asked = run(t, d, "same id", d.calls(("call_0", "kit__echo", '{"text":"one"}')),
                          d.calls(same, same, ("", *same[1:]), thinking="hm"), d.text("end"))
        tap.eq([x["output"] for x in snap["tool_invocations"]], ["one", "two", "two", "two"], "outputs")
        tap.eq(len(tools_of(snap)), 4, "ids of our own")
        calls, results = d.answered(asked[2]), d.results(asked[2])
        tap.eq([r[0] for r in results], [c[0] for c in calls], f"{d.provider}: ids of results and calls")
        tap.eq(len({r[0] for r in results}), 3, f"{d.provider}: different ids")
        tap.eq([r[1] for r in results], ["two"] * 3, f"{d.provider}: the results")


def test_calls_of_one_step_run_side_by_side_and_go_back_in_the_models_order(t):
    """TOL-4"""
    for d in DIALECTS:
        key = f"side by side of {d.provider}"
        a, b = f"a-{d.provider}", f"b-{d.provider}"
        t.up.on(key, d.calls(("c1", "kit__gate", json.dumps({"name": a})), ("c2", "kit__gate", json.dumps({"name": b})),
                             ("c3", "kit__echo", '{"text":"quick"}')), d.text("end"))
        turn = t.say(key, provider=d.provider)
        sid = turn["session_id"]
        v = t.viewer(sid)
        until(lambda: len([c for c in t.calls_made("gate") if c["arguments"]["name"] in (a, b)]) == 2,  # noqa: B023
              "both run at once")
        until(lambda: tools_of(t.snapshot(sid))["c3"]["status"] == "done", "the quick one is over")  # noqa: B023
        tap.eq(tools_of(t.snapshot(sid))["c1"]["status"], "running", "the slow one")
        t.touch(b)
        until(lambda: tools_of(t.snapshot(sid))["c2"]["status"] == "done", "the second")  # noqa: B023
        v.until("tool_progress")  # what came before the viewer did is not told again
        t.touch(a)
        t.wait_idle(sid)
        v.to_end()
        progress = [e.data for e in v.events if e.name == "tool_progress"]
        assert progress and {p["tool_invocation_id"] for p in progress} <= {"c1", "c2"}, progress
        assert all("step" in p["message"] and 0 <= p["progress"] <= 1 for p in progress), progress[:3]
        results = d.results(t.up.of(key)[1].json)
        tap.eq([(i, x) for i, x, _ in results],
               [("c1", "through " + a), ("c2", "through " + b), ("c3", "quick")], "order of the results")


def test_calls_without_permission_needed_do_not_wait_for_those_with(t):
    """TOL-4, SDC-11"""
    for d in DIALECTS:
        key = f"mixed of {d.provider}"
        t.up.on(key, d.calls(("c1", "asks__write", '{"text":"x"}'), ("c2", "kit__echo", '{"text":"now"}'),
                             ("c3", "asks__echo", '{"text":"only reads"}')), d.text("end"))
        sid = t.say(key, provider=d.provider)["session_id"]
        snap = t.wait_waiting(sid)
        tools = tools_of(snap)
        tap.eq([tools[c]["status"] for c in ("c1", "c2", "c3")], ["waiting", "done", "done"], "statuses")
        tap.eq(len(t.up.of(key)), 1, "the model is not asked before all are settled")
        prompt = snap["pending_prompts"][0]
        tap.eq((prompt["kind"], prompt["tool_invocation_id"], prompt["tool_name"], prompt["input"]),
               ("tool_permission", "c1", "write", {"text": "x"}), "the prompt")
        tap.eq(t.answer(sid, prompt["id"], {"allow": True}).status, 200, "answer")
        t.wait_idle(sid)
        tap.eq([(i, x) for i, x, _ in d.results(t.up.of(key)[1].json)],
               [("c1", "written: x"), ("c2", "now"), ("c3", "only reads")], "results")


def test_what_policy_denies_does_not_run_and_the_model_sees_it(t):
    """TOL-2, SEC-6"""
    for d in DIALECTS:
        before = len(t.lines("written"))
        snap, asked = run(t, d, "denied", d.calls(("c1", "never__write", '{"text":"x"}')), d.text("I see"))
        tool = tools_of(snap)["c1"]
        tap.eq((tool["status"], tool["is_error"]), ("denied", True), "status")
        (ident, said, is_error), = d.results(asked[1])
        tap.eq((ident, is_error), ("c1", None if d is OPENAI else True), "result")
        assert "not allowed" in said, said
        tap.eq((snap["content"], snap["error"], len(t.lines("written"))), ("I see", None, before), "nothing ran")


def test_a_tool_that_does_not_exist_is_a_failed_result(t):
    """TOL-4"""
    for d in DIALECTS:
        snap, asked = run(t, d, "unknown", d.calls(("c1", "kit__nothing", "{}"), ("c2", "weather", "{}"), ("c3", "", "{}"),
                                                   ("c4", "kit__echo", '{"text":"y"}')), d.text("well"))
        tap.eq([x["status"] for x in snap["tool_invocations"]], ["failed"] * 3 + ["done"], "statuses")
        results = d.results(asked[1])
        tap.eq([r[0] for r in results], [c[0] for c in d.answered(asked[1])], "each has a result")
        assert all("no tool" in r[1] for r in results[:3]), results
        tap.eq((snap["content"], snap["error"]), ("well", None), "the turn went on")


BAD_INPUT = [
    ("not JSON", "kit__echo", '{"text": "oops'),
    ("no object", "kit__echo", '["a"]'),
    ("a bare word", "kit__echo", "hello"),
    ("two values", "kit__echo", '{} {}'),
    ("an escape that is none, before half a character", "kit__echo", '{"text": "\\\u00e4"}'),
    ("a needed member is missing", "kit__strict", '{"n": 1}'),
    ("a member of the wrong type", "kit__strict", '{"city": 7}'),
    ("a member out of range", "kit__strict", '{"city": "x", "n": 10}'),
    ("an unknown member", "kit__strict", '{"city": "x", "speed": 1}'),
]


def test_input_that_does_not_fit_is_shown_not_run_and_told_to_the_model(t):
    """FAF-5"""
    for d in DIALECTS:
        for what, name, arguments in BAD_INPUT:
            before = len(t.calls_made())
            snap, asked = run(t, d, what, d.calls(("c1", name, arguments)), d.text("sorry"))
            tap.eq((snap["content"], snap["error"]), ("sorry", None), f"{what}: the turn")
            given = t.events(snap["session"]["id"], "tool_input")[0]["payload"]
            tap.eq(given.get("raw"), arguments, f"{what}: raw")
            assert given.get("parse_error"), f"{what}: {given}"
            tool = tools_of(snap)["c1"]
            tap.eq((tool["status"], tool["is_error"], tool["raw"]), ("failed", True, arguments), f"{what}: invocation")
            assert tool["parse_error"], tool
            (ident, said, _), = d.results(asked[1])
            tap.eq((ident, said), ("c1", given["parse_error"]), f"{what}: what the model is told")
            tap.eq(len(t.calls_made()), before, f"{what}: calls made")


def test_no_arguments_at_all_are_an_empty_object(t):
    """FAF-5, PRV-5"""
    for d in DIALECTS:
        snap, _ = run(t, d, "empty arguments", d.calls(("c1", "kit__echo", "")), d.text("ok"))
        tap.eq((tools_of(snap)["c1"]["status"], tools_of(snap)["c1"]["input"]), ("done", {}), d.provider)


def test_a_result_over_the_limit_is_cut_and_says_so(t):
    """TOL-4"""
    limit = 64 * 1024
    for d in DIALECTS:
        snap, asked = run(t, d, "big", d.calls(("c1", "kit__big", '{"n": %d}' % limit),
                                               ("c2", "kit__big", '{"n": %d}' % (limit + 1))), d.text("ok"))
        tools = tools_of(snap)
        tap.eq(tools["c1"]["output"], "x" * limit, "at the limit")
        cut = tools["c2"]["output"]
        assert len(cut) <= limit and "cut" in cut[-100:] and str(limit + 1) in cut[-100:], cut[-120:]
        tap.eq([r[1] for r in d.results(asked[1])], ["x" * limit, cut], "what the model gets")


def test_a_model_that_only_calls_tools_is_stopped(t):
    """TOL-4, FAF-2"""
    for d in DIALECTS:
        key = f"for ever of {d.provider}"
        t.up.on(key, d.calls(("", "kit__echo", '{"text":"again"}')))
        turn = t.say(key, provider=d.provider)
        snap = t.wait_idle(turn["session_id"], 60)
        tap.eq(snap["error"]["code"], "too_many_rounds", "why it ended")
        tap.eq(len(t.up.of(key)), 50, "rounds")
        tap.eq(snap["messages"][-1]["status"], "error", "status of the message")
        tap.eq(t.events(turn["session_id"])[-1]["type"], "error", "the last event")


def test_cut_calls_run_nothing(t):
    """PRV-5, TOL-4"""
    for d in DIALECTS:
        before = len(t.calls_made())
        snap, asked = run(t, d, "cut", d.cut(("c1", "kit__write", '{"text":"whole"}'), ("c2", "kit__write", '{"text":"ha')),
                          d.text("never said"))
        tap.eq(len(asked), 1, "requests")
        tap.eq([x["status"] for x in snap["tool_invocations"]], ["incomplete"] * 2, "statuses")
        tap.eq(snap["stop_reason"], "length" if d is OPENAI else "max_tokens", "stop reason")
        warned = [e["payload"]["code"] for e in t.events(snap["session"]["id"], "warning")]
        tap.eq(warned, ["calls_not_run"], "warnings")
        tap.eq(len(t.calls_made()), before, "calls made")


# --- recordings ---


def is_cut(expect):
    return bool(expect["error"]) or expect["stop_reason"] in ("length", "max_tokens", "content_filter")


def compare(t, turn, key, d, stream, expect):
    wanted = [(c["id"], c["name"], c["arguments"]) for c in expect["tool_calls"]]
    snap = t.snapshot(turn["session_id"])
    got = [(x["id"], x["name"]) for x in snap["tool_invocations"]]
    tap.eq(got, [w[:2] for w in wanted], "invocations")
    asked = [x.json for x in t.up.of(key)]
    if is_cut(expect):
        tap.eq(len(asked), 1, "requests after a cut answer")
        tap.eq({x["status"] for x in snap["tool_invocations"]}, {"incomplete"}, "statuses")
        for x, (_, _, arguments) in zip(snap["tool_invocations"], wanted):
            tap.eq(x.get("raw", arguments), arguments, "arguments")
        return
    rows = t.log.rows("SELECT * FROM v_calls WHERE session_id = ? AND step = 1 ORDER BY rowid", turn["session_id"])
    rows = {r["tool_invocation_id"]: r["arguments"] for r in rows}
    tap.eq(rows, {i: a for i, _, a in wanted}, "arguments in the journal")
    tap.eq(len(asked), 2, "requests")
    calls = d.answered(asked[1])
    tap.eq([c[:2] for c in calls], [w[:2] for w in wanted], "calls in the next request")
    if d is OPENAI:
        tap.eq([c[2] for c in calls], [w[2] for w in wanted], "arguments in the next request")
        details = json.dumps([m.get("reasoning_details") for m in asked[1]["messages"]])
        for secret in re.findall(rb'"(?:signature|data)":"([A-Za-z0-9+/=_-]{16,})"', stream):
            assert secret.decode() in details, f"a signature is not sent back: {details[:300]}"
    else:
        tap.eq([c[2] for c in calls], [json.loads(w[2] or "{}") for w in wanted], "input in the next request")
        tap.eq([s for _, s in d.thinking(asked[1])], expect.get("signatures") or [], "signatures")
    tap.eq([r[0] for r in d.results(asked[1])], [w[0] for w in wanted], "results in the next request")
    tap.eq((snap["content"], snap["error"]), (expect["text"] + "then.", None), "the whole answer")


def test_recorded_streams_yield_exactly_their_calls(t):
    """PRV-5, TOL-4, FAF-5"""
    cases = [c for c in upstream.recordings() if c[2].get("tool_calls")]
    assert len(cases) >= 40, f"only {len(cases)} recordings with calls"
    wrong, running = [], []

    def settle(turn, key, d, name, stream, expect):
        until(lambda: (t.log.turn(turn["turn_id"]) or {}).get("ended"), f"{name} ends", 60)
        try:
            compare(t, turn, key, d, stream, expect)
        except (AssertionError, KeyError, TypeError) as e:
            wrong.append(f"{name}: {e!r}")

    for name, stream, expect in cases:
        d = OPENAI if expect["protocol"] == "openai-chat" else ANTHROPIC
        key = f"{name} calls"
        t.up.on(key, upstream.replay(stream, "random"), d.text("then."))
        running.append((t.say(key, provider=d.provider), key, d, name, stream, expect))
        if len(running) >= AT_ONCE:
            settle(*running.pop(0))
    for r in running:
        settle(*r)
    assert not wrong, f"{len(wrong)} of {len(cases)} differ:\n" + "\n".join(wrong)


# --- the life of a call ---


def test_abort_stops_what_runs_and_tells_the_server(t):
    """SDC-3, TOL-1"""
    for d in DIALECTS:
        key = f"aborted of {d.provider}"
        t.up.on(key, d.calls(("c1", "kit__gate", '{"name":"never-opened"}'), ("c2", "asks__write", '{"text":"no"}'),
                             say="Wait. "), d.text("never"))
        sid = t.say(key, provider=d.provider)["session_id"]
        v = t.viewer(sid)
        t.prompts(sid)
        told = len([x for x in t.lines("journal") if "notifications/cancelled" in x])
        tap.eq(t.abort(sid).status, 202, "abort")
        v.until("aborted")
        tap.eq({c: x["status"] for c, x in tools_of(t.snapshot(sid)).items()},
               {"c1": "incomplete", "c2": "incomplete"}, "statuses")
        ends = [e.data["tool_invocation_id"] for e in v.events if e.name == "tool_end" and e.data["status"] == "incomplete"]
        tap.eq(sorted(ends), ["c1", "c2"], "tool_end")
        until(lambda: len([x for x in t.lines("journal") if "notifications/cancelled" in x]) == told + 1,  # noqa: B023
              "the server is told")
        snap = t.snapshot(sid)
        tap.eq((snap["state"], snap["content"], snap["pending_prompts"]), ("idle", "Wait. ", []), "afterwards")
        tap.eq(len(t.up.of(key)), 1, "requests")
        snap, _ = run(t, d, "after the abort", d.calls(("c1", "kit__echo", '{"text":"hi"}')), d.text("fine"), sid=sid)
        tap.eq(snap["content"], "fine", "the next message")


def test_tools_see_nothing_of_our_environment(t):
    """TOL-1, PRV-6"""
    snap, _ = run(t, OPENAI, "environ", OPENAI.calls(("c1", "kit__environ", "{}")), OPENAI.text("ok"))
    seen = json.loads(snap["tool_invocations"][0]["output"])
    tap.note(f"a tool sees {sorted(seen)}")
    assert not set(seen) - {"PATH", "HOME", "LANG", "TMPDIR", "LC_CTYPE"}, sorted(seen)
    assert SECRET not in json.dumps(seen) and KEY not in json.dumps(seen)


# --- servers that misbehave ---

# mode → what the model must be told: a part of it, and whether the call counts as failed
BAD = {
    "dies_during": ("ended with status 3", True),
    "is_killed_during": ("killed", True),
    "dies_after": ("hi", False),
    "never_answers": ("did not answer within", True),
    "hangs": ("did not answer within", True),
    "answers_twice": ("hi", False),
    "other_id": ("did not answer within", True),
    "big_result": ("cut here", False),
    "too_long": ("too long", True),
    "invalid_json": ("did not answer within", True),
    "floods_nonsense": ("", True),
    "floods_stderr": ("hi", False),
    "ignores_end": ("hi", False),
    "not_a_result": ("not a result", True),
    "lone_surrogate": ("a", False),
}


def bad_sections(folder):
    """Those that never answer are given up after a second."""
    return "".join(section(m.replace("_", "-"), bad_command(m, folder), permission="allow",
                           timeout="1s" if "did not answer" in BAD[m][0] else "60s") for m in BAD)


def play_bad(s, d):
    """A turn with each of the servers, side by side; returns what is not as BAD says."""
    turns, wrong = [], []
    for mode in BAD:
        key = f"{mode} of {d.provider}"
        name = mode.replace("_", "-") + "__act"
        s.up.on(key, d.calls(("c1", name, '{"text":"hi"}'), ("c2", "nothing", "{}")), d.text("went on"))
        turns.append((mode, key, s.say(key, provider=d.provider)))
    for mode, key, turn in turns:
        snap = s.wait_idle(turn["session_id"], 40)
        tool = tools_of(snap)["c1"]
        words, failed = BAD[mode]
        if (words not in (tool["output"] or "") or tool["status"] != ("failed" if failed else "done")
                or snap["content"] != "went on" or snap["error"]):
            wrong.append(f"{key}: {tool['status']} {str(tool['output'])[-200:]!r} {snap['content']!r} {snap['error']}")
        else:
            tap.eq(d.results(s.up.of(key)[1].json)[0][1], tool["output"], "what the model is told")
    return wrong


def test_a_server_that_misbehaves_costs_only_its_own_call(t):
    """TOL-1, TOL-4"""
    with ToolStack(t.up, bad_sections, workers=1) as s:
        pids = healthy(s)
        wrong = []
        for d in DIALECTS:  # one call at a time for each server: what it does to one is not the other's
            wrong += play_bad(s, d)
        assert not wrong, "\n".join(wrong)
        tap.eq(healthy(s), pids, "the workers are the same")
        s.check_end()
        left = until(lambda: not processes("bad_mcp_server.py", s.folder), "no server is left behind")
        assert left


def test_a_server_works_on_files_beside_a_log_that_is_not_in_a_service_s_place(t):
    """TOL-1: unless it is told to be confined; the notice says that it isn't"""
    command = [sys.executable, os.path.join(HERE, "journal_mcp_server.py")]
    with ToolStack(t.up, workers=1, start=False) as s:
        open_one, boxed = (os.path.join(s.dir, n) for n in ("open.journal", "boxed.journal"))
        s.chatd_extra = (section("open", [*command, open_one], permission="allow")
                         + section("boxed", [*command, boxed], permission="allow", confine="yes"))
        s.write_conf()
        s.start()
        s.up.on("beside the log", OPENAI.text("ok"))
        snap = s.wait_idle(s.say("beside the log")["session_id"])
        tap.eq(snap["content"], "ok", "the turn")
        assert os.path.exists(open_one), "the server beside the log could not make its file"
        log = s.chatd.log(whole=True)
        if "no Landlock" not in log:
            assert not os.path.exists(boxed), "the one that is to be confined could"
        assert "tool.open server=open" in log and "tool.open server=boxed" not in log, log


def test_a_server_that_died_is_there_again_for_the_next_call(t):
    """TOL-1"""
    def sections(_):
        return section("mortal", bad_command("dies_during"), permission="allow")

    with ToolStack(t.up, sections, workers=1) as s:
        d = OPENAI
        t.up.on("dies", d.calls(("c1", "mortal__act", "{}")), d.calls(("c2", "mortal__echo", "{}")), d.text("end"))
        snap = s.wait_idle(s.say("dies")["session_id"], 40)
        for x in snap["tool_invocations"]:
            assert "during the call" in x["output"], x
        tap.eq(snap["content"], "end", "the turn")


def test_a_server_that_does_not_start_is_told_first_and_the_turn_runs(t):
    """TOL-1, FAF-2, FAF-6"""
    def sections(folder):
        return (section("gone", ["/nonexistent/program"], permission="allow")
                + section("quits", bad_command("exits_at_once"), permission="allow") + kit_sections(folder))

    with ToolStack(t.up, sections, workers=1) as s:
        for d in DIALECTS:
            snap, asked = run(s, d, "some are missing", d.calls(("c1", "kit__echo", '{"text":"here"}'),
                                                                ("c2", "gone__act", "{}")), d.text("ok"))
            events = s.events(snap["session"]["id"])
            tap.eq([e["type"] for e in events[:3]], ["response_start", "warning", "warning"], "the first events")
            tap.eq({e["payload"]["code"] for e in events[1:3]}, {"tool_server_down"}, "codes")
            said = " ".join(e["payload"]["message"] for e in events[1:3])
            assert "gone" in said and "quits" in said, said
            tap.eq([x["status"] for x in snap["tool_invocations"]], ["done", "failed"], "calls")
            tap.eq((snap["content"], snap["error"]), ("ok", None), "the turn")
            assert "gone__" not in json.dumps(asked[0]["tools"]), "tools of a server that does not run are offered"
        why = [x for x in s.chatd.log().splitlines() if "tool.down" in x and "server=gone" in x]
        assert why and "No such file or directory" in why[0], f"the operator's log says why: {why}"
        assert "Cannot find module" in s.chatd.log(), "the log has what the server said"


def test_servers_are_gone_when_chatd_is_even_after_a_kill(t):
    """TOL-1, PRC-1"""
    with ToolStack(t.up, workers=1) as s:
        mine = lambda: processes("tool_server.py", s.folder)  # noqa: E731
        healthy(s)
        tap.eq(len(mine()), 3, "servers")
        s.kill_workers()
        until(lambda: len(s.worker_pids()) == 1, "the worker is there again")
        healthy(s)
        until(lambda: len(mine()) == 3, "the servers of the killed worker are gone")
        s.check_end()
        until(lambda: not mine(), "no server is left")


if __name__ == "__main__":
    os.environ["OPENAI_API_KEY"] = os.environ["AWS_SECRET_ACCESS_KEY"] = SECRET
    with ToolUpstream() as up:
        with ToolStack(up, workers=2) as stack:
            tap.run(globals(), stack)
    tap.finish()
