"""Many viewers of one session come at once: what they need is fetched once for all of them.

    STORM_VIEWERS=5000      how many (the suite has fewer)
"""

import os
import time

from lib import crowd, tap, upstream
from lib.daemons import Stack
from lib.upstream import Upstream
from lib.wait import SCALE

VIEWERS = int(os.environ.get("STORM_VIEWERS", "800"))
EVENTS = 1200
PAGE = 256  # LIMIT_REPLAY_EVENTS

tap.LIMIT = 120 + VIEWERS / 20


def asked(t, before):
    """What streamerd fetched from the worker since then: (pages, snapshots)."""
    now = t.metrics()
    return tuple(int(now[k] - before[k]) for k in ("streamerd_replay_pages_total", "streamerd_snapshots_in_total"))


def finished(t, key, n=EVENTS):
    """A session whose turn has ended, with about n events."""
    t.up.on(key, upstream.drip([f"{i} " for i in range(n)], 500))
    turn = t.say(key)
    t.wait_idle(turn["session_id"], 60)
    return turn["session_id"], [f"{r['generation']}-{r['seq']}" for r in t.log.events(turn["session_id"])]


def check(c, wanted):
    for v in c.viewers:
        ids = [ident for ident, frame in v.events() if b"\nevent: snapshot\n" not in frame]
        tap.eq(ids, wanted, f"events of viewer {v.number}")
    tap.eq(c.refusals, [], "answers other than a stream")


def test_all_return_with_old_cursors_and_the_log_is_read_once(t):
    """DUR-4, SDC-10, SDC-17, PRC-4"""
    session, rows = finished(t, "storm")
    t.restart_streamerd()  # it has nothing of the session in memory
    before = t.metrics()
    began = time.monotonic()
    with crowd.Crowd(t.port, session, VIEWERS, cursor=rows[2]) as c:
        c.wait(lambda v: v.cursor() == rows[-1], "all have caught up", 60 + VIEWERS / 40)
        took = time.monotonic() - began
        pages, snapshots = asked(t, before)
        need = -(-(len(rows) - 3) // PAGE)
        tap.note(f"{VIEWERS} viewers caught up on {len(rows) - 3} events in {took:.2f} s with {pages} pages "
                 f"(one viewer alone needs {need}) and {snapshots} snapshots")
        check(c, rows[3:])
        assert pages <= 3 * need, f"{pages} pages were read for what {need} hold"
        tap.eq(snapshots, 0, "snapshots fetched")


def test_all_come_fresh_and_the_snapshot_is_built_once(t):
    """SDC-8, SDC-10, PRC-4"""
    session, rows = finished(t, "fresh", 50)
    t.restart_streamerd()
    before = t.metrics()
    with crowd.Crowd(t.port, session, VIEWERS) as c:
        c.wait(lambda v: v.cursor() == rows[-1], "all have the snapshot", 60 + VIEWERS / 40)
        tap.eq(asked(t, before), (0, 1), "pages and snapshots")
        frames = {bytes(v.events()[0][1]) for v in c.viewers}
        tap.eq(len(frames), 1, "different snapshots")


def test_all_are_dropped_in_mid_turn_and_return_while_it_goes_on(t):
    """DUR-4, DUR-7, FAF-3, SDC-10"""
    t.up.on("on", upstream.drip([f"{i} " for i in range(600)], 60 / SCALE))
    session = t.say("on")["session_id"]
    with crowd.Crowd(t.port, session, VIEWERS) as c:
        c.wait(lambda v: v.cursor(), "all have their snapshot", 60 + VIEWERS / 40)
        before = t.metrics()
        c.drop_all()
        c.return_all()
        c.wait(lambda v: b"event: response_end" in v.bytes, "all have the end", 60 + VIEWERS / 40)
        pages, snapshots = asked(t, before)
        tap.note(f"{pages} pages, {snapshots} snapshots")
        rows = [f"{r['generation']}-{r['seq']}" for r in t.log.events(session)]
        for v in c.viewers:
            ids = [ident for ident, frame in v.events() if b"\nevent: snapshot\n" not in frame]
            tap.eq(ids, rows[len(rows) - len(ids):], f"events of viewer {v.number}")
        tap.eq(snapshots, 0, "snapshots: a cursor needs none")


if __name__ == "__main__":
    if not crowd.need_files(VIEWERS + 200):
        tap.note("RLIMIT_NOFILE is too low for all viewers")
        VIEWERS = 500
    with Upstream() as provider, Stack(provider, streamerd_http="max_connections_per_address = 20000\n") as stack:
        tap.run(globals(), stack)
    tap.finish()
