"""The load of the fan-out benchmark, in small: it works, and what it would find is not there.

Figures are not judged here, only that nobody misses an event or gets one twice.
"""

import json
import os
import signal
import tempfile

from bench import everything, page, search
from bench.scenarios import Plan
from bench.servers import Bare, Nchan, Streamerd
from lib import tap


def nothing_wrong(r, events, viewers):
    for what in ("missing", "holes", "doubled", "resets", "ended"):
        tap.eq(r[what], 0, what)
    tap.eq(r["delivered"], events * viewers, "deliveries")


def run(server, sessions=1):
    with server(sessions=sessions) as s:
        s.load.open(50)
        r = s.load.run(300, 1.0, drain=30)
        nothing_wrong(r, r["made"], 50 / sessions)
        assert r["made"] >= 290 and r["cpu_s"] > 0 and r["p99_us"] > 0, r
        return r


def test_fifty_viewers_of_one_session_get_every_event_once_and_in_order():
    """PRC-4, SDC-10"""
    run(Streamerd)


def test_so_do_those_of_many_sessions():
    """PRC-4"""
    run(Streamerd, sessions=25)


def test_all_come_back_at_once_and_go_on_where_they_were():
    """DUR-4"""
    with Streamerd() as s:
        s.load.open(50)
        s.load.ask("make 1")
        s.load.ask("quiet 200")
        s.load.ask("drop 50")
        s.load.ask("make 1000")
        r = s.load.ask("back 50 30000")
        tap.eq((r["caught_up"], r["behind"]), (50, 0), "who caught up")
        for what in ("missing", "holes", "doubled", "resets", "ended"):
            tap.eq(r[what], 0, what)


def test_the_load_notices_what_is_lost():
    # a load that can't fail shows nothing
    with Streamerd() as s:
        s.load.open(5)
        stopped = s.pids()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        r = s.load.run(100, 0.5, drain=0.1)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        assert r["missing"] > 0 and not search.is_held(r, 1), r


def test_the_yardsticks_hold_too():
    run(Bare)
    if everything.usable("nchan"):  # without nginx the bare loop alone
        run(Nchan)


def test_the_table_and_the_page_come_of_it():
    with tempfile.TemporaryDirectory() as d:
        path = os.path.join(d, "fanout.json")
        plan = Plan(quick=True)
        plan.returning, plan.sizes, plan.seconds = 50, (20, 50), 0.2
        tap.eq(everything.measure(plan, ["back", "growth"], 1, 5, path, tap.note), 0, "exit status")
        with open(path, encoding="utf-8") as f:
            figures = json.load(f)
        assert any("return" in row["what"] and row["chat"] > 0 for row in figures["table"]), figures["table"]
        written = page.write(path, d, "2026-11-22")
        for name in written:
            assert os.path.getsize(os.path.join(d, name)) > 200, name
        with open(os.path.join(d, written[0]), encoding="utf-8") as f:
            assert "| 5,000 viewers return" in f.read()


if __name__ == "__main__":
    tap.run(globals())
    tap.finish()
