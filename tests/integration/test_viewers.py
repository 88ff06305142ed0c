"""Viewers: many, at random moments, slow, returning with every kind of cursor."""

import random
import socket
import threading
import time

from lib import http, sse, tap, upstream
from lib.daemons import Stack
from lib.db import frame_data
from lib.upstream import Upstream
from lib.wait import SCALE, Late, until

VIEWERS, TURNS = 100, 20


def compare_with_log(t, viewer_events, rows, who):
    """Every event that was shown is in the log, byte for byte (a snapshot is a state, not a row)."""
    by_seq = {r["seq"]: r for r in rows}
    for e in viewer_events:
        if e.name == "snapshot":
            continue
        row = by_seq.get(e.seq)
        assert row, f"{who} was shown {e}, which is not in the log"
        tap.eq(e.name, row["type"], f"{who}: type of {e.id}")
        tap.eq(e.raw, frame_data(row), f"{who}: bytes of {e.id}")


def test_100_viewers_on_20_turns_that_come_and_go_end_with_the_text_of_the_log(t):
    """SDC-1, SDC-4, SDC-8, SDC-10, DUR-2, DUR-3, DUR-4, FAF-3"""
    rng = tap.seed()
    texts = [[f"{i}.{k} " * rng.randint(1, 4) for k in range(120)] for i in range(TURNS)]
    seconds = 4 * min(SCALE, 5)
    turns = []
    for i in range(TURNS):
        t.up.on(f"crowd {i}", upstream.drip(texts[i], 120 / seconds))
        turns.append(t.say(f"crowd {i}"))
    faults, shown = [], []
    lock = threading.Lock()
    seeds = [rng.randrange(1 << 30) for _ in range(VIEWERS)]

    def watch(n):
        r = random.Random(seeds[n])
        turn = turns[n % TURNS]
        state, cursor, seen, visits = sse.State(), None, [], 0
        try:
            time.sleep(r.random() * seconds * 0.8)
            while True:
                visits += 1
                fresh = r.random() < 0.2  # forgets what it had, like a new tab
                if fresh:
                    state, cursor = sse.State(), None
                how = r.random() < 0.5
                v = sse.Viewer(t.port, turn["session_id"], cursor if how else None,
                               query=f"?last_event_id={cursor}" if cursor and not how else "", state=state)
                assert v.status == 200, v.response
                if not how and cursor:
                    v._expect = int(cursor.split("-")[1])
                stay = r.random() * seconds * 0.4 if visits < 30 else 60
                end = time.monotonic() + stay
                over = False
                while time.monotonic() < end or visits >= 30:
                    try:
                        e = v.next(0.05 / SCALE)
                    except Late:
                        continue
                    assert e, "the stream ended"
                    if e.is_terminal() or (e.name == "snapshot" and e.data["state"] == "idle"):
                        over = True
                        break
                seen += v.events
                cursor = v.cursor
                v.close(reset=r.random() < 0.5)
                if over:
                    break
                time.sleep(r.random() * seconds * 0.1)
            with lock:
                shown.append((n, state, seen, visits))
        except Exception as e:
            with lock:
                faults.append(f"viewer {n} of turn {n % TURNS}, visit {visits}: {e!r}")

    threads = [threading.Thread(target=watch, args=(n,), daemon=True) for n in range(VIEWERS)]
    for x in threads:
        x.start()
    for x in threads:
        x.join(90 * SCALE)
    assert not faults, "\n".join(faults[:10])
    tap.eq(len(shown), VIEWERS, "viewers that came to an end")
    rows = {turn["session_id"]: t.log.events(turn["session_id"]) for turn in turns}
    for i, turn in enumerate(turns):
        t.log.check_seqs(turn["session_id"])
        tap.eq(t.log.text(turn["session_id"]), "".join(texts[i]), f"text of turn {i} in the log")
    for n, state, seen, visits in shown:
        sid = turns[n % TURNS]["session_id"]
        tap.eq(state.content, "".join(texts[n % TURNS]), f"text of viewer {n} after {visits} visits")
        compare_with_log(t, seen, rows[sid], f"viewer {n}")
    tap.note(f"{sum(s[3] for s in shown)} visits, {sum(len(s[2]) for s in shown)} events shown")


def finished(t, key, *texts):
    turn = t.say(t.up.on(key, upstream.text(*texts)))
    t.wait_idle(turn["session_id"])
    return turn["session_id"]


def test_every_cursor_gets_exactly_what_follows_it(t):
    """DUR-4, DUR-2"""
    texts = [f"w{i} " for i in range(40)]
    turn = t.say(t.up.on("cursors", upstream.drip(texts, 400)))
    sid = turn["session_id"]
    t.wait_idle(sid)
    rows = t.log.events(sid)
    for row in rows:
        v = t.viewer(sid, f"{row['generation']}-{row['seq']}")
        for wanted in rows[row["seq"]:]:
            e = v.next()
            tap.eq((e.seq, e.raw), (wanted["seq"], frame_data(wanted)), f"after {row['seq']}")
        v.close()


def test_a_cursor_that_can_not_be_served_gets_a_snapshot_that_says_so(t):
    """DUR-4"""
    sid = finished(t, "cursor text", "abc")
    seq = t.snapshot(sid)["seq"]
    cases = [
        (f"1-{seq + 5}", "ahead"),
        ("1-99999999999", "ahead"),
        ("7-1", "other_history"),
        ("99-2", "other_history"),
        (f"99-{seq}", "other_history"),
        (f"99-{seq + 1}", "ahead"),
        ("1-0", "unknown"),
        ("nonsense", "unknown"),
        ("1-", "unknown"),
        ("-1", "unknown"),
        ("1-2-3", "unknown"),
        ("1-0x2", "unknown"),
        ("99999999999999999999999-1", "unknown"),
    ]
    for cursor, reason in cases:
        for how in ("header", "query"):
            v = sse.Viewer(t.port, sid, headers={"Last-Event-ID": cursor} if how == "header" else None,
                           query=f"?last_event_id={cursor}" if how == "query" else "")
            tap.eq(v.status, 200, f"cursor {cursor!r}")
            e = v.next()
            tap.eq(e.name, "snapshot", f"what {cursor!r} gets")
            tap.eq(e.data.get("reason"), reason, f"reason of cursor {cursor!r}")
            tap.eq(v.state.content, "abc", "text")
            v.close()
    v = t.viewer(sid)
    tap.eq(v.next().data.get("reason"), None, "a fresh viewer is told no reason")


def test_a_viewer_that_has_everything_waits_for_the_next_turn(t):
    """DUR-4, SDC-9"""
    sid = finished(t, "next turn", "one")
    v = t.viewer(sid)
    v.next()
    v.close()
    again = t.viewer(sid, v.cursor)
    t.say(t.up.on("the next", upstream.text("two")), sid)
    tap.eq(again.next().name, "response_start", "the first event")
    again.to_end()
    tap.eq(again.state.content, "two", "text")


def unsent(port, peer):
    """Bytes that the kernel keeps of what streamerd has written to that peer."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in list(f)[1:]:
            _, local, remote, _, queues = line.split()[:5]
            if local.endswith(f":{port:04X}") and remote.endswith(f":{peer:04X}"):
                return int(queues.split(":")[0], 16)
    return None


def test_a_stalled_viewer_delays_neither_the_turn_nor_other_viewers(t):
    """SDC-4, PRC-5"""
    big = "x" * 4000
    n = 500  # 2 MB: more than sockets and the tail hold
    turn = t.say(t.up.on("stall", upstream.drip([big] * n, 400)))
    sid = turn["session_id"]
    stalled = []
    for _ in range(3):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", t.port))
        s.sendall(http.head("GET", f"/v1/sessions/{sid}/events", t.port, {}, None))
        stalled.append(s)  # and never reads
    live = t.viewer(sid)
    began = time.monotonic()
    live.to_end(60)
    took = time.monotonic() - began
    tap.eq(len(live.state.content), n * len(big), "text of the live viewer")
    assert took < 15 * SCALE, f"the live viewer took {took:.1f} s"
    tap.eq(t.snapshot(sid)["state"], "idle", "state")
    for s in stalled:
        held = unsent(t.port, s.getsockname()[1])
        assert 0 < held <= 2 * 64 * 1024, f"the kernel holds {held} bytes for one who reads nothing"
    # The stalled one comes back by its cursor and has lost nothing.
    back = t.viewer(sid, f"{live.events[0].generation}-1")
    back.to_end(60)
    tap.eq(t.log.text(sid)[-10:], big[-10:], "log")
    for s in stalled:
        s.close()


def find(metrics, word):
    return {k: v for k, v in metrics.items() if word in k}


def test_a_session_is_subscribed_once_however_many_watch(t):
    """PRC-4"""
    def feeds():
        found = find(t.metrics(), "feeds")
        assert found, f"no metric of feeds among {sorted(t.metrics())}"
        return sum(found.values())

    until(lambda: feeds() == 0, "no subscription while nobody watches", 20)
    sid = finished(t, "subs", "x")
    viewers = [t.viewer(sid) for _ in range(10)]
    for v in viewers:
        v.next()
    tap.eq(feeds(), 1, "subscriptions of one session with 10 viewers")
    other = finished(t, "subs 2", "x")
    v2 = t.viewer(other)
    v2.next()
    tap.eq(feeds(), 2, "subscriptions of two sessions")
    for v in viewers + [v2]:
        v.close()
    until(lambda: feeds() == 0, "subscriptions end when the viewers have left", 20)


def test_a_viewer_that_joins_at_every_moment_misses_nothing(t):
    """SDC-8, FAF-3"""
    texts = [f"{i:03d}," for i in range(150)]
    turn = t.say(t.up.on("joins", upstream.drip(texts, 150)))
    sid = turn["session_id"]
    viewers = []
    while t.log.turn(turn["turn_id"])["ended"] is None:
        viewers.append(t.viewer(sid))
        time.sleep(0.01)
    for v in viewers:
        v.to_end()
        tap.eq(v.state.content, "".join(texts), "text")
        v.close()
    tap.note(f"{len(viewers)} viewers joined")
    assert len(viewers) > 5


def test_returning_in_the_middle_of_a_turn_goes_on_where_it_was(t):
    """DUR-4"""
    texts = [f"<{i}>" for i in range(200)]
    turn = t.say(t.up.on("return", upstream.drip(texts, 200)))
    sid, state, cursor, visits = turn["session_id"], sse.State(), None, 0
    seen = []
    while True:
        v = t.viewer(sid, cursor, state=state)
        visits += 1
        over = False
        for _ in range(7):
            e = v.next()
            if e.is_terminal() or (e.name == "snapshot" and e.data["state"] == "idle"):
                over = True
                break
        seen += v.events
        cursor = v.cursor
        v.close(reset=visits % 2 == 0)
        if over:
            break
    tap.eq(state.content, "".join(texts), "text")
    ids = [e.seq for e in seen]
    tap.eq(ids, list(range(ids[0], ids[0] + len(ids))), "ids without hole or repeat")
    tap.eq([e.name for e in seen].count("snapshot"), 1, "snapshots: only the first visit needs one")
    compare_with_log(t, seen, t.log.events(sid), "the viewer")
    tap.note(f"{visits} visits")


def test_nothing_that_a_model_says_can_break_the_stream(t):
    """API-3, SEC-5"""
    nasty = ["\n\nevent: aborted\ndata: {}\n\n",
             "\r\r\nid: 9-9\r\n", "\u0000\u2028\u2029\u0085", "</script>", "data:", "\ufeff"]
    turn = t.say(t.up.on("nasty", upstream.text(*nasty)))
    v = t.viewer(turn["session_id"])
    v.to_end()
    tap.eq(v.state.content, "".join(nasty), "text")
    tap.eq(t.log.text(turn["session_id"]), "".join(nasty), "log")


if __name__ == "__main__":
    with Upstream() as up:
        with Stack(up) as stack:
            tap.run(globals(), stack)
    tap.finish()
