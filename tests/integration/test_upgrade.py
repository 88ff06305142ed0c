"""Either daemon is restarted in order while people work: nothing is lost, nobody is refused for longer than that."""

import os
import random
import re
import threading
import time

from lib import http, plan, tap
from lib.freeze import freeze, thaw
from lib.load import Load, verify
from lib.strict import Watcher
from lib.upstream import Upstream, hang, text
from lib.wait import SCALE, until

SECONDS = 12
USERS = 8
SEED = int(os.environ.get("SEED") or 8)


class Upgrader(threading.Thread):
    """SIGTERM, wait for the end, start again: chatd, then one streamerd or the other, and so on."""

    def __init__(self, load):
        super().__init__(daemon=True)
        self.load, self.restarts, self.longest = load, 0, 0.0
        self.start()

    def run(self):
        t = self.load.stack
        try:
            while not self.load.is_over():
                for d in (t.chatd, t.streamerd, t.chatd, self.load.second):
                    time.sleep(1)
                    began = time.monotonic()
                    tap.eq(d.term(), 0, f"exit status of {d.name}")
                    d.start()
                    self.restarts += 1
                    self.longest = max(self.longest, time.monotonic() - began)
        except Exception as e:
            self.load.faults.append(f"the upgrader: {e!r}")


def test_restarts_under_load_lose_nothing_and_are_no_crashes(load):
    """DUR-8, DUR-7, DUR-1, DUR-6"""
    users = load.begin()
    upgrader = Upgrader(load)
    upgrader.join(SECONDS + 60 * SCALE)
    log = load.calm_down(users)
    load.check(log, users)
    said = load.stack.chatd.log(whole=True)
    tap.note(f"{upgrader.restarts} restarts, the longest {upgrader.longest:.2f} s; "
             f"the longest wait for an answer {load.longest:.2f} s; "
             f"{said.count('turn.hand_over')} turns handed over")
    crashed = re.findall(r"turn\.resume .*crashes=[1-9].*|.*worker\.died.*", said)
    tap.eq(crashed, [], "restarts that counted as crashes")
    tap.eq(log.one("SELECT count(*) FROM turns WHERE crashes > 0"), 0, "turns with crashes")
    assert "turn.hand_over" in said, "no restart met a turn"
    # a worker that leaves has its drain, then the new one has to be found again
    assert load.longest < upgrader.longest + 3 * SCALE, f"somebody waited {load.longest:.2f} s"
    tap.eq(verify(load.stack.db_path)[0], 0, "chatctl verify")


def test_a_turn_that_is_handed_over_again_and_again_is_not_ended_for_it(load):
    """DUR-8, DUR-6"""
    t = load.stack
    t.up.on("patience", hang())
    turn = t.say("patience")
    for n in range(1, 5):
        t.up.wait("patience", n)
        tap.eq(t.chatd.term(), 0, "exit status")
        if n == 4:
            t.up.on("patience", text("it came"))
        t.chatd.start()
    tap.eq(t.wait_state(turn["turn_id"], "done", "error")["state"], "done", "state")
    t.wait_ready()
    tap.eq(t.snapshot(turn["session_id"])["content"], "it came", "answer")
    tap.eq(t.log.turn(turn["turn_id"])["crashes"], 0, "crashes")


def test_nobody_is_told_that_a_turn_is_over_that_was_handed_over(load):
    """DUR-8, FAF-7, SDC-8"""
    t = load.stack
    turn = t.say(t.up.on("not over", hang()))
    told, stop = [], threading.Event()

    def look():
        while not stop.is_set():
            try:
                r = http.request(t.port, "GET", f"/v1/sessions/{turn['session_id']}/snapshot")
            except OSError:
                continue
            if r.status == 200 and r.json()["state"] != "processing":
                told.append(r.json()["state"])

    lookers = [threading.Thread(target=look, daemon=True) for _ in range(16)]
    for x in lookers:
        x.start()
    for n in range(1, 7):
        t.up.wait("not over", n)
        tap.eq(t.chatd.term(), 0, "exit status")
        t.chatd.start()
    t.wait_ready(30)
    stop.set()
    for x in lookers:
        x.join(20 * SCALE)
    tap.eq(told, [], "states other than processing")
    tap.eq(t.abort(turn["session_id"]).status, 202, "abort")
    t.wait_idle(turn["session_id"])


def test_connections_made_while_a_worker_is_replaced_are_served(load):
    """DUR-8, DUR-6"""
    t = load.stack
    until(lambda: len(t.worker_pids()) == t.workers, "the workers are there")
    t.wait_ready()
    t.up.on("while", text("yes"))
    t.kill_workers()
    turn = load.request(random.Random(SEED), "POST", "/v1/messages", {"content": "while"}).json()
    tap.eq(t.wait_idle(turn["session_id"])["content"], "yes", "answer")


def test_a_worker_that_comes_back_from_the_dead_writes_nothing(load):
    """SDC-18, DUR-6, DUR-3, PRC-1"""
    up = load.stack.up
    with Load(up, 0, 0, SEED) as other:  # a worker that hangs: its supervisor is killed and it can't notice
        t = other.stack
        text_of = plan.plan("z", (["Let ", "me. "], [["kit__act", {"key": "z.0.0", "ms": 1500}],
                                                      ["kit__look", {"key": "z.0.1", "ms": 1500}]]),
                            (["It ", "is ", "done."], []))
        turn = t.say(text_of)
        watcher = Watcher(other.ports, turn["session_id"], random.Random(SEED))
        until(lambda: os.path.exists(other.journal) and "z.0.0" in open(other.journal, encoding="ascii").read(),
              "the tool runs")
        old = t.worker_pids().values()
        try:
            for pid in old:
                freeze(pid)
            t.chatd.kill()
            t.chatd.start()
            until(lambda: "worker.takeover" in t.chatd.log(whole=True), "the successor waits no longer", 20)
            asked = until(lambda: t.log.rows("SELECT id FROM prompts WHERE state = 'open'"), "it is asked", 20)
        finally:
            for pid in old:
                thaw(pid)
        until(lambda: not any(alive(pid) for pid in old), "the old workers end", 20)
        body = {"allow": False}
        r = other.request(random.Random(SEED), "POST",
                          f"/v1/sessions/{turn['session_id']}/prompts/{asked[0]['id']}", body)
        tap.eq(r.status, 200, "answer")
        snap = t.wait_idle(turn["session_id"])
        tap.eq(snap["content"], plan.answer_of(text_of), "answer")
        tap.eq([x["status"] for x in snap["tool_invocations"]], ["failed", "done"], "calls")
        until(lambda: watcher.state.seq == snap["seq"] or watcher.fault, "the viewer has all")
        watcher.stop()
        tap.eq(watcher.fault, None, "the viewer")
        watcher.state.snapshot(snap)
        ran = open(other.journal, encoding="ascii").read()
        tap.eq(ran.count("act z.0.0"), 1, "how often it ran")
        tap.eq(verify(t.db_path)[0], 0, "chatctl verify")
        other.check_end()


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


if __name__ == "__main__":
    with Upstream() as provider:
        provider.default = plan.script
        with Load(provider, SECONDS, USERS, SEED, drain="400ms") as load_of:
            tap.run(globals(), load_of)
    tap.finish()
