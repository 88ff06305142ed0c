"""Messages for a busy session, and messages that are sent twice."""

import hashlib
import json
import os
import threading

from lib import http, tap
from lib.tools import OPENAI, ToolStack, ToolUpstream
from lib.upstream import chunk, gated, hang, text
from lib.wait import SCALE, until

D = OPENAI
LIMIT = 20  # turns that may wait behind a running one
TOKENS = {"ann": "ann-secret-token-0123456789", "bob": "bob-secret-token-0123456789"}


def busy(t, key, sid=None):
    """A turn that runs until the gate is set; returns (the 202, the gate)."""
    gate = threading.Event()
    t.up.on(key, gated([f"{key}."], gate, ["!"]))
    turn = t.say(key, sid)
    t.up.wait(key)
    return turn, gate


def queued(t, sid, key, **more):
    t.up.on(key, text(f"{key}."))
    return t.say(key, sid, on_busy="queue", **more)


def code(response):
    return response.status, response.error()["code"]


def answers(t, sid):
    """(role, content) of all messages."""
    return [(m["role"], m["content"], m["status"]) for m in t.messages(sid, "?limit=200")["messages"]]


def kinds(t, sid, *names):
    return [(e["type"], e["turn_id"]) for e in t.events(sid) if e["type"] in names]


def wait_all(t, *turns):
    for turn in turns:
        t.wait_state(turn["turn_id"], "done", timeout=30)


# --- queue ---


def test_a_queued_message_runs_next_and_is_seen_before_that(t):
    """API-4, SDC-8"""
    first, gate = busy(t, "first")
    sid = first["session_id"]
    v = t.viewer(sid)
    v.next()
    one, two = queued(t, sid, "one"), queued(t, sid, "two")
    for n, turn in ((1, one), (2, two)):
        tap.eq((turn["queued"], turn["position"], turn["created"], turn["session_id"]), (True, n, False, sid), "the answer")
        tap.eq(turn["generation"], first["generation"] + n, "the generation that it will have")
    e = v.until("turn_queued")
    tap.eq((e.data["turn_id"], e.data["position"], e.data["content"]), (one["turn_id"], 1, "one"), "turn_queued")
    snap = t.snapshot(sid)
    tap.eq(snap["queue"], [{"turn_id": one["turn_id"], "content": "one"}, {"turn_id": two["turn_id"], "content": "two"}],
           "the queue in the snapshot")
    tap.eq((snap["state"], snap["turn"]["id"]), ("processing", first["turn_id"]), "what runs")
    tap.eq([m["content"] for m in snap["messages"] if m["role"] == "user"], ["first"], "not yet said")
    gate.set()
    wait_all(t, first, one, two)
    tap.eq(answers(t, sid), [("user", "first", "complete"), ("assistant", "first.!", "complete"),
                             ("user", "one", "complete"), ("assistant", "one.", "complete"),
                             ("user", "two", "complete"), ("assistant", "two.", "complete")], "the conversation")
    order = [first["turn_id"], one["turn_id"], two["turn_id"]]
    tap.eq([x for _, x in kinds(t, sid, "response_start")], order, "starts")
    tap.eq([x["generation"] for x in t.log.turns(sid)], [1, 2, 3], "generations")
    tap.eq(t.snapshot(sid)["queue"], [], "the queue afterwards")
    tap.eq(t.up.of("two")[0].json["messages"][-1]["content"], "two", "the last thing said")
    t.log.check_seqs(sid)


def test_queue_on_a_free_session_just_runs(t):
    """API-4"""
    t.up.on("free", text("at once"))
    turn = t.say("free", on_busy="queue")
    assert "queued" not in turn, turn
    tap.eq(t.wait_idle(turn["session_id"])["content"], "at once", "answer")
    t.up.on("free too", text("again"))
    turn = t.say("free too", turn["session_id"], on_busy="queue")
    assert "queued" not in turn, turn
    t.wait_idle(turn["session_id"])


def test_the_queue_waits_behind_a_prompt_too(t):
    """API-4, SDC-11"""
    t.up.on("asks", D.calls(("c1", "asks__write", '{"text":"q"}')), D.text("asked."))
    first = t.say("asks")
    sid = first["session_id"]
    prompt = t.prompts(sid)[0]
    t.wait_waiting(sid)
    one = queued(t, sid, "behind")
    tap.eq(one["position"], 1, "position")
    tap.eq([q["turn_id"] for q in t.snapshot(sid)["queue"]], [one["turn_id"]], "queue")
    t.answer(sid, prompt["id"], {"allow": True})
    wait_all(t, first, one)
    tap.eq([c for r, c, _ in answers(t, sid) if r == "assistant"], ["asked.", "behind."], "answers")


def test_a_queued_message_can_be_withdrawn(t):
    """API-4, SDC-3"""
    first, gate = busy(t, "keeps running")
    sid = first["session_id"]
    one, two, three = (queued(t, sid, f"w{i}") for i in range(3))
    v = t.viewer(sid)
    v.next()
    r = t.abort(sid, {"turn_id": two["turn_id"]})
    tap.eq((r.status, r.json()["turn_id"]), (202, two["turn_id"]), "withdrawn")
    e = v.until("aborted")
    tap.eq(e.data["turn_id"], two["turn_id"], "aborted names the queued turn")
    tap.eq(t.snapshot(sid)["state"], "processing", "the running turn goes on")
    tap.eq([q["turn_id"] for q in t.snapshot(sid)["queue"]], [one["turn_id"], three["turn_id"]], "the queue")
    tap.eq(code(t.abort(sid, {"turn_id": two["turn_id"]})), (409, "turn_mismatch"), "twice")
    gate.set()
    wait_all(t, first, one, three)
    tap.eq(t.log.turn(two["turn_id"])["state"], "aborted", "state of the withdrawn turn")
    tap.eq(t.up.of("w1"), [], "it was never asked")
    tap.eq([c for r, c, _ in answers(t, sid) if r == "user"], ["keeps running", "w0", "w2"], "what was said")
    t.log.check_seqs(sid)


def test_abort_of_the_running_turn_starts_the_next(t):
    """API-4, SDC-3"""
    t.up.on("stuck", hang(chunk("partly")))
    first = t.say("stuck")
    sid = first["session_id"]
    one = queued(t, sid, "next")
    until(lambda: t.log.text(sid) == "partly", "text")
    tap.eq(t.abort(sid, {"turn_id": first["turn_id"]}).status, 202, "abort")
    wait_all(t, one)
    tap.eq([(c, s) for r, c, s in answers(t, sid) if r == "assistant"], [("partly", "aborted"), ("next.", "complete")], "answers")


def test_a_full_queue_is_429_and_leaves_no_trace(t):
    """API-4, PRC-5"""
    first, gate = busy(t, "full")
    sid = first["session_id"]
    turns = [queued(t, sid, f"f{i}") for i in range(LIMIT)]
    tap.eq(turns[-1]["position"], LIMIT, "the last position")
    before = t.log.counts()
    tap.eq(code(t.post("one too many", sid, on_busy="queue")), (429, "too_many"), "one more")
    tap.eq(t.log.counts(), before, "rows")
    tap.eq(t.abort(sid, {"turn_id": turns[3]["turn_id"]}).status, 202, "withdraw one")
    turns.append(queued(t, sid, "now there is room"))
    gate.set()
    del turns[3]
    wait_all(t, *turns)
    wanted = ["full"] + [f"f{i}" for i in range(LIMIT) if i != 3] + ["now there is room"]
    tap.eq([c for r, c, _ in answers(t, sid) if r == "user"], wanted, "the order")


def test_reject_is_what_happens_without_a_word(t):
    """SDC-2, API-4"""
    first, gate = busy(t, "reject")
    sid = first["session_id"]
    for more in ({}, {"on_busy": "reject"}):
        r = t.post("no", sid, **more)
        tap.eq((code(r), r.error()["turn_id"]), ((409, "already_processing"), first["turn_id"]), f"{more}")
    r = t.post("no", sid, on_busy="later")
    tap.eq((r.status, r.error().get("field")), (400, "on_busy"), "an unknown word")
    gate.set()
    t.wait_idle(sid)


def restart(s, how):
    if how == "term":
        s.chatd.term()
        s.chatd.start()
    else:
        s.kill_workers()
        until(lambda: len(s.worker_pids()) == s.workers, "the workers are there again")
    s.wait_ready()


def queue_through(t, how):
    with ToolStack(t.up, workers=1) as s:
        key = f"before the {how}"
        t.up.on(key, hang(chunk("x")), text("taken up."))
        first = s.say(key)
        sid = first["session_id"]
        t.up.wait(key)
        turns = [queued(s, sid, f"{how} {i}") for i in range(4)]
        s.abort(sid, {"turn_id": turns.pop(1)["turn_id"]})
        restart(s, how)
        wait_all(s, first, *turns)
        tap.eq([c for r, c, _ in answers(s, sid)],
               [key, "taken up.", f"{how} 0", f"{how} 0.", f"{how} 2", f"{how} 2.", f"{how} 3", f"{how} 3."], "the conversation")
        tap.eq([x for _, x in kinds(s, sid, "response_start")], [first["turn_id"]] + [x["turn_id"] for x in turns], "order")
        tap.eq([len(t.up.of(f"{how} {i}")) for i in (0, 2, 3)], [1, 1, 1], "each was asked once")
        s.log.check_seqs(sid)


def test_the_queue_survives_a_kill(t):
    """API-4, DUR-1, DUR-6"""
    queue_through(t, "kill")


def test_the_queue_survives_an_orderly_restart(t):
    """API-4, DUR-1, DUR-8"""
    queue_through(t, "term")


def test_the_queue_of_a_waiting_session_survives_a_kill(t):
    """API-4, SDC-11, DUR-6"""
    with ToolStack(t.up, workers=1) as s:
        t.up.on("asks and dies", D.calls(("c1", "asks__write", '{"text":"q"}')), D.text("asked."))
        first = s.say("asks and dies")
        sid = first["session_id"]
        prompt = s.prompts(sid)[0]
        s.wait_waiting(sid)
        one = queued(s, sid, "behind the prompt")
        restart(s, "kill")
        snap = s.snapshot(sid)
        tap.eq((snap["state"], [q["turn_id"] for q in snap["queue"]]), ("waiting", [one["turn_id"]]), "after the kill")
        s.answer(sid, prompt["id"], {"allow": True})
        wait_all(s, first, one)
        tap.eq([c for r, c, _ in answers(s, sid) if r == "assistant"], ["asked.", "behind the prompt."], "answers")


def test_delete_takes_the_queue_with_it(t):
    """SDC-6, API-4"""
    first, gate = busy(t, "deleted")
    sid = first["session_id"]
    queued(t, sid, "never asked")
    tap.eq(t.call("DELETE", f"/v1/sessions/{sid}").status, 204, "delete")
    gate.set()
    t.up.on("another session", text("fine"))
    t.wait_idle(t.say("another session")["session_id"])
    tap.eq(t.up.of("never asked"), [], "requests")


def test_a_full_worker_still_takes_what_adds_no_turn(t):
    """SDC-2, API-4"""
    with ToolStack(t.up, workers=1, keys={"max_turns": 1}) as s:
        t.up.on("the only one", hang(chunk("x")))
        first = s.say("the only one")
        sid = first["session_id"]
        until(lambda: s.log.text(sid) == "x", "text")
        r = s.post("no", sid)
        tap.eq((code(r), r.error()["turn_id"]), ((409, "already_processing"), first["turn_id"]), "refused for its own reason")
        one = queued(s, sid, "in line")
        tap.eq(code(s.post("elsewhere")), (503, "overloaded"), "another session")
        t.up.on("instead", text("instead."))
        now = s.say("instead", sid, on_busy="interrupt")
        wait_all(s, now, one)
        tap.eq([c for r, c, _ in answers(s, sid) if r == "assistant"], ["x", "instead.", "in line."], "answers")
        t.up.on("asks first", D.calls(("c1", "asks__write", '{"text":"q"}')), D.text("never"))
        waits = s.say("asks first")["session_id"]
        s.wait_waiting(waits)
        t.up.on("runs", hang(chunk("x")))
        runs = s.say("runs")["session_id"]
        tap.eq(code(s.post("more", waits, on_busy="interrupt")), (503, "overloaded"), "instead of one that waits")
        tap.eq(s.snapshot(waits)["state"], "waiting", "it still waits")
        s.abort(runs)


# --- interrupt ---


def test_an_interrupting_message_runs_at_once_ahead_of_the_queue(t):
    """API-4, SDC-3"""
    t.up.on("talks", hang(chunk("bla")))
    first = t.say("talks")
    sid = first["session_id"]
    until(lambda: t.log.text(sid) == "bla", "text")
    one = queued(t, sid, "waits in line")
    v = t.viewer(sid)
    v.next()
    t.up.on("stop that", text("yes?"))
    now = t.say("stop that", sid, on_busy="interrupt")
    assert "queued" not in now and now["generation"] > first["generation"], now
    aborted = v.until("aborted")
    tap.eq((aborted.data["turn_id"], aborted.data["reason"]), (first["turn_id"], "interrupt"), "aborted")
    tap.eq(v.next().name, "response_start", "at once")
    wait_all(t, now, one)
    until(lambda: t.up.of("talks")[0].closed or t.up.of("talks")[0].is_gone(), "the provider's connection is closed")
    tap.eq([(c, s) for r, c, s in answers(t, sid) if r == "assistant"],
           [("bla", "aborted"), ("yes?", "complete"), ("waits in line.", "complete")], "answers")
    t.log.check_seqs(sid)


def test_interrupt_on_a_free_session_just_runs(t):
    """API-4"""
    t.up.on("nothing to interrupt", text("ok"))
    sid = t.say("nothing to interrupt", on_busy="interrupt")["session_id"]
    t.wait_idle(sid)
    tap.eq(kinds(t, sid, "aborted"), [], "aborted")


def test_many_interrupts_at_once_leave_one_answer(t):
    """API-4, SDC-18"""
    t.up.on("storm", hang(chunk("x")))
    sid = t.say("storm")["session_id"]
    t.up.on("interrupting", text("calm"))
    got = []

    def one():
        got.append(t.post("interrupting", sid, on_busy="interrupt").status)

    threads = [threading.Thread(target=one) for _ in range(20)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    tap.eq(got, [202] * 20, "answers")
    tap.eq(t.wait_idle(sid)["content"], "calm", "the last answer")
    rows = t.log.turns(sid)
    tap.eq(([r["generation"] for r in rows], {r["state"] for r in rows} - {"done", "aborted"}),
           (list(range(1, 22)), set()), "generations and ends")
    ends = kinds(t, sid, "aborted", "response_end", "error")
    tap.eq(len(ends), 21, "exactly one end each")
    t.log.check_seqs(sid)


# --- Idempotency-Key ---


def keyed(s, key, body, owner=None, **kw):
    headers = {"Idempotency-Key": key}
    if owner:
        headers["Authorization"] = "Bearer " + TOKENS[owner]
    return s.call("POST", "/v1/messages", body, headers, **kw)


def turns_of(s, content):
    """Turns that were started or queued by a message of this text."""
    return s.log.one("SELECT count(*) FROM messages WHERE role = 'user' AND content = ?", json.dumps(content))


def test_a_message_that_is_sent_again_gets_the_first_answer_and_starts_nothing(t):
    """DUR-5"""
    t.up.on("twice", text("once"))
    body = {"content": "twice"}
    first = keyed(t, "k-twice", body)
    tap.eq(first.status, 202, "first")
    again = keyed(t, "k-twice", body)
    tap.eq((again.status, again.body), (202, first.body), "again")
    sid = first.json()["session_id"]
    t.wait_idle(sid)
    tap.eq(keyed(t, "k-twice", body).body, first.body, "after the end")
    tap.eq((turns_of(t, "twice"), len(t.up.of("twice"))), (1, 1), "turns and requests")
    more = keyed(t, "k-other", body)
    assert more.status == 202 and more.json()["turn_id"] != first.json()["turn_id"], "another key is another message"
    t.wait_idle(more.json()["session_id"])


def test_the_same_key_with_another_body_is_422(t):
    """DUR-5"""
    t.up.on("body one", text("x"))
    first = keyed(t, "k-body", {"content": "body one"})
    tap.eq(first.status, 202, "first")
    for body in ({"content": "body two"}, {"content": "body one", "model": "test-model"},
                 {"content": "body one", "session_id": first.json()["session_id"]}):
        before = t.log.counts()["turns"]
        r = keyed(t, "k-body", body)
        tap.eq(code(r), (422, "idempotency_mismatch"), f"{body}")
        tap.eq(t.log.counts()["turns"], before, "turns")
    t.wait_idle(first.json()["session_id"])


def test_a_message_into_a_session_can_be_sent_again_too(t):
    """DUR-5, SDC-2"""
    first, gate = busy(t, "opens")
    sid = first["session_id"]
    t.up.on("into it", text("yes"))
    body = {"content": "into it", "session_id": sid, "on_busy": "queue"}
    one = keyed(t, "k-into", body)
    tap.eq((one.status, one.json()["queued"]), (202, True), "queued")
    tap.eq(keyed(t, "k-into", body).body, one.body, "again")
    tap.eq(len(t.snapshot(sid)["queue"]), 1, "queue")
    gate.set()
    t.wait_state(one.json()["turn_id"], "done")
    tap.eq((keyed(t, "k-into", body).body, len(t.up.of("into it"))), (one.body, 1), "later")


def test_a_refusal_is_not_remembered(t):
    """DUR-5"""
    tap.eq(keyed(t, "k-refused", {"content": "x", "provider": "none"}).status, 400, "refused")
    first, gate = busy(t, "is busy")
    sid = first["session_id"]
    body = {"content": "not now", "session_id": sid}
    tap.eq(code(keyed(t, "k-later", body)), (409, "already_processing"), "busy")
    gate.set()
    t.wait_idle(sid)
    t.up.on("not now", text("now"))
    tap.eq(keyed(t, "k-later", body).status, 202, "the same message later")
    tap.eq(t.wait_idle(sid)["content"], "now", "answer")


def test_of_twenty_at_once_one_starts(t):
    """DUR-5"""
    for n in range(5):
        t.up.on(f"at once {n}", text("x"))
        got, ready = [], threading.Barrier(20)

        def one():
            with http.Connection(t.port) as c:
                ready.wait()  # noqa: B023
                r = c.request("POST", "/v1/messages", {"content": f"at once {n}"}, {"Idempotency-Key": f"k-{n}"})  # noqa: B023
                got.append((r.status, r.body))  # noqa: B023

        threads = [threading.Thread(target=one) for _ in range(20)]
        for x in threads:
            x.start()
        for x in threads:
            x.join()
        tap.eq(len(got), 20, "answers")
        tap.eq({s for s, _ in got}, {202}, "statuses")
        tap.eq(len({b for _, b in got}), 1, "different answers")
        t.wait_idle(json.loads(got[0][1])["session_id"])
        tap.eq((turns_of(t, f"at once {n}"), len(t.up.of(f"at once {n}"))), (1, 1), "turns and requests")


def test_one_key_in_two_sessions_of_two_workers_at_once_starts_one_turn(t):
    """DUR-5"""
    pairs, started = 40, [[], []]
    t.up.on("warm up", text("ok"))
    while min(map(len, started)) < pairs:  # sessions are spread at random
        sid = t.say("warm up")["session_id"]
        t.wait_idle(sid)
        line = next(x for x in t.chatd.log().splitlines() if "turn.start" in x and sid in x)
        started["worker.1" in line].append(sid)
    waited = 0
    for n, two in enumerate(zip(*started)):
        t.up.on(f"raced {n}", text("ok"))
        head = {"Idempotency-Key": f"raced-{n}"}
        bodies = [json.dumps({"session_id": sid, "content": f"raced {n}"}).encode() for sid in two]
        with http.Connection(t.port) as one, http.Connection(t.port) as other:
            for c, body in zip((one, other), bodies):
                c.send(http.head("POST", "/v1/messages", t.port, head, body) + body)
            got = [one.response("POST"), other.response("POST")]
        for i, body in enumerate(bodies):
            if got[i].status == 503:
                waited += 1
                tap.eq(code(got[i]), (503, "worker_unavailable"), f"pair {n}: {got[i]}")
                got[i] = until(lambda: (lambda r: r.status != 503 and r)(  # noqa: B023
                    t.call("POST", "/v1/messages", body, head)), "the key is stored")  # noqa: B023
        tap.eq(sorted(r.status for r in got), [202, 422], f"pair {n}")
        tap.eq(t.log.one("SELECT count(*) FROM v_messages WHERE role = 'user' AND content = ?",
                         json.dumps(f"raced {n}")), 1, f"pair {n}: messages")
        lost = next(i for i, r in enumerate(got) if r.status == 422)
        tap.eq(code(got[lost]), (422, "idempotency_mismatch"), f"pair {n}")
        tap.eq(len(t.log.turns(two[lost])), 1, "turns of the session that was refused")
    assert waited > 0, "no two were in the workers at once: this showed nothing"
    tap.note(f"{waited} of {pairs} pairs met")


def test_it_is_still_known_after_a_restart_and_a_kill(t):
    """DUR-5, DUR-1"""
    with ToolStack(t.up, workers=2) as s:
        t.up.on("remembered", text("x"))
        body = {"content": "remembered"}
        first = keyed(s, "k-r", body)
        s.wait_idle(first.json()["session_id"])
        for how in ("term", "kill"):
            restart(s, how)
            tap.eq((keyed(s, "k-r", body).body, turns_of(s, "remembered")), (first.body, 1), how)
            tap.eq(code(keyed(s, "k-r", {"content": "else"})), (422, "idempotency_mismatch"), how)


def test_retries_through_kills_start_each_message_once(t):
    """DUR-5, DUR-1"""
    rng = tap.seed()
    with ToolStack(t.up, workers=2) as s:
        fault = []

        def client(n):
            for i in range(6):
                key = f"client-{n}-{i}"
                t.up.on(key, text("x"))
                body, answer = {"content": key}, None
                for _ in range(int(400 * SCALE)):
                    try:
                        r = keyed(s, key, body, timeout=5)
                    except (OSError, TimeoutError):
                        continue
                    if r.status == 202:
                        answer = r
                        break
                    if r.status != 503:
                        fault.append(f"{key}: {r}")
                        return
                    threading.Event().wait(0.02)
                if not answer:
                    fault.append(f"{key} was never accepted")
                elif keyed_again(key, body) != answer.body:
                    fault.append(f"{key}: another answer")

        def keyed_again(key, body):
            r = until(lambda: (lambda r: r if r.status != 503 else None)(keyed(s, key, body)), "an answer", 20)
            return r.body

        clients = [threading.Thread(target=client, args=(n,)) for n in range(6)]
        for c in clients:
            c.start()
        kills = 0
        while any(c.is_alive() for c in clients) and kills < 3:
            threading.Event().wait(0.05 + rng.random() * 0.15)
            pids = s.worker_pids()
            if len(pids) == 2:
                s.kill_workers(rng.choice(list(pids)))
                kills += 1
        for c in clients:
            c.join()
        assert not fault, fault
        for n in range(6):
            for i in range(6):
                tap.eq(turns_of(s, f"client-{n}-{i}"), 1, f"turns of client {n} {i}")
        tap.note(f"{kills} kills")


def test_owners_have_keys_of_their_own(t):
    """DUR-5, SEC-2"""
    with ToolStack(t.up, workers=1, start=False) as s:
        with open(os.path.join(s.dir, "tokens"), "w", encoding="ascii") as f:
            for owner, token in TOKENS.items():
                f.write(f"{owner}:{hashlib.sha256(token.encode()).hexdigest()}\n")
        os.chmod(os.path.join(s.dir, "tokens"), 0o600)
        s.streamerd_extra = f"[auth]\nmode = tokens\ntokens_file = {s.dir}/tokens\n"
        s.write_conf()
        s.start()
        t.up.on("whose", text("x"))
        ann, bob = (keyed(s, "the-same-key", {"content": "whose"}, owner) for owner in ("ann", "bob"))
        tap.eq((ann.status, bob.status), (202, 202), "statuses")
        assert ann.json()["session_id"] != bob.json()["session_id"]
        tap.eq(keyed(s, "the-same-key", {"content": "whose"}, "bob").body, bob.body, "bob again")
        tap.eq(turns_of(s, "whose"), 2, "turns")


BAD_KEYS = ["", "x" * 256, "with blank", "ümlaut", "tab\there"]


def test_keys_have_a_form(t):
    """DUR-5, API-2"""
    for key in BAD_KEYS:
        r = keyed(t, key, {"content": "never"})
        tap.eq((r.status, r.error().get("field")), (400, "Idempotency-Key"), repr(key[:20]))
    t.up.on("the longest key", text("x"))
    r = keyed(t, "y" * 255, {"content": "the longest key"})
    tap.eq(r.status, 202, "255 characters")
    t.wait_idle(r.json()["session_id"])
    tap.eq(turns_of(t, "never"), 0, "turns")


if __name__ == "__main__":
    with ToolUpstream() as up:
        with ToolStack(up, workers=2) as stack:
            tap.run(globals(), stack)
    tap.finish()
