"""The corpus of hostile requests against the real daemon: each has its answer, nothing behind a refusal is served."""

import concurrent.futures
import json
import re

from lib import hostile, http, tap
from lib.auth import AuthStack, refusal
from lib.routes import routes
from lib.tools import ToolUpstream
from lib.wait import until

# a name, then what can be seen: neither controls nor invisible or broken characters
LINE = re.compile(r"<[3-7]>[a-z0-9_.]+( [^\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufffd]*)?")


def serving(t):
    """The process that serves: streamerd itself, or its child."""
    with open(f"/proc/{t.streamerd.pid}/task/{t.streamerd.pid}/children", encoding="ascii") as f:
        return [int(x) for x in f.read().split()] or [t.streamerd.pid]


def all_together(check, cases):
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        return [x for x in pool.map(check, cases) if x]


def quiet(t):
    """Is as it was: no connection is left, nothing odd was logged, nothing was smuggled, all works."""
    until(lambda: t.metrics()["streamerd_connections"] <= 1, "all connections have ended", 20)
    log = t.streamerd.log()
    assert "/smuggled" not in log, [x for x in log.splitlines() if "/smuggled" in x][:5]
    odd = [x for x in log.split("\n") if x and not LINE.fullmatch(x)]
    tap.eq(odd, [], "log lines")
    worse = [x for x in log.splitlines() if x[1] in "34"]
    tap.eq(worse, [], "warnings")
    tap.eq(t.call("GET", "/readyz").status, 200, "readyz")


def test_each_case_of_the_corpus_is_answered_as_stated_and_closed(t):
    """SEC-4, SEC-5, API-1"""
    before, pids = t.log.counts(), serving(t)
    cases = hostile.everything()
    assert len(cases) > 800 and len({x.data for x in cases}) > 700, f"{len(cases)} cases"
    wrong = all_together(lambda x: hostile.check(t.port, x), cases)
    tap.note(f"{len(cases)} cases")
    assert not wrong, f"{len(wrong)} of them:\n" + "\n".join(wrong[:40])
    quiet(t)
    tap.eq((t.log.counts(), serving(t)), (before, pids), "rows, processes")


def test_what_is_no_attack_is_not_refused_for_its_form(t):
    """API-1"""
    def check(case_and_n):
        case, n = case_and_n
        case.half = True
        got = [r.status for r in hostile.answers(t.port, case)]
        if case.name.startswith("garbage behind"):
            n += 1  # which is told so
            got[-1] = 404 if got[-1] == 400 else got[-1]
        bad = [s for s in got if s in (400, 408, 411, 413, 414, 417, 431, 500, 501, 505)]
        return f"{case.name}: {got}, not {n} answers" if len(got) != n or bad else None

    wrong = all_together(check, hostile.written()[1])
    assert not wrong, "\n".join(wrong)
    quiet(t)


HOSTS = ["evil.example", "a.evil.example", "evila", "127.0.0.1.evil.example", "localhost.evil.example", "10.0.0.1", "0.0.0.0", "[::2]", "0x7f.1",
         "127.1.evil", "xn--a-0ga"]
ORIGINS = ["https://evil.example", "null", "http://a.evil.example", "http://evila", "file://", "http://a:1", "https://127.0.0.1:1", "*", "a"]


def test_a_foreign_host_or_origin_is_turned_away_on_every_route(t):
    """SEC-1, SEC-3"""
    before = t.log.counts()
    asks = []
    for r in routes():
        body = {} if r.method == "POST" else None
        for method in (r.method, "OPTIONS", "HEAD" if r.method == "GET" else r.method):
            asks += [(method, r.target("ses_" + "0" * 26), body, {"Host": x}, (421, "foreign_host")) for x in HOSTS]
            asks += [(method, r.target("ses_" + "0" * 26), body, {"Host": "a", "Origin": x}, (403, "foreign_origin")) for x in ORIGINS]
    asks += [("GET", "/nothing", None, {"Host": "evil"}, (421, "foreign_host")), ("PUT", "/", None, {"Host": "evil"}, (421, "foreign_host"))]

    def check(ask):
        method, target, body, headers, wanted = ask
        r = t.call(method, target, body, headers)
        got = (r.status, wanted[1]) if method == "HEAD" else refusal(r)
        cors = [k for k, _ in r.headers if k.lower().startswith("access-control-")]
        return f"{method} {target} {headers}: {got}, {cors}" if got != wanted or cors else None

    wrong = all_together(check, asks)
    tap.note(f"{len(asks)} requests")
    assert not wrong, "\n".join(wrong[:30])
    tap.eq(t.log.counts(), before, "rows")
    for host in (f"localhost:{t.port}", f"127.0.0.1:{t.port}", f"LOCALHOST:{t.port}", f"[::1]:{t.port}", "A", "127.9.9.9"):
        tap.eq(t.call("GET", "/healthz", headers={"Host": host}).status, 200, f"Host {host}")
    tap.eq(t.call("GET", "/v1/sessions", headers={"Origin": f"http://127.0.0.1:{t.port}"}).status, 200, "our own origin")


# Bodies that no route can make anything of, whatever its fields are.
NO_JSON = [
    b"{", b"}", b"[", b"{]", b"nul", b"tru", b"'x'", b"{'a':1}", b"{a:1}", b'{"a":1,}', b"[1,]", b'{"a" 1}', b'{"a":}', b'{"a":1 "b":2}', b"{} {}", b"{}x",
    b"/* */{}", b"{}//", b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b"{\x00}", b"\x00{}", b"{}\x00", b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}',
    b'{"a":01}', b'{"a":+1}', b'{"a":.5}', b'{"a":1.}', b'{"a":1e}', b'{"a":0x1}', b'{"a":--1}', b'{"a":1e999}', b'{"a":9223372036854775808}',
    b'{"a":-9223372036854775809}', b'{"a":' + b"9" * 400 + b"}", b'{"a":"\x01"}', b'{"a":"\n"}', b'{"a":"\t"}', b'{"a":"\\x41"}', b'{"a":"\\u12"}',
    b'{"a":"\\ud800"}', b'{"a":"\\udc00"}', b'{"a":"\\ud800\\ud800"}', b'{"a":"\\ud800x"}', b'{"a":"\\udc00\\ud800"}', b'{"\\ud800":1}', b'{"a":"',
    b'{"a":"\\', b'{"a":"\xff"}', b'{"a":"\xc0\xaf"}', b'{"a":"\xe0\x80\xaf"}', b'{"a":"\xf0\x80\x80\xaf"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}',
    b'{"a":"\xf8\x88\x80\x80\x80"}', b'{"a":"\xe2\x82"}', b'{"a":"\x80"}', b'{"\xff":1}', b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b'{"b":{"a":1,"a":2}}',
    b'{"a":' * 160 + b"1" + b"}" * 159, b"[" * 900, b"[" * 450 + b"]" * 450, b'"a"', b"1", b"null", b"true", b"[]", b"[{}]", b" ", b"\n",
]


def test_bodies_that_are_no_json_objects_are_refused_on_every_route_that_takes_one(t):
    """API-1, API-2, SEC-4"""
    before = t.log.counts()
    asks = [(r.target("ses_" + "0" * 26, "prm_" + "0" * 26), b) for r in routes() if r.method == "POST" for b in NO_JSON]

    def check(ask):
        r = t.call("POST", *ask)
        return f"{ask}: {r}" if refusal(r) != (400, "bad_json") else None

    wrong = all_together(check, asks)
    tap.note(f"{len(asks)} bodies")
    assert not wrong, "\n".join(wrong[:30])
    tap.eq(t.log.counts(), before, "rows")
    quiet(t)


def test_every_error_of_the_layer_is_json_that_no_cache_keeps(t):
    """API-1, SEC-3"""
    for case in hostile.written()[0][::7] + list(hostile.special())[:3]:
        for r in hostile.answers(t.port, case):
            r.error()
            tap.eq((r.header("cache-control"), r.header("x-content-type-options"), r.header("connection")), ("no-store", "nosniff", "close"), case.name)


def test_a_slow_head_and_a_slow_body_are_cut_off_at_their_time(t):
    """SEC-4"""
    for data in (b"GET /healthz HTTP/1.1\r\nHost: a\r\n", hostile.post(json.dumps({"content": "x"}).encode())[:-1]):
        with http.Connection(t.port) as c:
            c.send(data)
            r = c.response()
            tap.eq(refusal(r), (408, "request_timeout"), f"{data[:20]!r}")
            assert c.is_closed(), "it stays open"


if __name__ == "__main__":
    with ToolUpstream() as up:
        keys = {"max_body": hostile.MAX_BODY, "head_timeout": 1, "body_timeout": 1}
        with AuthStack(up, tokens=None, http=keys, streamerd="[auth]\nallowed_hosts = a\n") as stack:
            tap.run(globals(), stack)
    tap.finish()
