"""The log, read as an operator reads it: with SQLite, through the views, while the daemons run."""

import json
import sqlite3


class Log:
    def __init__(self, path):
        self.path = path
        self.db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10, isolation_level=None)
        self.db.row_factory = sqlite3.Row

    def rows(self, sql, *args):
        return [dict(r) for r in self.db.execute(sql, args)]

    def one(self, sql, *args):
        row = self.db.execute(sql, args).fetchone()
        return row[0] if row else None

    def events(self, session_id):
        return self.rows("SELECT * FROM v_events WHERE session_id = ? ORDER BY seq", session_id)

    def turns(self, session_id):
        return self.rows("SELECT * FROM v_turns WHERE session_id = ? ORDER BY generation", session_id)

    def turn(self, turn_id):
        found = self.rows("SELECT * FROM v_turns WHERE turn_id = ?", turn_id)
        return found[0] if found else None

    def counts(self):
        """Rows in each table, but for removed sessions, which go by and by: nothing was stored if they stay the same."""
        return {t: self.one(f"SELECT count(*) FROM {t} WHERE {s} NOT IN (SELECT row FROM sessions WHERE removed_at "
                            "IS NOT NULL)")
                for t, s in (("sessions", "row"), ("turns", "session"), ("messages", "session"), ("events", "session"))}

    def text(self, session_id, kind="response_chunk", turn_id=None):
        """The text that the stored deltas add up to."""
        return "".join(
            json.loads(e["payload"])["content"]
            for e in self.events(session_id)
            if e["type"] == kind and turn_id in (None, e["turn_id"])
        )

    def check_seqs(self, session_id):
        seqs = [e["seq"] for e in self.events(session_id)]
        assert seqs == list(range(1, len(seqs) + 1)), f"seqs of {session_id}: {seqs[:50]} ..."
        return len(seqs)

    def close(self):
        self.db.close()


def frame_data(row):
    """The bytes of the `data:` line that a viewer must have been sent for this row (DUR-2)."""
    turn = "null" if row["turn_id"] is None else json.dumps(row["turn_id"])
    head = (
        f'{{"session_id":{json.dumps(row["session_id"])},"turn_id":{turn},'
        f'"generation":{row["generation"]},"seq":{row["seq"]},"ts":"{row["time"]}"'
    )
    payload = row["payload"]
    if isinstance(payload, bytes):
        payload = payload.decode()
    return (head + ("," if len(payload) > 2 else "") + payload[1:]).encode()
