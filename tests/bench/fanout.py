#!/usr/bin/env python3
"""Fan-out: all of it for `make bench`, or by hand one server and one load.

    tests/bench/fanout.py all [--runs 3] [--minutes 11] [--only back ...] [--quick] [--json FILE]
    tests/bench/fanout.py once --server chat --viewers 1000 --rate 150 --seconds 4
    tests/bench/fanout.py search --server nchan --viewers 1000
    tests/bench/fanout.py idle --server chat --viewers 10000
    tests/bench/fanout.py back --server chat --viewers 5000 --missed 20

`all` prints a table and writes every figure to the JSON file. It ends with 0 if it could measure,
whether or not the targets are met. `--server` may be given several times and is chat, nchan or bare; `--rate` is events/s over all
`--sessions`. The server runs on one core, the load on another. What each figure means is in
.lore/specs/benchmarks.md; `make bench` runs everything. BUILD_DIR names another build folder.
"""

import argparse
import json
import os
import resource
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from bench import everything, search  # noqa: E402
from bench.scenarios import SCENARIOS, Plan  # noqa: E402
from bench.servers import SERVERS  # noqa: E402


def line(r):
    return (f"{r['rate']:9.1f} events/s  {r['deliveries_s']:9.0f} deliveries/s  p50 {r['p50_us'] / 1000:7.2f} "
            f"p99 {r['p99_us'] / 1000:7.2f} ms  last after {r['lag_us'] / 1000:6.1f} ms  {r['cpu_us']:5.2f} µs each  "
            f"{r['events_a_read']:5.1f} a read  cores: server {r['server_core']:.2f} load {r['load_core']:.2f}  "
            + ("" if r["clean"] else "missing {missing} holes {holes} doubled {doubled} resets {resets} "
                                     "ended {ended}".format(**r)))


def once(a, s):
    s.load.open(a.viewers)
    r = search.step(s.load, a.rate, a.seconds, 1)
    print(f"{s.label:16} {line(r)}", flush=True)
    return r


def do_search(a, s):
    s.load.open(a.viewers)
    best, _ = search.highest(s.load, a.rate, a.seconds, a.lag,
                             lambda r: print(f"{s.label:16} {line(r)} {'held' if r['held'] else 'NOT held'}", flush=True))
    print(f"{s.label:16} holds {best['deliveries_s'] if best else 0:.0f} deliveries/s", flush=True)
    return best


def idle(a, s):
    s.load.open(1)
    before = s.pss()
    opened = s.load.open(a.viewers)
    s.load.ask("quiet 1000")
    each = (s.pss() - before) / a.viewers
    print(f"{s.label:16} {each:.0f} bytes for each of {a.viewers} idle viewers, opened in {opened['ms']:.0f} ms, "
          f"{1e6 * opened['cpu_s'] / a.viewers:.0f} µs of CPU each", flush=True)
    return {"bytes": each, **opened}


def back(a, s):
    s.load.open(a.viewers)
    s.load.ask("make 1")
    s.load.ask("quiet 1000")
    s.load.ask(f"drop {a.viewers}")
    s.load.ask("quiet 500")
    s.load.ask(f"make {a.missed}")
    s.load.ask("quiet 200")
    r = s.load.ask(f"back {a.rate} 30000")
    print(f"{s.label:16} {r['caught_up']} of {a.viewers} caught up, p50 {r['p50_us'] / 1000:.0f} "
          f"max {r['max_us'] / 1000:.0f} ms; holes {r['holes']} doubled {r['doubled']} resets {r['resets']} "
          f"missing {r['missing']}", flush=True)
    return r


WHAT = {"once": once, "search": do_search, "idle": idle, "back": back}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=[*WHAT, "all"])
    p.add_argument("--server", action="append", choices=SERVERS)
    p.add_argument("--viewers", type=int, default=1000)
    p.add_argument("--sessions", type=int, default=1)
    p.add_argument("--rate", type=float, default=50)
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--lag", type=float, default=0.25, help="seconds that a rate that is held may lag")
    p.add_argument("--missed", type=int, default=20, help="events while the viewers were away")
    p.add_argument("--json", help="write the figures there")
    p.add_argument("--only", action="append", choices=SCENARIOS, help="all: these scenarios")
    p.add_argument("--runs", type=int, default=3, help="all: of each")
    p.add_argument("--minutes", type=float, default=11, help="all: no further run is begun after that")
    p.add_argument("--quick", action="store_true", help="all: small and short, figures mean nothing")
    a = p.parse_args()
    raise_limit()
    if a.what == "all":
        sys.exit(everything.measure(Plan(a.quick), a.only or list(SCENARIOS), a.runs, a.minutes, a.json))
    figures = {}
    for name in a.server or ["chat"]:
        with SERVERS[name](sessions=a.sessions) as s:
            figures[name] = WHAT[a.what](a, s)
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(figures, f, indent=1)


def raise_limit():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    main()
