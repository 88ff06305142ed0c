"""One turn with text, tools, a permission and a question; its worker is killed once at every point of it."""

import json
import os
import sys
import time

from lib import plan, tap
from lib.daemons import Stack
from lib.load import SERVER, verify
from lib.upstream import Upstream
from lib.wait import SCALE, until

QUESTION = {"questions": [{"question": "Which?", "options": [{"label": "this"}, {"label": "that"}]}]}
TURN = plan.plan(
    "p",
    (["Let ", "me ", "see. "], [["kit__look", {"key": "p.0.0", "ms": 60}], ["kit__act", {"key": "p.0.1", "ms": 60}]]),
    (["And ", "now. "], [["kit__risky", {"key": "p.1.0", "ms": 60}], ["ask_user", QUESTION]]),
    (["That ", "is ", "it."], []),
    rate=40,
)


class Turn:
    """The turn on a stack of its own."""

    def __init__(self, up):
        self.t = Stack(up, workers=1, start=False)
        self.journal = os.path.join(self.t.tool_dir, "journal")
        self.t.chatd_extra = (f"[tools kit]\ncommand = {sys.executable} {SERVER} {self.journal}\n"
                              f"permission = allow\nask_tools = risky\n")
        self.t.write_conf()
        self.t.start()
        self.words = {"p.0.1": 1, "p.1.0": 0}  # how often a person (or the configuration) said yes
        self.turn = None

    def say(self):
        self.turn = self.t.say(TURN)

    def last_seq(self):
        return self.t.log.one("SELECT max(seq) FROM events") or 0

    def state(self):
        return self.t.log.one("SELECT state FROM turns WHERE id = ?", self.turn["turn_id"])

    def ran(self):
        if not os.path.exists(self.journal):
            return []
        with open(self.journal, encoding="ascii") as f:
            return [line.split()[1] for line in f]

    def answer(self):
        """Answers what is asked; what was settled before (the answer to that was lost) is fine."""
        for row in self.t.log.rows("SELECT id, call_id, kind, request FROM prompts WHERE state = 'open'"):
            request = json.loads(row["request"])
            body = {"allow": True}
            if row["kind"] == "ask_user":
                body = {"answers": {q["id"]: "this" for q in request["questions"]}}
            try:
                r = self.t.call("POST", f"/v1/sessions/{self.turn['session_id']}/prompts/{row['id']}", body)
            except OSError:
                continue
            assert r.status in (200, 503) or r.error()["code"] == "already_resolved", r
            if row["kind"] != "ask_user" and r.status == 200:
                self.words[row["call_id"]] += 1

    def run_until(self, condition):
        """Answers prompts until condition() or the turn is over. True if it was the condition."""
        end = time.monotonic() + 60 * SCALE
        answer_at = 0.0
        while time.monotonic() < end:
            if condition():
                return True
            if self.state() in ("done", "error", "aborted"):
                return False
            if time.monotonic() > answer_at and self.state() == "waiting":
                self.answer()
                answer_at = time.monotonic() + 0.05
            time.sleep(0.001)
        raise AssertionError(f"the turn is {self.state()} at {self.last_seq()}")

    def kill(self):
        self.t.kill_workers()

    def check(self):
        self.run_until(lambda: False)
        tap.eq(self.state(), "done", "state")
        until(lambda: self.t.worker_pids(), "the worker is there")
        self.t.wait_ready()
        snap = self.t.snapshot(self.turn["session_id"])
        tap.eq((snap["state"], snap["content"]), ("idle", plan.answer_of(TURN)), "the answer")
        tap.eq([(x["name"], x["status"]) for x in snap["tool_invocations"]],
               [("look", "done"), ("act", "done"), ("risky", "done"), ("ask_user", "done")], "calls")
        for key, words in self.words.items():
            n = self.ran().count(key)
            assert 1 <= n <= words, f"{key} ran {n} times with {words} words"
        tap.eq(verify(self.t.db_path)[:2][0], 0, "chatctl verify")


def one(up, condition):
    """Runs the turn, kills its worker as soon as condition(turn). Was there such a moment?"""
    turn = Turn(up)
    with turn.t:
        turn.say()
        came = turn.run_until(lambda: condition(turn))
        if came:
            turn.kill()
        turn.check()
    return came


def test_killed_at_each_event_the_turn_ends_with_the_same_answer(up):
    """DUR-6, SDC-18"""
    n = 1
    while one(up, lambda turn: turn.last_seq() >= n):  # noqa: B023
        n += 1
    tap.note(f"killed at each of {n - 1} events")
    assert n > 15, n


def test_killed_in_each_state_the_turn_ends_with_the_same_answer(up):
    """DUR-6"""
    asked = len(up.requests)
    points = {
        "the provider is asked": lambda turn: len(up.requests) > asked and turn.last_seq() == 1,
        "a tool runs": lambda turn: "p.0.1" in turn.ran(),
        "the tool after a permission runs": lambda turn: "p.1.0" in turn.ran(),
        "it waits for a person": lambda turn: turn.state() == "waiting",
        "it is asked again": lambda turn: turn.t.log.one("SELECT count(*) FROM events WHERE type = 7") >= 2,
    }
    for name, condition in points.items():
        for _ in range(20):  # a moment that passes between two looks comes again with the next turn
            asked = len(up.requests)
            if one(up, condition):
                break
        else:
            raise AssertionError(f"never came: {name}")


if __name__ == "__main__":
    with Upstream() as provider:
        provider.default = plan.script
        tap.run(globals(), provider)
    tap.finish()
