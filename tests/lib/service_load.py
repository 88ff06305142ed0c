"""Load on a service that is being restarted, from inside a machine: prints what happened as JSON.

usage: service_load.py URL-PORT TOKEN THREADS FILE
Runs until FILE exists, then lets every thread finish its conversation. A thread is a client of the
plainest kind: it posts with an Idempotency-Key until that is answered, watches from its cursor until
the turn is over, and counts whatever it sees. What it asserts: event ids go up by one, and the text
of the answer is there.
"""
import http.client
import json
import os
import sys
import threading
import time
import uuid

PORT, TOKEN, THREADS, FLAG = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
lock = threading.Lock()
seen = {"turns": 0, "refused": 0, "cut": 0, "busy": 0, "events": 0, "wrong": []}


def count(what, n=1):
    with lock:
        seen[what] += n


def wrong(text):
    with lock:
        seen["wrong"].append(text)


def ask(method, target, body=None, headers=None):
    """An open answer, however often it takes; refusals and cuts are counted."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
        try:
            c.request(method, target, body, {**HEADERS, **(headers or {})})
            r = c.getresponse()
            if r.status not in (502, 503, 504):
                return c, r
            count("busy")
        except ConnectionRefusedError:
            count("refused")
        except (OSError, http.client.HTTPException):
            count("cut")
        c.close()
        time.sleep(0.05)
    raise AssertionError(f"{method} {target} was never answered")


def turn(session):
    body = {"content": "demo: tell me something"}
    if session:
        body["session_id"] = session
    c, r = ask("POST", "/v1/messages", json.dumps(body), {"Idempotency-Key": str(uuid.uuid4())})
    doc = json.loads(r.read())
    c.close()
    if r.status != 202:
        wrong(f"POST: {r.status} {doc}")
        return None
    return doc


def watch(doc, cursor):
    """Until the turn is over; the last id that was seen."""
    deadline = time.monotonic() + 60
    over = None
    while time.monotonic() < deadline and over is None:
        c, r = ask("GET", f"/v1/sessions/{doc['session_id']}/events", None,
                   {"Last-Event-ID": cursor} if cursor else None)
        if r.status != 200:
            wrong(f"events: {r.status}")
            return cursor
        event, ident = None, None
        try:
            for raw in r:
                line = raw.decode().rstrip("\n")
                key, _, value = line.partition(": ")
                if key == "event":
                    event = value
                elif key == "id":
                    ident = value
                elif line == "" and ident:
                    if cursor and event != "snapshot":
                        if int(ident.split("-")[1]) != int(cursor.split("-")[1]) + 1:
                            wrong(f"{event} {ident} after {cursor}")
                    cursor, ident = ident, None
                    count("events")
                    if event in ("response_end", "aborted", "error"):
                        over = event
                        break
                elif line == "":
                    event = None
        except (OSError, http.client.HTTPException):
            count("cut")
        c.close()
    if over != "response_end":
        wrong(f"{doc['turn_id']} ended with {over}")
    return cursor


def client():
    session, cursor = None, None
    try:
        while not os.path.exists(FLAG):
            doc = turn(session)
            if not doc:
                return
            session = doc["session_id"]
            cursor = watch(doc, cursor)
            count("turns")
    except Exception as e:
        wrong(repr(e))


threads = [threading.Thread(target=client) for _ in range(THREADS)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(json.dumps(seen))
