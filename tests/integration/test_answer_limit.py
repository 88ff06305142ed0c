"""An answer has a largest size: what is just as long is stored, what is one byte longer ends the turn."""

from lib import tap, upstream
from lib.tools import OpenAI, ToolStack, ToolUpstream

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


def test_results_beyond_the_limit_are_not_kept_and_the_session_stays_readable(t):
    """PRC-5, FAF-2, FAF-5"""
    d, full = OpenAI(), '{"n":65536,"text":"\\u0001"}'
    rounds = [d.calls(*[(f"r{i}_{k}", "kit__big", full) for k in range(60)]) for i in range(2)]
    turn = t.say(t.up.on("results", *rounds, d.text("never asked for")))
    snap = t.wait_idle(turn["session_id"], timeout=60)
    tap.eq(snap["error"]["code"], "answer_too_large", "error")
    r = t.call("GET", f"/v1/sessions/{turn['session_id']}/messages", timeout=30)
    tap.eq(r.status, 200, "messages")
    assert len(r.body) < LIMIT + 65536 * 6 + 65536, f"{len(r.body)} bytes"
    tools = r.json()["messages"][-1]["tool_invocations"]
    kept = [x for x in tools if x["output"] == "\x01" * 65536]
    assert kept and all(x["status"] == "done" for x in kept), f"{len(kept)} are kept"
    rest = {(x["status"], x["is_error"], x["output"]) for x in tools if x not in kept}
    tap.eq(rest, {("failed", True, "The result was not kept: the answer is over the limit.")}, "the others")
    t.up.on("goes on", upstream.text("fine"))
    t.say("goes on", turn["session_id"])
    tap.eq(t.wait_idle(turn["session_id"])["content"], "fine", "the next answer")


if __name__ == "__main__":
    with ToolUpstream() as up:
        with ToolStack(up) as stack:
            tap.run(globals(), stack)
    tap.finish()
