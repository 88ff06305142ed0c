"""Each kind of failure, from where it happens to what a viewer that connects afterwards reads."""

import json
import os
import re
import socket
import time

from lib import tap, upstream
from lib.daemons import Stack, free_port
from lib.upstream import Upstream, chunk
from lib.wait import SCALE, until

PROTOCOL = {"openai-chat": "main", "anthropic-messages": "claude"}


def fails(t, key, provider="main", code="provider_error", kept="", contains="", status=None):
    """Runs a turn that must fail, with nobody watching; checks every place where it must be seen."""
    began = time.monotonic()
    turn = t.say(key, provider=provider)
    sid, tid = turn["session_id"], turn["turn_id"]
    until(lambda: (t.log.turn(tid) or {}).get("ended"), f"{key!r} ends", 20)
    took = time.monotonic() - began
    row, last = t.log.turn(tid), t.log.events(sid)[-1]
    tap.eq(last["type"], "error", "the terminal event in the log")
    error = json.loads(last["payload"])
    tap.eq((error["code"], error["fatal"]), (code, True), f"the error event {error}")
    assert error["message"] and contains in error["message"], error
    if status is not None:
        tap.eq(error["status"], status, "the provider's status")
    tap.eq((row["error_code"], row["error_message"]), (code, error["message"]), "v_turns")
    # Somebody who comes only now.
    v = t.viewer(sid)
    snap = v.next().data
    v.close()
    tap.eq((snap["state"], snap["content"]), ("idle", kept), "snapshot")
    tap.eq((snap["error"]["code"], snap["error"]["message"]), (code, error["message"]), "snapshot.error")
    m = snap["messages"][-1]
    tap.eq((m["role"], m["status"], m["content"]), ("assistant", "error", kept), "the message")
    # An operator.
    lines = [x for x in t.chatd.log().splitlines()
             if f"session={sid}" in x and f"turn={tid}" in x and x[:3] in ("<3>", "<4>")]
    tap.eq(len(lines), 1, f"lines at warning or above for this turn: {lines}")
    # The session is ready for the next message.
    t.up.on("after " + key, upstream.text("fine"))
    t.say("after " + key, sid, provider="main")
    tap.eq(t.wait_idle(sid)["content"], "fine", "the next answer")
    tap.eq(t.snapshot(sid)["error"], None, "the next turn's error")
    return error, took


def test_a_refused_connection(t):
    """FAF-2, FAF-6, PRV-4"""
    fails(t, "refused", "refused", "provider_unreachable")


def test_a_name_that_does_not_resolve(t):
    """FAF-2, FAF-6"""
    fails(t, "dns", "dns", "provider_unreachable")


def test_tls_to_something_that_is_not(t):
    """FAF-2, FAF-6"""
    fails(t, "tls", "tls", "provider_unreachable")


def test_a_connect_that_is_never_answered(t):
    """PRV-4"""
    # A full backlog: the kernel does not answer further SYNs.
    error, took = fails(t, "blackhole", "blackhole", "provider_timeout")
    assert took < 5 * SCALE, took


def test_every_recorded_error_body_reaches_the_user_with_its_status_type_and_message(t):
    """FAF-2, PRV-4"""
    cases = [c for c in upstream.recordings() if c[2]["protocol"] == "http-error"]
    assert len(cases) >= 20, upstream.GOLDEN
    wrong = []
    for name, body, expect in cases:
        status, headers = expect["http"]["status"], expect["http"]["headers"]
        provider = "claude" if name.startswith("anthropic/") else "main"
        t.up.on(name, upstream.error(status, body, headers))
        try:
            error, _ = fails(t, name, provider, status=status, contains=expect["error"]["message"] or "")
            tap.eq(error.get("type"), expect["error"]["type"], "type")
            if expect["error"]["code"] is not None:
                tap.eq(str(error.get("provider_code")), str(expect["error"]["code"]), "code")
            tap.eq(len(t.up.of(name)), 1, "requests at a provider with max_retries = 0")
        except AssertionError as e:
            wrong.append(f"{name}: {e}")
    assert not wrong, "\n".join(wrong)


def test_what_may_pass_is_tried_again_and_what_can_not_is_not(t):
    """PRV-4"""
    wrong = []
    for name, body, expect in upstream.recordings():
        if expect["protocol"] != "http-error" or name.startswith("anthropic/"):
            continue
        key = "retry " + name
        headers = dict(expect["http"]["headers"])
        t.up.on(key, upstream.error(expect["http"]["status"], body, headers), upstream.text("at last"))
        turn = t.say(key, provider="retrying")
        until(lambda: (t.log.turn(turn["turn_id"]) or {}).get("ended"), f"{key!r} ends", 30)  # noqa: B023
        snap = t.snapshot(turn["session_id"])
        asked = expect["retry_after_ms"] or 0
        try:
            if not expect["retryable"] or asked > 60000:
                tap.eq((len(t.up.of(key)), snap["state"], snap["content"]), (1, "idle", ""), "asked once")
                assert snap["error"], "an error"
            else:
                tap.eq((len(t.up.of(key)), snap["content"], snap["error"]), (2, "at last", None), "asked twice")
                warned = [e for e in t.log.events(turn["session_id"]) if e["type"] == "warning"]
                tap.eq([json.loads(w["payload"])["code"] for w in warned], ["provider_retry"], "warnings")
                said = json.loads(warned[0]["payload"])["message"]
                assert re.fullmatch(r".*[^ ][.!?] Trying again in \d+\.\d s\.", said), f"two sentences: {said!r}"
        except AssertionError as e:
            wrong.append(f"{name}: {e}")
    assert not wrong, "\n".join(wrong)


def test_a_retry_after_of_114_hours_ends_the_turn_at_once(t):
    """PRV-4"""
    name = "openai/http429_tpm_huge_retry_after"
    body, expect = next((b, e) for n, b, e in upstream.recordings() if n == name)
    t.up.on("huge", upstream.error(429, body, expect["http"]["headers"]))
    error, took = fails(t, "huge", "retrying", status=429, contains="114h18m")
    assert took < 5 * SCALE, f"{took:.1f} s"
    tap.eq(error["retry_after_ms"], 411480000, "the time that the provider named")
    tap.eq(len(t.up.of("huge")), 1, "requests")


def test_a_short_retry_after_is_honoured(t):
    """PRV-4"""
    t.up.on("wait 1", upstream.error(429, {"error": {"message": "slow"}}, {"retry-after": "1"}), upstream.text("ok"))
    turn = t.say("wait 1", provider="retrying")
    tap.eq(t.wait_idle(turn["session_id"])["content"], "ok", "answer")
    a, b = t.up.of("wait 1")
    assert b.began - a.began >= 0.95, f"asked again after {b.began - a.began:.2f} s"


def test_retries_end(t):
    """PRV-4"""
    t.up.on("always 500", upstream.error(500, {"error": {"message": "broken", "type": "server_error"}}))
    fails(t, "always 500", "retrying", status=500, contains="broken")
    tap.eq(len(t.up.of("always 500")), 3, "requests with max_retries = 2")


def test_a_connection_refused_at_first_is_tried_again(t):
    """PRV-4"""
    t.up.on("reset first", upstream.cut(head=False, reset=True), upstream.text("second"))
    turn = t.say("reset first", provider="retrying")
    tap.eq(t.wait_idle(turn["session_id"])["content"], "second", "answer")


def test_nothing_is_tried_again_after_a_token_was_shown(t):
    """PRV-4, FAF-7"""
    t.up.on("cut late", upstream.cut(chunk("some ") + chunk("words")))
    fails(t, "cut late", "retrying", "provider_truncated", kept="some words")
    tap.eq(len(t.up.of("cut late")), 1, "requests")


def test_a_stream_cut_in_the_middle(t):
    """FAF-6, FAF-7"""
    t.up.on("fin", upstream.cut(chunk("half an ")))
    fails(t, "fin", code="provider_truncated", kept="half an ")
    t.up.on("rst", upstream.cut(chunk("half an ") + b'data: {"choi', reset=True))
    error, _ = fails(t, "rst", code="provider_truncated", kept="half an ")

    def plain(x):  # no chunked coding: the end of the connection looks like the end of the body
        x.head(chunked=False)
        x.send(chunk("half an ") + b'data: {"choices":[{"index":0,"delta":{"content":"ans')

    t.up.on("plain", plain)
    fails(t, "plain", code="provider_truncated", kept="half an ")


def test_an_answer_that_is_empty(t):
    """FAF-7"""
    t.up.on("empty", upstream.replay(b""))
    fails(t, "empty", code="provider_truncated")
    t.up.on("only done", upstream.replay(b"data: [DONE]\n\n"))
    fails(t, "only done", code="provider_truncated")


def test_garbage_instead_of_a_stream(t):
    """FAF-6"""
    t.up.on("bad json", upstream.replay(chunk("so far ") + b"data: {{{{ not json\n\n" + chunk(" more")))
    fails(t, "bad json", code="provider_protocol", kept="so far ")

    def noise(x):
        x.send(b"\x00\x01\x02\xff not http at all \r\n\r\n")
        x.cut()

    t.up.on("noise", noise)
    fails(t, "noise", code="provider_protocol")


def test_bytes_that_are_no_characters_are_replaced(t):
    """PRV-5, SEC-5"""
    bad = b'data: {"choices":[{"index":0,"delta":{"content":"a\xffb"}}]}\n\n'
    t.up.on("utf-8", upstream.replay(bad + upstream.answer("c")))
    snap = t.wait_idle(t.say("utf-8")["session_id"])
    tap.eq((snap["content"], snap["error"]), ("a\ufffdbc", None), "answer")


def test_an_error_in_bytes_that_are_no_characters_reaches_the_user(t):
    """FAF-2, FAF-6, SEC-5"""
    said = b"event: error\ndata: \xffbroken \xe2\x82\n\n"
    t.up.on("bytes in mid-stream", upstream.replay(chunk("so far ") + said))
    error, _ = fails(t, "bytes in mid-stream", kept="so far ")
    tap.eq(error["message"], "\ufffdbroken \ufffd\ufffd", "the message")


def test_html_or_json_with_status_200_is_not_an_answer(t):
    """FAF-6, FAF-7"""
    page = b"<html><body>Please log in</body></html>"
    t.up.on("html", upstream.replay(page, headers={"Content-Type": "text/html"}))
    turn = t.say("html")
    snap = t.wait_idle(turn["session_id"])
    assert snap["error"] and snap["error"]["code"] in ("provider_protocol", "provider_truncated"), snap["error"]
    body = b'{"error":{"message":"model is not loaded","type":"server_error"}}'
    t.up.on("json", upstream.replay(body, headers={"Content-Type": "application/json"}))
    fails(t, "json", code="provider_error", contains="model is not loaded")


def test_a_provider_that_never_begins(t):
    """PRV-4"""
    t.up.on("no head", upstream.hang(head=False))
    error, took = fails(t, "no head", "quick", "provider_timeout")
    assert took < 4 * SCALE, took
    t.up.on("no body", upstream.hang())
    fails(t, "no body", "quick", "provider_timeout")
    for key in ("no head", "no body"):
        until(lambda: t.up.of(key)[0].closed, "its connection is closed")  # noqa: B023


def test_a_provider_that_stops_in_the_middle(t):
    """PRV-4"""
    t.up.on("stalls", upstream.hang(chunk("and then ")))
    fails(t, "stalls", "quick", "provider_timeout", kept="and then ")
    until(lambda: t.up.of("stalls")[0].closed, "its connection is closed")


def test_slow_is_not_stopped(t):
    """PRV-4"""
    t.up.on("slow", upstream.drip(["a", "b", "c", "d", "e", "f"], 5))  # 1.2 s in all, 0.2 s between

    turn = t.say("slow", provider="quick")
    tap.eq(t.wait_idle(turn["session_id"])["content"], "abcdef", "answer")


def test_what_fails_before_a_viewer_can_exist_is_the_posts_own_error(t):
    """FAF-2"""
    before = t.log.counts()
    r = t.post("x", provider="nobody")
    tap.eq((r.status, r.error()["code"]), (400, "unknown_provider"), f"{r}")
    r = t.post("x", provider="listed", model="gpt-0")
    tap.eq((r.status, r.error()["code"]), (400, "unknown_model"), f"{r}")
    tap.eq(t.post("x", provider="listed", model="m2").status, 202, "a model on the list")
    r = t.post("x", model="")
    assert r.status in (202, 400), r
    after = t.log.counts()
    assert after["sessions"] <= before["sessions"] + 2, (before, after)


def test_a_message_while_the_worker_is_down_is_answered_with_503(t):
    """FAF-2, PRC-1"""
    with Stack(t.up, workers=1) as s:
        s.up.on("w", upstream.text("up"))
        sid = s.say("w")["session_id"]
        s.wait_idle(sid)
        workers = s.worker_pids().values()
        s.chatd.kill()
        until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in workers), "the orphaned worker has ended")
        for content, session in (("w", None), ("w", sid)):
            r = until(lambda: (lambda r: r if r.status == 503 else None)(s.post(content, session)), "503")  # noqa: B023
            tap.eq(r.error()["code"], "worker_unavailable", f"{r}")
        for target in (f"/v1/sessions/{sid}", f"/v1/sessions/{sid}/snapshot", f"/v1/sessions/{sid}/events", "/readyz"):
            r = s.call("GET", target)
            tap.eq((r.status, r.error()["code"]), (503, "worker_unavailable"), target)
        tap.eq(s.call("GET", "/healthz").status, 200, "healthz")
        s.chatd.start()
        s.wait_ready()
        s.wait_idle(s.say("w", sid)["session_id"])


if __name__ == "__main__":
    plug = socket.socket()
    plug.bind(("127.0.0.1", 0))
    plug.listen(0)
    fillers = []
    for _ in range(3):  # more than the backlog takes
        f = socket.socket()
        f.setblocking(False)
        f.connect_ex(plug.getsockname())
        fillers.append(f)
    with Upstream() as up:
        once = {"type": "openai", "max_retries": 0}
        providers = {
            "main": once,
            "claude": {"type": "anthropic", "max_retries": 0},
            "retrying": {"type": "openai", "max_retries": 2},
            "quick": {**once, "first_byte_timeout": "700ms", "idle_timeout": "700ms"},
            "refused": {**once, "base_url": f"http://127.0.0.1:{free_port()}/v1"},
            "dns": {**once, "base_url": "http://name.invalid/v1"},
            "tls": {**once, "base_url": f"https://127.0.0.1:{up.port}/v1"},
            "blackhole": {**once, "connect_timeout": "500ms",
                          "base_url": f"http://127.0.0.1:{plug.getsockname()[1]}/v1"},
            "listed": {"type": "openai", "models": "m1, m2", "model": "m1"},
        }
        with Stack(up, providers) as stack:
            tap.run(globals(), stack)
    tap.finish()
