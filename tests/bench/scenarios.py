"""What the fan-out benchmark measures. Each function is one run over one server, and returns figures.

`plan` holds the sizes, so that a run in small is the same code. What a run learns for the next ones
(at which rate nchan was at its end, where to begin to search) is in `known`, filled in the order in
which servers run: nchan, bare, chat.
"""

import json
import os
import subprocess
import tempfile

from bench import search
from bench.servers import BUILD, SERVERS, busy

KEYS = ("rate", "live", "held_s", "deliveries_s", "through_s", "p50_us", "p90_us", "p99_us", "max_us", "lag_us", "late_us", "cpu_us",
        "server_core", "load_core", "others", "events_a_read", "bytes_each", "missing", "holes", "doubled", "resets",
        "ended", "clean")


class Plan:
    """Sizes. quick: everything once and short, to see that it runs."""

    def __init__(self, quick=False):
        self.quick = quick
        self.viewers = 200 if quick else 1000
        self.many = 1000 if quick else 10000
        self.seconds = 0.5 if quick else 2.0
        self.many_seconds = 1.0 if quick else 2.0
        self.returning = 500 if quick else 5000
        self.missed = 20  # of a second, at the rate of one model
        self.stalled = 100 if quick else 1000
        self.sizes = (100, 1000) if quick else (100, 1000, 10000, 19000)
        self.sessions = 100 if quick else 2000
        self.session_rate = 20


def only(r):
    return {k: r[k] for k in KEYS if k in r}


def guess(known, what, server, default):
    """Where to begin, and how far a step goes: near to what the last run found, if there was one."""
    found = known.get((what, server))
    return (found, 1.25) if found else (default, search.STEP)


# --- one core, one session ---

def saturation(plan, server, known):
    """The highest rate held by 1,000 viewers; then the same rates for all: nchan's and half of it, and
    beyond what the bare loop holds."""
    with SERVERS[server]() as s:
        s.load.open(plan.viewers)
        begin, factor = guess(known, "saturation", server, 4 * known.get(("saturation", "nchan"), 15))
        best, steps = search.highest(s.load, begin, plan.seconds, 0.25, factor=factor)
        out = {"steps": [{**only(r), "held": r["held"]} for r in steps], "best": best and only(best)}
        if best:
            known["saturation", server] = best["rate"]
        nchan = known.get(("saturation", "nchan"))
        bare = known.get(("saturation", "bare"))
        if nchan:
            out["half"] = only(search.step(s.load, nchan / 2, 1.5 * plan.seconds, 0.25))
            out["full"] = only(search.step(s.load, nchan, plan.seconds, 0.25))
        if nchan and bare:
            out["over_bare"] = overload(s.load, 1.5 * bare, plan)
            out["over_nchan"] = overload(s.load, 4.4 * nchan, plan)
        return out


def overload(load, rate, plan):
    search.settle(load)
    return only(load.run(rate, plan.seconds, drain=1))


def many(plan, server, known):
    """10,000 viewers: what they hold while idle, how long they took to come, and the highest rate."""
    with SERVERS[server]() as s:
        s.load.open(1)
        s.load.ask("quiet 300")
        before = s.pss()
        opened = s.load.open(plan.many)
        s.load.ask("quiet 500")
        out = {"bytes": (s.pss() - before) / plan.many, "open_ms": opened["ms"],
               "join_us": 1e6 * opened["cpu_s"] / plan.many}
        begin, factor = guess(known, "many", server, 2 * known.get(("many", "nchan"), 2))
        best, steps = search.highest(s.load, begin, plan.many_seconds, 0.5, factor=factor)
        out.update(steps=[{**only(r), "held": r["held"]} for r in steps], best=best and only(best))
        if best:
            known["many", server] = best["rate"]
        return out


# --- coming back, standing still, growing ---

def back(plan, server, known):
    """5,000 viewers are cut off, miss some events, and come back at once while more are made."""
    with SERVERS[server]() as s:
        s.load.open(plan.returning)
        s.load.ask("make 1")
        s.load.ask("quiet 1000")
        s.load.ask(f"drop {plan.returning}")
        s.load.ask("quiet 500")
        s.load.ask(f"make {plan.missed}")
        s.load.ask("quiet 300")
        r = s.load.ask("back 10 30000")
        r["clean"] = not (r["behind"] or r["missing"] or r["holes"] or r["doubled"] or r["resets"] or r["ended"])
        return r


def stalled(plan, server, known):
    """100 live viewers, then the same beside 1,000 that take nothing."""
    with SERVERS[server]() as s:
        s.load.open(100)
        rate = 200
        without = search.step(s.load, rate, 2 * plan.seconds, 1)
        before = s.pss()
        s.load.open(plan.stalled, stalled=True)
        opened = s.pss()
        s.load.run(rate, 2.5 * plan.seconds)  # their sockets fill
        filled = s.pss()
        beside = search.step(s.load, rate, 2 * plan.seconds, 1)
        after = s.pss()
        return {"without": only(without), "beside": only(beside), "pss_before": before, "pss_opened": opened,
                "pss_filled": filled, "pss_after": after}


def growth(plan, server, known):
    """The same number of deliveries to ever more viewers."""
    out = []
    for n in plan.sizes:
        with SERVERS[server]() as s:
            s.load.open(1)
            s.load.ask("quiet 300")
            before = s.pss()
            opened = s.load.open(n)
            s.load.ask("quiet 500")
            held = s.pss() - before
            r = search.step(s.load, max(2, 40000 / n), 1.5 * plan.seconds, 1)
            out.append({"viewers": n, "bytes": held / n, "join_us": 1e6 * opened["cpu_s"] / n, "open_ms": opened["ms"],
                        **only(r)})
    return {"points": out}


# --- many sessions ---

def sessions(plan, server, known):
    """2,000 sessions with a viewer each at 20 events/s; nothing persisted (chat: its worker is played)."""
    with SERVERS[server](sessions=plan.sessions) as s:
        s.load.open(plan.sessions)
        return only(search.step(s.load, plan.sessions * plan.session_rate, 1.5 * plan.seconds, 0.5))


def whole(plan, server, known):
    """The same through everything: provider, chatd, its log, streamerd, viewer; on all cores."""
    env = {**os.environ, "CHATD": os.environ.get("CHATD", os.path.join(BUILD, "chatd/chatd")),
           "STREAMERD": os.environ.get("STREAMERD", os.path.join(BUILD, "streamerd/streamerd"))}
    with tempfile.TemporaryDirectory(prefix="bench-whole-") as d:
        path = os.path.join(d, "latency.json")
        began = busy()
        subprocess.run([os.path.join(BUILD, "tests/bench/bench_latency"), "-t", str(plan.sessions), "-r",
                        str(plan.session_rate), "-s", "2" if plan.quick else "5", "-d", "/var/tmp", "-o", path],
                       env=env, check=True, stdout=subprocess.DEVNULL, timeout=180)
        with open(path, encoding="utf-8") as f:
            r = json.load(f)["runs"][0]
        r["busy_s"] = busy() - began
        return r


ALL = ("nchan", "bare", "chat")
# name: function, servers, title
SCENARIOS = {
    "saturation": (saturation, ALL, "1 session x 1,000 viewers"),
    "many": (many, ALL, "1 session x 10,000 viewers"),
    "back": (back, ALL, "5,000 viewers come back"),
    "stalled": (stalled, ("nchan", "chat"), "1,000 stalled beside 100 live"),
    "growth": (growth, ("chat",), "growth"),
    "sessions": (sessions, ALL, "2,000 sessions x 20 events/s, nothing persisted"),
    "whole": (whole, ("chat",), "2,000 sessions x 20 events/s, provider to viewer"),
}
