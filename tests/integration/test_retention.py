"""Retention: what goes, what stays, what viewers get, and a log of an older version that comes under it."""

import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile

from lib import sse, tap, upstream
from lib.daemons import Stack
from lib.load import CHATCTL, verify
from lib.upstream import Upstream
from lib.wait import until

GOLDEN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "golden", "log")
SOON = "[retention]\nkeep_deltas = 1ms\n"


def wait_round(t, condition, what):
    """A reload begins a round at once."""
    def came():
        os.kill(t.chatd.pid, signal.SIGHUP)
        return condition()

    return until(came, what, 30, poll=0.1)


def folded(t, turn):
    return t.log.one("SELECT folded FROM turns WHERE id = ?", turn["turn_id"]) == 2


def shown(snapshot):
    return {k: v for k, v in snapshot.items() if k not in ("ts", "reason")}


def clean(t):
    status, said, complaint = verify(t.db_path)
    tap.eq((status, complaint), (0, ""), f"verify: {said}")


def test_a_finished_turn_is_folded_into_its_answer(up):
    """OPS-3, DUR-4, SDC-16"""
    with Stack(up, chatd=SOON) as t:
        up.on("one", upstream.text("first ", "answer"))
        up.on("two", upstream.text("second ", "answer"))
        first = t.say("one")
        session = first["session_id"]
        t.wait_idle(session)
        before, pages = t.snapshot(session), t.messages(session)
        end = f"{first['generation']}-{before['seq']}"
        wait_round(t, lambda: folded(t, first), "the turn is folded")
        tap.eq(t.log.one("SELECT count(*) FROM events"), 0, "events")
        tap.eq(shown(t.snapshot(session)), shown(before), "snapshot")
        tap.eq(t.messages(session), pages, "messages")
        clean(t)
        with t.viewer(session, f"{first['generation']}-2") as v:  # within what was folded
            e = v.next()
            tap.eq((e.name, e.data["reason"], e.data["content"]), ("snapshot", "too_old", "first answer"), "answer")
        tap.eq(sse.Viewer(t.port, session, end, query="?until=idle").status, 204, "it has everything")
        watcher = t.viewer(session, end)  # at the end of it: goes on without a snapshot
        second = t.say("two", session)
        watcher.to_end()
        tap.eq([e.name for e in watcher.events][0], "response_start", "first event")
        tap.eq(watcher.events[0].seq, before["seq"] + 1, "its seq")
        watcher.close()
        said = [m["content"] for m in up.requests[-1].json["messages"]]
        tap.eq(said[-3:], ["one", "first answer", "two"], "what the provider was told")
        wait_round(t, lambda: folded(t, second), "the second turn is folded")
        t.restart_streamerd()  # which has the latest events in memory, and serves them from there
        with t.viewer(session, end) as v:
            e = v.next()
            tap.eq((e.name, e.data["reason"], e.data["content"]), ("snapshot", "too_old", "second answer"), "before")
        clean(t)


def test_who_waits_or_queues_keeps_every_event(up):
    """OPS-3, SDC-11"""
    with Stack(up, chatd=SOON) as t:
        up.on("hangs", upstream.hang(upstream.chunk("so ")))
        idle, busy = t.say("one"), t.say("hangs")
        t.wait_idle(idle["session_id"])
        v = t.viewer(busy["session_id"])
        v.until(lambda e: v.state.content == "so ")
        n = t.log.one("SELECT count(*) FROM events e JOIN sessions s ON s.row = e.session WHERE s.id = ?",
                      busy["session_id"])
        wait_round(t, lambda: folded(t, idle), "the idle one is folded")
        tap.eq(len(t.log.events(busy["session_id"])), n, "events of the busy one")
        t.abort(busy["session_id"])
        v.to_end()
        wait_round(t, lambda: folded(t, busy), "it is folded once it is idle")
        clean(t)


def test_a_removed_session_is_gone_for_all(up):
    """OPS-3, SDC-6: viewers are told as on DELETE, whichever worker has them."""
    with Stack(up, chatd="[retention]\n") as t:
        turns = [t.say(f"n {i}") for i in range(6)]
        for turn in turns:
            t.wait_idle(turn["session_id"])
        viewers = [t.viewer(turn["session_id"]) for turn in turns]
        for v in viewers:
            v.next()
        young = t.say("young")
        t.wait_idle(young["session_id"])
        db = sqlite3.connect(t.db_path, isolation_level=None, timeout=10)
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute("UPDATE sessions SET updated_at = updated_at - 90 * 86400000 WHERE id <> ?", (young["session_id"],))
        db.close()
        t.chatd_extra = "[retention]\nkeep_sessions = 30d\n"
        t.write_conf()
        wait_round(t, lambda: t.log.one("SELECT count(*) FROM events e JOIN sessions s ON s.row = e.session "
                                        "WHERE s.removed_at IS NOT NULL") == 0 and
                   t.log.one("SELECT count(*) FROM v_sessions") == 1, "six sessions are gone")
        os.kill(t.chatd.pid, signal.SIGHUP)
        for v, turn in zip(viewers, turns):
            v.drain()
            tap.eq((v.events[-1].name, v.state.cleared), ("session_cleared", True), "viewer")
            tap.eq(v.events[-1].data["reason"], "retention", "reason")
            tap.eq(t.call("GET", f"/v1/sessions/{turn['session_id']}").error()["code"], "session_not_found", "GET")
            tap.eq(t.post("more", turn["session_id"]).error()["code"], "session_not_found", "POST")
        tap.eq([s["id"] for s in t.call("GET", "/v1/sessions").json()["sessions"]], [young["session_id"]], "list")
        clean(t)


def test_retention_while_turns_run(up):
    """OPS-3, SDC-1: many short turns, folded as soon as they end; nothing is lost or doubled."""
    with Stack(up, chatd=SOON) as t:
        sessions = [t.say("0")["session_id"] for _ in range(8)]
        viewers = [t.viewer(s) for s in sessions]
        for i in range(1, 12):
            os.kill(t.chatd.pid, signal.SIGHUP)
            for s in sessions:
                t.say(str(i), s, on_busy="queue")
        for s, v in zip(sessions, viewers):
            v.until(lambda e, v=v: v.state.ended.count("response_end") >= 11 and v.state.state == "idle", 60)
            contents = [m["content"] for m in t.messages(s, "?limit=100")["messages"] if m["role"] == "user"]
            tap.eq(contents, [str(i) for i in range(12)], "messages")
        wait_round(t, lambda: t.log.one("SELECT count(*) FROM turns WHERE folded < 2") == 0, "all are folded")
        clean(t)


def widen(t, session, n):
    """As if it had n events more, before those that its worker knows of."""
    db = sqlite3.connect(t.db_path, isolation_level=None, timeout=10)
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO events (session, "
               "seq, generation, turn, ts, type, payload) SELECT session, -i, generation, row, 1, 2, "
               "'{\"content\":\"some words\"}' FROM n, turns WHERE session = (SELECT row FROM sessions WHERE id = ?2)",
               (n, session))
    db.execute("INSERT INTO event_index SELECT session, seq, row FROM events WHERE seq < 0 AND session = (SELECT row "
               "FROM sessions WHERE id = ?)", (session,))
    db.close()


def test_a_huge_session_is_deleted_bit_by_bit(up):
    """SDC-6, OPS-3, DUR-5: it is gone at once, for all and for good; its rows go in slices, also over a crash."""
    n, key = 60000, {"Idempotency-Key": "k"}
    with Stack(up, chatd="[retention]\nkeep_deltas = 0\n") as t:
        first = t.call("POST", "/v1/messages", {"content": "secret"}, headers=key)
        sid, other = first.json()["session_id"], t.say("other")["session_id"]
        for s in (sid, other):
            t.wait_idle(s)
        row = t.log.one("SELECT row FROM sessions WHERE id = ?", sid)
        widen(t, sid, n)
        v = t.viewer(sid)
        v.next()

        def left(table="events"):
            return t.log.one(f"SELECT count(*) FROM {table} WHERE session = ?", row)

        def is_gone():
            for method in ("GET", "DELETE"):
                r = t.call(method, f"/v1/sessions/{sid}")
                tap.eq((r.status, r.error()["code"]), (404, "session_not_found"), method)
            tap.eq(t.post("more", sid).status, 404, "a message to it")
            tap.eq([s["id"] for s in t.call("GET", "/v1/sessions").json()["sessions"]], [other], "list")
            for view in ("v_sessions", "v_turns", "v_messages", "v_events"):
                tap.eq(t.log.one(f"SELECT count(*) FROM {view} WHERE session_id = ?", sid), 0, view)
            for args, status in ((["show", sid], 3), (["show", other], 0)):
                p = subprocess.run([CHATCTL, "-c", t.chatd_conf, *args], capture_output=True, text=True, check=False)
                tap.eq(p.returncode, status, f"chatctl {args}: {p.stderr}")

        tap.eq(t.call("DELETE", f"/v1/sessions/{sid}").status, 204, "DELETE")
        assert left() > n / 2, "it held up its worker until all was out"
        tap.eq(tuple(t.log.db.execute("SELECT title, system, metadata FROM sessions WHERE row = ?", (row,)).fetchone()),
               ("", None, None), "its own words")
        v.until("session_cleared")
        is_gone()
        until(lambda: 0 < left() < n, "it is being emptied, without waiting for the next round", 30, poll=0.05)
        t.kill_workers()
        t.wait_ready()
        is_gone()
        until(lambda: left("turns") == 0, "it is empty", 60)
        tap.eq((left(), left("event_index"), left("event_lag"), left("messages")), (0, 0, 0, 0), "events, messages")
        is_gone()
        again = t.call("POST", "/v1/messages", {"content": "secret"}, headers=key)
        tap.eq((again.status, again.json()), (202, first.json()), "the same POST once more")
        t.wait_idle(t.say("more", other)["session_id"])
        clean(t)


def from_golden(folder, version):
    path = os.path.join(folder, f"v{version}.db")
    db = sqlite3.connect(path)
    with open(os.path.join(GOLDEN, f"v{version}.sql"), encoding="utf-8") as f:
        db.executescript(f.read())
    db.execute("PRAGMA journal_mode = WAL")
    db.close()
    return path


def take_over(up, version):
    """Starts a stack on what an older release wrote."""
    folder = tempfile.mkdtemp(prefix="chatd-old-")
    path = from_golden(folder, version)
    old = sqlite3.connect(path)
    gone = "removed_at IS NOT NULL" if version > 1 else "0"
    sessions = [r[0] for r in old.execute(f"SELECT id FROM sessions WHERE NOT {gone}")]
    kept = f"NOT IN (SELECT row FROM sessions WHERE {gone})"
    counts = {n: old.execute(f"SELECT count(*) FROM {n} WHERE session {kept}").fetchone()[0]
              for n in ("events", "turns", "messages", "prompts")}
    views = {n: old.execute(f"SELECT * FROM {n} WHERE session_id IN ({','.join('?' * len(sessions))}) ORDER BY 1, 2, 3",
                            sessions).fetchall() for n in ("v_sessions", "v_turns", "v_messages", "v_events", "v_calls")}
    tap.eq(old.execute("PRAGMA user_version").fetchone(), (version,), "version before")
    old.close()
    with Stack(up, db=path, chatd="[retention]\nkeep_deltas = 0\n") as t:
        tap.eq(t.log.one("PRAGMA user_version"), 4, "version")
        tap.eq(t.log.one("PRAGMA auto_vacuum"), 2, "auto_vacuum")
        for name, n in counts.items():
            tap.eq(t.log.one(f"SELECT count(*) FROM {name} WHERE session IN (SELECT row FROM sessions WHERE "
                             "removed_at IS NULL)"), n, name)
        for name, rows in views.items():
            new = t.log.db.execute(f"SELECT * FROM {name} ORDER BY 1, 2, 3").fetchall()
            tap.eq([tuple(r)[:len(rows[0])] for r in new] if rows else new, rows, name)  # columns may be added
        tap.eq(t.log.one("PRAGMA integrity_check"), "ok", "integrity_check")
        clean(t)
        assert f"db.migrated from={version} to=4" in t.chatd.log(whole=True), "it is not said"
        tap.eq(sorted(s["id"] for s in t.call("GET", "/v1/sessions").json()["sessions"]), sorted(sessions), "sessions")
        waiting = t.log.one("SELECT session_id FROM v_open_prompts")
        tap.eq(t.snapshot(waiting)["state"], "waiting", "the one that waits")
        tap.eq(t.abort(waiting).status, 202, "abort")
        t.wait_idle(waiting)
        t.chatd_extra = SOON
        t.write_conf()
        wait_round(t, lambda: t.log.one("SELECT count(*) FROM v_turns WHERE NOT folded AND generation > 0") == 0,
                   "the old turns are folded")
        clean(t)
    shutil.rmtree(folder)


def test_a_log_of_version_1_is_taken_over(up):
    """OPS-6, OPS-2: what an older release wrote is migrated at start; all of it is still there, and views say the same."""
    take_over(up, 1)


def test_a_log_of_version_2_is_taken_over(up):
    """OPS-6, OPS-2, OPS-3: the same, with turns that are folded and a session that is being removed."""
    take_over(up, 2)


def test_a_log_of_version_3_is_taken_over(up):
    """OPS-6, OPS-2, DUR-3: the same; each event is found by its entry in the index."""
    take_over(up, 3)


if __name__ == "__main__":
    with Upstream() as provider:
        tap.run(globals(), provider)
    tap.finish()
