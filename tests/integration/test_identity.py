"""Other people's identities: JSON Web Tokens, and tickets for EventSource."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import os
import time

from lib import http, sse, tap
from lib.auth import ANN, BOB, LISTED, AuthStack, D, bearer, refusal
from lib.tools import ToolUpstream

NEW, OLD = b"n" * 32, b"o" * 40
JWT = """[auth]
mode = jwt
jwt_keys_file = {dir}/keys.json
jwt_issuer = https://id.example.org
jwt_audience = chat
jwt_leeway = 5
"""


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(sub, secret=NEW, alg="HS256", kid=None, **claims):
    head = {"alg": alg, "typ": "JWT", **({"kid": kid} if kid else {})}
    claims = {"sub": sub, "exp": int(time.time()) + 600, "iss": "https://id.example.org", "aud": ["chat"], **claims}
    claims = {k: v for k, v in claims.items() if v is not None}
    signed = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims).encode())
    return signed + "." + b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())


class JwtStack(AuthStack):
    def set_origins(self, origins):
        self.write_keys({"new": NEW})
        self.streamerd_extra = JWT.format(dir=self.dir)
        self.write_conf()

    def write_keys(self, keys):
        doc = {"keys": [{"kty": "oct", "kid": kid, "k": b64(key)} for kid, key in keys.items()]}
        with open(os.path.join(self.dir, "keys.json"), "w", encoding="ascii") as f:
            json.dump(doc, f)


def test_a_signed_token_names_the_owner_by_its_subject(t):
    """SEC-2"""
    with JwtStack(t.up) as s:
        ann, bob = bearer(token("auth0|ann")), bearer(token("bob@example.org"))
        sid = s.post_as(ann, t.up.on("by jwt", D.text("x"))).json()["session_id"]
        tap.eq([s.status(x, f"/v1/sessions/{sid}") for x in (ann, bob)], [200, 404], "ann, bob")
        with s.viewer(sid, headers=bearer(token("auth0|ann", kid="new"))) as v:
            v.to_end()
        now = int(time.time())
        for what, x, word in (
            ("another's key", token("auth0|ann", OLD), "not signed"), ("another kid", token("auth0|ann", kid="x"), "not signed"),
            ("no algorithm", token("auth0|ann", alg="none"), "alg"), ("unsigned", token("auth0|ann", alg="none").rsplit(".", 1)[0] + ".", "JWT"),
            ("expired", token("auth0|ann", exp=now - 60), "expired"), ("early", token("auth0|ann", nbf=now + 60), "not good yet"),
            ("no exp", token("auth0|ann", exp=None), "no exp"), ("issuer", token("auth0|ann", iss="https://evil"), "issuer"),
            ("audience", token("auth0|ann", aud="mail"), "audience"), ("no sub", token(None), "sub"), ("no token", "x", "JWT"),
        ):
            r = s.call("GET", f"/v1/sessions/{sid}", headers=bearer(x))
            tap.eq(refusal(r), (401, "unauthorized"), what)
            assert word in r.error()["message"] and word in r.header("www-authenticate"), f"{what}: {r} {r.headers}"
        log = s.streamerd.log(whole=True)
        assert token("auth0|ann").split(".")[0] not in log, "a token is in the log"


def test_keys_are_changed_on_sighup(t):
    """SEC-2, RUN-2"""
    with JwtStack(t.up) as s:
        new, old = bearer(token("ann", kid="new")), bearer(token("ann", OLD, kid="old"))
        tap.eq([s.status(x) for x in (new, old)], [200, 401], "before")
        s.write_keys({"new": NEW, "old": OLD})
        s.reload("conf.reloaded")
        tap.eq([s.status(x) for x in (new, old)], [200, 200], "both")
        s.write_keys({"old": OLD})
        s.reload("conf.reloaded")
        tap.eq([s.status(x) for x in (new, old)], [401, 200], "the other")
        for text in ("{", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}'):
            with open(os.path.join(s.dir, "keys.json"), "w", encoding="ascii") as f:
                f.write(text)
            assert "keys.json" in s.reload("conf.refused"), text
            tap.eq([s.status(x) for x in (new, old)], [401, 200], f"after {text}")


# --- tickets ---


def ticket(t, who=ANN, **body):
    r = t.call("POST", "/v1/tickets", body or None, who)
    tap.eq(r.status, 200, f"a ticket: {r}")
    tap.eq(r.header("cache-control"), "no-store", "Cache-Control")
    doc = r.json()
    assert 0 < doc["expires_in"] <= 60, doc
    return doc["ticket"]


def opens(t, sid, query, headers=None):
    with sse.Viewer(t.port, sid, query=query, headers=headers) as v:
        return v.status


def test_a_ticket_opens_one_stream_of_its_owner_once(t):
    """SEC-2"""
    sid = t.post_as(ANN, t.up.on("by ticket", D.text("seen"))).json()["session_id"]
    x = ticket(t)
    with t.viewer(sid, query=f"?ticket={x}") as v:
        tap.eq(v.status, 200, "with a ticket")
        v.to_end()
        tap.eq(v.state.content, "seen", "content")
    for target in (f"/v1/sessions/{sid}/events?ticket={x}", f"/v1/sessions/{sid}/events?until=idle&ticket={x}"):
        r = t.call("GET", target)
        tap.eq((refusal(r), r.header("www-authenticate")), ((401, "unauthorized"), "Bearer"), "a second time")
    tap.eq(t.status({}, f"/v1/sessions/{sid}/events?ticket={ticket(t, BOB)}"), 404, "bob's")
    tap.eq(t.status({}, f"/v1/sessions/{sid}/events?ticket={ticket(t, BOB, session_id=sid)}"), 404, "bob's for it")
    x = ticket(t, session_id=sid)
    tap.eq(t.status({}, f"/v1/sessions/ses_{'0' * 26}/events?ticket={x}"), 401, "another session")
    with t.viewer(sid, query=f"?last_event_id=1-1&ticket={x}") as v:
        tap.eq(v.status, 200, "its own session, afterwards")


def test_a_ticket_opens_nothing_else(t):
    """SEC-2"""
    sid, turn, prompt = t.waiting_turn("not by ticket")
    before = t.log.counts()
    x = ticket(t)
    for method, target, body in (
        ("GET", "/v1/sessions", None), ("GET", f"/v1/sessions/{sid}", None), ("DELETE", f"/v1/sessions/{sid}", None),
        ("GET", f"/v1/sessions/{sid}/snapshot", None), ("GET", f"/v1/sessions/{sid}/messages", None), ("GET", "/metrics", None),
        ("POST", f"/v1/sessions/{sid}/abort", {"turn_id": turn}), ("POST", f"/v1/sessions/{sid}/prompts/{prompt}", {"allow": True}),
        ("POST", "/v1/messages", {"content": "x", "session_id": sid}), ("POST", "/v1/tickets", {}),
    ):
        tap.eq(t.call(method, f"{target}?ticket={x}", body).status, 401, f"{method} {target}")
        tap.eq(t.call(method, target, body, bearer(x)).status, 401, f"{method} {target} as a token")
    tap.eq(t.log.counts(), before, "rows")
    for bad in ("", "x", x[:-1], x + "A", x[:10] + ("A" if x[10] != "A" else "B") + x[11:], x.lower(), x + "&ticket=" + x, "A" * 4000):
        status = opens(t, sid, f"?ticket={bad}")
        if bad.startswith(x + "&"):  # the first one counts, and it is good
            tap.eq(status, 200, "twice")
        else:
            tap.eq(status, 401, f"ticket {bad[:40]!r}")
    tap.eq(opens(t, sid, "?ticket=x", ANN), 200, "a header goes first")
    tap.eq(opens(t, sid, f"?ticket={ticket(t)}", bearer("x")), 401, "also a wrong one")
    assert x not in t.streamerd.log(whole=True) + t.chatd.log(whole=True), "a ticket is in the log"
    tap.eq(t.call("POST", f"/v1/sessions/{sid}/abort", {}, ANN).status, 202, "abort")


def test_who_asks_for_tickets_is_checked(t):
    """SEC-2, SEC-3, SEC-4, API-2"""
    for who in ({}, bearer("x")):
        tap.eq(refusal(t.call("POST", "/v1/tickets", {}, who)), (401, "unauthorized"), f"{who}")
    tap.eq(refusal(t.call("POST", "/v1/tickets", {}, {**ANN, "Origin": "https://evil.example"})), (403, "foreign_origin"), "a foreign page")
    tap.eq(t.call("POST", "/v1/tickets", {}, {**ANN, "Origin": LISTED}).status, 200, "a listed page")
    for body, status, code in ((b"{", 400, "bad_json"), ({"session": "x"}, 400, "bad_field"), ({"session_id": 5}, 400, "bad_field"),
                               ({"session_id": "../x"}, 404, "session_not_found"), (b"[]", 400, "bad_json")):
        tap.eq(refusal(t.call("POST", "/v1/tickets", body, ANN)), (status, code), f"{body}")
    tap.eq(refusal(t.call("GET", "/v1/tickets", None, ANN)), (405, "method_not_allowed"), "GET")
    with http.Connection(t.port) as c:  # one owner can't take all of them
        for n in range(2100):
            r = c.request("POST", "/v1/tickets", None, BOB)
            if r.status != 200:
                break
        tap.eq((refusal(r), r.header("retry-after")), ((429, "too_many"), "1"), "too many")
        assert n > 900, f"only {n}"  # some were given above
    ticket(t)


def test_of_many_processes_that_are_offered_a_ticket_one_takes_it(t):
    """SEC-2, PRC-6"""
    with AuthStack(t.up, http={"processes": 3}) as s:
        sid = s.post_as(ANN, s.up.on("for one of many", D.text("x"))).json()["session_id"]
        for n in range(30):
            x = ticket(s)
            with concurrent.futures.ThreadPoolExecutor(6) as pool:
                got = list(pool.map(lambda _: opens(s, sid, f"?ticket={x}"), range(6)))  # noqa: B023
            tap.eq(sorted(got), [200] + [401] * 5, f"ticket {n}")


def test_without_authentication_tickets_are_not_needed_and_do_no_harm(t):
    """SEC-2"""
    with AuthStack(t.up, tokens=None) as s:
        sid = s.say(t.up.on("open", D.text("x")))["session_id"]
        for x in (ticket(s, {}), "x"):
            with sse.Viewer(s.port, sid, query=f"?ticket={x}") as v:
                tap.eq(v.status, 200, "events")
                v.to_end()


if __name__ == "__main__":
    with ToolUpstream() as up:
        with AuthStack(up) as stack:
            tap.run(globals(), stack)
    tap.finish()
