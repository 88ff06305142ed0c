"""When a turn whose worker died is ended, and when it is not: the count, what sets it to 0, on_crash."""

from lib import sse, tap, upstream
from lib.daemons import Stack
from lib.tools import OpenAI, ToolUpstream
from lib.upstream import chunk
from lib.wait import until

CALL = OpenAI().calls(("c1", "nowhere__look", '{"at": 1}'))  # no server has it: an error for the model, a whole step


def kill_while_asked(t, turn, key, times):
    """Kills all workers each time the provider has been asked and said a word that void steps lose."""
    for n in times:
        t.up.wait(key, n)
        until(lambda: "half " in t.snapshot(turn["session_id"])["content"], f"the words of asking {n}", 30)
        t.kill_workers()
        t.wait_ready(30)


def shown_as_ended(t, v, turn):
    """Its one end: at the viewer that was there, in the log, the snapshot and the history."""
    event = v.until(lambda e: e.is_terminal(), 30)
    tap.eq((event.name, event.data.get("code")), ("error", "worker_crashed"), "the event")
    snap = t.wait_idle(turn["session_id"])
    tap.eq(snap["error"]["code"], "worker_crashed", "error of the snapshot")
    tap.eq(snap["messages"][-1]["status"], "error", "status of the message")
    ends = [r["type"] for r in t.log.events(turn["session_id"]) if r["type"] in sse.TERMINAL]
    tap.eq(ends, ["error"], "terminal events")
    return snap


def test_the_third_death_without_progress_ends_the_turn(t):
    """DUR-6, FAF-2, API-5"""
    key = t.up.on("deadly", *[upstream.hang(chunk("half "))] * 5)
    turn = t.say(key)
    v = t.viewer(turn["session_id"])
    kill_while_asked(t, turn, key, (1, 2, 3))
    shown_as_ended(t, v, turn)
    tap.eq(len(t.up.of(key)), 3, "times asked")
    tap.eq(t.log.turn(turn["turn_id"])["crashes"], 3, "crashes")
    again = t.say(t.up.on("behind it", upstream.text("yes")), turn["session_id"])
    tap.eq(t.wait_idle(again["session_id"])["content"], "yes", "the next turn of the session")


def test_a_whole_step_between_deaths_starts_the_count_anew(t):
    """DUR-6"""
    half = upstream.hang(chunk("half "))
    key = t.up.on("slow but sure", half, half, CALL, half, half, upstream.text("whole"))
    turn = t.say(key)
    kill_while_asked(t, turn, key, (1, 2))
    kill_while_asked(t, turn, key, (4, 5))
    snap = t.wait_idle(turn["session_id"])
    tap.eq((snap["content"], snap["error"]), ("whole", None), "the answer after four deaths")
    tap.eq(len(t.up.of(key)), 6, "times asked")


def test_interrupt_ends_what_a_dead_worker_left_and_nothing_else(t):
    """DUR-6, DUR-8"""
    with Stack(t.up, drain="200ms\non_crash = interrupt") as s:
        key = s.up.on("interrupted", *[upstream.hang(chunk("half "))] * 2)
        turn = s.say(key)
        v = s.viewer(turn["session_id"])
        kill_while_asked(s, turn, key, (1,))
        snap = shown_as_ended(s, v, turn)
        tap.eq((snap["content"], snap["messages"][-1]["content"]), ("half ", "half "), "what was said so far")
        tap.eq(len(s.up.of(key)), 1, "times asked")
        # a restart that was asked for is no crash
        key = s.up.on("handed over", upstream.hang(chunk("half ")), upstream.text("whole"))
        turn = s.say(key)
        until(lambda: s.snapshot(turn["session_id"])["content"] == "half ", "the words", 30)
        tap.eq(s.chatd.term(), 0, "exit status")
        s.chatd.start()
        s.wait_ready(30)
        tap.eq(s.wait_idle(turn["session_id"])["content"], "whole", "the turn that was handed over")


if __name__ == "__main__":
    with ToolUpstream() as up:
        with Stack(up) as stack:
            tap.run(globals(), stack)
    tap.finish()
