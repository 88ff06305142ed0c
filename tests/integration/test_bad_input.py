"""What bad input gets: its 4xx with code and field; nothing crashes, nothing is stored."""

import json
import os
import socket
import struct
import subprocess
import tempfile

from lib import http, tap, upstream
from lib.daemons import CHATD, STREAMERD, WRAPPER, Stack
from lib.upstream import Upstream, chunk
from lib.wait import scaled, until

LIMIT_BODY = 1024 * 1024
DEEP = "[" * 20000 + "]" * 20000

# body, status, code, field that the message names
BODIES = [
    (b"", 400, "bad_json", None),
    (b"{", 400, "bad_json", None),
    (b"not json", 400, "bad_json", None),
    (b'{"content":"x"} trailing', 400, "bad_json", None),
    (b'{"content":"\xff\xfe"}', 400, "bad_json", None),
    (b'{"content":"\\ud800"}', 400, "bad_json", None),
    (b'\xef\xbb\xbf{"content":"x"}', 400, "bad_json", None),
    (('{"content":' + DEEP + "}").encode(), 400, "bad_json", None),
    (b'["content"]', 400, ("bad_json", "bad_field"), None),
    (b'"content"', 400, ("bad_json", "bad_field"), None),
    (b"null", 400, ("bad_json", "bad_field"), None),
    ({}, 400, ("bad_field", "empty_content"), "content"),
    ({"content": None}, 400, ("bad_field", "empty_content"), "content"),
    ({"content": 5}, 400, "bad_field", "content"),
    ({"content": {"text": "x"}}, 400, "bad_field", "content"),
    ({"content": ""}, 400, "empty_content", "content"),
    ({"content": []}, 400, "empty_content", "content"),
    ({"content": [{"type": "text", "text": ""}]}, 400, "empty_content", "content"),
    ({"content": ["x"]}, 400, "bad_field", "content"),
    ({"content": [{"type": "sound"}]}, 400, "bad_field", "content"),
    ({"content": [{"text": "x"}]}, 400, "bad_field", "content"),
    ({"content": [{"type": "text", "text": 7}]}, 400, "bad_field", "content"),
    ({"content": [{"type": "image"}]}, 400, "bad_field", "content"),
    ({"content": "x", "contents": "y"}, 400, "bad_field", "contents"),
    ({"content": "x", "provider": 5}, 400, "bad_field", "provider"),
    ({"content": "x", "provider": "nobody"}, 400, "unknown_provider", None),
    ({"content": "x", "provider": "x" * 5000}, 400, ("unknown_provider", "bad_field"), None),
    ({"content": "x", "model": []}, 400, "bad_field", "model"),
    ({"content": "x", "provider": "listed", "model": "other"}, 400, "unknown_model", None),
    ({"content": "x", "provider": "demo", "model": "gpt-0"}, 400, "unknown_model", None),
    ({"content": "x", "system": 1}, 400, "bad_field", "system"),
    ({"content": "x", "metadata": "y"}, 400, "bad_field", "metadata"),
    ({"content": "x", "on_busy": "later"}, 400, "bad_field", "on_busy"),
    ({"content": "x", "on_busy": True}, 400, "bad_field", "on_busy"),
    ({"content": "x", "session_id": 17}, 400, "bad_field", "session_id"),
    ({"content": "x", "session_id": "ses_" + "0" * 26}, 404, "session_not_found", None),
    ({"content": "x", "session_id": "../../etc/passwd"}, 404, "session_not_found", None),
    ({"content": "x", "session_id": "x" * 4000}, 404, "session_not_found", None),
    ({"content": "x", "session_id": "\n\u0000"}, (400, 404), None, None),
    ({"content": "x" * (LIMIT_BODY + 1)}, 413, "too_large", None),
]


def test_every_malformed_message_gets_its_4xx_with_code_and_field(t):
    """API-1, API-2, FAF-2"""
    before, wrong = t.log.counts(), []
    for body, status, code, field in BODIES:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        name = raw[:70]
        try:
            r = t.call("POST", "/v1/messages", raw)
            statuses = status if isinstance(status, tuple) else (status,)
            assert r.status in statuses, f"status {r.status}, wanted {status}: {r.body[:200]}"
            error = r.error()
            if code:
                codes = code if isinstance(code, tuple) else (code,)
                assert error["code"] in codes, f"code {error['code']}, wanted {code}"
            if field:
                assert field in error["message"] or error.get("field") == field, f"{error} does not name {field}"
        except (AssertionError, ConnectionError) as e:
            wrong.append(f"{name!r}: {e}")
    assert not wrong, "\n".join(wrong)
    tap.eq(t.log.counts(), before, "rows in the log")


def test_a_body_at_the_limit_passes_and_one_byte_more_does_not(t):
    """API-2"""
    shell = len(json.dumps({"content": ""}))
    for extra, status in ((0, 202), (1, 413)):
        text = "x" * (LIMIT_BODY - shell + extra)
        t.up.on(text, upstream.text("big"))
        r = t.call("POST", "/v1/messages", json.dumps({"content": text}).encode(), timeout=30)
        tap.eq(r.status, status, f"a body of {LIMIT_BODY + extra} bytes: {r.body[:200]}")
        if status == 202:
            tap.eq(t.wait_idle(r.json()["session_id"])["content"], "big", "answer")


def test_a_client_that_reads_only_behind_a_body_far_too_large_hears_413(t):
    """API-2"""
    with http.Connection(t.port, timeout=30) as c:
        r = c.request("POST", "/v1/messages", b'{"content":"' + b"x" * (24 * LIMIT_BODY) + b'"}')
        tap.eq((r.status, r.error()["code"]), (413, "too_large"), f"{r}")


def test_the_media_type_must_be_json(t):
    """API-2"""
    before = t.log.counts()
    for kind in (None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data"):
        r = t.call("POST", "/v1/messages", b'{"content":"x"}', {"Content-Type": kind})
        tap.eq((r.status, r.error()["code"]), (415, "unsupported_media_type"), f"content type {kind}")
    tap.eq(t.log.counts(), before, "rows in the log")
    for kind in ("application/json; charset=utf-8", "Application/JSON", "application/json;charset=UTF-8"):
        t.up.on("typed", upstream.text("x"))
        r = t.call("POST", "/v1/messages", b'{"content":"typed"}', {"Content-Type": kind})
        tap.eq(r.status, 202, f"content type {kind}: {r}")
        t.wait_idle(r.json()["session_id"])


def test_a_second_message_names_the_turn_that_runs(t):
    """SDC-2, API-1"""
    turn = t.say(t.up.on("busy", upstream.hang(chunk("a"))))
    sid = turn["session_id"]
    before = t.log.counts()
    for more in ({}, {"on_busy": "reject"}):
        r = t.post("again", sid, **more)
        error = r.error()
        tap.eq((r.status, error["code"]), (409, "already_processing"), f"{r}")
        tap.eq(error.get("turn_id"), turn["turn_id"], "the running turn")
    tap.eq({k: v for k, v in t.log.counts().items() if k != "events"},
           {k: v for k, v in before.items() if k != "events"}, "rows in the log")
    tap.eq(t.abort(sid).status, 202, "abort")


def test_unknown_sessions_are_404_on_every_route(t):
    """API-1"""
    for sid in ("ses_" + "a" * 26, "nope", "x" * 300, "%00", "a%2Fb", "%F0%9F%98%80"):
        for method, rest, body in (("GET", "", None), ("GET", "/messages", None), ("GET", "/snapshot", None),
                                   ("GET", "/events", None), ("POST", "/abort", {}), ("DELETE", "", None)):
            r = t.call(method, f"/v1/sessions/{sid}{rest}", body)
            ok = (404,) if "%" not in sid else (400, 404)
            assert r.status in ok, f"{method} {sid}{rest}: {r}"
            r.error()


def test_unknown_routes_are_404_and_wrong_methods_405(t):
    """API-1"""
    for target in ("/nope", "/v1", "/v1/", "/v1/messages/x", "/v1/sessions/a/b", "/v2/messages", "/index.php"):
        r = t.call("GET", target)
        tap.eq((r.status, r.error()["code"]), (404, "not_found"), target)
    sid = "ses_" + "a" * 26
    for method, target, allowed in (
        ("GET", "/v1/messages", "POST"), ("DELETE", "/v1/messages", "POST"), ("DELETE", "/v1/sessions", "GET"),
        ("POST", "/v1/sessions", "GET"), ("POST", f"/v1/sessions/{sid}/events", "GET"),
        ("GET", f"/v1/sessions/{sid}/abort", "POST"), ("PUT", f"/v1/sessions/{sid}", "DELETE"),
        ("POST", "/healthz", "GET"), ("DELETE", "/", "GET"),
    ):
        r = t.call(method, target, {} if method in ("POST", "PUT") else None)
        tap.eq((r.status, r.error()["code"]), (405, "method_not_allowed"), f"{method} {target}")
        assert allowed in (r.header("allow") or ""), f"{method} {target}: Allow: {r.header('allow')}"


def test_bad_queries_are_400_and_name_the_parameter(t):
    """API-1"""
    sid = t.say(t.up.on("q", upstream.text("x")))["session_id"]
    t.wait_idle(sid)
    for target, field in (
        ("/v1/sessions?limit=0", "limit"), ("/v1/sessions?limit=-1", "limit"), ("/v1/sessions?limit=ten", "limit"),
        ("/v1/sessions?limit=99999999999999999999", "limit"), ("/v1/sessions?cursor=%21%21", "cursor"),
        (f"/v1/sessions/{sid}/messages?limit=x", "limit"), (f"/v1/sessions/{sid}/messages?before=%21", "before"),
        (f"/v1/sessions/{sid}/events?until=midnight", "until"),
    ):
        r = t.call("GET", target)
        tap.eq(r.status, 400, f"{target}: {r}")
        assert field in r.error()["message"] or r.error().get("field") == field, f"{target}: {r}"


def test_a_malformed_abort_is_400(t):
    """API-1"""
    sid = t.say(t.up.on("bad abort", upstream.hang(chunk("x"))))["session_id"]
    for body in (b"{", b"[]", b'{"turn_id":5}', b'{"turn":"x"}', b"\xff"):
        r = t.call("POST", f"/v1/sessions/{sid}/abort", body)
        tap.eq(r.status, 400, f"{body!r}: {r}")
    tap.eq(t.snapshot(sid)["state"], "processing", "state")
    with http.Connection(t.port) as c:  # no body at all is fine
        c.send(http.head("POST", f"/v1/sessions/{sid}/abort", t.port, {"Content-Length": "0"}, None))
        tap.eq(c.response().status, 202, "abort without a body")


def test_requests_in_pieces_and_pipelined_are_answered_in_order(t):
    """API-1"""
    one = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{t.port}\r\n\r\n".encode()
    two = f"GET /nope HTTP/1.1\r\nHost: 127.0.0.1:{t.port}\r\n\r\n".encode()
    with http.Connection(t.port) as c:
        for b in one:
            c.send(bytes([b]))
        tap.eq(c.response().status, 200, "byte by byte")
        c.send(one + two + one)
        tap.eq([c.response().status for _ in range(3)], [200, 404, 200], "pipelined")


# --- configuration ---


def run(program, conf, *options):
    with tempfile.TemporaryDirectory(prefix="chatd-conf-") as folder:
        path = os.path.join(folder, "bad.conf")
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as f:
            f.write(conf)
        p = subprocess.run(WRAPPER + [program, "-c", path, *options], stdin=subprocess.DEVNULL, capture_output=True,
                           text=True, timeout=scaled(10), check=False)
        return p.returncode, p.stderr, path


GOOD_CHATD = "[log]\npath = /tmp/x.db\n[bus]\ndir = /tmp/x\n[provider demo]\ntype = demo\n[defaults]\nprovider = demo\n"
OPENAI = "[provider p]\ntype = openai\nbase_url = http://x/v1\nmodel = m\n"
GOOD_STREAMERD = "[http]\nlisten = 127.0.0.1:0\n[bus]\ndir = /tmp/x\n"

# program, config, line, words that the message must have
CONFIGS = [
    (CHATD, "[log]\npath = /tmp/x.db\ncolour = red\n", 3, ["colour"]),
    (CHATD, "[log]\npath = /tmp/x.db\ndurability = maybe\n", 3, ["durability"]),
    (CHATD, "[workers]\ncount = many\n", 2, ["count"]),
    (CHATD, "[workers]\ncount = 1000\n", 2, ["count"]),
    (CHATD, "[workers]\ndrain_timeout = soon\n", 2, ["drain_timeout"]),
    (CHATD, "[nonsense]\nx = 1\n", 1, ["nonsense"]),
    (CHATD, "what is this\n", 1, []),
    (CHATD, GOOD_CHATD + "[provider p]\ntype = telepathy\n", None, ["type"]),
    (CHATD, GOOD_CHATD + "[provider p]\ntype = openai\nmax_retries = -3\n", 11, ["max_retries"]),
    (CHATD, GOOD_CHATD + "[provider p]\ntype = openai\nbase_url = ftp://x/\nmodel = m\n", None, ["base_url"]),
    (CHATD, GOOD_CHATD + OPENAI + "api_key_file = /nonexistent/key\n",
     None, ["api_key_file"]),
    (CHATD, GOOD_CHATD.replace("provider = demo", "provider = other"), None, ["provider"]),
    (CHATD, GOOD_CHATD + OPENAI.replace("= m\n", "= caf\udce9\n"), 12, ["model", "UTF-8"]),
    (CHATD, GOOD_CHATD + OPENAI + "models = m, caf\udce9\n", 13, ["models", "UTF-8"]),
    (CHATD, GOOD_CHATD + "model = caf\udce9\n", 9, ["model", "UTF-8"]),
    (CHATD, GOOD_CHATD + "system = h\udcf6flich\n", 9, ["system", "UTF-8"]),
    (STREAMERD, "[http]\nlisten = 127.0.0.1:http\n", 2, ["listen"]),
    (STREAMERD, "[http]\nlisten = 127.0.0.1:99999\n", 2, ["listen"]),
    (STREAMERD, "[http]\nport = 8080\n", 2, ["port"]),
    (STREAMERD, "[auth]\nmode = sometimes\n", 2, ["mode"]),
    (STREAMERD, GOOD_STREAMERD.replace("127.0.0.1:0", "0.0.0.0:0"), None, ["listen"]),
]


def test_a_bad_configuration_is_one_line_with_file_line_and_key(t):
    """RUN-1, RUN-2, SEC-1"""
    wrong = []
    for program, conf, line, words in CONFIGS:
        code, err, path = run(program, conf, "--check")
        lines = [x for x in err.splitlines() if not x.startswith("==")]
        try:
            assert code not in (0, None) and code > 0, f"exit status {code}"
            tap.eq(len(lines), 1, f"lines: {lines}")
            assert lines[0].startswith("<3>"), f"not at the level of an error: {lines[0]}"
            assert os.path.basename(path) in lines[0], lines[0]
            if line:
                assert f"{path}:{line}" in lines[0], f"line {line} expected: {lines[0]}"
            for w in words:
                assert w in lines[0], f"{w!r} expected: {lines[0]}"
        except AssertionError as e:
            wrong.append(f"{os.path.basename(program)} {conf[-60:]!r}: {e}")
    for program in (CHATD, STREAMERD):
        p = subprocess.run(WRAPPER + [program, "-c", "/nonexistent/x.conf"], capture_output=True, text=True,
                           timeout=scaled(10), check=False)
        if p.returncode <= 0 or "/nonexistent/x.conf" not in p.stderr:
            wrong.append(f"{program} with a missing file: {p.returncode} {p.stderr!r}")
    assert not wrong, "\n".join(wrong)


def test_check_only_checks(t):
    """RUN-1"""
    for program, conf in ((CHATD, GOOD_CHATD), (STREAMERD, GOOD_STREAMERD)):
        code, err, _ = run(program, conf, "--check")
        tap.eq(code, 0, f"{program} --check: {err}")


def test_wrong_options_are_refused(t):
    """RUN-1"""
    for program in (CHATD, STREAMERD):
        for argv in (["--nonsense"], [], ["-c"], ["-c", t.chatd_conf, "extra"]):
            p = subprocess.run(WRAPPER + [program, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               timeout=scaled(10), check=False)
            assert p.returncode > 0 and p.stderr.strip(), f"{program} {argv}: {p.returncode} {p.stderr!r}"
        for argv in (["--help"], ["-h"], ["--version"], ["--config", t.chatd_conf, "--help"]):
            p = subprocess.run(WRAPPER + [program, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               timeout=scaled(10), check=False)
            name = os.path.basename(program)
            assert (p.returncode, p.stderr) == (0, "") and name in p.stdout, f"{program} {argv}: {p}"


# --- the bus ---


def mp_uint(n):
    return struct.pack("B", n) if n < 128 else b"\xcf" + struct.pack(">Q", n)


def mp_bin(b):
    return b"\xc6" + struct.pack(">I", len(b)) + b


def mp_str(s):
    b = s.encode("utf-8", "surrogateescape")
    return (struct.pack("B", 0xA0 | len(b)) if len(b) < 32 else b"\xd9" + struct.pack("B", len(b))) + b


def frame(*fields):
    body = struct.pack("B", 0x90 | len(fields)) + b"".join(fields)
    return struct.pack(">I", len(body)) + body


def hello(version=2, role="streamerd"):
    return frame(mp_uint(1), mp_uint(version), mp_str(role), mp_uint(0), mp_uint(0))


BROKEN = [
    ("garbage", b"GET / HTTP/1.1\r\n\r\n"),
    ("a giant frame", struct.pack(">I", 0xFFFFFFFF) + b"x" * 100),
    ("an empty frame", struct.pack(">I", 0)),
    ("no msgpack", struct.pack(">I", 4) + b"\xc1\xc1\xc1\xc1"),
    ("a version of the future", hello(version=99)),
    ("hello with a wrong type", frame(mp_uint(1), mp_str("1"), mp_str("s"), mp_uint(0), mp_uint(0))),
    ("hello with too few fields", frame(mp_uint(1), mp_uint(1))),
    ("bytes behind the message", struct.pack(">I", 2) + b"\x90\x90"),
    ("no hello first", frame(mp_uint(17), mp_uint(1))),
    ("a message that nobody knows", hello() + frame(mp_uint(99), mp_uint(1))),
    ("a message that is the worker's to say", hello() + frame(mp_uint(2), mp_uint(1), mp_uint(0), b"\xc4\x00")),
    ("hello twice", hello() + hello()),
    ("nesting without end", struct.pack(">I", 5000) + b"\x91" * 5000),
]


def test_a_peer_that_breaks_the_bus_protocol_is_cut_off_and_survived(t):
    """PRC-3"""
    path = os.path.join(t.bus, "worker-0.sock")
    sid = t.say(t.up.on("steady", upstream.hang(chunk("still "))))["session_id"]
    v = t.viewer(sid)
    v.until(lambda e: v.state.content == "still ")
    wrong = []
    for name, data in BROKEN:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(scaled(10))
            s.connect(path)
            try:
                s.sendall(data)
                while s.recv(65536):
                    pass
            except ConnectionError:
                pass
            except TimeoutError:
                wrong.append(name)
    assert not wrong, f"not cut off: {wrong}"
    with socket.socket(socket.AF_UNIX) as s:  # says nothing, or only a part
        s.settimeout(scaled(15))
        s.connect(path)
        s.sendall(b"\x00\x00")
        try:
            while s.recv(65536):
                pass
        except ConnectionError:
            pass
    lines = [x for x in t.chatd.log().splitlines() if "link." in x]
    assert len(lines) >= len(BROKEN), f"not each of them is logged: {lines}"
    tap.eq(t.snapshot(sid)["state"], "processing", "the running turn")
    tap.eq(t.abort(sid).status, 202, "abort")
    v.until("aborted")


def send_message(req, **fields):
    f = {"owner": "local", "session_id": "", "content": '"texts"', "provider": "", "model": "", "system": "",
         "on_busy": "", "metadata": "", "key": "", "fingerprint": "", "traceparent": "", **fields}
    binary = ("content", "system", "metadata", "fingerprint")
    return frame(mp_uint(10), mp_uint(req), *(
        mp_bin(v.encode("utf-8", "surrogateescape")) if k in binary else mp_str(v) for k, v in f.items()))


def test_a_text_of_a_peer_that_is_not_utf8_is_refused_and_takes_nothing_down(t):
    """PRC-3, FAF-2"""
    pids, before = t.worker_pids(), t.log.counts()
    t.up.on("texts", upstream.text("x"))
    for field in ("owner", "provider", "model", "system", "metadata"):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(scaled(10))
            s.connect(os.path.join(t.bus, "worker-0.sock"))
            s.sendall(hello() + send_message(7, **{field: "caf\udce9"}))
            got = b""
            while b"}" not in got:
                data = s.recv(65536)
                assert data, f"{field}: the worker is gone: {t.chatd.log()[-400:]}"
                got += data
            assert b'"field":"%b"' % field.encode() in got, f"{field}: {got}"
    tap.eq(t.worker_pids(), pids, "the workers")
    tap.eq(t.log.counts(), before, "rows in the log")


def test_a_worker_that_speaks_nonsense_is_survived_by_streamerd(t):
    """PRC-2, PRC-3"""
    with Stack(t.up, workers=1, start=False) as s, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.join(s.bus, "worker-0.sock"))
        listener.listen(16)
        s.streamerd.start()
        for name, data in BROKEN[:8]:
            listener.settimeout(scaled(15))
            c, _ = listener.accept()
            c.settimeout(scaled(10))
            try:
                c.sendall(data)
                while c.recv(65536):
                    pass
            except ConnectionError:
                pass
            c.close()
        assert s.streamerd.is_running(), s.streamerd.log()
        until(lambda: s.call("GET", "/healthz").status == 200, "healthz")
        tap.eq(s.call("GET", "/readyz").status, 503, "readyz")
        tap.eq(s.post("x").status, 503, "POST")


if __name__ == "__main__":
    with Upstream() as up:
        with Stack(up, {"listed": {"type": "openai", "models": "m1", "model": "m1"}}) as stack:
            tap.run(globals(), stack)
    tap.finish()
