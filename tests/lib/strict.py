"""A viewer that believes nothing: a reducer that knows what may follow what, kept over reconnects.

State is a whole snapshot, each later event applied to it once; what an event says of something that
is not there is an AssertionError. When a snapshot comes in the middle and no event was missed, what
was shown so far has to be what it says.
"""

import copy
import hashlib
import threading
import time

from lib import sse
from lib.db import frame_data
from lib.wait import SCALE

OPEN = ("pending", "waiting", "running", "uncertain")
SETTLED = ("done", "failed", "denied", "incomplete")


class State(sse.State):
    def __init__(self):
        super().__init__()
        self.prompts, self.invocations, self.queue, self.ended_calls = {}, {}, [], set()
        self.generation, self.seq_before = 0, None

    def snapshot(self, d):
        before = self.whole() if self.seq == d["seq"] else None
        self.seq_before = self.seq
        super().snapshot(d)
        # another streamerd may be an event behind for a moment; what it shows is whole all the same
        if d["seq"] >= (self.seq_before or 0):
            assert d["generation"] >= self.generation, f"generation {d['generation']} after {self.generation}"
        self.generation = d["generation"]
        self.invocations = {x["id"]: copy.deepcopy(x) for x in d["tool_invocations"]}
        self.prompts = {p["id"]: p for p in d["pending_prompts"]}
        self.ended_calls = {x["id"] for x in d["tool_invocations"] if x["output"] is not None}
        self.queue = [q["turn_id"] for q in d["queue"]]
        if before:
            assert before == self.whole(), f"shown {before}, and at the same seq the snapshot says {self.whole()}"

    def whole(self):
        """What a page shows of the running or last turn, as far as events say it.

        Whether it waits is seen from its prompts, and that storing fails is said without an event.
        """
        state = "processing" if self.state == "waiting" else self.state
        error = self.error if state == "idle" else None
        return {"seq": self.seq, "state": state, "turn_id": self.turn_id if state != "idle" else None,
                "content": self.content, "reasoning": self.reasoning, "stop_reason": self.stop_reason,
                "error": error, "queue": list(self.queue), "prompts": sorted(self.prompts),
                "tools": {k: (v["name"], v["status"], v.get("input"), v.get("output"), bool(v.get("is_error")))
                          for k, v in self.invocations.items()}}

    def apply(self, name, d):
        if name != "snapshot":
            assert d["generation"] >= self.generation, f"generation {d['generation']} after {self.generation}: {d}"
            self.generation = d["generation"]
            withdrawn = name == "aborted" and d.get("reason") == "withdrawn"
            if withdrawn:
                self.queue.remove(d["turn_id"])
                self.seq = d["seq"]
                return
            if name not in ("response_start", "turn_queued", "session_cleared"):
                assert self.state != "idle", f"{name} while no turn runs: {d}"
                assert d["turn_id"] == self.turn_id, f"{name} of {d['turn_id']} while {self.turn_id} runs"
        super().apply(name, d)

    def on_turn_queued(self, d):
        assert d["turn_id"] not in self.queue
        self.queue.append(d["turn_id"])
        assert len(self.queue) == d["position"], f"position {d['position']} of {self.queue}"

    def on_response_start(self, d):
        assert self.state in (None, "idle"), f"a turn starts while {self.turn_id} is {self.state}"
        super().on_response_start(d)
        self.invocations, self.prompts, self.ended_calls = {}, {}, set()
        if d["turn_id"] in self.queue:
            assert self.queue.pop(0) == d["turn_id"], "the queue was overtaken"

    def on_turn_resumed(self, d):
        assert self.content.startswith(d["content"]), f"turn_resumed keeps {d['content']!r} of {self.content!r}"
        assert self.reasoning.startswith(d["reasoning"])
        super().on_turn_resumed(d)
        kept = {x["id"]: copy.deepcopy(x) for x in d["tool_invocations"]}
        for k, v in self.invocations.items():
            if v["status"] in SETTLED:
                assert kept.get(k) == v, f"a finished call changed: {v} to {kept.get(k)}"
        assert sorted(self.prompts) == sorted(p["id"] for p in d["pending_prompts"]), "prompts changed"
        self.invocations = kept
        self.state = "processing"

    def on_tool_start(self, d):
        assert d["tool_invocation_id"] not in self.invocations, f"started twice: {d}"
        self.invocations[d["tool_invocation_id"]] = {
            "id": d["tool_invocation_id"], "name": d["name"], "server": d["server"], "status": "pending",
            "input": None, "output": None, "is_error": False, "at": d["at"]}
        assert d["at"] == len(self.content), f"at {d['at']} of {len(self.content)} characters"

    def _tool_of(self, d):
        tool = self.invocations[d["tool_invocation_id"]]
        assert tool["status"] in OPEN, f"{d} for a settled call {tool}"
        return tool

    def on_tool_input(self, d):
        self._take(self._tool_of(d), d)

    @staticmethod
    def _take(tool, d):
        for k in ("input", "parse_error", "raw", "output", "is_error", "status", "duration_ms"):
            if k in d:
                tool[k] = d[k]

    def on_tool_progress(self, d):
        self._tool_of(d)["status"] = "running"

    def on_tool_end(self, d):
        tool = self.invocations[d["tool_invocation_id"]]
        assert tool["id"] not in self.ended_calls, f"it ends a second time: {d}"
        assert d["status"] in SETTLED
        self._take(tool, d)
        self.ended_calls.add(tool["id"])

    def on_prompt_pending(self, d):
        p = d["prompt"]
        assert p["id"] not in self.prompts
        self.prompts[p["id"]] = p
        self.invocations[p["tool_invocation_id"]]["status"] = "uncertain" if p.get("uncertain") else "waiting"

    def on_prompt_resolved(self, d):
        p = self.prompts.pop(d["prompt_id"])
        self._take(self.invocations[p["tool_invocation_id"]], d)

    def _end(self, name, d, status):
        still = [x for x in self.invocations.values() if x["status"] in OPEN]
        assert not still and not self.prompts, f"{name} with open calls {still} or prompts {self.prompts}"
        super()._end(name, d, status)


def digest(raw):
    """Of what was shown that is kept: a soak shows gigabytes."""
    return hashlib.blake2b(raw, digest_size=12).digest()


class Watcher(threading.Thread):
    """Watches one session from any of the ports, and always comes back to where it was.

    seen: id -> digest of its data line, of every event that was shown.
    """

    def __init__(self, ports, session_id, rng):
        super().__init__(daemon=True)
        self.ports, self.session_id, self.rng = ports, session_id, rng
        self.state, self.seen, self.fault, self.visits = State(), {}, None, 0
        self.viewer, self.stopping = None, False
        self.start()

    def note(self, e):
        if e.name == "snapshot":
            return
        assert self.seen.setdefault(e.id, digest(e.raw)) == digest(e.raw), f"{e.id} came with other bytes: {e.raw!r}"

    def check(self, rows):
        """What was shown is in the log, with the same bytes; how much it was."""
        stored = {f"{r['generation']}-{r['seq']}": r for r in rows}
        for ident, shown in self.seen.items():
            assert ident in stored, f"{ident} of {self.session_id} was shown and is not in the log"
            data = frame_data(stored[ident])
            assert shown == digest(data), f"{ident} of {self.session_id} was shown with other bytes than {data!r}"
        return len(self.seen)

    def visit(self, cursor):
        v = sse.Viewer(self.rng.choice(self.ports), self.session_id, cursor, state=self.state)
        self.viewer = v
        try:
            if v.status != 200:
                assert v.status in (502, 503), v.response
                time.sleep(0.05)
                return cursor
            self.visits += 1
            while not self.stopping:
                e = v.next(300)
                if e is None:
                    break
                self.note(e)
                v.events.clear()  # a visit may last for hours
            return v.cursor
        finally:
            v.close()

    def run(self):
        cursor = None
        while not self.stopping:
            if self.rng.random() < 0.2:
                cursor = None  # the page is loaded anew: a snapshot has to stand for all that was missed
            try:
                cursor = self.visit(cursor)
            except OSError:
                if self.viewer and self.viewer.cursor:
                    cursor = self.viewer.cursor
                time.sleep(0.05)
            except Exception as e:  # told at the end, with what was shown last
                if not self.stopping:
                    self.fault = f"{self.session_id}: {type(e).__name__} {e}; at {self.state.seq}"
                return

    def stop(self):
        self.stopping = True
        v = self.viewer
        if v:
            try:
                v.sock.shutdown(2)
            except OSError:
                pass
        self.join(10 * SCALE)
