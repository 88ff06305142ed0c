"""Who may: tokens and their owners, origins and preflights, where streamerd listens."""

import base64
import os
import stat
import subprocess
import tempfile

from lib import http, sse, tap
from lib.auth import ANN, BOB, CAROL, LISTED, OTHER_LISTED, TOKENS, AuthStack, D, bearer, digest, refusal
from lib.daemons import STREAMERD, WRAPPER, free_port
from lib.tools import ToolUpstream
from lib.wait import scaled, until

# --- tokens ---


def routes(sid, turn, prompt, cursor="1-1"):
    """Every request that names a session: (method, target, body, headers)."""
    at = f"/v1/sessions/{sid}"
    return [
        ("GET", at, None, {}),
        ("GET", at + "/messages", None, {}),
        ("GET", at + "/snapshot", None, {}),
        ("GET", at + "/events", None, {}),
        ("GET", at + "/events?until=idle", None, {}),
        ("GET", at + "/events", None, {"Last-Event-ID": cursor}),
        ("GET", at + "/events?until=idle", None, {"Last-Event-ID": cursor}),
        ("HEAD", at + "/events", None, {}),
        ("POST", at + f"/prompts/{prompt}", {"allow": True}, {}),
        ("POST", at + f"/prompts/{prompt}", {"allow": True, "remember": "session"}, {}),
        ("POST", at + f"/prompts/{prompt}", {"allow": False}, {}),
        ("POST", at + "/abort", {}, {}),
        ("POST", at + "/abort", {"turn_id": turn}, {}),
        ("POST", "/v1/messages", {"content": "mine now", "session_id": sid}, {}),
        ("POST", "/v1/messages", {"content": "mine now", "session_id": sid, "on_busy": "queue"}, {}),
        ("POST", "/v1/messages", {"content": "mine now", "session_id": sid, "on_busy": "interrupt"}, {}),
        ("DELETE", at, None, {}),
    ]


def state_for_ann(t, sid):
    snap = t.snapshot_as(ANN, sid)
    del snap["ts"]
    return snap, t.log.counts(), t.lines("written"), t.call("GET", f"/v1/sessions/{sid}", headers=ANN).body


def test_without_its_token_nothing_is_served(t):
    """SEC-2, SEC-6"""
    sid, turn, prompt = t.waiting_turn("no token")
    before = state_for_ann(t, sid)
    token = TOKENS["ann"]
    wrong = [
        {}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}, {"Authorization": token},
        bearer("x"), bearer(token[:-1]), bearer(token + "x"), bearer(token.upper()), bearer(" " + token),
        bearer(digest(token)), bearer("ann:" + digest(token)), bearer(f"{token},{token}"), bearer("x" * 4000),
        {"Authorization": "Basic " + base64.b64encode(f"ann:{token}".encode()).decode()}, {"Cookie": "token=" + token},
        {"X-Authorization": "Bearer " + token},
    ]
    for headers in wrong:
        r = t.call("GET", "/v1/sessions", headers=headers)
        tap.eq(refusal(r), (401, "unauthorized"), f"{headers}")
        how = r.header("www-authenticate")
        assert how.startswith('Bearer error="invalid_token"') if "Authorization" in headers else how == "Bearer", how
    for method, target, body, headers in routes(sid, turn, prompt) + [
            ("POST", "/v1/messages", {"content": "x"}, {}), ("GET", "/v1/sessions", None, {}), ("GET", "/metrics", None, {}),
            ("GET", f"/v1/sessions?token={token}&access_token={token}", None, {})]:
        for who in ({}, bearer("x")):
            r = t.call(method, target, body, {**headers, **who})
            tap.eq(r.status, 401, f"{method} {target} {who}: {r}")
    tap.eq(state_for_ann(t, sid), before, "what there is afterwards")
    for target in ("/healthz", "/readyz", "/", "/page/app.js", "/ops"):
        tap.eq(t.status({}, target), 200, f"{target} needs none")
    tap.eq(t.status({"Authorization": "bEARER " + token}), 200, "the scheme in other letters")
    for owner, secret in TOKENS.items():
        assert secret not in t.streamerd.log(whole=True), f"the token of {owner} is in the log"
    tap.eq(t.call("POST", f"/v1/sessions/{sid}/abort", {}, ANN).status, 202, "abort")


def test_what_belongs_to_another_owner_does_not_exist(t):
    """SEC-2, SEC-6"""
    sid, turn, prompt = t.waiting_turn("of ann alone")
    before = state_for_ann(t, sid)
    with t.viewer(sid, headers=ANN) as v:
        first = v.next()
        nowhere = "ses_" + "0" * 26
        for (method, target, body, headers), absent in zip(routes(sid, turn, prompt, first.id),
                                                           routes(nowhere, turn, prompt, first.id)):
            r = t.call(method, target, body, {**headers, **BOB})
            tap.eq(r.status, 404, f"{method} {target} {body}: {r}")
            if method != "HEAD":
                tap.eq(refusal(r), (404, "session_not_found"), f"{method} {target} {body}")
            same = t.call(absent[0], absent[1], absent[2], {**absent[3], **BOB})
            tap.eq((r.status, r.body), (same.status, same.body), f"{method} {target} tells that it is there")
        tap.eq([x["id"] for x in t.call("GET", "/v1/sessions", headers=BOB).json()["sessions"]], [], "bob's list")
        assert sid in [x["id"] for x in t.call("GET", "/v1/sessions", headers=ANN).json()["sessions"]], "ann's list"
        tap.eq(state_for_ann(t, sid), before, "what there is afterwards")
        tap.eq(t.call("POST", f"/v1/sessions/{sid}/prompts/{prompt}", {"allow": True}, ANN).status, 200, "the owner's answer")
        e = v.next()
        tap.eq((e.name, e.seq), ("prompt_resolved", first.seq + 1), "the first event since")
        v.to_end()
    tap.eq(t.lines("written").count("of ann alone"), 1, "it ran once")


def test_an_idempotency_key_is_the_owners(t):
    """SEC-2"""
    t.up.on("the same words", D.text("a"))
    made = {}
    for name, who in (("ann", ANN), ("bob", BOB), ("ann again", ANN)):
        r = t.call("POST", "/v1/messages", {"content": "the same words"}, {**who, "Idempotency-Key": "one-key"})
        tap.eq(r.status, 202, f"{name}: {r}")
        made[name] = r.json()["session_id"]
    assert made["bob"] != made["ann"], made
    tap.eq(made["ann again"], made["ann"], "ann's second time")
    tap.eq(t.status(BOB, f"/v1/sessions/{made['ann']}"), 404, "bob is not led to ann's")


def test_tokens_are_read_again_on_sighup(t):
    """SEC-2, RUN-2"""
    with AuthStack(t.up) as s:
        sid = s.waiting_turn("through a reload")[0]
        with s.viewer(sid, headers=ANN) as v:
            v.next()
            s.write_tokens(f"# bob is gone\nann:{digest(TOKENS['ann'])}\n\ncarol:{digest(CAROL)}\n")
            tap.eq(s.status(bearer(CAROL)), 401, "before the signal")
            s.reload("conf.reloaded")
            tap.eq([s.status(x) for x in (ANN, BOB, bearer(CAROL))], [200, 401, 200], "ann, bob, carol")
            for text in (f"ann:{digest(TOKENS['ann'])}\nbob\n", f"bob:{digest(TOKENS['bob'])[:-1]}\n", "x y:" + "0" * 64):
                s.write_tokens(text)
                line = s.reload("conf.refused")
                assert "tokens:" in line and TOKENS["bob"] not in line, line
                tap.eq([s.status(x) for x in (ANN, BOB, bearer(CAROL))], [200, 401, 200], f"after {text[-20:]!r}")
            os.unlink(os.path.join(s.dir, "tokens"))
            s.reload("conf.refused")
            tap.eq([s.status(x) for x in (ANN, BOB, bearer(CAROL))], [200, 401, 200], "without the file")
            tap.eq(s.call("POST", f"/v1/sessions/{sid}/abort", {}, ANN).status, 202, "abort")
            v.until("aborted")


# --- origins ---

FOREIGN = ["https://evil.example", "null", "http://app.example.org", "https://app.example.org:8443", "https://app.example.org.evil.example",
           "https://evil.example/https://app.example.org", "https://xapp.example.org", "app.example.org", "https://", "*", LISTED + "/",
           f"{LISTED}, {OTHER_LISTED}", "http://127.0.0.1:1"]


def cors(r):
    found = {k.lower(): v for k, v in r.headers if k.lower().startswith("access-control-")}
    assert "access-control-allow-credentials" not in found, r.headers
    return found


def is_readable_by(r, origin, what):
    tap.eq(cors(r).get("access-control-allow-origin"), origin, f"{what}: allowed origin")
    assert "origin" in (r.header("vary") or "").lower(), f"{what}: Vary is {r.header('vary')}"


def test_a_listed_origin_may_read_every_answer(t):
    """SEC-3"""
    sid = t.post_as(ANN, t.up.on("cors", D.text("x"))).json()["session_id"]
    for origin in (LISTED, OTHER_LISTED):
        for method, target, body, who, status in [
                ("GET", "/v1/sessions", None, ANN, 200), ("GET", f"/v1/sessions/{sid}/snapshot", None, ANN, 200),
                ("POST", "/v1/messages", {"content": "cors"}, ANN, 202), ("POST", "/v1/messages", {}, ANN, 400),
                ("GET", "/v1/sessions", None, {}, 401), ("GET", f"/v1/sessions/{sid}", None, BOB, 404),
                ("GET", "/nothing", None, ANN, 404), ("PUT", "/v1/messages", {}, ANN, 405), ("GET", "/healthz", None, {}, 200)]:
            r = t.call(method, target, body, {**who, "Origin": origin})
            tap.eq(r.status, status, f"{method} {target} from {origin}")
            is_readable_by(r, origin, f"{method} {target}")
        with t.viewer(sid, headers={**ANN, "Origin": origin}) as v:
            is_readable_by(v.response, origin, "the stream")
            v.to_end()
    for headers in ({}, {"Origin": f"http://127.0.0.1:{t.port}"}):
        r = t.call("GET", "/v1/sessions", headers={**ANN, **headers})
        tap.eq((r.status, cors(r)), (200, {}), f"headers for {headers}")


def test_a_foreign_origin_is_403_on_every_route_and_changes_nothing(t):
    """SEC-1, SEC-3"""
    sid, turn, prompt = t.waiting_turn("from elsewhere")
    before = state_for_ann(t, sid)
    other = [("POST", "/v1/messages", {"content": "x"}, {}), ("GET", "/v1/sessions", None, {}), ("GET", "/healthz", None, {}),
             ("GET", "/readyz", None, {}), ("GET", "/metrics", None, {}), ("GET", "/", None, {}), ("GET", "/nothing", None, {}),
             ("OPTIONS", "/v1/messages", None, {"Access-Control-Request-Method": "POST"})]
    for i, (method, target, body, headers) in enumerate(routes(sid, turn, prompt) + other):
        for origin in FOREIGN if i == 0 else FOREIGN[:2]:
            r = t.call(method, target, body, {**headers, **ANN, "Origin": origin})
            tap.eq((r.status, cors(r)), (403, {}), f"{method} {target} from {origin}")
            if method != "HEAD":
                tap.eq(refusal(r), (403, "foreign_origin"), f"{method} {target} from {origin}")
    tap.eq(state_for_ann(t, sid), before, "what there is afterwards")
    tap.eq(t.call("POST", f"/v1/sessions/{sid}/abort", {}, ANN).status, 202, "abort")


def test_a_preflight_of_a_listed_origin_is_allowed_without_a_token(t):
    """SEC-3"""
    before = t.log.counts()
    for target, method, allowed in [
            ("/v1/messages", "POST", {"POST"}), ("/v1/sessions", "GET", {"GET", "HEAD"}),
            ("/v1/sessions/ses_x", "DELETE", {"GET", "HEAD", "DELETE"}), ("/v1/sessions/ses_x/events", "GET", {"GET", "HEAD"}),
            ("/v1/sessions/ses_x/abort", "POST", {"POST"}), ("/v1/sessions/ses_x/prompts/prm_x", "POST", {"POST"})]:
        r = t.call("OPTIONS", target, headers={
            "Origin": LISTED, "Access-Control-Request-Method": method,
            "Access-Control-Request-Headers": "authorization,content-type,idempotency-key,last-event-id,traceparent"})
        tap.eq((r.status, r.body), (204, b""), f"preflight for {method} {target}")
        is_readable_by(r, LISTED, target)
        said = cors(r)
        names = {x.strip().lower() for x in said["access-control-allow-headers"].split(",")}
        assert {"authorization", "content-type", "idempotency-key", "last-event-id", "traceparent"} <= names, said
        tap.eq({x.strip() for x in said["access-control-allow-methods"].split(",")}, allowed, f"methods of {target}")
        assert 0 < int(said["access-control-max-age"]) <= 86400, said
    r = t.call("OPTIONS", "/nothing", headers={"Origin": LISTED, "Access-Control-Request-Method": "POST"})
    tap.eq(r.status, 404, "preflight for what is not there")
    tap.eq(t.log.counts(), before, "rows")


def test_origins_are_read_again_on_sighup(t):
    """SEC-3, RUN-2"""
    with AuthStack(t.up) as s:
        s.set_origins("https://new.example.org")
        s.reload("conf.reloaded")
        for origin, status in ((LISTED, 403), ("https://new.example.org", 200)):
            tap.eq(s.status({**ANN, "Origin": origin}), status, origin)
        s.set_origins("https://new.example.org/with/a/path")
        line = s.reload("conf.refused")
        assert "streamerd.conf:" in line and "allowed_origins" in line, line
        tap.eq(s.status({**ANN, "Origin": "https://new.example.org"}), 200, "what was stays")


# --- where it listens ---


def use_socket(t, who):
    """A turn over the Unix socket, viewed there and read over both."""
    t.up.on("by socket", D.text("over a socket"))
    r = http.request(t.sock, "POST", "/v1/messages", {"content": "by socket"}, who)
    tap.eq(r.status, 202, f"POST over the socket: {r}")
    sid = r.json()["session_id"]
    with sse.Viewer(t.sock, sid, headers=who) as v:
        tap.eq(v.status, 200, "events over the socket")
        v.to_end()
        tap.eq(v.state.content, "over a socket", "what was shown")
    for where in (t.sock, t.port):
        tap.eq(http.request(where, "GET", f"/v1/sessions/{sid}", headers=who).status, 200, f"read at {where}")
    for headers, status, code in (({"Host": "evil.example"}, 421, "foreign_host"), ({"Host": None}, None, None),
                                  ({"Origin": "https://evil.example"}, 403, "foreign_origin")):
        r = http.request(t.sock, "GET", "/v1/sessions", headers={**who, **headers})
        tap.eq(r.status in (400, 421) if status is None else refusal(r) == (status, code), True, f"{headers}: {r}")
    mode = os.stat(t.sock)
    tap.eq((stat.S_ISSOCK(mode.st_mode), mode.st_mode & 0o007), (True, 0), "nobody else may connect")


def test_a_unix_socket_is_served_without_tokens(t):
    """SEC-1, RUN-2"""
    with AuthStack(t.up, tokens=None) as s:
        use_socket(s, {})
        tap.eq(s.call("GET", "/v1/sessions", headers=bearer("anything")).status, 200, "a token that nobody asked for")
        tap.eq(s.streamerd.term(), 0, "exit status")
        s.streamerd.start()  # over the socket's file, if it is still there
        s.wait_ready()
        use_socket(s, {})


def test_a_unix_socket_needs_tokens_like_every_other(t):
    """SEC-2"""
    use_socket(t, BOB)
    for who in ({}, bearer("x")):
        tap.eq(refusal(http.request(t.sock, "GET", "/v1/sessions", headers=who)), (401, "unauthorized"), f"{who}")


def streamerd_with(folder, listen, auth, *options):
    path = os.path.join(folder, "listen.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"[http]\nlisten = {listen}\n[bus]\ndir = {folder}\n{auth}")
    p = subprocess.run(WRAPPER + [STREAMERD, "-c", path, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                       timeout=scaled(15), check=False)
    return p.returncode, [x for x in p.stderr.splitlines() if not x.startswith("==")]


def test_beyond_loopback_without_tokens_is_refused_at_start(t):
    """SEC-1, RUN-2"""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "tokens"), "w", encoding="ascii") as f:
            f.write(f"ann:{digest('x')}\n")
        tokens = f"[auth]\nmode = tokens\ntokens_file = {folder}/tokens\n"
        for listen in (f"0.0.0.0:{port}", f"[::]:{port}", f"192.0.2.1:{port}", f"[2001:db8::1]:{port}", f"[::ffff:192.0.2.1]:{port}",
                       f"10.0.0.1:{port}", f"127.0.0.1:{port}, 0.0.0.0:{port}", f"unix:{folder}/s, [::]:{port}"):
            for auth in ("", "[auth]\nmode = none\n", f"[auth]\ntokens_file = {folder}/tokens\n"):
                status, lines = streamerd_with(folder, listen, auth)  # not --check: the start itself
                tap.eq((status, len(lines)), (78, 1), f"{listen} with {auth!r}: {lines}")
                assert "listen.conf:2:" in lines[0] and "listen" in lines[0] and "tokens" in lines[0], lines
            tap.eq(streamerd_with(folder, listen, tokens, "--check"), (0, []), f"{listen} with tokens")
        assert not os.path.exists(f"{folder}/s"), "a socket was made"
        for listen in (f"127.0.0.1:{port}", f"127.1.2.3:{port}", f"[::1]:{port}", f"unix:{folder}/s"):
            tap.eq(streamerd_with(folder, listen, "", "--check"), (0, []), f"{listen} without tokens")
        os.unlink(f"{folder}/tokens")
        status, lines = streamerd_with(folder, f"127.0.0.1:{port}", tokens)
        tap.eq((status, len(lines)), (78, 1), f"a tokens_file that is not there: {lines}")


if __name__ == "__main__":
    with ToolUpstream() as up:
        with AuthStack(up) as stack:
            tap.run(globals(), stack)
    tap.finish()
