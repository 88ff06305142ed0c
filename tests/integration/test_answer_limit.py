"""An answer has a largest size: what is just as long is stored, what is one byte longer ends the turn."""

from lib import tap, upstream
from lib.daemons import Stack
from lib.upstream import Upstream

LIMIT = 4 * 1024 * 1024  # LIMIT_ANSWER
PIECE = "0123456789abcdef" * 4096


def test_an_answer_of_just_the_limit_is_whole(t):
    """PRC-5, FAF-2"""
    turn = t.say(t.up.on("just", upstream.text(*[PIECE] * (LIMIT // len(PIECE)))))
    snap = t.wait_idle(turn["session_id"])
    tap.eq((snap["error"], len(snap["content"])), (None, LIMIT), "error and length")
    tap.eq(t.messages(turn["session_id"])["messages"][-1]["status"], "complete", "status")


def test_a_byte_more_ends_the_turn_with_what_came(t):
    """PRC-5, FAF-2"""
    turn = t.say(t.up.on("more", upstream.text(*[PIECE] * (LIMIT // len(PIECE)), "x", "never shown")))
    snap = t.wait_idle(turn["session_id"])
    tap.eq(snap["error"]["code"], "answer_too_large", "error")
    tap.eq(snap["content"], PIECE * (LIMIT // len(PIECE)) + "x", "content")
    m = t.messages(turn["session_id"])["messages"][-1]
    tap.eq((m["status"], len(m["content"])), ("error", LIMIT + 1), "message")
    t.up.on("and then", upstream.text("fine"))
    t.say("and then", turn["session_id"])
    tap.eq(t.wait_idle(turn["session_id"])["content"], "fine", "the next answer")


if __name__ == "__main__":
    with Upstream() as up:
        with Stack(up) as stack:
            tap.run(globals(), stack)
    tap.finish()
