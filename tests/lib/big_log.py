"""A log of many events, made quickly: what months of use leave.

    PYTHONPATH=tests python3 -m lib.big_log DB EVENTS

DB must be there with its tables (chatd makes them at its start), and no chatd may run. Rows are as workers
would have written them: `chatctl verify` finds nothing. PER_TURN events a turn, TURNS turns a session, the turns of
INTERLEAVED sessions side by side, so that what belongs to one session is spread over the file.
"""

import sqlite3
import sys
import time

PER_TURN, TURNS, INTERLEAVED = 40, 5, 50
DAYS = 90
DAY = 86400000


def run(db, sql, **values):
    db.execute(sql, {"per": PER_TURN, "turns_each": TURNS, **values})


def make(path, events, now=None):
    """Returns how many (sessions, turns, events) there are now."""
    now = now or int(time.time() * 1000)
    sessions = events // (PER_TURN * TURNS)
    turns = sessions * TURNS
    db = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode = MEMORY", "synchronous = OFF", "cache_size = -200000", "foreign_keys = OFF"):
        db.execute("PRAGMA " + pragma)
    db.execute("BEGIN")
    db.execute("CREATE TEMP TABLE words (k INTEGER PRIMARY KEY, text TEXT)")
    db.executemany("INSERT INTO words VALUES (?, ?)",
                   [(k, f"Here are some words, as many as a model says at once: {k}. ") for k in range(1, PER_TURN - 1)])
    answer = "".join(r[0] for r in db.execute("SELECT text FROM words ORDER BY k"))
    age = {"from": now - DAYS * DAY, "step": DAYS * DAY / max(turns, 1)}
    numbers = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count) "
    # session s has the turns s, s + sessions, s + 2 * sessions ...
    run(db, numbers + """INSERT INTO sessions (row, id, owner, generation, state, last_seq, created_at, updated_at,
        title, provider, model) SELECT i + 1, printf('ses_%026d', i), 'owner' || (i % 100), :turns_each, 'idle',
        :turns_each * :per, :from + i * :step, :from + (i + (:turns_each - 1) * :count) * :step + 1000, 'session ' || i,
        'demo', 'm' FROM n""", count=sessions, **age)
    run(db, numbers + """INSERT INTO turns (row, id, session, generation, state, provider, model, message_id, first_seq,
        last_seq, started_at, ended_at, stop_reason, input_tokens, output_tokens) SELECT i + 1, printf('turn_%026d', i),
        i % :sessions + 1, i / :sessions + 1, 'done', 'demo', 'm' || (i % 3), printf('msg_%026d', 2 * i + 1),
        i / :sessions * :per + 1, i / :sessions * :per + :per, :from + i * :step, :from + i * :step + 1000, 'stop', 100,
        38 FROM n""", count=turns, sessions=sessions, **age)
    run(db, numbers + """INSERT INTO messages (row, id, session, turn, role, status, content, extra, stop_reason,
        created_at) SELECT i + 1, printf('msg_%026d', i), i / 2 % :sessions + 1, i / 2 + 1, iif(i % 2, 'assistant',
        'user'), 'complete', iif(i % 2, :answer, '"question ' || (i / 2) || '"'), iif(i % 2,
        '{"usage":{"input_tokens":100,"output_tokens":38}}', NULL), iif(i % 2, 'stop', NULL), :from + i / 2 * :step +
        i % 2 * 1000 FROM n""", count=2 * turns, sessions=sessions, answer='"' + answer + '"', **age)
    # row i: turn t of a group of INTERLEAVED, its event k + 1
    run(db, numbers + """, e AS (SELECT i, i / (:per * :beside) * :beside + i % :beside AS t,
        i % (:per * :beside) / :beside AS k FROM n)
        INSERT INTO events (session, seq, generation, turn, ts, type, payload)
        SELECT t % :sessions + 1, t / :sessions * :per + k + 1, t / :sessions + 1, t + 1, :from + t * :step + k * 25,
        CASE k WHEN 0 THEN 1 WHEN :per - 1 THEN 10 ELSE 2 END,
        CASE k WHEN 0 THEN printf('{"message":{"id":"msg_%026d","content":"question %d"},"message_id":"msg_%026d"}',
                                  2 * t, t, 2 * t + 1)
               WHEN :per - 1 THEN printf('{"message_id":"msg_%026d","stop_reason":"stop","usage":{"input_tokens":100,'
                                         || '"output_tokens":38},"duration_ms":1000}', 2 * t + 1)
               ELSE '{"content":"' || (SELECT text FROM words w WHERE w.k = e.k) || '"}' END
        FROM e WHERE t < :turns""", count=-(-turns // INTERLEAVED) * INTERLEAVED * PER_TURN, sessions=sessions,
        turns=turns, beside=INTERLEAVED, **age)
    db.execute("INSERT INTO event_index SELECT session, seq, row FROM events ORDER BY session, seq")
    db.execute("COMMIT")
    db.execute("PRAGMA journal_mode = WAL")
    made = tuple(db.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("sessions", "turns", "events"))
    db.close()
    return made


if __name__ == "__main__":
    begun = time.monotonic()
    print(*make(sys.argv[1], int(sys.argv[2])), f"{time.monotonic() - begun:.1f} s")
