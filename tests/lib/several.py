"""A viewer of several sessions on one stream, as strict as sse.Viewer, with a state and a cursor for each."""

import time

from lib import sse
from lib.wait import Late, scaled

NOTICES = [
    ("error", "persist_error"), ("error", "worker_unavailable"), ("warning", "worker_unavailable"),
    ("error", "session_not_found"), ("warning", "too_many"),
]


class Several(sse.Viewer):
    """sessions: ids, or None for all of the owner's. before: a Several whose place is gone on from."""

    def __init__(self, port, sessions=None, before=None, cursors=None, since=None, headers=None, query=None):
        self.states = dict(before.states) if before else {}
        self.expect = dict(before.expect) if before else {}
        self.cursors = dict(before.cursors) if before else dict(cursors or {})
        self.newest = before.newest if before else ""
        self.gone = set()  # ids that were said not to be there, or were cleared
        self.reasons = {}  # of snapshots
        if cursors and not before:
            self.expect = {sid: int(c.split("-")[1]) for sid, c in cursors.items()}
        words = []
        if sessions is not None:
            words.append("sessions=" + ",".join(sessions))
        if since or (before and sessions is None and self.newest):
            words.append("since=" + (since or self.newest))
        lines = dict(headers or {})
        if self.cursors and "Last-Event-ID" not in lines:
            lines["Last-Event-ID"] = ",".join(f"{sid}@{c}" for sid, c in self.cursors.items())
        self.changes = 0
        self.query = query if query is not None else ("?" + "&".join(words) if words else "")
        super().__init__(port, None, headers=lines, query=self.query)

    def _path(self):
        return "/v1/events"

    def _notice(self, name, d):
        if name == "sessions_changed":
            assert "changes=1" in self.query and (d["session_id"], d["turn_id"], d["seq"]) == (None, None, None), d
            self.changes += 1
            return
        assert (name, d["code"]) in NOTICES and d["seq"] is None, f"an {name} without id: {d}"
        assert name != "error" or d["fatal"] is False, f"a fatal error without id: {d}"
        self.notices.append((name, d["code"], d["session_id"]))
        if d["code"] == "session_not_found":
            self.gone.add(d["session_id"])

    def _check(self, e):
        d = e.data
        for member in ("session_id", "turn_id", "generation", "seq", "ts"):
            assert member in d, f"{member} missing in {e}"
        sid = e.session_id = d["session_id"]
        assert (d["generation"], d["seq"]) == (e.generation, e.seq), f"id and data differ in {e}"
        if e.name == "snapshot":
            self.reasons[sid] = d.get("reason")
            self.states[sid] = sse.State()
        elif e.name == "session_cleared" and sid not in self.expect:
            self.gone.add(sid)  # of one that was not shown
            self.events.append(e)
            return e
        else:
            assert sid in self.expect, f"{e} of {sid} before any snapshot"
            assert e.seq == self.expect[sid] + 1, f"{e} of {sid} after seq {self.expect[sid]}"
        self.expect[sid] = e.seq
        self.cursors[sid] = e.id
        self.newest = max(self.newest, d["ts"])
        if e.name == "session_cleared":
            self.gone.add(sid)
        if sid in self.states:
            self.states[sid].apply(e.name, d)
        self.events.append(e)
        return e

    # --- for tests ---

    def of(self, sid):
        return [e for e in self.events if e.session_id == sid]

    def until_idle(self, *sids, timeout=30):
        """Reads until no turn of these sessions runs, as far as it was shown."""
        left = {s for s in sids if not self._is_idle(s)}

        def done(e):
            if self._is_idle(e.session_id):
                left.discard(e.session_id)
            return not left

        if left:
            self.until(done, timeout)

    def until_shown(self, *sids):
        """Reads until each has a cursor."""
        if not set(sids) <= set(self.cursors):
            self.until(lambda e: set(sids) <= set(self.cursors))

    def until_changed(self, timeout=10):
        """Reads until it was said once more that something changed, and what else is there."""
        before, deadline = self.changes, time.monotonic() + scaled(timeout)
        while self.changes == before:
            assert time.monotonic() < deadline, "no word of a change"
            try:
                self.next(0.05)
            except Late:
                pass

    def until_listed(self, t, sid, good):
        """Reads the list of sessions when told to, and never else, until it has this one so (None: does not have it)."""
        while True:
            rows = t.call("GET", "/v1/sessions").json()["sessions"]
            if good(next((s for s in rows if s["id"] == sid), None)):
                return
            self.until_changed(20)

    def until_gone(self, *sids, timeout=10):
        """Reads until these were said not to be there; that may be a notice, which is no event."""
        deadline = time.monotonic() + scaled(timeout)
        while not set(sids) <= self.gone:
            assert time.monotonic() < deadline, f"gone are {self.gone}, not all of {sids}"
            try:
                self.next(0.05)
            except Late:
                pass

    def _is_idle(self, sid):
        return sid in self.states and self.states[sid].state == "idle"
