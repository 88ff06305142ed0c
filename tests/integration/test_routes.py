"""Every route as another owner: taken from streamerd's own table, so that a new one can't be forgotten."""

from lib import http, tap
from lib.auth import ANN, BOB, AuthStack, refusal
from lib.routes import routes
from lib.tools import ToolUpstream
from lib.wait import until

NOWHERE = "ses_" + "0" * 26

# What a POST needs to be understood, by handler; other routes that name a session are sent {}.
BODIES = {
    "api_resolve_prompt": [{"allow": True}, {"allow": True, "remember": "session"}, {"allow": False}, {"answers": {"q": "x"}}],
    "api_abort": [{}, None],
}
# Routes without a session in their path, and how each is tried below. A new one must be put here, with its test.
OTHERS = {
    "POST /v1/messages": "names one in its body",
    "GET /v1/sessions": "lists one's own",
    "POST /v1/tickets": "test_identity",
    "GET /v1/events": "names some in its query; all of one's own: test_multi_events",
    "GET /metrics": "numbers of the service alone",
}


def of_sessions():
    return [r for r in routes() if ":" in r.pattern and r.auth != "open"]


def requests(sid, turn, prompt):
    """(method, target, body) of each route that names a session."""
    found = []
    for r in of_sessions():
        target = r.target(sid, prompt)
        bodies = [None] if r.method in ("GET", "DELETE") else BODIES.get(r.handler, [{}])
        found += [(r.method, target, b) for b in bodies]
        if r.handler == "api_abort":
            found.append((r.method, target, {"turn_id": turn}))
        if r.method == "GET":
            found.append(("HEAD", target, None))
        if r.auth == "ticket":
            found += [("GET", target + "?until=idle", None), ("GET", target + "?last_event_id=1-1", None)]
    found.append(("GET", f"/v1/events?sessions={sid}", None))
    for on_busy in ("reject", "queue", "interrupt"):
        found.append(("POST", "/v1/messages", {"content": "mine now", "session_id": sid, "on_busy": on_busy}))
    return found


def all_there_is(t, sid):
    snap = t.snapshot_as(ANN, sid)
    del snap["ts"]
    return snap, t.log.counts(), t.lines("written"), t.call("GET", f"/v1/sessions/{sid}", headers=ANN).body


def test_the_table_has_no_route_that_this_does_not_know(t):
    """SEC-2"""
    plain = {repr(r) for r in routes() if ":" not in r.pattern and r.auth != "open"}
    unknown = plain - set(OTHERS)
    assert not unknown, f"say in OTHERS how another owner is kept from what {unknown} shows"
    open_ones = {r.pattern for r in routes() if r.auth == "open"}
    assert not [p for p in open_ones if p.startswith("/v1")], f"open: {open_ones}"
    assert len(of_sessions()) >= 7, of_sessions()


def test_on_every_route_another_owners_session_does_not_exist_and_stays_as_it_is(t):
    """SEC-2, SEC-6"""
    sid, turn, prompt = t.waiting_turn("nobody else's")
    before = all_there_is(t, sid)
    with t.viewer(sid, headers=ANN) as v:
        first = v.next()
        absent = requests(NOWHERE, turn, prompt)
        for (method, target, body), nowhere in zip(requests(sid, turn, prompt), absent):
            r = t.call(method, target, body, BOB)
            tap.eq(r.status, 404, f"{method} {target} {body}: {r}")
            if method != "HEAD":
                tap.eq(refusal(r), (404, "session_not_found"), f"{method} {target} {body}")
            same = t.call(nowhere[0], nowhere[1], nowhere[2], BOB)
            tap.eq((r.status, r.body), (same.status, same.body), f"{method} {target} tells that it is there")
        for r in of_sessions():  # a stream that was let in by a ticket of another
            if r.auth == "ticket":
                x = t.call("POST", "/v1/tickets", {"session_id": sid}, BOB).json()["ticket"]
                tap.eq(t.status({}, f"{r.target(sid)}?ticket={x}"), 404, f"{r} by ticket")
        tap.eq([x["id"] for x in t.call("GET", "/v1/sessions", headers=BOB).json()["sessions"]], [], "bob's list")
        tap.eq(all_there_is(t, sid), before, "what there is afterwards")
        tap.eq(t.call("POST", f"/v1/sessions/{sid}/prompts/{prompt}", {"allow": True}, ANN).status, 200, "the owner's answer")
        e = v.next()
        tap.eq((e.name, e.seq), ("prompt_resolved", first.seq + 1), "the first event since")
        v.to_end()
    tap.eq(t.lines("written").count("nobody else's"), 1, "it ran once")


def test_a_prompt_is_not_answered_through_a_session_of_ones_own(t):
    """SEC-6"""
    sid, _, prompt = t.waiting_turn("by another way")
    before = all_there_is(t, sid)
    mine = t.call("POST", "/v1/messages", {"content": "bob's own", "provider": "demo"}, BOB).json()["session_id"]
    for body in BODIES["api_resolve_prompt"]:
        r = t.call("POST", f"/v1/sessions/{mine}/prompts/{prompt}", body, BOB)
        tap.eq(refusal(r), (404, "prompt_not_found"), f"{body}")
    anns = t.call("POST", "/v1/messages", {"content": "ann's other", "provider": "demo"}, ANN).json()["session_id"]
    r = t.call("POST", f"/v1/sessions/{anns}/prompts/{prompt}", {"allow": True}, ANN)
    tap.eq(refusal(r), (404, "prompt_not_found"), "also hers, if it is another session")
    for x in (mine, anns):
        t.call("POST", f"/v1/sessions/{x}/abort", {}, BOB if x == mine else ANN)
    until(lambda: all_there_is(t, sid)[0] == before[0], "the snapshot is as before")
    assert "by another way" not in t.lines("written"), "the tool ran"
    tap.eq(t.call("POST", f"/v1/sessions/{sid}/abort", {}, ANN).status, 202, "abort")


def test_without_a_token_each_route_says_so_before_anything_else(t):
    """SEC-2"""
    for r in routes():
        target = r.target(NOWHERE, "prm_x")
        for body in (None, b"{", {}) if r.method == "POST" else (None,):
            got = t.call(r.method, target, body)
            if r.auth == "open":
                assert got.status in (200, 404, 503), f"{r}: {got}"  # files of the page: 404 for one that is not there
            else:
                tap.eq((refusal(got), got.header("www-authenticate")), ((401, "unauthorized"), "Bearer"), f"{r}")
        two = http.request(t.port, r.method, target, None, {"Authorization": ANN["Authorization"] + "\r\nAuthorization: " + BOB["Authorization"]})
        if r.auth != "open":
            tap.eq(refusal(two), (401, "unauthorized"), f"{r} with two tokens")


if __name__ == "__main__":
    with ToolUpstream() as up:
        with AuthStack(up) as stack:
            tap.run(globals(), stack)
    tap.finish()
