"""[workers] exclusive = yes: an owner has one active session, whichever worker it belongs to; with two workers, and one."""

import re
import sqlite3

from lib import tap, upstream
from lib.daemons import Stack
from lib.upstream import Upstream, chunk
from lib.wait import until


def test_a_new_session_ends_the_running_one_whichever_worker_has_it(t):
    """SDC-5, SDC-6, SDC-18"""
    last = None
    for i in range(12):  # both workers own some of them
        key = t.up.on(f"round {i}", upstream.hang(chunk(f"so far {i}")))
        turn = t.say(key)
        sid = turn["session_id"]
        viewer = t.viewer(sid)
        viewer.until(lambda e: viewer.state.content == f"so far {i}")  # noqa: B023
        if last:
            old, old_turn, old_viewer, old_key = last
            old_viewer.until("session_cleared")
            tap.eq(old_viewer.next(), None, "what follows on the old stream")
            tap.eq(old_viewer.state.content, f"so far {i - 1}", "what the old one had said")
            types = [e["type"] for e in t.log.events(old)]
            tap.eq(types[-2:], ["aborted", "session_cleared"], "the old session's last events")
            tap.eq(t.log.turn(old_turn)["state"], "aborted", "the old turn")
            m = t.messages(old)["messages"][-1]
            tap.eq((m["status"], m["content"]), ("aborted", f"so far {i - 1}"), "its stored answer")
            tap.eq(t.snapshot(old)["state"], "idle", "the old session")
            x = t.up.of(old_key)[0]
            until(lambda: x.closed, "the old provider connection is closed")  # noqa: B023
            t.log.check_seqs(old)
            old_viewer.close()
        last = (sid, turn["turn_id"], viewer, key)
    tap.eq(t.abort(last[0]).status, 202, "the last one is still running")
    last[2].close()


def test_the_old_session_can_be_continued_and_ends_the_other(t):
    """SDC-6, SDC-7"""
    a = t.say(t.up.on("first a", upstream.text("a1")))["session_id"]
    t.wait_idle(a)
    key = t.up.on("b hangs", upstream.hang(chunk("b1")))
    b = t.say(key)
    vb = t.viewer(b["session_id"])
    vb.until(lambda e: vb.state.content == "b1")
    t.say(t.up.on("again a", upstream.text("a2")), a)
    tap.eq(t.wait_idle(a)["content"], "a2", "the continued session")
    vb.until("session_cleared")
    tap.eq(vb.next(), None, "what follows on its stream")
    tap.eq(t.log.turn(b["turn_id"])["state"], "aborted", "the other turn")
    vb.close()
    viewer = t.viewer(b["session_id"])  # cleared is not deleted
    tap.eq(viewer.next().data["state"], "idle", "a viewer of the cleared session")
    viewer.close()
    back = t.viewer(b["session_id"], vb.cursor)  # as an EventSource does
    t.say(t.up.on("again b", upstream.text("b2")), b["session_id"])
    tap.eq(back.next().name, "response_start", "what a returning viewer is sent next")
    back.to_end()
    tap.eq(back.state.content, "b2", "the next turn of the cleared session")
    back.close()


def test_a_busy_session_still_answers_409(t):
    """SDC-2"""
    key = t.up.on("busy", upstream.hang(chunk("x")))
    turn = t.say(key)
    r = t.post("more", turn["session_id"])
    tap.eq((r.status, r.error()["code"], r.error()["turn_id"]),
           (409, "already_processing", turn["turn_id"]), "second message")
    tap.eq(t.abort(turn["session_id"]).status, 202, "abort")


def test_one_that_can_not_be_ended_is_told_and_not_called_over(t):
    """SDC-5, FAF-4"""
    if len(t.worker_pids()) < 2:
        return  # a worker ends its own sessions from memory
    told = None
    with sqlite3.connect(t.db_path, timeout=20, isolation_level=None) as db:
        last = None
        for i in range(12):  # until two follow each other at different workers
            turn = t.say(t.up.on(f"damaged {i}", upstream.hang(chunk("x"))))
            if last:
                line = re.compile(rf"^<3>worker\.\d exclusive\.failed session={last['session_id']}", re.M)
                told = until(lambda: line.search(t.chatd.log()) or  # noqa: B023
                             t.log.turn(last["turn_id"])["state"] == "aborted", "the one before is ended or told")  # noqa: B023
                if told is not True:
                    break
            last = turn
            until(lambda: t.log.events(last["session_id"])[-1]["type"] == "response_chunk", "it runs")  # noqa: B023
            db.execute("UPDATE events SET payload = 'x' WHERE turn = (SELECT row FROM turns WHERE id = ?) AND type = "
                       "(SELECT type FROM event_types WHERE name = 'response_chunk')", (last["turn_id"],))
    assert told is not True, "no two at different workers"
    tap.eq(t.log.turn(last["turn_id"])["state"], "running", "the turn that could not be ended")
    assert f"exclusive.nothing session={last['session_id']}" not in t.chatd.log(), "it was said to be over"
    for sid in (last["session_id"], turn["session_id"]):
        t.abort(sid)


if __name__ == "__main__":
    for workers in (2, 1):
        with Upstream() as up, Stack(up, workers=workers, drain="200ms\nexclusive = yes") as stack:
            tap.run(globals(), stack)
    tap.finish()
