"""An upstream that somebody else wrote: aimock plays OpenAI's and Anthropic's protocols.

Skipped with a reason where the package or node 20, which it needs, is not to be had.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

from lib import http, npm, tap
from lib.daemons import Stack, free_port
from lib.wait import until


FIXTURES = {
    "fixtures": [
        {"match": {"userMessage": "weather", "hasToolResult": True}, "response": {"content": "No idea then."}},
        {"match": {"userMessage": "weather"},
         "response": {"toolCalls": [{"name": "get_weather", "arguments": '{"city":"Köln"}'}]}},
        {"match": {"userMessage": "limited"},
         "response": {"error": {"message": "slow down", "type": "rate_limit_error"}, "status": 429}},
        {"match": {"userMessage": "slow"}, "response": {"content": "word " * 60}, "latency": 20, "chunkSize": 5},
        {"match": {"userMessage": "broken"}, "response": {"content": "word " * 60}, "latency": 10, "chunkSize": 5,
         "disconnectAfterMs": 150},
        {"match": {"userMessage": "hello"}, "response": {"content": "Hello from the other side. äöü 🙂"}},
    ]
}


class Aimock:
    def __init__(self, program):
        self.port = free_port()
        self.dir = tempfile.mkdtemp(prefix="chatd-aimock-")
        fixtures = os.path.join(self.dir, "fixtures.json")
        with open(fixtures, "w", encoding="utf-8") as f:
            json.dump(FIXTURES, f)
        with open(os.path.join(self.dir, "log"), "wb") as log:
            self.process = subprocess.Popen(
                [program, "-p", str(self.port), "-f", fixtures], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log)
        self.url = f"http://127.0.0.1:{self.port}"

        def up():
            assert self.process.poll() is None, "aimock ended: " + self.log()
            try:
                return http.request(self.port, "GET", "/__aimock/journal").status
            except OSError:
                return False

        until(up, "aimock answers", 30)

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()[-2000:]

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)


PROVIDERS = ("main", "claude")


def test_an_answer_arrives_whole(t):
    """PRV-1, PRV-2"""
    for p in PROVIDERS:
        turn = t.say("hello", provider=p)
        snap = t.wait_idle(turn["session_id"])
        tap.eq((snap["content"], snap["error"]), ("Hello from the other side. äöü 🙂", None), p)


def test_a_tool_call_is_recorded_and_its_failure_told(t):
    """PRV-5"""
    for p in PROVIDERS:
        turn = t.say("weather", provider=p)
        snap = t.wait_idle(turn["session_id"])
        tap.eq([(x["name"], x["input"]) for x in snap["tool_invocations"]], [("get_weather", {"city": "Köln"})], p)
        tap.eq(snap["content"], "No idea then.", p)


def test_a_rate_limit_is_told(t):
    """PRV-4, FAF-2"""
    for p in PROVIDERS:
        turn = t.say("limited", provider=p)
        snap = t.wait_idle(turn["session_id"], 30)
        tap.eq(snap["error"]["code"], "provider_error", p)
        assert "slow down" in snap["error"]["message"], snap["error"]


def test_abort_in_the_middle_of_a_slow_answer(t):
    """SDC-3"""
    for p in PROVIDERS:
        turn = t.say("slow", provider=p)
        v = t.viewer(turn["session_id"])
        v.until(lambda e: v.state.content)  # noqa: B023
        tap.eq(t.abort(turn["session_id"]).status, 202, "abort")
        v.until("aborted")
        tap.eq(t.messages(turn["session_id"])["messages"][-1]["status"], "aborted", "status")


def test_a_connection_that_breaks_in_the_middle_is_an_error(t):
    """FAF-7"""
    for p in PROVIDERS:
        turn = t.say("broken", provider=p)
        snap = t.wait_idle(turn["session_id"], 30)
        assert snap["error"], f"{p}: {snap['content']!r} counts as whole"
        assert snap["error"]["code"] in ("provider_truncated", "provider_unreachable"), snap["error"]


def test_under_chaos_every_turn_ends_with_the_whole_answer_or_an_error(t):
    """FAF-7, PRV-4"""
    chaos = {"dropRate": 0.2, "disconnectRate": 0.3, "malformedRate": 0.1}
    r = http.request(t.mock.port, "POST", "/__aimock/chaos", chaos)
    if r.status >= 300:
        tap.note(f"POST /__aimock/chaos: {r}")
    turns = [t.say("hello", provider=PROVIDERS[i % 2]) for i in range(30)]
    whole = failed = 0
    for turn in turns:
        snap = t.wait_idle(turn["session_id"], 60)
        if snap["error"]:
            failed += 1
            tap.eq(snap["messages"][-1]["status"], "error", "status")
        else:
            whole += 1
            tap.eq(snap["content"], "Hello from the other side. äöü 🙂", "answer")
    tap.note(f"{whole} whole, {failed} failed")


if __name__ == "__main__":
    try:
        where = npm.program("llmock", oldest=20)
    except tap.Skip as why:
        print(f"1..0 # SKIP {why}")
        sys.exit(0)
    mock = Aimock(where)
    try:
        keys = {"main": {"type": "openai", "base_url": mock.url + "/v1", "model": "gpt-test", "max_retries": 1},
                "claude": {"type": "anthropic", "base_url": mock.url, "max_retries": 1}}
        with Stack(None, keys, defaults={"provider": "main"}) as stack:
            stack.mock = mock
            tap.run(globals(), stack)
    finally:
        mock.close()
    tap.finish()
