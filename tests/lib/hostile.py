r"""Hostile requests: raw bytes, and what the server must make of them.

A case has the statuses of all answers that come, in order; after the last one the connection ends. Whatever bytes of a case
stand behind a refusal must be nothing: they would reach /smuggled, which the log must never show.

The corpus has two parts. tests/golden/http/hostile.txt is written by hand, one case a line (its head says how), and is also
what the unit tests of the parser run. What differs only by a byte, a limit or a place is made here.
"""

import os
import re
import socket

from lib import http
from lib.wait import scaled

GOLDEN = os.path.join(os.path.dirname(__file__), "..", "golden", "http", "hostile.txt")
HOST = b"a"  # which the stack has among its allowed_hosts
MAX_BODY = 1024
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
LEFT = ()  # closed without an answer


class Case:
    def __init__(self, name, data, *statuses, code=None, half=False):
        self.name, self.data, self.statuses, self.code = name, data, statuses, code
        self.half = half  # the client shuts its side behind the data


def unescape(text):
    def group(m):
        return unescape(m.group(2)) * int(m.group(1))

    out, at = b"", 0
    for m in re.finditer(r"\\\*(\d+)\(([^)]*)\)|\\x([0-9a-fA-F]{2})|\\([rnt\\])", text):
        out += text[at:m.start()].encode("latin-1")
        if m.group(1):
            out += group(m)
        elif m.group(3):
            out += bytes([int(m.group(3), 16)])
        else:
            out += {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}[m.group(4)]
        at = m.end()
    return out + text[at:].encode("latin-1")


def written():
    """Those of the file that are refused, with their status; and those that pass the parser, with the number of answers."""
    refused, passed = [], []
    with open(GOLDEN, encoding="latin-1", newline="\n") as f:
        for line in f:
            if line.startswith("#"):
                continue
            outcome, name, data = line.rstrip("\n").split("\t", 2)
            status, _, times = outcome.partition("x")
            case = Case(name, unescape(data), int(status))
            if int(status) >= 400:
                refused.append(case)
            else:
                passed.append((case, int(times or 1)))
    return refused, passed


def get(*lines, target=b"/healthz", method=b"GET", version=b"HTTP/1.1", host=HOST):
    head = [method + b" " + target + b" " + version]
    if host is not None:
        head.append(b"Host: " + host)
    return b"\r\n".join(head + list(lines)) + b"\r\n\r\n"


def post(body, *lines, target=b"/v1/messages", length=True):
    lines = (b"Content-Type: application/json",) + ((b"Content-Length: %d" % len(body),) if length else ()) + lines
    return get(*lines, target=target, method=b"POST") + body


def each_byte():
    """Every byte that may not stand there, in each part of a head."""
    controls = [c for c in range(256) if (c < 0x20 and c not in (0x0A, 0x0D)) or c == 0x7F]
    for c in controls:
        b, name = bytes([c]), f"byte {c:02x}"
        yield Case(name + " in the method", get(method=b"G" + b + b"T"), 400)
        yield Case(name + " in the path", get(target=b"/a" + b + b"b"), 400)
        yield Case(name + " in the query", get(target=b"/?a=" + b), 400)
        yield Case(name + " in the version", get(version=b"HTTP/1" + b + b"1"), 400)
        yield Case(name + " in a name", get(b"X" + b + b"Y: z"), 400)
        if c != 0x09:
            yield Case(name + " in a value", get(b"X: y" + b + b"z"), 400)
            yield Case(name + " before a value", get(b"X:" + b + b"z"), 400)
            yield Case(name + " in a length", post(b"{}", b"Content-Length: " + b + b"2", length=False) + SMUGGLED, 400)
        yield Case(name + " in Host", get(host=b"a" + b + b"b"), 400)
    for c in (0x80, 0xA0, 0xC0, 0xE9, 0xFE, 0xFF):
        b = bytes([c])
        yield Case(f"byte {c:02x} in the path", get(target=b"/" + b), 400)
        yield Case(f"byte {c:02x} in a name", get(b"X" + b + b": z"), 400)
        yield Case(f"byte {c:02x} in Host", get(host=b"a" + b), 400)
        yield Case(f"byte {c:02x} escaped in the path", get(target=b"/%%%02x" % c), 400)
    for c in list(range(0x20)) + [0x7F]:
        yield Case(f"byte {c:02x} escaped in the path", get(target=b"/a%%%02Xb" % c), 400)
    for c in b'"(),/:;<=>?@[\\]{}':
        yield Case(f"delimiter {chr(c)} in a name", get(b"X" + bytes([c]) + b"Y: z"), 200 if c == 0x3A else 400, half=True)
        if c != 0x2F:
            yield Case(f"delimiter {chr(c)} in the method", get(method=b"G" + bytes([c]) + b"T"), 400)


LENGTHS = [b"+2", b"-2", b"-0", b"2,", b",2", b"2,2", b"2, 2", b"2;2", b"2 2", b"0x2", b"2h", b"2.0", b"2e0", b"1_0", b'"2"', b"'2'",
           b"\xb2", b"\xd9\xa2", b"", b" ", b"NaN", b"nan", b"inf", b"null", b"9223372036854775808", b"18446744073709551618",
           b"4294967298x", b"9" * 500, b"0" * 500 + b"x"]
ENCODINGS = [b"chunked", b"Chunked", b"CHUNKED", b"chunked, chunked", b"gzip, chunked", b"chunked, gzip", b"identity", b"gzip", b"xchunked",
             b"chunkedx", b"chunked;q=1", b'"chunked"', b", chunked", b"chunked,", b"", b"x", b"trailers", b"cow", b"ch\xfcnked", b"chunked\xa0"]
CHUNKS = [b"2\r\n{}\r\n0\r\n\r\n", b"0x2\r\n{}\r\n0\r\n\r\n", b"+2\r\n{}\r\n0\r\n\r\n", b" 2\r\n{}\r\n0\r\n\r\n", b"2 \r\n{}\r\n0\r\n\r\n",
          b"2;ext\r\n{}\r\n0\r\n\r\n", b"2;\n{}\r\n0\r\n\r\n", b"2\n{}\n0\n\n", b"2\r\n{}0\r\n\r\n", b"00000000000000002\r\n{}\r\n0\r\n\r\n",
          b"ffffffffffffffff\r\n", b"-1\r\n", b"\r\n", b"0\r\nHost: evil\r\nContent-Length: 5\r\n\r\n", b"0\r\n\r\n", b"g\r\n"]


def framing():
    """Where a body ends, in all the ways in which two parsers could differ on it."""
    for v in LENGTHS:
        yield Case(f"length {v[:30]!r}", post(b"{}", b"Content-Length: " + v, length=False) + SMUGGLED, 400)
        yield Case(f"length 2, then {v[:30]!r}", post(b"{}", b"Content-Length: " + v) + SMUGGLED, 400)
    for v in ENCODINGS:
        yield Case(f"encoding {v!r}", post(b"0\r\n\r\n", b"Transfer-Encoding: " + v, length=False) + SMUGGLED, 501)
        yield Case(f"length, then encoding {v!r}", post(b"0\r\n\r\n", b"Transfer-Encoding: " + v) + SMUGGLED, 400)
        yield Case(f"encoding {v!r}, then length", post(
            b"0\r\n\r\n", b"Transfer-Encoding: " + v, b"Content-Length: 5", length=False) + SMUGGLED, 400)
        yield Case(f"encoding {v!r} in HTTP/1.0", post(
            b"0\r\n\r\n", b"Transfer-Encoding: " + v, length=False).replace(b"HTTP/1.1", b"HTTP/1.0", 1) + SMUGGLED, 400)
    for body in CHUNKS:
        yield Case(f"chunks {body!r}", post(body, b"Transfer-Encoding: chunked", length=False) + SMUGGLED, 501)
    for name in (b"Content-Length", b"Transfer-Encoding"):
        for odd in (name + b" :", name + b"\t:", b" " + name + b":", b"\t" + name + b":", name + b"\x0b:", name + b"\r:", name + b"\xa0:",
                    name + b"\x00:", b"X: y\n" + name + b":", b"X: y\r" + name + b":", b":" + name + b":"):
            yield Case(f"{odd!r}", post(b"{}", odd + b" 2", length=False) + SMUGGLED, 400)
    # under these names they mean nothing, and what follows is the next request: also for whoever stands in front of us
    for name in (b"Content_Length", b"Content-Length-X", b"XContent-Length", b"Transfer_Encoding", b"Transfer-Encodin"):
        yield Case(f"{name!r} is another field", get(name + b": 5") + get(b"Connection: close"), 200, 200)


def limits():
    """At each limit and one past it."""
    yield Case("target of 8192 bytes", get(b"Connection: close", target=b"/" + b"u" * 8191), 404)
    yield Case("target of 8193 bytes", get(target=b"/" + b"u" * 8192), 414)
    yield Case("query of 8192 bytes", get(b"Connection: close", target=b"/healthz?" + b"u" * 8183), 200)
    yield Case("query of 8193 bytes", get(target=b"/healthz?" + b"u" * 8184), 414)
    rest = len(get(b"Connection: close", b"X: "))
    yield Case("head of 16384 bytes", get(b"Connection: close", b"X: " + b"y" * (16384 - rest)), 200)
    yield Case("head of 16385 bytes", get(b"Connection: close", b"X: " + b"y" * (16385 - rest)), 431)
    yield Case("100 lines", get(b"Connection: close", *[b"X: y"] * 98), 200)
    yield Case("101 lines", get(b"Connection: close", *[b"X: y"] * 99), 431)
    yield Case("method of 24 bytes", get(b"Connection: close", method=b"M" * 24), 405)
    yield Case("method of 25 bytes", get(method=b"M" * 25), 501)
    yield Case("body at the limit", post(b" " * MAX_BODY, b"Connection: close"), 400, code="bad_json")
    yield Case("body of one byte more", post(b" " * (MAX_BODY + 1)), 413, code="too_large")
    for n in (2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**53, 2**63 - 1):
        yield Case(f"body of {n} bytes", post(b"", b"Content-Length: %d" % n, length=False) + SMUGGLED, 413, code="too_large")
        yield Case(f"body of {n} bytes with Expect", post(
            b"", b"Content-Length: %d" % n, b"Expect: 100-continue", length=False) + SMUGGLED, 413, code="too_large")
    yield Case("Host of 255 bytes", get(b"Connection: close", host=b"h" * 255), 421)
    yield Case("Host of 256 bytes", get(host=b"h" * 256), 400)
    for port, status in ((b"65535", 200), (b"65536", 400), (b"99999", 400), (b"-1", 400), (b"08080", 200), (b"8o", 400)):
        yield Case(f"port {port.decode()}", get(b"Connection: close", host=b"a:" + port), status)
    yield Case("Idempotency-Key of 255 bytes", post(b"{", b"Idempotency-Key: " + b"k" * 255, b"Connection: close"), 400, code="bad_json")
    yield Case("Idempotency-Key of 256 bytes", post(b"{}", b"Idempotency-Key: " + b"k" * 256, b"Connection: close"), 400, code="bad_field")


def targets():
    close = b"Connection: close"
    for target, status in (
        (b"*", 400), (b"http://a", 200), (b"http://a/healthz", 200), (b"HTTP://A/healthz", 200), (b"http://evil/healthz", 400),
        (b"http://evil@a/healthz", 400), (b"http://a:80/healthz", 400), (b"https://a/healthz", 400), (b"ftp://a/healthz", 400),
        (b"//a/healthz", 400), (b"//evil/healthz", 400), (b"///", 400), (b"a:80", 400), (b"a", 400), (b"healthz", 400), (b"?x", 400),
        (b"/healthz#x", 400), (b"/healthz?x#y", 400), (b"/../healthz", 400), (b"/x/../healthz", 400), (b"/x/%2e%2e/healthz", 400),
        (b"/x/.%2E/healthz", 400), (b"/./healthz", 400), (b"/%2e/healthz", 400), (b"/healthz/..", 400), (b"/healthz/.", 400),
        (b"/healthz%00", 400), (b"/healthz%00.js", 400), (b"/%68ealthz", 200), (b"/healthz%2f", 400), (b"/healthz%5c", 404),
        (b"/healthz\\", 400), (b"/healthz/", 404), (b"/healthz;x", 404), (b"/HEALTHZ", 404), (b"/healthz%20", 404), (b"/healthz+", 404),
        (b"/healthz%", 400), (b"/healthz%4", 400), (b"/healthz%u0041", 400), (b"/healthz%C0%AF", 400), (b"/%C0%AE%C0%AE/", 400),
        (b"/%E0%80%AF", 400), (b"/%F0%80%80%AF", 400), (b"/%ED%A0%80", 400), (b"/%ED%BF%BF", 400), (b"/%F4%90%80%80", 400),
        (b"/%F8%88%80%80%80", 400), (b"/%FE%FE", 400), (b"/%E2%82", 400), (b"/%E2%82%AC", 404), (b"/%EF%BB%BFhealthz", 404),
        (b"/%252e%252e/x", 404), (b"/healthz?a=%", 400), (b"/healthz?a=%zz", 400), (b"/healthz?%00", 400), (b"/healthz?a=%C0%AF", 400),
        (b"/healthz?" + b"a=1&" * 1000, 200), (b"/v1/sessions?limit=1&limit=2", 200), (b"/v1/sessions?limit=%31", 200),
        (b"/v1/sessions?limit=1%00", 400), (b"/v1/sessions?limit=0x1", 400), (b"/v1/sessions?limit=1e1", 400), (b"/v1/sessions?limit=+1", 400),
        (b"/v1/sessions?limit=-1", 400), (b"/v1/sessions?limit=18446744073709551617", 400), (b"/v1/sessions?limit=", 400),
    ):
        yield Case(f"target {target[:40]!r}", get(close, target=target), status)
    for method, target, status in ((b"OPTIONS", b"*", 404), (b"CONNECT", b"a:80", 501), (b"CONNECT", b"/", 501), (b"TRACE", b"/healthz", 405),
                                   (b"TRACK", b"/healthz", 405), (b"DEBUG", b"/healthz", 405), (b"PRI", b"/", 405), (b"get", b"/healthz", 405),
                                   (b"Get", b"/healthz", 405), (b"PROPFIND", b"/v1/sessions", 405), (b"GET,POST", b"/healthz", 400)):
        yield Case(f"{method!r} {target!r}", get(close, method=method, target=target), status)
    for version, status in ((b"HTTP/1.0", 200), (b"HTTP/1.2", 505), (b"HTTP/2.0", 505), (b"HTTP/0.9", 505), (b"HTTP/3.0", 505), (b"HTTP/2", 400),
                            (b"HTTP/1", 400), (b"HTTP/1.", 400), (b"HTTP/11", 400), (b"HTTP/1.10", 400), (b"HTTP/01.1", 400), (b"HTTP/1.01", 400),
                            (b"HTTP/-1.1", 400), (b"HTTP/+1.1", 400), (b"http/1.1", 400), (b"HTTP 1.1", 400), (b"HTTP\\1.1", 400), (b"HTTPS/1.1", 400),
                            (b"XHTTP/1.1", 400), (b"HTTP/1.1 ", 400), (b"HTTP/1,1", 400), (b"HTTP/a.b", 400), (b"", 400)):
        yield Case(f"version {version!r}", get(close, version=version), status)


def special():
    """Other protocols, headers that are not taken up, connections that go half-way."""
    ok = get()
    yield Case("TLS ClientHello", bytes.fromhex("16030100c8010000c403037465737400") + b"\x00" * 180, 400)
    yield Case("TLS alert", bytes.fromhex("15030300020100"), 400)
    yield Case("preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00", 505)
    yield Case("PROXY protocol", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + ok, 400)
    yield Case("PROXY protocol 2", b"\r\n\r\n\x00\r\nQUIT\n" + b"\x21\x11\x00\x0c" + b"\x00" * 12 + ok, 400)
    yield Case("SSH", b"SSH-2.0-OpenSSH_9.2\r\n", 400)
    yield Case("SMTP", b"EHLO a\r\n", 400)
    yield Case("a message of the bus", b"\x00\x00\x00\x05\x95\x01\x01\xa1x\x00", 400)
    yield Case("nothing at all", b"", *LEFT, half=True)
    yield Case("half a request line, then EOF", b"GET /heal", *LEFT, half=True)
    yield Case("half a head, then EOF", b"GET /healthz HTTP/1.1\r\nHost: a\r\n", *LEFT, half=True)
    yield Case("half a body, then EOF", post(b"{}")[:-1], *LEFT, half=True)
    yield Case("a whole request, then EOF", ok, 200, half=True)
    yield Case("two requests and half of one, then EOF", ok + ok + ok[:-2], 200, 200, half=True)
    yield Case("a good one, then a bad one, then one more", ok + b"BAD\r\n\r\n" + SMUGGLED, 200, 400)
    yield Case("a refused one, then a good one", get(host=None) + SMUGGLED, 400)
    yield Case("a bad JSON, then a good one", post(b"{") + get(b"Connection: close"), 400, 200)
    for line in (b"Expect: x", b"Expect: 100-continue, x", b"Expect: 200-ok", b"Expect:"):
        yield Case(f"{line!r}", post(b"{}", line) + SMUGGLED, 417)
    for lines in ((b"Connection: Upgrade, close", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
                  (b"Connection: Upgrade, close", b"Upgrade: websocket", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", b"Sec-WebSocket-Version: 13"),
                  (b"Connection: close", b"Upgrade: TLS/1.0"), (b"Connection: close", b"Range: bytes=0-0"),
                  (b"Connection: close", b"Range: bytes=" + b"0-," * 1000 + b"0-"), (b"Connection: close", b"If-Range: x", b"Range: bytes=-1"),
                  (b"Connection: close", b"Accept-Encoding: " + b"gzip;q=0.1," * 200), (b"Connection: close", b"Cookie: " + b"a=b; " * 900),
                  (b"Connection: close", b"X-Forwarded-Host: evil", b"Forwarded: host=evil", b"X-Original-URL: /smuggled"),
                  (b"Connection: close", b"X-HTTP-Method-Override: DELETE"), (b"Connection: close, host", b"Keep-Alive: timeout=99999999999")):
        yield Case(f"{lines[-1][:50]!r}", get(*lines), 200)
    for fold in (b"X: y\r\n z", b"X: y\r\n\tz", b"X:\r\n y", b"X: y\r\n \r\n z", b"Host: a\r\n evil"):
        yield Case(f"fold {fold!r}", get(fold) + SMUGGLED, 400)
    for hosts in ((b"Host: a",), (b"Host: evil",), (b"hOsT: a",), (b"Host:",)):
        yield Case(f"Host and {hosts!r}", get(*hosts) + SMUGGLED, 400)


def everything():
    """Those of the file that are refused, and all that is made here."""
    cases = written()[0]
    for part in (each_byte, framing, limits, targets, special):
        cases += part()
    return cases


def answers(port, case, timeout=30):
    """Plays a case: all responses until the connection's end."""
    c = http.Connection(port, timeout)
    try:
        try:
            c.send(case.data)
            if case.half:
                c.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has had enough; what it said is read next
        got = []
        while True:
            try:
                got.append(http.read_response(c.reader, case.data.split(b" ", 1)[0].decode("latin-1"), timeout))
            except http.Closed as end:
                assert str(end).endswith("b''"), f"part of an answer: {end}"
                return got
    finally:
        c.close()


def check(port, case):
    """None, or what is wrong with how the server took it."""
    try:
        got = answers(port, case, scaled(30))
    except (AssertionError, OSError, ValueError) as e:
        return f"{case.name}: {e!r}"
    statuses = tuple(r.status for r in got)
    if statuses != case.statuses:
        return f"{case.name}: {statuses}, not {case.statuses}: {case.data[:150]!r}"
    for r in got:
        if r.status >= 400:
            error = r.error()
            if case.code and error["code"] != case.code:
                return f"{case.name}: {error}, not {case.code}"
    return None
