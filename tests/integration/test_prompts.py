"""Prompts: a turn waits for a person, for as long as it takes, without holding anything."""

import hashlib
import json
import os
import signal
import threading
import time

from lib import http, sse, tap
from lib.several import Several
from lib.tools import DIALECTS, OPENAI, ToolStack, ToolUpstream, healthy
from lib.wait import SCALE, until

D = OPENAI
TOKENS = {"ann": "ann-secret-token-0123456789", "bob": "bob-secret-token-0123456789"}


def ask_write(t, key, text="x", then="Done.", d=D, name="asks__write", sid=None, **more):
    """A turn whose call needs permission; returns (the 202, the prompt)."""
    t.up.on(key, d.calls(("c1", name, json.dumps({"text": text})), say="May I? "), d.text(then))
    turn = t.say(key, sid, provider=d.provider, **more)
    return turn, t.prompts(turn["session_id"])[0]


def ask_user(t, key, questions, d=D):
    t.up.on(key, d.calls(("q1", "ask_user", json.dumps({"questions": questions}))), d.text("Thanks."))
    turn = t.say(key, provider=d.provider)
    return turn, t.prompts(turn["session_id"])[0]


def code(response):
    return response.status, response.error()["code"]


def resolved(t, sid):
    return [e["payload"] for e in t.events(sid, "prompt_resolved")]


def test_who_has_a_list_is_told_that_a_turn_waits_and_that_it_goes_on(t):
    """CLI-2, SDC-12"""
    gate, asks = threading.Event(), D.calls(("c1", "asks__write", json.dumps({"text": "x"})))

    def later(x):
        gate.wait(20 * SCALE)
        asks(x)

    t.up.on("for a list", later, D.text("Done."))
    with Several(t.port, query="?sessions=&changes=1") as v:
        v.until_changed()
        sid = t.say("for a list", provider=D.provider)["session_id"]
        v.until_listed(t, sid, lambda s: s and s["state"] == "processing")
        gate.set()
        v.until_listed(t, sid, lambda s: s["state"] == "waiting")
        tap.eq(t.answer(sid, t.prompts(sid)[0]["id"], {"allow": True}).status, 200, "answer")
        v.until_listed(t, sid, lambda s: s["state"] == "idle")


# --- the long wait ---


def stop_and_start(s, how):
    if how == "term":
        s.chatd.term()
    elif how == "kill":
        s.kill_workers()
        until(lambda: len(s.worker_pids()) == s.workers, "the workers are there again")
        s.wait_ready()
        return
    else:
        s.chatd.kill()
    s.chatd.start()
    s.wait_ready()


def wait_through(t, how):
    for d in DIALECTS:
        with ToolStack(t.up, workers=2) as s:
            turn, prompt = ask_write(s, f"restart by {how} of {d.provider}", "after all", d=d)
            sid = turn["session_id"]
            v = s.viewer(sid)
            v.next()
            v.close()
            s.wait_waiting(sid)
            stop_and_start(s, how)
            back = s.viewer(sid)
            first = back.next()
            tap.eq((first.name, first.data["state"], first.data["turn"]["id"]),
                   ("snapshot", "waiting", turn["turn_id"]), "what a new viewer gets")
            tap.eq([p["id"] for p in first.data["pending_prompts"]], [prompt["id"]], "the prompt in its snapshot")
            tap.eq(first.data["pending_prompts"][0], prompt, "the prompt is unchanged")
            tap.eq(s.lines("written"), [], "nothing ran unasked")
            tap.eq(s.answer(sid, prompt["id"], {"allow": True}).status, 200, "answer")
            back.to_end()
            tap.eq(back.events[-1].name, "response_end", "the end")
            names = [e.name for e in back.events]
            for name in ("prompt_resolved", "tool_end", "response_chunk"):
                assert name in names, names
            snap = s.snapshot(sid)
            tap.eq((snap["content"], snap["error"], snap["pending_prompts"]), ("May I? Done.", None, []), "the answer")
            tap.eq(s.lines("written"), ["after all"], "the call ran once")
            results = d.results(t.up.of(f"restart by {how} of {d.provider}")[1].json)
            tap.eq(results[0][:2], ("c1", "written: after all"), "the result went to the model")
            tap.eq(code(s.answer(sid, prompt["id"], {"allow": True})), (409, "already_resolved"), "a second answer")
            s.log.check_seqs(sid)


def test_a_prompt_outlives_its_viewers_and_an_orderly_restart(t):
    """SDC-11, SDC-12, SDC-14, DUR-8"""
    wait_through(t, "term")


def test_a_prompt_outlives_its_viewers_and_a_killed_worker(t):
    """SDC-11, SDC-12, SDC-14, DUR-6"""
    wait_through(t, "kill")


def test_a_prompt_outlives_a_killed_supervisor(t):
    """SDC-11, SDC-12, DUR-6"""
    wait_through(t, "kill all")


def test_a_call_beside_the_prompt_that_ran_when_the_worker_died_keeps_both(t):
    """DUR-6, SDC-11"""
    with ToolStack(t.up, workers=1) as s:
        key = "both"
        t.up.on(key, D.calls(("c1", "asks__write", '{"text":"p"}'), ("c2", "kit__gate", '{"name":"g"}'),
                             ("c3", "kit__echo", '{"text":"done before"}')), D.text("end"))
        sid = s.say(key)["session_id"]
        s.prompts(sid)
        until(lambda: s.calls_made("gate"), "the call runs")
        until(lambda: {x["id"]: x["status"] for x in s.snapshot(sid)["tool_invocations"]}["c3"] == "done", "c3")
        s.kill_workers()
        until(lambda: len(s.worker_pids()) == 1, "the worker is there again")
        s.wait_ready()
        prompts = {p["tool_invocation_id"]: p for p in s.prompts(sid, 2)}
        assert prompts["c2"].get("uncertain") and not prompts["c1"].get("uncertain"), prompts
        tap.eq(len(s.calls_made("gate")), 1, "it was not run again unasked")
        tap.eq(s.answer(sid, prompts["c2"]["id"], {"allow": False}).status, 200, "do not repeat it")
        tap.eq(s.answer(sid, prompts["c1"]["id"], {"allow": True}).status, 200, "write")
        snap = s.wait_idle(sid)
        tap.eq({x["id"]: x["status"] for x in snap["tool_invocations"]},
               {"c1": "done", "c2": "failed", "c3": "done"}, "statuses")
        tap.eq((len(s.calls_made("echo")), len(s.calls_made("gate"))), (1, 1), "calls made")


# --- answers ---


def test_of_fifty_answers_at_once_one_counts(t):
    """SDC-13"""
    for n in range(3):
        turn, prompt = ask_write(t, f"fifty {n}", f"fifty {n}")
        sid = turn["session_id"]
        got, ready = [], threading.Barrier(50)

        def one(i):
            with http.Connection(t.port) as c:
                ready.wait()  # noqa: B023
                r = c.request("POST", f"/v1/sessions/{sid}/prompts/{prompt['id']}", {"allow": i % 2 == 0})  # noqa: B023
                got.append((r.status, r.error()["code"] if r.status != 200 else ""))  # noqa: B023

        threads = [threading.Thread(target=one, args=(i,)) for i in range(50)]
        for x in threads:
            x.start()
        for x in threads:
            x.join()
        tap.eq(sorted(set(got)), [(200, ""), (409, "already_resolved")], "answers")
        tap.eq([g[0] for g in got].count(200), 1, "how many counted")
        t.wait_idle(sid)
        tap.eq(len(resolved(t, sid)), 1, "prompt_resolved")
        assert t.lines("written").count(f"fifty {n}") <= 1


BAD_PERMISSIONS = [
    {}, {"allow": "yes"}, {"allow": 1}, {"allow": None}, {"allow": True, "remember": "for ever"},
    {"allow": True, "remember": True}, {"answers": {}}, {"answers": {"q1": "a"}},
    {"allow": True, "answers": {}},
]


def test_an_answer_that_does_not_fit_leaves_a_permission_open(t):
    """SDC-13, SEC-6"""
    turn, prompt = ask_write(t, "bad permissions", "only once")
    sid = turn["session_id"]
    for body in BAD_PERMISSIONS:
        tap.eq(code(t.answer(sid, prompt["id"], body)), (422, "bad_answer"), f"{body}")
    for body in ({"allow": True, "more": 1}, {"Allow": True}):
        tap.eq(code(t.answer(sid, prompt["id"], body)), (400, "bad_field"), f"{body}")
    for raw, wanted in (("[]", (400, 422)), ("null", (400, 422)), ("{", (400,)), ("", (400, 411, 422)), ("1", (400, 422))):
        r = t.answer(sid, prompt["id"], raw)
        assert r.status in wanted, f"{raw!r}: {r}"
    tap.eq([p["id"] for p in t.snapshot(sid)["pending_prompts"]], [prompt["id"]], "still open")
    tap.eq(t.lines("written").count("only once"), 0, "nothing ran")
    tap.eq(t.answer(sid, prompt["id"], {"allow": True}).status, 200, "a good answer")
    t.wait_idle(sid)
    tap.eq(t.lines("written").count("only once"), 1, "it ran")


QUESTIONS = [
    {"id": "color", "question": "Which color?", "options": [{"label": "red"}, {"label": "blue", "description": "as the sky"}]},
    {"id": "many", "question": "Which ones?", "options": [{"label": "a"}, {"label": "b"}, {"label": "c"}], "multiple": True},
    {"question": "What is your name?"},
    {"id": "open", "question": "Or else?", "options": [{"label": "no"}], "free_text": True},
]
GOOD = {"color": "blue", "many": ["c", "a"], "q1": "Zoë", "open": "something else"}


def changed(**more):
    return {"answers": {k: v for k, v in {**GOOD, **more}.items() if v is not None}}


BAD_ANSWERS = [
    {}, {"answers": None}, {"answers": []}, {"answers": {}}, {"allow": True}, {**changed(), "allow": True},
    changed(color=None), changed(color="green"), changed(color=["red"]), changed(color=""), changed(color=3),
    changed(many="a"), changed(many=["a", "d"]), changed(many=["a", "a"]), changed(many=[1]), changed(many=["a"] * 40),
    changed(q1=""), changed(q1={}), changed(q1=None), changed(open=["no"]), changed(other="x"),
    changed(q1="x" * (32 * 1024 + 1)), changed(q1="a\0b"),
]


def test_questions_are_asked_in_full_and_the_answers_go_to_the_model(t):
    """TOL-3, SDC-13, SDC-12"""
    for d in DIALECTS:
        key = f"questions of {d.provider}"
        turn, prompt = ask_user(t, key, QUESTIONS, d)
        sid = turn["session_id"]
        tap.eq((prompt["kind"], prompt["tool_name"]), ("ask_user", "ask_user"), "kind")
        tap.eq([q["id"] for q in prompt["questions"]], ["color", "many", "q1", "open"], "ids")
        for q in prompt["questions"]:
            tap.eq(sorted(q), ["free_text", "id", "multiple", "options", "question"], "members")
            assert all(sorted(o) == ["description", "label"] for o in q["options"]), q
        tap.eq([(q["multiple"], q["free_text"]) for q in prompt["questions"]],
               [(False, False), (True, False), (False, True), (False, True)], "kinds of question")
        for body in BAD_ANSWERS:
            tap.eq(code(t.answer(sid, prompt["id"], body)), (422, "bad_answer"), json.dumps(body)[:80])
        tap.eq(t.snapshot(sid)["pending_prompts"], [prompt], "still open, unchanged")
        tap.eq(t.answer(sid, prompt["id"], {"answers": GOOD}).status, 200, "a good answer")
        snap = t.wait_idle(sid)
        said = d.results(t.up.of(key)[1].json)[0][1]
        for words in ("Which color?\nAnswer: blue", "Answer: c, a", "name?\nAnswer: Zoë", "Answer: something else"):
            assert words in said, said
        tap.eq((snap["content"], snap["tool_invocations"][0]["status"]), ("Thanks.", "done"), "the turn")
        tap.eq(resolved(t, sid)[0]["answers"], GOOD, "prompt_resolved carries the answer")


LIMITS = [
    (changed(q1="x" * (32 * 1024)), 200), (changed(many=[]), 200), (changed(many=["a", "b", "c"]), 200), (changed(open="no"), 200),
]


def test_answers_at_their_limits_fit(t):
    """SDC-13, TOL-3"""
    for i, (body, status) in enumerate(LIMITS):
        turn, prompt = ask_user(t, f"limits {i}", QUESTIONS)
        tap.eq(t.answer(turn["session_id"], prompt["id"], body).status, status, json.dumps(body)[:80])
        tap.eq(t.wait_idle(turn["session_id"])["content"], "Thanks.", "the turn")


BAD_QUESTIONS = [
    {}, {"questions": []}, {"questions": [{"question": ""}]}, {"questions": [{"options": []}]},
    {"questions": [{"question": "x", "options": [], "free_text": False}]},
    {"questions": [{"question": "x", "options": [{"label": "a"}, {"label": "a"}]}]},
    {"questions": [{"id": "a", "question": "x"}, {"id": "a", "question": "y"}]},
    {"questions": [{"question": "x"}] * 17}, {"questions": "what?"},
]


def test_questions_that_can_not_be_asked_are_told_to_the_model(t):
    """TOL-3, FAF-5"""
    for i, value in enumerate(BAD_QUESTIONS):
        t.up.on(f"bad question {i}", D.calls(("q1", "ask_user", json.dumps(value))), D.text("I see."))
        snap = t.wait_idle(t.say(f"bad question {i}")["session_id"])
        tool = snap["tool_invocations"][0]
        tap.eq((tool["status"], tool["is_error"], snap["content"]), ("failed", True, "I see."), f"{value}")
        assert tool["output"], tool


def test_an_unknown_prompt_is_404(t):
    """SDC-13, SEC-6"""
    turn, prompt = ask_write(t, "unknown")
    other, others = ask_write(t, "unknown too")
    sid = turn["session_id"]
    for ident in ("prm_nothing", "prm_" + "0" * 26, prompt["id"][:-1], "x" * 64, "%20", others["id"]):
        r = t.answer(sid, ident, {"allow": True})
        tap.eq(r.status, 404, f"{ident}: {r}")
    tap.eq(code(t.answer(sid, others["id"], {"allow": True})), (404, "prompt_not_found"), "another session's")
    tap.eq(code(t.answer("ses_" + "0" * 26, prompt["id"], {"allow": True})), (404, "session_not_found"), "no such session")
    for one in (sid, other["session_id"]):
        tap.eq(t.snapshot(one)["state"], "waiting", "still waits")
        t.abort(one)


def test_deny_is_a_result_that_the_model_sees(t):
    """TOL-2, SEC-6"""
    for d in DIALECTS:
        key = f"deny of {d.provider}"
        turn, prompt = ask_write(t, key, "denied", then="Pity.", d=d)
        sid = turn["session_id"]
        tap.eq(t.answer(sid, prompt["id"], {"allow": False}).status, 200, "answer")
        snap = t.wait_idle(sid)
        tool = snap["tool_invocations"][0]
        tap.eq((tool["status"], tool["is_error"], snap["content"]), ("denied", True, "May I? Pity."), "the turn")
        tap.eq(d.results(t.up.of(key)[1].json)[0][1], tool["output"], "what the model is told")
        assert "denied" not in t.lines("written")
        tap.eq(resolved(t, sid)[0]["allow"], False, "prompt_resolved")


def test_only_the_owner_can_answer(t):
    """SEC-6, SEC-2"""
    with ToolStack(t.up, workers=1, start=False) as s:
        with open(os.path.join(s.dir, "tokens"), "w", encoding="ascii") as f:
            for owner, token in TOKENS.items():
                f.write(f"{owner}:{hashlib.sha256(token.encode()).hexdigest()}\n")
        os.chmod(os.path.join(s.dir, "tokens"), 0o600)
        s.streamerd_extra = f"[auth]\nmode = tokens\ntokens_file = {s.dir}/tokens\n"
        s.write_conf()
        s.start()
        ann, bob = ({"Authorization": "Bearer " + TOKENS[o]} for o in ("ann", "bob"))
        t.up.on("owned", D.calls(("c1", "asks__write", '{"text":"owned"}')), D.text("ok"))
        sid = s.post_as(ann, "owned").json()["session_id"]

        def open_prompts():
            r = s.call("GET", f"/v1/sessions/{sid}/snapshot", headers=ann)
            return r.json()["pending_prompts"]

        prompt = until(open_prompts, "the prompt")[0]
        where = f"/v1/sessions/{sid}/prompts/{prompt['id']}"
        tap.eq(code(s.call("POST", where, {"allow": True}, bob)), (404, "session_not_found"), "another owner")
        tap.eq(s.call("POST", where, {"allow": True}).status, 401, "nobody")
        tap.eq(s.call("POST", where, {"allow": True}, {"Authorization": "Bearer x"}).status, 401, "a wrong token")
        tap.eq(open_prompts(), [prompt], "still open")
        tap.eq(s.lines("written"), [], "nothing ran")
        tap.eq(s.call("POST", where, {"allow": True}, ann).status, 200, "the owner")
        until(lambda: s.lines("written") == ["owned"], "it ran")


# --- settled otherwise ---


def settled_by(t, key, end, event):
    turn, prompt = ask_write(t, key, key)
    sid = turn["session_id"]
    v = t.viewer(sid)
    v.next()
    t.wait_waiting(sid)
    end(sid)
    v.until(event)
    settled = [e.data for e in v.events if e.name == "prompt_resolved"]
    tap.eq([(x["prompt_id"], x.get("discarded")) for x in settled], [(prompt["id"], True)], "prompt_resolved")
    assert key not in t.lines("written"), "it ran"
    return sid, prompt


def test_abort_settles_prompts_with_an_event(t):
    """SDC-3, SDC-14, SDC-13"""
    sid, prompt = settled_by(t, "settled by abort", lambda s: tap.eq(t.abort(s).status, 202, "abort"), "aborted")
    tap.eq(code(t.answer(sid, prompt["id"], {"allow": True})), (409, "already_resolved"), "a later answer")
    snap = t.snapshot(sid)
    tap.eq((snap["state"], snap["pending_prompts"], snap["tool_invocations"][0]["status"]), ("idle", [], "incomplete"), "after")
    t.up.on("after it", D.text("fine"))
    t.say("after it", sid)
    tap.eq(t.wait_idle(sid)["content"], "fine", "the next message")
    messages = t.up.of("after it")[0].json["messages"]
    calls = [c["id"] for m in messages for c in m.get("tool_calls") or []]
    tap.eq([m["tool_call_id"] for m in messages if m["role"] == "tool"], calls, "each call has its result")


def test_an_interrupting_message_settles_prompts_with_an_event(t):
    """API-4, SDC-14"""
    t.up.on("I interrupt", D.text("at once"))

    def interrupt(sid):
        t.say("I interrupt", sid, on_busy="interrupt")

    sid, prompt = settled_by(t, "settled by interrupt", interrupt, "aborted")
    tap.eq(t.wait_idle(sid)["content"], "at once", "the new turn")
    tap.eq(code(t.answer(sid, prompt["id"], {"allow": True})), (409, "already_resolved"), "a later answer")


def test_delete_settles_prompts_with_an_event(t):
    """SDC-6, SDC-14"""
    sid, prompt = settled_by(t, "settled by delete",
                             lambda s: tap.eq(t.call("DELETE", f"/v1/sessions/{s}").status, 204, "delete"), "session_cleared")
    r = t.answer(sid, prompt["id"], {"allow": True})
    assert r.status in (404, 409), r
    tap.eq(t.log.one("SELECT count(*) FROM prompts WHERE id = ? AND state = 'open'", prompt["id"]), 0, "open prompts")


# --- remembered ---


def test_allow_for_this_session_holds_for_this_tool_in_this_session(t):
    """TOL-2, SEC-6"""
    turn, prompt = ask_write(t, "remember me", "first")
    sid = turn["session_id"]
    tap.eq(t.answer(sid, prompt["id"], {"allow": True, "remember": "session"}).status, 200, "answer")
    t.wait_idle(sid)
    t.up.on("again", D.calls(("c1", "asks__write", '{"text":"second"}')), D.text("ok"))
    t.say("again", sid)
    snap = t.wait_idle(sid)
    tap.eq((snap["tool_invocations"][0]["status"], t.events(sid, "prompt_pending")[-1]["payload"]["prompt"]["id"]),
           ("done", prompt["id"]), "the second call ran without a prompt")
    _, other = ask_write(t, "another tool", "x", name="asks__fails", sid=sid)
    tap.eq(other["tool_name"], "fails", "another tool of the server still asks")
    t.abort(sid)
    elsewhere, _ = ask_write(t, "another session", "third")
    tap.eq(t.snapshot(elsewhere["session_id"])["state"], "waiting", "another session still asks")
    t.abort(elsewhere["session_id"])
    assert "second" in t.lines("written") and "third" not in t.lines("written")


def test_allowing_once_is_not_remembered(t):
    """TOL-2, SEC-6"""
    turn, prompt = ask_write(t, "once", "once")
    sid = turn["session_id"]
    t.answer(sid, prompt["id"], {"allow": True})
    t.wait_idle(sid)
    _, again = ask_write(t, "once more", "once more", sid=sid)
    assert again["id"] != prompt["id"]
    t.abort(sid)


def test_what_is_remembered_outlives_a_kill(t):
    """TOL-2, DUR-1"""
    with ToolStack(t.up, workers=1) as s:
        turn, prompt = ask_write(s, "remember through a kill", "one")
        sid = turn["session_id"]
        s.answer(sid, prompt["id"], {"allow": True, "remember": "session"})
        s.wait_idle(sid)
        stop_and_start(s, "kill")
        t.up.on("and now", D.calls(("c1", "asks__write", '{"text":"two"}')), D.text("ok"))
        s.say("and now", sid)
        s.wait_idle(sid)
        tap.eq(s.lines("written"), ["one", "two"], "both ran")


# --- viewers ---


def test_all_viewers_see_a_prompt_and_how_it_ends(t):
    """SDC-10, SDC-12, SDC-13"""
    gate = threading.Event()

    def script(x):
        while not gate.wait(0.05):
            if x.server.stopped:
                return
        D.calls(("c1", "asks__write", '{"text":"seen"}'))(x)

    t.up.on("everybody", script, D.text("end"))
    turn = t.say("everybody")
    sid = turn["session_id"]
    viewers = [t.viewer(sid) for _ in range(20)]
    for v in viewers:
        v.next()
    gate.set()
    pending = [v.until("prompt_pending").data["prompt"] for v in viewers]
    assert all(p == pending[0] for p in pending)
    late = t.viewer(sid)
    tap.eq(late.next().data["pending_prompts"], [pending[0]], "a later viewer has it in its snapshot")
    tap.eq(t.answer(sid, pending[0]["id"], {"allow": True}).status, 200, "answer")
    for v in [*viewers, late]:
        e = v.until("prompt_resolved")
        tap.eq((e.data["prompt_id"], e.data["allow"]), (pending[0]["id"], True), "prompt_resolved")
        v.to_end()
    tails = [[e.raw for e in v.events if e.name != "snapshot"][-4:] for v in [*viewers, late]]
    assert all(x == tails[0] for x in tails), "the viewers differ"
    tap.eq(t.viewer(sid).next().data["pending_prompts"], [], "afterwards")


def test_a_waiting_session_says_so_everywhere(t):
    """SDC-11, SDC-2, SDC-8"""
    turn, _ = ask_write(t, "waits")
    sid = turn["session_id"]
    snap = t.wait_waiting(sid)
    tap.eq((snap["turn"]["id"], snap["turn"]["state"]), (turn["turn_id"], "waiting"), "the turn in the snapshot")
    tap.eq(t.call("GET", f"/v1/sessions/{sid}").json()["state"], "waiting", "the session")
    listed = [x for x in t.call("GET", "/v1/sessions?limit=20").json()["sessions"] if x["id"] == sid]
    tap.eq(listed[0]["state"], "waiting", "in the list")
    tap.eq(t.log.turn(turn["turn_id"])["state"], "waiting", "in the log")
    r = t.post("too early", sid)
    error = r.error()
    tap.eq((r.status, error["code"], error["turn_id"]), (409, "already_processing", turn["turn_id"]), "a second message")
    rows = t.log.rows("SELECT * FROM v_open_prompts WHERE session_id = ?", sid)
    tap.eq([(x["kind"], x["tool"]) for x in rows], [("tool_permission", "write")], "v_open_prompts")
    with t.viewer(sid, query="?until=idle") as v:
        tap.eq(v.next().data["state"], "waiting", "until=idle stays")
        t.abort(sid)
        v.drain()


def sockets_to(port):
    """Connections that are established to a port of loopback, whoever has them."""
    word = f":{port:04X}"
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [x.split() for x in f.readlines()[1:]]
    return [r for r in rows if r[2].endswith(word) and r[3] == "01"]


def test_waiting_turns_hold_nothing(t):
    """SDC-11, SDC-14"""
    with ToolUpstream() as up, ToolStack(up, workers=1, keys={"max_turns": "1"}) as s:
        closing = []

        def once(script):
            def play(x):
                script(x)
                x.keep = False  # so a connection that is still there is one that a turn holds
                closing.append(x)
            return play

        waiting = []
        for i in range(8):
            up.on(f"w{i}", once(D.calls(("c1", "asks__write", json.dumps({"text": f"w{i}"})))), once(D.text("end")))
            r = until(lambda: (lambda r: r if r.status == 202 else None)(s.post(f"w{i}")), "there is room")  # noqa: B023
            sid = r.json()["session_id"]
            s.wait_waiting(sid)
            waiting.append(sid)
        until(lambda: not sockets_to(up.port), "no connection to the provider is held")
        up.on("busy", D.text("and I ran"))
        turn = s.say("busy")
        tap.eq(s.wait_idle(turn["session_id"])["content"], "and I ran", "a turn beside eight that wait")
        gate = threading.Event()

        def slow(x):
            gate.wait(30 * SCALE)
            D.text("slow")(x)

        up.on("slow", slow)
        running = s.say("slow")
        tap.eq(code(s.post("one too many")), (503, "overloaded"), "the limit still counts those that run")
        answers = [s.answer(sid, s.prompts(sid)[0]["id"], {"allow": True}).status for sid in waiting]
        tap.eq(answers, [200] * 8, "answers, while the limit is reached")
        for sid in waiting:
            tap.eq(s.wait_idle(sid)["content"], "end", "the turn")
        gate.set()
        s.wait_idle(running["session_id"])
        tap.eq(sorted(s.lines("written")), [f"w{i}" for i in range(8)], "each ran once")


def test_an_idle_worker_with_waiting_turns_uses_no_cpu(t):
    """SDC-11"""
    with ToolStack(t.up, workers=1) as s:
        for i in range(5):
            ask_write(s, f"cpu {i}")
        pid = healthy(s)[0]

        def ticks():
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])

        before, began = ticks(), time.monotonic()
        time.sleep(1.5)  # a measurement, not a wait for something
        used = (ticks() - before) / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)
        assert used < 0.02 * SCALE, f"{used:.3f} of a core while nothing is to be done"


def test_a_random_order_of_answers_aborts_and_kills_loses_nothing(t):
    """SDC-11, SDC-13, DUR-2, DUR-6"""
    rng = tap.seed()
    with ToolStack(t.up, workers=2) as s:
        turns = [ask_write(s, f"random {i}", f"random {i}") for i in range(12)]
        rng.shuffle(turns)
        allowed = set()
        for n, (turn, prompt) in enumerate(turns):
            sid = turn["session_id"]
            if n % 6 == 5:  # twice: a third time without progress would be the end (DUR-6)
                os.kill(rng.choice(list(s.worker_pids().values())), signal.SIGKILL)
                until(lambda: len(s.worker_pids()) == 2, "the workers are there again")
                s.wait_ready(30)
            if rng.random() < 0.3:
                tap.eq(s.abort(sid).status, 202, "abort")
            else:
                tap.eq(s.answer(sid, prompt["id"], {"allow": True}).status, 200, "answer")
                allowed.add(sid)
        for turn, prompt in turns:
            sid = turn["session_id"]

            def over(sid=sid):
                snap = s.snapshot(sid)
                for p in snap["pending_prompts"]:  # a call that ran when its worker died
                    assert p.get("uncertain"), p
                    s.answer(sid, p["id"], {"allow": False})
                return snap if snap["state"] == "idle" else None

            snap = until(over, f"{sid} ends", 30)
            tap.eq(snap["messages"][-1]["status"], "complete" if sid in allowed else "aborted", f"the end ({snap['error']})")
            s.log.check_seqs(sid)
            text = turn and snap["tool_invocations"][0]["input"]["text"]
            assert s.lines("written").count(text) <= (1 if sid in allowed else 0), text
            shown = sse.state_of(snap)
            assert shown.ended == [] and snap["pending_prompts"] == []


if __name__ == "__main__":
    with ToolUpstream() as up:
        with ToolStack(up, workers=2) as stack:
            tap.run(globals(), stack)
    tap.finish()
