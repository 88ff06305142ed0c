"""What a turn has cost: also the questions whose answers were cut, as far as the provider said."""

from lib import tap, upstream
from lib.daemons import Stack
from lib.tools import Anthropic
from lib.upstream import Upstream
from lib.wait import until

START = 40


def cut_answer(text):
    """The beginning of an answer that has cost START tokens of input and one of output."""
    e = Anthropic._event
    return (e("message_start", message={
                "id": "m", "type": "message", "role": "assistant", "model": "m", "content": [],
                "usage": {"input_tokens": START, "output_tokens": 1, "cache_read_input_tokens": 7}})
            + e("content_block_start", index=0, content_block={"type": "text", "text": ""})
            + e("content_block_delta", index=0, delta={"type": "text_delta", "text": text}))


def tokens(row):
    return row["input_tokens"], row["output_tokens"]


def begin(t, key):
    turn = t.say(key, provider="claude")
    v = t.viewer(turn["session_id"])
    v.until(lambda e: v.state.content == "half")
    v.close()
    return turn


def test_an_aborted_answer_has_cost_its_question(t):
    """SDC-3, OPS-2"""
    turn = begin(t, t.up.on("abort it", upstream.hang(cut_answer("half"))))
    tap.eq(t.abort(turn["session_id"]).status, 202, "abort")
    snap = t.wait_idle(turn["session_id"])
    tap.eq(snap["usage"], {"input_tokens": START, "output_tokens": 1, "cache_read_tokens": 7,
                           "cache_write_tokens": 0}, "usage in the snapshot")
    tap.eq(tokens(t.log.turn(turn["turn_id"])), (START, 1), "usage in v_turns")


def test_an_answer_that_broke_off_has_cost_its_question(t):
    """FAF-2, OPS-2"""
    turn = begin(t, t.up.on("cut it", upstream.cut(cut_answer("half"))))
    snap = t.wait_idle(turn["session_id"])
    tap.eq(snap["error"]["code"], "provider_truncated", "error")
    tap.eq(tokens(t.log.turn(turn["turn_id"])), (START, 1), "usage in v_turns")


def test_a_step_that_a_crash_voided_is_paid_for_and_counted(t):
    """DUR-6, OPS-2"""
    key = t.up.on("crash it", upstream.hang(cut_answer("half")), Anthropic().text("whole"))
    turn = begin(t, key)
    t.kill_workers()
    t.wait_ready(30)
    snap = t.wait_idle(turn["session_id"])
    tap.eq(snap["content"], "whole", "answer")
    tap.eq(len(t.up.of(key)), 2, "times asked")
    tap.eq(tokens(t.log.turn(turn["turn_id"])), (START + 3, 1 + 5), "both askings are in v_turns")
    tap.eq((snap["usage"]["input_tokens"], snap["usage"]["cache_read_tokens"]), (START + 3, 7), "usage shown")


def test_a_step_that_was_handed_over_is_counted_as_well(t):
    """DUR-8, OPS-2"""
    key = t.up.on("restart it", upstream.hang(cut_answer("half")), Anthropic().text("whole"))
    turn = begin(t, key)
    tap.eq(t.chatd.term(), 0, "exit status")
    t.chatd.start()
    t.wait_ready(30)
    snap = t.wait_idle(turn["session_id"])
    tap.eq(snap["content"], "whole", "answer")
    tap.eq(tokens(t.log.turn(turn["turn_id"])), (START + 3, 1 + 5), "both askings are in v_turns")
    until(lambda: t.log.rows("SELECT * FROM v_usage"), "v_usage has rows")


if __name__ == "__main__":
    with Upstream() as up:
        with Stack(up, {"claude": {"type": "anthropic", "max_retries": 0}}) as stack:
            tap.run(globals(), stack)
    tap.finish()
