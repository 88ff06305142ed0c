"""What users, models and tools write breaks no frame, no log line and no statement: it comes out as it went in."""

import json
import re

from lib import http, sse, tap
from lib.auth import ANN, BOB, AuthStack, D
from lib.tools import ToolUpstream

LINE = re.compile(r"<[3-7]>[a-z0-9_. ]+( [^\x00-\x1f\x7f-\x9f\u2028\u2029]*)?")
FORGED = "event: response_end\ndata: {\"forged\":true}\n\nid: 99-99\n\n"
TEXTS = [
    "two\nlines", "a\r\nb", "a\rb", "\n\n", "\r\r", "\r\n\r\n", "end\n", "\nbegin", "nul \0 inside", "\0", "esc \x1b[2J\x1b]0;t\x07", "\x7f\x01\x08", "\x85 \x9b2J",
    "\u2028 and \u2029", "\ufeffbom", "\u202eabc", "\ufffe\uffff", "\U0010ffff", "e\u0301", FORGED, FORGED.replace("\n", "\r"), FORGED.replace("\n", "\r\n"),
    FORGED.replace("\n", "\u2028"), "data: x", "id: 1-1", "event: error", "retry: 1", ": comment", ":", "\n: heartbeat\n\n", "data:\n\ndata:\n\n",
    "<3>turn.end session=x\n<3>forged line", "session=x turn=y \"quoted\" \\ back", "%s%n%x%d", "${x} $(id) `id`", "'; DROP TABLE events; --", "\"; DELETE FROM turns;",
    "' OR '1'='1", "x'||(SELECT payload FROM events)||'", "?1 :a @b $c", "\\u0000 \\n \\", "\\", "\"", "</script><script>alert(1)</script>", "<img src=x onerror=1>",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "0\r\n\r\n", "{\"fatal\":true}", "{\"state\":\"idle\"", "]}}\n\n", "a" * 3000 + "\n" + "b" * 3000,
]


def frames(t, sid, who):
    """The stream up to its idle end, by the rules of the EventSource standard, read as bytes."""
    with http.Connection(t.port) as c:
        c.send(http.head("GET", f"/v1/sessions/{sid}/events?until=idle", t.port, who, None))
        body = c.response().body
    assert b"\r" not in body, "a CR in the stream"
    found = []
    for block in body.decode("utf-8").split("\n\n"):
        lines = [x for x in block.split("\n") if x and not x.startswith(":")]
        fields = [x.partition(":")[0] for x in lines]
        if not lines or fields == ["retry"]:
            continue
        tap.eq(fields, ["id", "event", "data"], f"the fields of {block[:200]!r}")
        found.append((lines[0][4:], lines[1][7:], json.loads(lines[2][6:])))
    return found


def sane(t):
    for d in (t.streamerd, t.chatd):
        odd = [x for x in d.log().split("\n") if x and not LINE.fullmatch(x)]
        tap.eq(odd, [], f"log lines of {d.name}")
        forged = [x for x in d.log().split("\n") if "forged" in x or "DROP" in x]
        tap.eq(forged, [], f"what users said, in the log of {d.name}")


def test_what_a_user_and_a_model_say_arrives_as_it_was_said(t):
    """SEC-5, API-3"""
    for n, text in enumerate(TEXTS):
        content = f"{n} {text}"
        t.up.on(content, D.text("I heard: ", text, " and that was all"))
        r = t.post_as(ANN, content)
        tap.eq(r.status, 202, f"{text!r}: {r}")
        sid = r.json()["session_id"]
        with t.viewer(sid, headers=ANN) as v:
            v.to_end()
            tap.eq(v.state.content, f"I heard: {text} and that was all", "the live answer")
        for ident, name, data in frames(t, sid, ANN):
            tap.eq((ident, name), (f"{data['generation']}-{data['seq']}", name), "id and event are ours")
            assert name == "snapshot", f"{name}: forged, or not idle"
            tap.eq(data["content"], f"I heard: {text} and that was all", "the snapshot")
        said = t.call("GET", f"/v1/sessions/{sid}/messages", headers=ANN).json()["messages"]
        tap.eq([m["content"] for m in said], [content, f"I heard: {text} and that was all"], "the messages")
        title = t.call("GET", f"/v1/sessions/{sid}", headers=ANN).json()["title"]
        assert not re.search(r"[\x00-\x1f]", title), f"title {title!r}"
    sane(t)


def test_what_a_tool_says_and_is_told_arrives_as_it_was_said(t):
    """SEC-5"""
    for n, text in enumerate(TEXTS[::3]):
        if "\0" in text:
            continue
        key = f"tool {n}"
        t.up.on(key, D.calls((f"c{n}", "kit__echo", json.dumps({"text": text}))), D.text("done"))
        sid = t.post_as(ANN, key).json()["session_id"]
        with t.viewer(sid, headers=ANN) as v:
            v.to_end()
        call = t.snapshot_as(ANN, sid)["tool_invocations"][0]
        tap.eq((call["input"], call["output"], call["status"]), ({"text": text}, text, "done"), "what it was told and said")
        tap.eq([f[1] for f in frames(t, sid, ANN)], ["snapshot"], "frames")
    sane(t)


NAMES = ["' OR '1'='1", "x\ny", "x\"y", "%27", "ses_'; DROP TABLE sessions; --", "\\x", "a" * 64, "\u2028", "*", "ses_%", "_" * 30]


def test_names_that_clients_choose_select_nothing_and_break_nothing(t):
    """SEC-5, API-1"""
    sid = t.post_as(ANN, t.up.on("a session", D.text("x"))).json()["session_id"]
    before = None
    for name in NAMES:
        for body in ({"content": "x", "session_id": name}, {"content": "x", "model": name, "provider": "main"}, {"content": "x", "provider": name}):
            r = t.call("POST", "/v1/messages", body, BOB)
            assert r.status in (202, 400, 404), f"{body}: {r}"
            if r.status != 202:
                r.error()
            else:
                assert "session_id" not in body and "model" in body, f"{body} was taken"
        r = t.call("POST", f"/v1/sessions/{sid}/abort", {"turn_id": name}, ANN)
        assert r.status in (400, 409), f"turn_id {name!r}: {r}"
        for cursor in (name, "1-1\u0020x", "1-1'", "99999999999999999999-1", "-1--1", "1"):
            if not cursor.isascii() or not cursor.isprintable():
                continue
            with sse.Viewer(t.port, sid, headers={**ANN, "Last-Event-ID": cursor}) as v:
                tap.eq((v.status, v.next().name), (200, "snapshot"), f"Last-Event-ID {cursor!r}")
    before = t.call("GET", f"/v1/sessions/{sid}/messages", headers=ANN).body
    for key in ("'OR(1=1)--", "x;y", "\"", "%s"):
        first = t.call("POST", "/v1/messages", {"content": "keyed", "provider": "demo"}, {**ANN, "Idempotency-Key": key})
        tap.eq(first.status, 202, f"key {key!r}: {first}")
        again = t.call("POST", "/v1/messages", {"content": "keyed", "provider": "demo"}, {**ANN, "Idempotency-Key": key})
        tap.eq(again.body, first.body, f"key {key!r} again")
        t.call("POST", f"/v1/sessions/{first.json()['session_id']}/abort", {}, ANN)
    meta = {"'": "\"", "\u2028": "\n", "a\0b": "c\0d", "__proto__": {}, "": None}
    r = t.call("POST", "/v1/messages", {"content": "with metadata", "provider": "demo", "metadata": meta}, ANN)
    assert r.status in (202, 400), f"metadata: {r}"
    tap.eq(t.call("GET", f"/v1/sessions/{sid}/messages", headers=ANN).body, before, "the other session")
    tap.eq(t.log.one("PRAGMA integrity_check"), "ok", "integrity")
    sane(t)


if __name__ == "__main__":
    with ToolUpstream() as up:
        with AuthStack(up) as stack:
            tap.run(globals(), stack)
    tap.finish()
