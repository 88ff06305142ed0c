"""A turn from the POST to any viewer, and the rest of the table of API calls."""

import json
import os
import re
import threading
import time

from lib import http, sse, tap, upstream
from lib.daemons import KEY, Stack
from lib.upstream import Upstream
from lib.wait import until

ISO = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
UMLAUTS = ["Grüße, ", "wörld ", "🙂🎉", ' "quoted"\\', "\n\nnew\tline", "\u2028end"]


def test_a_post_answers_202_with_all_three_identities_at_once(t):
    """FAF-1, DUR-1, SDC-7"""
    t.up.on("hang 202", upstream.hang(head=False))
    first = t.say("hang 202")
    assert first["created"] is True and first["generation"] == 1, first
    assert first["session_id"].startswith("ses_") and first["turn_id"].startswith("turn_"), first
    # Accepted means stored: it is all there while the provider still hangs.
    row = t.log.turn(first["turn_id"])
    tap.eq((row["session_id"], row["generation"]), (first["session_id"], 1), "the stored turn")
    said = t.messages(first["session_id"])["messages"]
    assert [m["content"] for m in said if m["role"] == "user"] == ["hang 202"], said
    tap.eq(t.abort(first["session_id"]).status, 202, "abort")


def test_viewers_that_come_before_amid_and_after_the_turn_see_the_same(t):
    """FAF-1, FAF-3, SDC-8, SDC-9, SDC-10, SDC-15, API-5"""
    gate = threading.Event()
    t.up.on("gated", upstream.gated(UMLAUTS[:3], gate, UMLAUTS[3:]))
    first = t.say("gated")
    sid = first["session_id"]
    early = t.viewer(sid)
    early.until(lambda e: early.state.content == "".join(UMLAUTS[:3]))
    amid = t.viewer(sid)
    e = amid.next()
    tap.eq(e.name, "snapshot", "the first event")
    tap.eq(e.data["state"], "processing", "state")
    tap.eq(e.data["turn"]["id"], first["turn_id"], "the running turn")
    assert ISO.match(e.data["turn"]["started_at"]) and ISO.match(e.data["ts"]), e
    tap.eq(amid.state.content, "".join(UMLAUTS[:3]), "text so far")
    gate.set()
    for v in (early, amid):
        tap.eq(v.to_end().name, "response_end", "the terminal event")
        end = v.events[-1].data
        tap.eq(end["stop_reason"], "stop", "stop reason")
        tap.eq((end["usage"]["input_tokens"], end["usage"]["output_tokens"]), (1, 2), "usage")
        assert isinstance(end["duration_ms"], int) and end["duration_ms"] >= 0, end
    late = t.viewer(sid)
    tap.eq(late.next().name, "snapshot", "the first event")
    rest = sse.state_of(t.snapshot(sid))
    tap.eq(late.state.content, "".join(UMLAUTS), "text")
    tap.eq(early.state.shown(), amid.state.shown(), "early and amid")
    tap.eq(late.state.shown(), amid.state.shown(), "late and amid")
    tap.eq(rest.shown(), late.state.shown(), "the snapshot over REST")
    tap.eq(t.log.text(sid), "".join(UMLAUTS), "the log")
    stored = t.messages(sid)["messages"][-1]
    tap.eq((stored["role"], stored["content"], stored["status"]),
           ("assistant", "".join(UMLAUTS), "complete"), "message")
    terminal = [x for x in t.log.events(sid) if x["type"] in sse.TERMINAL]
    tap.eq(len(terminal), 1, "terminal events of the turn")


def test_a_turn_that_nobody_watches_is_stored_whole(t):
    """SDC-1, SDC-4, SDC-16"""
    t.up.on("alone", upstream.drip(["a", "b", "c", "d"], 50))
    first = t.say("alone")
    row = t.wait_state(first["turn_id"], "done")
    tap.eq(row["stop_reason"], "stop", "stop reason")
    tap.eq((row["input_tokens"], row["output_tokens"]), (1, 4), "usage in v_turns")
    assert ISO.match(row["started"]) and ISO.match(row["ended"]), row
    tap.eq(t.log.text(first["session_id"]), "abcd", "text in the log")
    tap.eq(t.snapshot(first["session_id"])["content"], "abcd", "text in the snapshot")


def test_a_second_message_continues_the_conversation(t):
    """SDC-7, SDC-9"""
    t.up.on("my name is Ada", upstream.text("Hello, ", "Ada."))
    t.up.on("who am I?", upstream.text("You are Ada."))
    first = t.say("my name is Ada", system="Be brief.")
    v = t.viewer(first["session_id"])
    v.to_end()
    second = t.say("who am I?", first["session_id"])
    tap.eq((second["created"], second["generation"]), (False, 2), "second 202")
    tap.eq(second["session_id"], first["session_id"], "session")
    assert second["turn_id"] != first["turn_id"]
    # The same viewer goes on across turns.
    v.until("response_end")
    tap.eq(v.state.content, "You are Ada.", "text")
    tap.eq([m[1:] for m in v.state.messages],
           [("user", "my name is Ada", "complete"), ("assistant", "Hello, Ada.", "complete"),
            ("user", "who am I?", "complete"), ("assistant", "You are Ada.", "complete")], "messages")
    asked = t.up.wait("who am I?")
    said = [(m["role"], m["content"] if isinstance(m["content"], str) else m["content"][0]["text"])
            for m in asked.json["messages"]]
    tap.eq(said, [("system", "Be brief."), ("user", "my name is Ada"), ("assistant", "Hello, Ada."),
                  ("user", "who am I?")], "what the provider was sent")
    tap.eq(asked.json["stream"], True, "stream")
    tap.eq(asked.headers.get("authorization"), f"Bearer {KEY}", "key")
    t.log.check_seqs(first["session_id"])


def test_content_may_be_an_array_of_parts(t):
    """API-2"""
    t.up.on("two parts", upstream.text("yes"))
    r = t.post([{"type": "text", "text": "two "}, {"type": "text", "text": "parts"}])
    tap.eq(r.status, 202, f"{r}")
    t.wait_idle(r.json()["session_id"])
    tap.eq(t.up.wait("two parts").json["messages"][-1]["role"], "user", "role")
    said = t.messages(r.json()["session_id"])["messages"][0]
    tap.eq(said["content"], [{"type": "text", "text": "two "}, {"type": "text", "text": "parts"}], "stored content")


def test_anthropic_is_spoken_as_well(t):
    """PRV-2, PRV-6"""
    name, body, expect = next(r for r in upstream.recordings() if r[0] == "anthropic/thinking_text")
    t.up.on("think", upstream.replay(body, 1448))
    first = t.say("think", provider="claude")
    snap = t.wait_idle(first["session_id"])
    tap.eq((snap["content"], snap["reasoning"]), (expect["text"], expect["reasoning"]), name)
    asked = t.up.wait("think")
    assert asked.path.endswith("/v1/messages"), asked.path
    tap.eq(asked.headers.get("x-api-key"), KEY, "key")
    assert asked.headers.get("anthropic-version"), asked.headers
    assert asked.json["max_tokens"] > 0, asked.json


def test_the_demo_provider_answers_without_network_and_key(t):
    """PRV-3"""
    first = t.say("demo: hello", provider="fast")
    v = t.viewer(first["session_id"])
    v.to_end(60)
    assert v.state.content, v.events
    tap.eq(t.snapshot(first["session_id"])["content"], v.state.content, "text")


def test_sessions_are_listed_newest_first_and_in_pages(t):
    """API-1"""
    made = []
    for i in range(5):
        made.append(t.say(f"demo: page {i}", provider="fast")["session_id"])
        t.wait_idle(made[-1], 60)
    seen, target = [], "/v1/sessions?limit=2"
    for _ in range(100):
        r = t.call("GET", target)
        tap.eq(r.status, 200, f"{r}")
        doc = r.json()
        assert 0 < len(doc["sessions"]) <= 2 or not doc["next"], doc
        seen += [s["id"] for s in doc["sessions"]]
        if not doc["next"]:
            break
        target = "/v1/sessions?limit=2&cursor=" + str(doc["next"])
    tap.eq(len(seen), len(set(seen)), "no session twice")
    assert set(made) <= set(seen), (made, seen)
    tap.eq([s for s in seen if s in made], made[::-1], "the newest first")
    r = t.call("GET", f"/v1/sessions/{made[0]}")
    tap.eq((r.status, r.json()["id"]), (200, made[0]), "one session")
    assert ISO.match(r.json()["created_at"]), r


def test_messages_come_in_pages_from_the_newest_back(t):
    """API-1"""
    t.up.on("m0", upstream.text("r0"))
    sid = t.say("m0")["session_id"]
    t.wait_idle(sid)
    for i in range(1, 4):
        t.up.on(f"m{i}", upstream.text(f"r{i}"))
        t.say(f"m{i}", sid)
        t.wait_idle(sid)
    wanted = [x for i in range(4) for x in (f"m{i}", f"r{i}")]
    whole = t.messages(sid)
    tap.eq([m["content"] for m in whole["messages"]], wanted, "in one page")
    tap.eq(whole["next"], None, "next")
    pages, query = [], "?limit=3"
    while True:
        doc = t.messages(sid, query)
        pages.append([m["content"] for m in doc["messages"]])
        if not doc["next"]:
            break
        query = f"?limit=3&before={doc['next']}"
        assert len(pages) < 9, pages
    tap.eq([m for p in reversed(pages) for m in p], wanted, "in pages")
    for m in whole["messages"]:
        assert {"id", "turn_id", "role", "content", "status", "created_at"} <= set(m), m
        assert m["id"].startswith("msg_") and ISO.match(m["created_at"]), m


def test_a_deleted_session_is_gone(t):
    """SDC-6"""
    t.up.on("to delete", upstream.text("x"))
    sid = t.say("to delete")["session_id"]
    t.wait_idle(sid)
    v = t.viewer(sid)
    v.next()
    r = t.call("DELETE", f"/v1/sessions/{sid}")
    tap.eq((r.status, r.body), (204, b""), "DELETE")
    v.until("session_cleared")
    for method, target in (("GET", ""), ("GET", "/messages"), ("GET", "/snapshot"), ("GET", "/events"),
                           ("POST", "/abort"), ("DELETE", "")):
        r = t.call(method, f"/v1/sessions/{sid}{target}", {} if method == "POST" else None)
        tap.eq((r.status, r.error()["code"]), (404, "session_not_found"), f"{method} {target}")
    tap.eq(t.post("again", sid).status, 404, "a message to it")
    assert sid not in t.call("GET", "/v1/sessions?limit=200").body.decode()


def test_until_idle_ends_the_stream_with_the_turn(t):
    """SDC-9, API-3"""
    gate = threading.Event()
    t.up.on("until", upstream.gated(["one "], gate, ["two"]))
    sid = t.say("until")["session_id"]
    v = t.viewer(sid, query="?until=idle")
    v.until("response_chunk") if not v.next().data["content"] else None
    gate.set()
    v.drain()
    tap.eq(v.events[-1].name, "response_end", "the last event")
    tap.eq(v.state.content, "one two", "text")
    again = t.viewer(sid, query="?until=idle")
    again.drain()
    tap.eq([e.name for e in again.events], ["snapshot"], "a fresh viewer of an idle session")
    done = t.viewer(sid, v.cursor, query="?until=idle")
    tap.eq((done.status, done.response.body), (204, b""), "a returning viewer that has everything")
    done = t.viewer(sid, query=f"?until=idle&last_event_id={v.cursor}")
    tap.eq(done.status, 204, "the same by query")
    part = t.viewer(sid, v.events[1].id, query="?until=idle")
    part.drain()
    tap.eq([e.id for e in part.events], [e.id for e in v.events[2:]], "a returning viewer that has a part")


def test_a_stream_says_how_it_must_be_treated(t):
    """API-3"""
    t.up.on("heads", upstream.text("x"))
    sid = t.say("heads")["session_id"]
    v = t.viewer(sid)
    r = v.response
    tap.eq(r.header("cache-control"), "no-cache, no-transform", "cache-control")
    tap.eq(r.header("x-accel-buffering"), "no", "x-accel-buffering")
    tap.eq(r.header("content-length"), None, "content-length")
    v.to_end()
    with http.Connection(t.port) as c:
        r = c.request("HEAD", f"/v1/sessions/{sid}/snapshot")
        tap.eq((r.status, r.body), (200, b""), "HEAD")
        r = c.request("GET", f"/v1/sessions/{sid}")
        tap.eq(r.status, 200, "the connection goes on after HEAD")
    r = t.call("HEAD", f"/v1/sessions/{sid}/events")
    assert r.status in (200, 405), r


def test_a_quiet_stream_is_kept_alive_by_comments(t):
    """API-3"""
    t.up.on("quiet", upstream.text("x"))
    sid = t.say("quiet")["session_id"]
    v = t.viewer(sid)
    v.to_end()
    began = time.monotonic()
    try:
        v.until(lambda e: v.comments, 1)
    except AssertionError:
        pass

    def beat():
        try:
            v.next(0.05)
        except AssertionError:
            pass
        return v.comments

    until(beat, "a comment", 25)
    assert time.monotonic() - began < 17 * 1.5, "a comment at least every 15 s"


def test_many_sessions_run_at_once(t):
    """SDC-5"""
    n, gate = 30, threading.Event()
    for i in range(n):
        t.up.on(f"parallel {i}", upstream.gated([f"<{i}>"], gate, [f"</{i}>"]))
    turns = [t.say(f"parallel {i}") for i in range(n)]
    for i in range(n):
        t.up.wait(f"parallel {i}")  # all are at the provider at once
    gate.set()
    for i, turn in enumerate(turns):
        tap.eq(t.wait_idle(turn["session_id"])["content"], f"<{i}></{i}>", f"answer {i}")


def test_health_metrics_and_the_page_are_served(t):
    """API-1"""
    tap.eq(t.call("GET", "/healthz").status, 200, "healthz")
    tap.eq(t.call("GET", "/readyz").status, 200, "readyz")
    r = t.call("GET", "/metrics")
    tap.eq(r.status, 200, "metrics")
    assert r.header("content-type").startswith("text/plain"), r.headers
    assert len(t.metrics()) >= 3, r.body
    r = t.call("GET", "/")
    tap.eq(r.status, 200, "page")
    assert r.header("content-type").startswith("text/html") and b"<html" in r.body.lower(), r


def test_usage_is_there_to_be_added_up(t):
    """OPS-2"""
    t.up.on("usage", upstream.text("x", usage=(11, 7)))
    turn = t.say("usage")
    t.wait_idle(turn["session_id"])
    row = t.log.turn(turn["turn_id"])
    tap.eq((row["input_tokens"], row["output_tokens"], row["provider"], row["model"]),
           (11, 7, "main", "test-model"), "v_turns")
    assert t.log.rows("SELECT * FROM v_usage"), "v_usage has rows"
    tap.eq(t.log.rows("SELECT * FROM v_open_prompts"), [], "v_open_prompts")
    t.log.rows("SELECT * FROM v_stuck")
    names = {e["type"] for e in t.log.events(turn["session_id"])}
    assert {"response_start", "response_chunk", "response_end"} <= names, names
    for e in t.log.events(turn["session_id"]):
        assert ISO.match(e["time"]), e
        json.loads(e["payload"])


def test_a_key_may_come_from_the_environment(t):
    """PRV-6"""
    t.up.on("env key", upstream.text("ok"))
    t.wait_idle(t.say("env key", provider="env")["session_id"])
    tap.eq(t.up.wait("env key").headers.get("authorization"), "Bearer sk-from-the-environment", "key")


def test_the_key_is_nowhere_in_the_database(t):
    """PRV-6"""
    for suffix in ("", "-wal"):
        with open(t.db_path + suffix, "rb") as f:
            assert KEY.encode() not in f.read(), f"key in {t.db_path}{suffix}"


if __name__ == "__main__":
    with Upstream() as up:
        os.environ["CHATD_TEST_KEY"] = "sk-from-the-environment"
        providers = {
            "claude": {"type": "anthropic"},
            "fast": {"type": "demo", "rate": 0},
            "env": {"type": "openai", "api_key_env": "CHATD_TEST_KEY"},
        }
        with Stack(up, providers) as stack:
            tap.run(globals(), stack)
    tap.finish()
