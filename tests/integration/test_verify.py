"""chatctl verify: a sound log is clean, also while it is written; whatever is changed in it is found."""

import json
import os
import pty
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
import tempfile

from lib import plan, tap, upstream
from lib.daemons import Stack
from lib.load import CHATCTL, SERVER, verify
from lib.upstream import Upstream

FIRST = "(SELECT row FROM turns WHERE state = 'done' ORDER BY row LIMIT 1)"
SESSION = f"(SELECT session FROM turns WHERE row = {FIRST})"

BUSY = "(SELECT max(row) FROM sessions)"

# its turn streams, its newest events have no entries yet
LAGS = (f"UPDATE sessions SET state = 'processing' WHERE row = {BUSY}; UPDATE turns SET state = 'running' WHERE session = "
        f"{BUSY} AND state = 'waiting'; INSERT INTO event_lag SELECT session, min(row) FROM events WHERE session = {BUSY}; "
        f"DELETE FROM event_index WHERE session = {BUSY} AND seq > 6")

# what is done to a copy, what is said of it
DAMAGE = [
    ("an event is missing", f"DELETE FROM events WHERE session = {SESSION} AND seq = 4", "event.* missing"),
    ("the last event is missing", f"DELETE FROM events WHERE session = {SESSION} AND seq = (SELECT last_seq FROM "
     f"sessions WHERE row = {SESSION})", "missing"),
    ("a delta has other text", "UPDATE events SET payload = '{\"content\":\"lies\"}' WHERE row = (SELECT min(row) FROM "
     f"events WHERE type = 2 AND turn = {FIRST})", "not what its events add up to"),
    ("a stored answer has other text", f"UPDATE messages SET content = '\"lies\"' WHERE turn = {FIRST} AND role = "
     "'assistant'", "not what its events add up to"),
    ("a stored tool has another output", f"UPDATE messages SET extra = replace(extra, 'did', 'did not') WHERE turn = "
     f"{FIRST} AND role = 'assistant'", "tools, reasoning or usage"),
    ("a stored question is another", f"UPDATE messages SET content = '\"lies\"' WHERE turn = {FIRST} AND role = 'user'",
     "question"),
    ("an answer is missing", f"DELETE FROM messages WHERE turn = {FIRST} AND role = 'assistant'", "answer is missing"),
    ("an answer has another id", f"UPDATE messages SET id = 'msg_other' WHERE turn = {FIRST} AND role = 'assistant'",
     "another id"),
    ("an answer has another status", f"UPDATE messages SET status = 'error' WHERE turn = {FIRST} AND role = "
     "'assistant'", "its answer error"),
    ("stop reasons differ", f"UPDATE turns SET stop_reason = 'length' WHERE row = {FIRST}", "stop reasons"),
    ("a generation falls", f"UPDATE events SET generation = 0 WHERE session = {SESSION} AND seq = 5",
     "generation 0 after"),
    ("a generation is ahead of its session", f"UPDATE events SET generation = 99 WHERE session = {SESSION} AND seq = "
     f"(SELECT max(seq) FROM events WHERE session = {SESSION})", "generation 99"),
    ("the session is at another generation", f"UPDATE sessions SET generation = 50 WHERE row = {SESSION}",
     "at generation 50"),
    ("a turn has no terminal event", "UPDATE events SET type = 16 WHERE type = 10 AND turn = " + FIRST,
     "terminal event is not there"),
    ("a turn has another terminal event", "UPDATE events SET type = 11 WHERE type = 10 AND turn = " + FIRST,
     "terminal event is aborted"),
    ("an event stands behind the end", "UPDATE events SET type = 10 WHERE row = (SELECT max(row) - 1 FROM events WHERE "
     f"turn = {FIRST})", "behind the turn's end"),
    ("an event belongs to another turn", f"UPDATE events SET turn = (SELECT max(row) FROM turns WHERE session = "
     f"{SESSION}) WHERE session = {SESSION} AND seq = 3", "within this turn"),
    ("an event belongs to no turn that there is", f"UPDATE events SET turn = 9999 WHERE session = {SESSION} AND seq = 3",
     "names a turn"),
    ("an event belongs to no session", f"UPDATE events SET session = 9999 WHERE session = {SESSION} AND seq = 3",
     "which is not there"),
    ("a payload is no JSON", f"UPDATE events SET payload = '{{' WHERE session = {SESSION} AND seq = 3", "not an event"),
    ("a type is unknown", f"UPDATE events SET type = 77 WHERE session = {SESSION} AND seq = 3", "not an event"),
    ("a turn starts elsewhere", f"UPDATE turns SET first_seq = 2 WHERE row = {FIRST}", "does not begin|first_seq"),
    ("a turn ends elsewhere", f"UPDATE turns SET last_seq = last_seq - 1 WHERE row = {FIRST}", "last_seq is"),
    ("last_seq is wrong", f"UPDATE sessions SET last_seq = last_seq - 1 WHERE row = {SESSION}", "last_seq is"),
    ("an idle session is said to run", f"UPDATE sessions SET state = 'processing' WHERE row = {SESSION}",
     "processing with 0 turns"),
    ("a turn that ended is said to run", f"UPDATE turns SET state = 'running' WHERE row = {FIRST}", "1 turns that run"),
    ("a call is settled and not told", f"UPDATE events SET type = 6 WHERE type = 7 AND turn = {FIRST}",
     "with 0 tool_end"),
    ("a call is told and not settled", f"UPDATE calls SET status = 'running', ended_at = NULL WHERE turn = {FIRST}",
     "the turn is over"),
    ("a call has no row", f"DELETE FROM calls WHERE turn = {FIRST}", "has no row"),
    ("a prompt is open behind the end", f"UPDATE prompts SET state = 'open', resolved_at = NULL WHERE turn = {FIRST}",
     "is open, and the turn is over"),
    ("a prompt has no row", f"DELETE FROM prompts WHERE turn = {FIRST}", "has no row"),
    ("a prompt that is asked is said to be settled", "UPDATE prompts SET state = 'answered', resolved_at = 1 WHERE "
     "state = 'open'", "is settled, its events say otherwise"),
    ("a turn waits for nobody", "DELETE FROM prompts WHERE state = 'open'", "waits for nobody"),
    ("a message belongs to no turn", f"PRAGMA foreign_keys = OFF; UPDATE messages SET turn = 9999 WHERE turn = {FIRST}",
     "foreign key"),
    ("an event is not in the index", f"DELETE FROM event_index WHERE session = {SESSION} AND seq = 4",
     "event row [0-9]+ of session row [0-9]+ is not in the index"),
    ("the last event is not in the index", f"DELETE FROM event_index WHERE session = {SESSION} AND seq = (SELECT "
     f"last_seq FROM sessions WHERE row = {SESSION})", "is not in the index"),
    ("an entry leads nowhere", f"DELETE FROM events WHERE session = {SESSION} AND seq = 4",
     "names event row [0-9]+, which is not there"),
    ("an entry leads nowhere, of a seq that there never was", f"INSERT INTO event_index VALUES ({SESSION}, 9999, 9999)",
     "names event row 9999, which is not there"),
    ("an entry leads to another session's event", f"UPDATE event_index SET event = (SELECT min(row) FROM events WHERE "
     f"session <> {SESSION}) WHERE session = {SESSION} AND seq = 4", "which is another event"),
    ("an entry leads to another session's event of the same seq", f"UPDATE event_index SET event = (SELECT row FROM events "
     f"WHERE session <> {SESSION} AND seq = 4) WHERE session = {SESSION} AND seq = 4", "which is another event"),
    ("an entry leads to another seq", f"UPDATE event_index SET event = event + 1 WHERE session = {SESSION} AND seq = 4",
     "which is another event"),
    ("a seq is there twice", "INSERT INTO events (session, seq, generation, turn, ts, type, payload) SELECT session, "
     f"seq, generation, turn, ts, type, payload FROM events WHERE session = {SESSION} AND seq = 4",
     "has a seq that the index knows of another event"),
    ("a seq is there twice, both without an entry", f"{LAGS}; INSERT INTO events (session, seq, generation, turn, ts, "
     "type, payload) SELECT session, seq, generation, turn, ts, type, payload FROM events WHERE session = "
     f"{BUSY} AND seq = 8", "two events have this seq"),
    ("an event lacks its entry before the last one that is there, of a session that lags",
     f"{LAGS}; DELETE FROM event_index WHERE session = {BUSY} AND seq = 4", "is not in the index"),
    ("an event lacks its entry before those that its session lags with", f"{LAGS}; DELETE FROM event_index WHERE session = "
     f"{BUSY}; UPDATE event_lag SET since = since + 1", "event row [0-9]+ of session row [0-9]+ is not in the index"),
    ("an event lacks its entry behind the last one that is there, and its session lags from later on", f"{LAGS}; UPDATE "
     f"event_lag SET since = (SELECT max(row) FROM events WHERE session = {BUSY})", "is not in the index"),
    ("a session lags that is idle", f"INSERT INTO event_lag VALUES ({SESSION}, 1)",
     "event_lag has session row [0-9]+, which is idle"),
    ("a session lags that is not there", "INSERT INTO event_lag VALUES (9999, 1)",
     "event_lag has session row 9999, which is not there"),
    ("an index is missing", "DROP INDEX sessions_by_run", "index sessions_by_run of the schema is missing"),
    ("an index has not all", "DROP INDEX sessions_by_run; CREATE INDEX sessions_by_run ON sessions (generation) WHERE "
     "generation > 1", "index sessions_by_run is not as the schema has it"),
    ("a table is missing", "DROP TABLE grants", "table grants of the schema is missing"),
    ("a view is missing", "DROP VIEW event_places", "view event_places of the schema is missing"),
    ("a view is a table", "DROP VIEW event_places; CREATE TABLE event_places AS SELECT * FROM event_index",
     "view event_places of the schema is missing"),
    ("turn_resumed keeps what was not there", "UPDATE events SET payload = json_set(payload, '$.content', 'lies') WHERE "
     "type = 14", "turn_resumed keeps"),
    ("turn_resumed keeps a part of a step", "UPDATE events SET payload = json_set(payload, '$.content', 'Le') WHERE "
     "type = 14", "turn_resumed keeps"),
]


def make_log(up, folder):
    """A log with a turn of each kind: done with tools and prompts, resumed, failed, aborted, queued, waiting."""
    journal = os.path.join(folder, "journal")
    tools = f"[tools kit]\ncommand = {sys.executable} {SERVER} {journal}\npermission = allow\nask_tools = risky\n"
    with Stack(up, workers=1, chatd=tools) as t:
        def wait_prompt():
            return t.wait_state(turn["turn_id"], "waiting")

        def answer(allow=True):
            for p in t.snapshot(turn["session_id"])["pending_prompts"]:
                r = t.call("POST", f"/v1/sessions/{turn['session_id']}/prompts/{p['id']}", {"allow": allow})
                tap.eq(r.status, 200, "answer")

        up.default = plan.script
        turn = t.say(plan.plan("a", (["Let ", "me. "], [["kit__look", {"key": "a.0.0"}], ["kit__risky", {"key": "a.0.1"}]]),
                               (["Done."], [])))
        wait_prompt()
        answer()
        t.wait_idle(turn["session_id"])
        up.on("fails", upstream.error(400, {"error": {"message": "no"}}))
        t.say("fails", turn["session_id"])
        t.wait_idle(turn["session_id"])
        up.on("hangs", upstream.hang(upstream.chunk("so ")))
        hanging = t.say("hangs", turn["session_id"])
        queued = t.say("later", turn["session_id"], on_busy="queue")
        tap.eq(t.abort(turn["session_id"], {"turn_id": queued["turn_id"]}).status, 202, "withdrawn")
        tap.eq(t.abort(turn["session_id"], {"turn_id": hanging["turn_id"]}).status, 202, "aborted")
        t.wait_idle(turn["session_id"])
        turn = t.say(plan.plan("b", (["Let ", "us. "], [["kit__look", {"key": "b.0.0"}]]),
                               (["Slow "] * 40, [["kit__risky", {"key": "b.1.0"}]]), rate=60))
        v = t.viewer(turn["session_id"])
        v.until(lambda e: "Slow" in v.state.content)
        t.kill_workers()
        wait_prompt()
        tap.eq(verify(t.db_path)[::2], (0, ""), "verify while it runs")
        t.stop()
        path = os.path.join(folder, "sound.db")
        source, target = sqlite3.connect(t.db_path), sqlite3.connect(path)
        source.backup(target)
        source.close()
        target.execute("PRAGMA journal_mode = DELETE")
        target.close()
    return path


def damaged(folder, sound, sql):
    path = os.path.join(folder, "damaged.db")
    shutil.copy(sound, path)
    db = sqlite3.connect(path, isolation_level=None)
    before = db.total_changes, schema_version(db)
    db.executescript(sql)
    assert (db.total_changes, schema_version(db)) != before, f"nothing was changed by {sql}"
    db.close()
    return path


def schema_version(db):
    return db.execute("PRAGMA schema_version").fetchone()[0]


def test_a_sound_log_is_clean(folder, sound):
    """OPS-1, DUR-3, SDC-15"""
    tap.eq(verify(sound), (0, "clean: 2 sessions, 4 turns, %d events\n" % count(sound), ""), "verify")
    status, said, _ = verify(sound, "--json")
    tap.eq((status, json.loads(said)), (0, {"sessions": 2, "turns": 4, "events": count(sound), "findings": 0}), "json")


def test_who_watches_sees_how_far_it_is(folder, sound):
    """OPS-1: on a terminal, and nowhere else"""
    watcher, terminal = pty.openpty()
    p = subprocess.run([CHATCTL, "verify", sound], stdout=subprocess.PIPE, stderr=terminal, text=True, check=False)
    os.close(terminal)
    shown = os.read(watcher, 4096).decode()
    os.close(watcher)
    tap.eq((p.returncode, p.stdout.startswith("clean: ")), (0, True), "verify")
    tap.eq([s.strip() for s in shown.split("\r") if s.strip()],
           ["the file: 0 of 2 sessions, 0 events", f"all: 2 of 2 sessions, {count(sound)} events"], "shown")


def count(path):
    db = sqlite3.connect(path)
    n = db.execute("SELECT count(*) FROM events").fetchone()[0]
    db.close()
    return n


def test_each_damage_is_found(folder, sound):
    """OPS-1, DUR-3, SDC-18"""
    for name, sql, wanted in DAMAGE:
        status, said, complaint = verify(damaged(folder, sound, sql))
        assert (status, complaint) == (1, ""), f"{name}: status {status}, {said}{complaint}"
        assert re.search(wanted, said), f"{name}: {wanted!r} is not in\n{said}"
        for line in said.splitlines():
            assert line.isprintable(), line


def test_findings_are_told_as_json_too(folder, sound):
    """OPS-1"""
    status, said, _ = verify(damaged(folder, sound, DAMAGE[2][1]), "--json")
    lines = [json.loads(line) for line in said.splitlines()]
    tap.eq(status, 1, "status")
    tap.eq(lines[-1]["findings"], len(lines) - 1, "count")
    assert all(x["finding"] and x["session"].startswith("ses_") and x["turn"].startswith("turn_") for x in lines[:-1])


def test_a_torn_page_is_found(folder, sound):
    """OPS-1, DUR-9"""
    path = damaged(folder, sound, "CREATE TABLE x (a); INSERT INTO x VALUES (1)")
    db = sqlite3.connect(path)
    page = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'event_index'").fetchone()[0]
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    with open(path, "r+b") as f:
        f.seek((page - 1) * size + size - 200)
        f.write(b"\xff" * 150)
    status, said, complaint = verify(path)
    assert status in (1, 2), (status, said, complaint)
    assert "integrity" in said or "malformed" in complaint, (said, complaint)


def test_a_folded_turn_is_no_hole(folder, sound):
    """OPS-3, DUR-3"""
    entries = f"DELETE FROM event_index WHERE session = {SESSION} AND event NOT IN (SELECT row FROM events)"
    gone = f"DELETE FROM events WHERE turn = {FIRST}"
    path = damaged(folder, sound, gone + f"; {entries}; UPDATE turns SET folded = 2 WHERE row = {FIRST}")
    tap.eq(verify(path)[::2], (0, ""), verify(path)[1])
    path = damaged(folder, sound, gone + f" AND seq < 4; {entries}; UPDATE turns SET folded = 1 WHERE row = {FIRST}")
    tap.eq(verify(path)[::2], (0, ""), verify(path)[1])
    said = verify(damaged(folder, sound, gone + "; " + entries))[1]
    assert "has no events" in said and "are missing" in said, said
    said = verify(damaged(folder, sound, f"UPDATE turns SET folded = 2 WHERE row = {FIRST}"))[1]
    assert "it is folded, and has events" in said, said
    said = verify(damaged(folder, sound, f"INSERT INTO event_lag SELECT session, min(row) FROM events WHERE session = "
                          f"{SESSION}; DELETE FROM event_index WHERE session = {SESSION}; UPDATE turns SET folded = 2 "
                          f"WHERE row = {FIRST}"))[1]
    assert "it is folded, and has events" in said, said
    said = verify(damaged(folder, sound, f"DELETE FROM messages WHERE turn = {FIRST}; " + gone +
                          f"; {entries}; UPDATE turns SET folded = 2 WHERE row = {FIRST}"))[1]
    assert "answer is missing" in said, said


def test_events_without_entries_are_no_finding(folder, sound):
    """DUR-3: as a worker leaves them for a moment under load: event_lag says so, and all are found."""
    path = damaged(folder, sound, LAGS)
    tap.eq(verify(path), (0, "clean: 2 sessions, 4 turns, %d events\n" % count(sound), ""), "verify")
    path = damaged(folder, sound, LAGS + "; DELETE FROM event_lag")
    assert "is not in the index" in verify(path)[1], verify(path)


def test_a_session_that_is_being_taken_out_may_lag(folder, sound):
    """DUR-3, OPS-3: it was removed in the transaction of its last events; who takes it out finds them by that."""
    path = damaged(folder, sound, f"{LAGS}; UPDATE sessions SET state = 'idle', removed_at = 1 WHERE row = {BUSY}")
    tap.eq(verify(path)[::2], (0, ""), verify(path)[1])


def test_a_view_that_hides_events_is_one_finding(folder, sound):
    """OPS-1, DUR-4: what nobody is shown is there all the same: verify counts the events by itself."""
    for name, text in (("event_places", "SELECT session, seq, event FROM event_index WHERE seq <> 4"),
                       ("event_places", "SELECT session, seq, event FROM event_index"),
                       ("event_places", "SELECT session, seq, event FROM event_index WHERE 0"),
                       ("events_lagging", "SELECT session, seq, event FROM event_index WHERE 0"),
                       ("events_lagging", "SELECT session FROM gone")):
        path = damaged(folder, sound, f"{LAGS}; DROP VIEW {name}; CREATE VIEW {name} AS {text}")
        tap.eq(verify(path), (1, f"view {name} is not as the schema has it\n", ""), text)


def test_what_an_operator_has_added_is_no_finding(folder, sound):
    """OPS-1, OPS-2"""
    path = damaged(folder, sound, "CREATE INDEX mine ON turns (model); CREATE VIEW ours AS SELECT * FROM v_turns; "
                   "CREATE TABLE notes (t); ALTER TABLE turns ADD COLUMN note TEXT; ANALYZE")
    tap.eq(verify(path)[::2], (0, ""), verify(path)[1])


def insert(db, table, like, rows):
    """Rows of that table that are `like` another but for what each says."""
    cursor = db.execute(f"SELECT * FROM {table} WHERE {like}")
    columns, model = [c[0] for c in cursor.description], cursor.fetchone()
    db.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})",
                   ([row.get(c, m) for c, m in zip(columns, model)] for row in rows))


def add_streaming(path, sessions, chunks):
    """Sessions that have all begun at once and stream side by side."""
    db = sqlite3.connect(path)
    ids = range(1000, 1000 + sessions)
    insert(db, "sessions", f"row = {BUSY}", ({"row": i, "id": f"ses_{i}", "state": "processing", "generation": 1,
                                            "last_seq": 0} for i in ids))
    insert(db, "turns", "state = 'waiting'",
           ({"row": i, "id": f"turn_{i}", "session": i, "state": "running", "generation": 1, "first_seq": 1,
             "message_id": f"msg_a{i}"} for i in ids))
    insert(db, "messages", f"turn = {FIRST} AND role = 'user'",
           ({"row": i, "id": f"msg_q{i}", "session": i, "turn": i, "content": '"hi"'} for i in ids))
    event = {"row": None, "generation": 1, "type": 2, "payload": '{"content":"x"}'}
    insert(db, "events", "row = 1", (
        event | {"session": i, "turn": i, "seq": n + 2} if n >= 0 else
        event | {"session": i, "turn": i, "seq": 1, "type": 1,
                 "payload": json.dumps({"message": {"id": f"msg_q{i}", "content": "hi"}})}
        for n in range(-1, chunks) for i in ids))
    db.execute("INSERT INTO event_index SELECT session, seq, row FROM events WHERE session >= 1000")
    db.commit()
    db.close()


def cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_sessions_that_lag_cost_no_more_than_others(folder, sound):
    """OPS-1, PRC-5: an event without an entry is looked for once, not for each session that has some."""
    path = os.path.join(folder, "streaming.db")
    shutil.copy(sound, path)
    add_streaming(path, 2000, 15)
    took = []
    for sql in ("", "INSERT INTO event_lag SELECT session, min(row) FROM events WHERE session >= 1000 GROUP BY session; "
                "DELETE FROM event_index WHERE session >= 1000"):
        db = sqlite3.connect(path)
        db.executescript(sql)
        db.close()
        start = cpu_of_children()
        status, said, complaint = verify(path)
        took.append(cpu_of_children() - start)
        tap.eq((status, said, complaint),
               (0, f"clean: 2002 sessions, 2004 turns, {count(path)} events\n", ""), sql or "indexed")
    tap.note(f"2,000 sessions of 16 events: indexed {took[0]:.2f} s, not indexed {took[1]:.2f} s")
    assert took[1] < 3 * took[0], took


def test_what_can_not_be_read_is_no_finding(folder, sound):
    """OPS-1, OPS-6"""
    garbage = os.path.join(folder, "garbage.db")
    with open(garbage, "wb") as f:
        f.write(b"this is no database" * 1000)
    other = os.path.join(folder, "other.db")
    db = sqlite3.connect(other)
    db.execute("CREATE TABLE t (x)")
    db.close()
    for name, path in (("none", os.path.join(folder, "none.db")), ("garbage", garbage), ("another's", other),
                       ("newer", damaged(folder, sound, "UPDATE sessions SET title = 'x'; PRAGMA user_version = 9999")),
                       ("a folder", folder)):
        status, said, complaint = verify(path)
        tap.eq((status, said), (2, ""), name)
        assert complaint.startswith("chatctl: ") and complaint.count("\n") == 1, complaint
    assert not os.path.exists(os.path.join(folder, "none.db")), "it was created"
    tap.eq(verify(sound, "--nonsense")[0], 2, "an unknown option")


if __name__ == "__main__":
    where = tempfile.mkdtemp(prefix="chatd-verify-")
    try:
        with Upstream() as provider:
            tap.run(globals(), where, make_log(provider, where))
    finally:
        shutil.rmtree(where, ignore_errors=True)
    tap.finish()
