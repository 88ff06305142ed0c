"""GET /v1/events: several sessions on one stream, each as on its own."""

import socket
import time

from lib import http, tap, upstream
from lib.daemons import Stack
from lib.db import frame_data
from lib.several import Several
from lib.tools import OPENAI, ToolUpstream
from lib.upstream import Upstream
from lib.wait import SCALE, Late


def compare_with_log(t, v, sids):
    """Every event that was shown is in the log, byte for byte."""
    for sid in sids:
        rows = {r["seq"]: r for r in t.log.events(sid)}
        for e in v.of(sid):
            if e.name != "snapshot":
                tap.eq((e.name, e.raw), (rows[e.seq]["type"], frame_data(rows[e.seq])), f"{e.id} of {sid}")


def texts_of(i, n):
    return [f"{i}.{k} " for k in range(n)]


def finished(t, key, *texts):
    turn = t.say(t.up.on(key, upstream.text(*texts)))
    t.wait_idle(turn["session_id"])
    return turn["session_id"]


def nothing_comes(v, seconds=0.3):
    try:
        e = v.next(seconds)
    except Late:
        return
    raise AssertionError(f"{e} came")


def test_30_sessions_of_4_workers_on_one_stream_are_each_what_its_own_stream_shows(t):
    """API-3, SDC-8, SDC-10, DUR-2, FAF-3"""
    rng = tap.seed()
    texts = [[f"{i}.{k} " * rng.randint(1, 4) for k in range(80)] for i in range(30)]
    turns = [t.say(t.up.on(f"thirty {i}", upstream.drip(texts[i], 40))) for i in range(30)]
    sids = [turn["session_id"] for turn in turns]
    v = Several(t.port, sids)
    tap.eq(v.status, 200, "status")
    singles = [t.viewer(sid) for sid in sids]
    v.until_idle(*sids, timeout=60)
    compare_with_log(t, v, sids)
    for i, sid in enumerate(sids):
        singles[i].to_end(60)
        alone = {(e.name, e.seq): e.raw for e in singles[i].events if e.name != "snapshot"}
        shared = {(e.name, e.seq): e.raw for e in v.of(sid) if e.name != "snapshot"}
        assert set(alone.items()) <= set(shared.items()) or set(shared.items()) <= set(alone.items()), sid
        tap.eq(v.of(sid)[0].name, "snapshot", "the first event of a session")
        tap.eq(v.states[sid].shown(), singles[i].state.shown(), f"what is shown of {i}")
        tap.eq(v.states[sid].content, "".join(texts[i]), f"text of {i}")
        tap.eq([e.name for e in v.of(sid)].count("snapshot"), 1, "snapshots")
        singles[i].close()
    v.close()


def test_a_stream_that_is_cut_at_random_points_goes_on_with_its_cursors(t):
    """DUR-4, SDC-10"""
    rng = tap.seed()
    turns = [t.say(t.up.on(f"cut {i}", upstream.drip(texts_of(i, 100), 30))) for i in range(12)]
    sids = [turn["session_id"] for turn in turns]
    seen = {sid: [] for sid in sids}
    v, visits = None, 0
    while not v or not all(v._is_idle(s) for s in sids):
        v = Several(t.port, sids if visits % 3 else None, before=v)
        visits += 1
        assert v.status == 200, v.response
        for _ in range(rng.randint(1, 200)):
            try:
                v.next(0.3)
            except Late:
                break
        for e in v.events:
            seen.setdefault(e.session_id, []).append(e)  # all shows those of other tests as well
        v.close(reset=rng.random() < 0.5)
        assert visits < 500
    for i, sid in enumerate(sids):
        seqs = [e.seq for e in seen[sid]]
        tap.eq(seqs, list(range(seqs[0], seqs[0] + len(seqs))), f"seqs of {i} without hole or repeat")
        tap.eq([e.name for e in seen[sid]].count("snapshot"), 1, f"snapshots of {i}")
        tap.eq(v.states[sid].content, "".join(texts_of(i, 100)), f"text of {i}")
    tap.note(f"{visits} visits")


def test_what_can_not_be_served_begins_with_a_snapshot_that_says_so(t):
    """DUR-4"""
    a, b = finished(t, "reasons a", "abc"), finished(t, "reasons b", "def")
    seq = t.snapshot(a)["seq"]
    for cursor, reason in (("1-99999", "ahead"), ("9-2", "other_history"), ("x", "unknown"), ("", "unknown")):
        v = Several(t.port, [a, b], headers={"Last-Event-ID": f"{a}@{cursor}"})
        v.until_idle(a, b)
        tap.eq(v.reasons[a], reason, f"reason of cursor {cursor!r}")
        tap.eq(v.reasons[b], None, "reason of one without a cursor")
        v.close()
    v = Several(t.port, [a, b], headers={"Last-Event-ID": f"1-{seq}"})  # what an EventSource says
    v.until_idle(a, b)
    tap.eq(v.reasons, {a: "unknown", b: "unknown"}, "reasons")
    v.close()
    # as a query; and one that has everything is told nothing
    v = Several(t.port, query=f"?sessions={a},{b}&last_event_id={a}@1-{seq}")
    v.until_idle(b)
    nothing_comes(v)
    assert a not in v.states
    v.close()


def test_what_is_wrong_with_a_request_is_said_at_once(t):
    """API-1, FAF-2"""
    a = finished(t, "wrong", "x")
    many = ",".join(f"s{i}" for i in range(513))
    for query, field in (("?sessions=", "sessions"), (f"?sessions={a},", "sessions"), ("?sessions=a%20b", "sessions"),
                         (f"?sessions={a},{a}", "sessions"), (f"?sessions={many}", "sessions"),
                         ("?since=yesterday", "since"), ("?until=idle", "until")):
        r = t.call("GET", "/v1/events" + query)
        tap.eq((r.status, r.error()["code"], r.error()["field"]), (400, "bad_field", field), query[:40])
    tap.eq(t.call("GET", "/v1/events?sessions=ses_none,ses_nobody").status, 404, "none of them exists")
    tap.eq(t.call("POST", "/v1/events").status, 405, "POST")
    tap.eq(t.call("HEAD", "/v1/events").status, 200, "HEAD")


def test_one_session_that_is_gone_does_not_take_the_others_along(t):
    """SDC-6, SEC-2"""
    a, b, c = (finished(t, f"gone {x}", x) for x in "abc")
    tap.eq(t.call("DELETE", f"/v1/sessions/{a}").status, 204, "DELETE")
    v = Several(t.port, [a, b, c, "ses_never"])
    v.until_idle(b, c)
    v.until_gone(a, "ses_never")
    tap.eq(v.gone, {a, "ses_never"}, "gone")
    tap.eq(t.call("DELETE", f"/v1/sessions/{b}").status, 204, "DELETE")
    e = v.next()
    tap.eq((e.name, e.session_id), ("session_cleared", b), "the last event of the second")
    t.say(t.up.on("goes on", upstream.text("still ", "here")), c)
    v.until(lambda e: e.is_terminal())
    tap.eq(v.states[c].content, "still here", "text of the third")
    t.call("DELETE", f"/v1/sessions/{c}")
    v.drain()
    tap.eq(v.events[-1].name, "session_cleared", "the last event of all")
    tap.eq(t.call("GET", f"/v1/events?sessions={a},{b},{c}").status, 404, "status when none is left")


def test_all_shows_what_is_at_work_and_what_begins_later(t):
    """SDC-8, FAF-3, SDC-6"""
    idle = finished(t, "idle before", "quiet")
    running = t.say(t.up.on("runs", upstream.drip(texts_of(0, 200), 50)))["session_id"]
    t.viewer(running).until("response_chunk")
    v = Several(t.port)
    e = v.next()
    tap.eq((e.name, e.session_id, e.data["state"]), ("snapshot", running, "processing"), "what comes first")
    created = t.say(t.up.on("later", upstream.text("new ", "one")))["session_id"]
    v.until(lambda e: e.session_id == created)
    tap.eq(v.of(created)[0].name, "snapshot", "the first event of one that was created later")
    again = t.say(t.up.on("idle again", upstream.text("loud")), idle)["session_id"]
    v.until_idle(created, again, running)
    tap.eq((v.states[created].content, v.states[again].content, v.states[running].content),
           ("new one", "loud", "".join(texts_of(0, 200))), "texts")
    v.until_idle(running)
    # the next turn of one that is shown goes on with events
    t.say(t.up.on("second turn", upstream.text("twice")), created)
    e = v.next()
    tap.eq((e.name, e.session_id), ("response_start", created), "how the next turn begins")
    v.until_idle(created)
    silent = finished(t, "deleted unseen", "x")
    v.until_idle(silent)
    t.call("DELETE", f"/v1/sessions/{silent}")
    e = v.next()
    tap.eq((e.name, e.session_id), ("session_cleared", silent), "a deleted one")
    compare_with_log(t, v, [idle, running, created])
    v.close()
    # now nothing runs: nothing comes; a session that is deleted without having been shown says so
    v = Several(t.port)
    nothing_comes(v)
    t.call("DELETE", f"/v1/sessions/{idle}")
    e = v.next()
    tap.eq((e.name, e.session_id), ("session_cleared", idle), "an idle one that is deleted")
    v.close()


def test_who_was_away_hears_of_what_began_and_ended_meanwhile(t):
    """DUR-4, DUR-7"""
    a = t.say(t.up.on("away a", upstream.drip(texts_of(1, 60), 40)))["session_id"]
    v = Several(t.port)
    v.until(lambda e: e.session_id == a and e.name == "response_chunk")
    v.close()
    t.wait_idle(a)
    b = finished(t, "away b", "unseen")
    w = Several(t.port, before=v)
    w.until_idle(a, b)
    tap.eq(w.states[a].content, "".join(texts_of(1, 60)), "text of the one that it had seen")
    tap.eq(w.of(a)[0].seq, v.expect[a] + 1, "it goes on where it was")
    tap.eq(w.of(b)[0].name, "snapshot", "the one that it had not seen")
    w.close()
    # and an EventSource, which has only the last id
    x = Several(t.port, headers={"Last-Event-ID": v.cursors[a]})
    x.until_idle(a, b)
    tap.eq((x.reasons[a], x.reasons[b]), ("unknown", "unknown"), "reasons")
    x.close()


def test_a_slow_reader_loses_nothing_and_delays_nobody(t):
    """PRC-5, SDC-4, DUR-4"""
    big = "y" * 3000
    keys = [t.up.on(f"slow {i}", upstream.drip([big] * 300, 300)) for i in range(4)]
    sids = [t.say(k)["session_id"] for k in keys]
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", t.port))
    s.sendall(http.head("GET", "/v1/events?sessions=" + ",".join(sids), t.port, {}, None))
    fast = Several(t.port, sids)
    began = time.monotonic()
    fast.until_idle(*sids, timeout=60)
    took = time.monotonic() - began
    assert took < 20 * SCALE, f"the fast one took {took:.1f} s"
    fast.close()
    # what has gathered for the slow one comes in one piece, from the log, whole frames only
    slow = Several.__new__(Several)
    slow.states, slow.expect, slow.cursors, slow.newest, slow.gone, slow.reasons = {}, {}, {}, "", set(), {}
    slow.events, slow.notices, slow.comments, slow.ended = [], [], 0, False
    slow._seen_retry, slow._block, slow._rest, slow._chunked = False, [], bytearray(), False
    slow.sock, slow.reader = s, http.Reader(s)
    http.read_head(slow.reader, time.monotonic() + 10 * SCALE)
    slow.until_idle(*sids, timeout=60)
    for sid in sids:
        tap.eq(len(slow.states[sid].content), 300 * len(big), "text of the slow one")
    compare_with_log(t, slow, sids)
    s.close()


def test_a_worker_that_is_killed_is_seen_by_its_sessions_alone(t):
    """DUR-6, FAF-3"""
    keys = [t.up.on(f"kill {i}", upstream.drip(texts_of(i, 150), 60)) for i in range(12)]
    sids = [t.say(k)["session_id"] for k in keys]
    listed, every = Several(t.port, sids), Several(t.port)
    for v in (listed, every):
        v.until_shown(*sids)
    t.kill_workers(1)
    later = t.say(t.up.on("after the kill", upstream.text("fine")))["session_id"]
    for v in (listed, every):
        v.until_idle(*sids, timeout=60)
        for i, sid in enumerate(sids):
            tap.eq(v.states[sid].content, "".join(texts_of(i, 150)), f"text of {i}")
        compare_with_log(t, v, sids)
    every.until_idle(later)
    resumed = {e.session_id for e in listed.events if e.name == "turn_resumed"}
    assert 0 < len(resumed) < len(sids), f"{len(resumed)} were resumed"
    for v in (listed, every):
        v.close()


def test_streamerd_killed_and_back(t):
    """DUR-7"""
    keys = [t.up.on(f"stream kill {i}", upstream.drip(texts_of(i, 120), 60)) for i in range(8)]
    sids = [t.say(k)["session_id"] for k in keys]
    v, every = Several(t.port, sids), Several(t.port)
    v.until_shown(*sids)
    every.until_shown(*sids)
    t.restart_streamerd()
    v.drain()
    every.drain()
    late = finished(t, "meanwhile", "unseen")
    w, all_again = Several(t.port, sids, before=v), Several(t.port, before=every)
    w.until_idle(*sids)
    all_again.until_idle(*sids, late)
    for i, sid in enumerate(sids):
        tap.eq(w.states[sid].content, "".join(texts_of(i, 120)), f"text of {i}")
        tap.eq(all_again.states[sid].content, "".join(texts_of(i, 120)), f"text of {i} on the stream of all")
        assert sid not in w.reasons, "with a cursor no snapshot is needed"
    w.close()
    all_again.close()


def test_who_asked_for_it_hears_that_a_list_is_to_be_read_again(t):
    """CLI-2, API-3, SDC-12"""
    with Several(t.port, query="?sessions=&changes=1") as v:
        v.until_changed()
        turn = t.say(t.up.on("a change", upstream.drip(["a ", "b "], 20)))
        sid = turn["session_id"]
        v.until_listed(t, sid, lambda s: s and s["state"] == "processing" and s["title"] == "a change")
        v.until_listed(t, sid, lambda s: s["state"] == "idle" and s["last_turn"] == "done")
        t.up.on("it fails", upstream.error(400, {"error": {"message": "no", "type": "bad"}}))
        t.say("it fails", session_id=sid)
        v.until_listed(t, sid, lambda s: s["state"] == "idle" and s["last_turn"] == "error")
        tap.eq(t.call("DELETE", f"/v1/sessions/{sid}").status, 204, "deleted")
        v.until_listed(t, sid, lambda s: s is None)
        t.kill_workers()
        v.until_changed(30)  # who is back does not know what was missed
        t.wait_ready()
        tap.eq((v.events, v.states), ([], {}), "nothing is shown but that")
    for query, field in (("?changes=1", "changes"), ("?sessions=&changes=yes", "changes"), ("?sessions=", "sessions")):
        r = t.call("GET", "/v1/events" + query)
        tap.eq((r.status, r.json()["error"]["field"]), (400, field), query)


def test_two_owners_never_see_each_other(t):
    """SEC-2, API-1"""
    import test_auth
    with ToolUpstream() as up, test_auth.AuthStack(up) as s:
        up.on("of ann", OPENAI.text("secret of ann"))
        up.on("of bob", OPENAI.text("secret of bob"))
        both = {}
        every = {who: Several(s.port, headers=head) for who, head in (("ann", test_auth.ANN), ("bob", test_auth.BOB))}
        for who, head in (("ann", test_auth.ANN), ("bob", test_auth.BOB)):
            r = s.call("POST", "/v1/messages", {"content": f"of {who}", "provider": OPENAI.provider}, head)
            tap.eq(r.status, 202, f"POST of {who}: {r}")
            both[who] = r.json()["session_id"]
        for who, v in every.items():
            v.until_idle(both[who])
            nothing_comes(v)
            tap.eq(set(v.states), {both[who]}, f"sessions that {who} is shown")
        v = Several(s.port, list(both.values()), headers=test_auth.ANN)
        v.until_idle(both["ann"])
        v.until_gone(both["bob"])
        tap.eq((v.gone, set(v.states)), ({both["bob"]}, {both["ann"]}), "what ann is shown")
        tap.eq(s.call("GET", f"/v1/events?sessions={both['bob']}", headers=test_auth.ANN).status, 404, "status")
        s.call("DELETE", f"/v1/sessions/{both['bob']}", headers=test_auth.BOB)
        e = every["bob"].next()
        tap.eq(e.name, "session_cleared", "what bob is shown")
        nothing_comes(every["ann"])
        tap.eq(s.call("GET", "/v1/events").status, 401, "without a token")
        for x in (v, *every.values()):
            x.close()


if __name__ == "__main__":
    with Upstream() as up:
        with Stack(up, workers=4) as stack:
            tap.run(globals(), stack)
    tap.finish()
