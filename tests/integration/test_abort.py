"""Abort: at once for the viewers and on the wire, and without a trace in what comes after."""

import json
import threading
import time

from lib import tap, upstream
from lib.daemons import Stack
from lib.upstream import Upstream, chunk
from lib.wait import SCALE, until

SLACK = 1 if SCALE == 1 else 10


def test_abort_while_the_provider_hangs_reaches_viewers_and_wire_within_100_ms(t):
    """SDC-3, PRV-4"""
    took = []
    for i in range(10):
        key = t.up.on(f"hang {i}", upstream.hang(chunk("so ") + chunk("far")))
        turn = t.say(key)
        sid = turn["session_id"]
        viewers = [t.viewer(sid) for _ in range(3)]
        for v in viewers:
            v.until(lambda e: v.state.content == "so far")  # noqa: B023
        posted = time.monotonic()
        r = t.abort(sid, {"turn_id": turn["turn_id"]})
        tap.eq(r.status, 202, f"abort: {r}")
        for v in viewers:
            e = v.until("aborted")
            took.append(e.at - posted)
            tap.eq(v.state.content, "so far", "partial answer")
            v.close()
        x = t.up.of(key)[0]
        until(lambda: x.closed, "the provider's connection is closed")  # noqa: B023
        assert x.closed - posted < 0.3 * SLACK, f"closed after {x.closed - posted:.3f} s"
        snap = t.snapshot(sid)
        tap.eq((snap["state"], snap["content"], snap["error"]), ("idle", "so far", None), "snapshot")
        m = t.messages(sid)["messages"][-1]
        tap.eq((m["role"], m["content"], m["status"]), ("assistant", "so far", "aborted"), "message")
        after = t.up.on(f"after {i}", upstream.text("next"))
        t.say(after, sid)  # accepted at once
        tap.eq(t.wait_idle(sid)["content"], "next", "the next answer")
    took.sort()
    median = took[len(took) // 2]
    tap.note(f"from the POST to `aborted`: median {median * 1000:.1f} ms, worst {took[-1] * 1000:.1f} ms")
    assert took[-1] < 0.1 * SLACK, f"worst {took[-1]:.3f} s"


def test_abort_before_the_provider_answers_anything(t):
    """SDC-3"""
    key = t.up.on("silent", upstream.hang(head=False))
    turn = t.say(key)
    x = t.up.wait(key)
    tap.eq(t.abort(turn["session_id"]).status, 202, "abort")
    tap.eq(t.log.events(turn["session_id"])[-1]["type"], "aborted", "accepted means stored")
    until(lambda: x.closed, "the provider's connection is closed")
    m = t.messages(turn["session_id"])["messages"][-1]
    tap.eq((m["role"], m["content"], m["status"]), ("assistant", "", "aborted"), "message")


def test_abort_between_two_tries(t):
    """SDC-3, PRV-4"""
    key = t.up.on("between", upstream.error(503, b"{}", {"retry-after": "30"}))
    turn = t.say(key, provider="retrying")
    v = t.viewer(turn["session_id"])
    if v.next().data["seq"] < 2:
        v.until("warning")
    tap.eq(t.abort(turn["session_id"]).status, 202, "abort")
    v.until("aborted")
    tap.eq(t.wait_idle(turn["session_id"])["state"], "idle", "state")
    tap.eq(len(t.up.of(key)), 1, "requests")


def test_abort_of_an_idle_session_is_a_conflict(t):
    """API-1, SDC-3"""
    sid = t.say(t.up.on("done", upstream.text("x")))["session_id"]
    t.wait_idle(sid)
    seq = t.snapshot(sid)["seq"]
    r = t.abort(sid)
    tap.eq((r.status, r.error()["code"]), (409, "not_processing"), f"{r}")
    tap.eq(t.snapshot(sid)["seq"], seq, "nothing was added")


def test_abort_of_another_turn_is_a_conflict(t):
    """API-1, SDC-18"""
    first = t.say(t.up.on("first", upstream.text("x")))
    sid = first["session_id"]
    t.wait_idle(sid)
    second = t.say(t.up.on("second", upstream.hang(chunk("y"))), sid)
    r = t.abort(sid, {"turn_id": first["turn_id"]})
    tap.eq((r.status, r.error()["code"]), (409, "turn_mismatch"), f"{r}")
    tap.eq(t.snapshot(sid)["state"], "processing", "the running turn goes on")
    tap.eq(t.abort(sid, {"turn_id": second["turn_id"]}).status, 202, "abort of the right one")
    r = t.abort(sid, {"turn_id": second["turn_id"]})
    tap.eq((r.status, r.error()["code"]), (409, "not_processing"), f"{r}")


def test_leaving_is_not_aborting(t):
    """SDC-3, SDC-4"""
    gate = threading.Event()
    turn = t.say(t.up.on("leave", upstream.gated(["a"], gate, ["b"])))
    v = t.viewer(turn["session_id"])
    v.next()
    v.close(reset=True)
    gate.set()
    tap.eq(t.wait_idle(turn["session_id"])["content"], "ab", "answer")


def test_200_rounds_of_abort_and_resend_leave_no_trace_of_an_old_run(t):
    """SDC-3, SDC-18, DUR-3"""
    rounds = 200 if SCALE == 1 else 60
    rng = tap.seed()
    sid = None
    turns = []
    for i in range(rounds):
        # Each run says only its own number, as fast as it can, until it is stopped.
        key = t.up.on(f"round {i}", upstream.drip([f"[{i}]"] * 20, 2000, ends=False))
        turn = t.say(key, sid)
        sid = turn["session_id"]
        turns.append(turn)
        tap.eq(turn["generation"], i + 1, "generation")
        if rng.random() < 0.7:
            t.up.wait(key)
            time.sleep(rng.random() * 0.02)
        tap.eq(t.abort(sid).status, 202, f"abort {i}")
    last = t.say(t.up.on("the end", upstream.text("fin")), sid)
    tap.eq(t.wait_idle(sid)["content"], "fin", "the last answer")
    events = t.log.events(sid)
    t.log.check_seqs(sid)
    for i, turn in enumerate(turns):
        own = [e for e in events if e["turn_id"] == turn["turn_id"]]
        assert own and all(e["generation"] == turn["generation"] for e in own), f"generations in round {i}"
        ends = [e["type"] for e in own if e["type"] in ("response_end", "aborted", "error")]
        tap.eq(ends, ["aborted"], f"end of round {i}")
        tap.eq(own[-1]["type"], "aborted", f"the last event of round {i}")
        text = "".join(json.loads(e["payload"])["content"] for e in own if e["type"] == "response_chunk")
        tap.eq(text.replace(f"[{i}]", ""), "", f"text of round {i}")
    generations = [e["generation"] for e in events]
    tap.eq(generations, sorted(generations), "generations never go back")
    stored = {}
    query = "?limit=200"
    while True:
        page = t.messages(sid, query)
        stored.update({(m["turn_id"], m["role"]): m for m in page["messages"]})
        if not page["next"]:
            break
        query = f"?limit=200&before={page['next']}"
    for i, turn in enumerate(turns):
        m = stored[(turn["turn_id"], "assistant")]
        tap.eq((m["status"], m["content"].replace(f"[{i}]", "")), ("aborted", ""), f"message of round {i}")
    tap.eq(stored[(last["turn_id"], "assistant")]["content"], "fin", "the last message")
    # Every connection that was opened has been closed by chatd.
    for i in range(rounds):
        for x in t.up.of(f"round {i}"):
            until(lambda: x.closed or x.finished, f"the connection of round {i} is closed")  # noqa: B023


def test_delete_while_running_ends_the_run_and_tells_the_viewers(t):
    """SDC-6"""
    key = t.up.on("delete me", upstream.drip(["x"], 500, ends=False))
    turn = t.say(key)
    sid = turn["session_id"]
    v = t.viewer(sid)
    v.until(lambda e: v.state.content)
    tap.eq(t.call("DELETE", f"/v1/sessions/{sid}").status, 204, "DELETE")
    v.until("session_cleared")
    x = t.up.of(key)[0]
    until(lambda: x.closed, "the provider's connection is closed")
    tap.eq(t.call("GET", f"/v1/sessions/{sid}").status, 404, "the session")
    tap.eq(t.post("more", sid).status, 404, "a message to it")
    # The service has not suffered.
    other = t.say(t.up.on("other", upstream.text("fine")))
    tap.eq(t.wait_idle(other["session_id"])["content"], "fine", "another session")


def test_many_aborts_at_once_are_one_abort(t):
    """SDC-3, API-5"""
    turn = t.say(t.up.on("mob", upstream.hang(chunk("z"))))
    sid = turn["session_id"]
    codes = []

    def one():
        codes.append(t.abort(sid).status)

    mob = [threading.Thread(target=one) for _ in range(10)]
    for m in mob:
        m.start()
    for m in mob:
        m.join()
    tap.eq(sorted(set(codes)) in ([202], [202, 409]), True, f"answers {codes}")
    tap.eq([e["type"] for e in t.log.events(sid)].count("aborted"), 1, "aborted events")


if __name__ == "__main__":
    with Upstream() as up:
        with Stack(up, {"retrying": {"type": "openai", "max_retries": 2}}) as stack:
            tap.run(globals(), stack)
    tap.finish()
