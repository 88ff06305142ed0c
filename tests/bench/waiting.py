#!/usr/bin/env python3
"""What a turn costs that waits for a person: memory and CPU of the workers with and without many.

    PYTHONPATH=tests CHATD=build/chatd/chatd STREAMERD=build/streamerd/streamerd \\
        python3 tests/bench/waiting.py [--turns 1000] [--rounds 3] [--seconds 10]

Each round is one pair of daemons with one worker: TURNS turns that end are run first (they leave
behind what any turn leaves: caches, the allocator's arenas), then TURNS that stop at a permission
prompt, in sessions of their own. The difference in memory before and after the second is what
waiting costs; CPU is what the worker uses while all of them wait and nobody watches. Memory is
taken once the worker is quiet. Figures of different machines can't be compared.
"""

import argparse
import json
import os
import statistics
import threading
import time

from lib.tools import OPENAI, ToolStack, ToolUpstream
from lib.upstream import text
from lib.wait import until

TARGET = 16 * 1024  # bytes a waiting turn
POSTERS = 8


def memory(pid):
    """Bytes: RSS, PSS, private dirty pages."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        rows = dict(line.split(":", 1) for line in f.readlines()[1:])
    return {k: int(rows[k].split()[0]) * 1024 for k in ("Rss", "Pss", "Private_Dirty")}


def cpu(pid):
    """Seconds of user and system time so far; nanosecond counts from the scheduler."""
    with open(f"/proc/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e9


def wakeups(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return sum(int(x.split()[1]) for x in f if "ctxt_switches" in x)


def quiet(s, pid):
    """Waits until the worker has nothing to do: no CPU to speak of within half a second."""
    def still():
        before = cpu(pid)
        time.sleep(0.5)
        return cpu(pid) - before < 0.005

    s.wait_ready()
    until(still, "the worker is quiet", 60)


def post_all(s, keys):
    """Sends all, a few at a time; returns the session ids."""
    todo, sids, lock = list(keys), [], threading.Lock()

    def poster():
        while True:
            with lock:
                if not todo:
                    return
                key = todo.pop()
            sid = s.say(key)["session_id"]
            with lock:
                sids.append(sid)

    threads = [threading.Thread(target=poster) for _ in range(POSTERS)]
    for x in threads:
        x.start()
    for x in threads:
        x.join()
    return sids


def count(s, state):
    return s.log.one("SELECT count(*) FROM turns WHERE state = ?", state)


def idle_use(pid, seconds):
    before, woke, began = cpu(pid), wakeups(pid), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    return {"cpu_percent": 100 * (cpu(pid) - before) / passed, "wakeups_s": (wakeups(pid) - woke) / passed}


def one_round(n, seconds):
    with ToolUpstream() as up, ToolStack(up, workers=1, keys={"max_turns": 5000}) as s:
        pid = s.worker_pids()[0]
        call = OPENAI.calls(("c1", "asks__write", json.dumps({"text": "as long as it takes"})), say="May I? ")
        keys = {"ends": [], "waits": []}
        for i in range(n):
            keys["ends"].append(up.on(f"ends {i}", text("May I not?")))
            keys["waits"].append(up.on(f"waits {i}", call, text("Done.")))
        post_all(s, keys["ends"])
        until(lambda: count(s, "done") == n, "they end", 120)
        quiet(s, pid)
        without, use_without = memory(pid), idle_use(pid, seconds)
        sids = post_all(s, keys["waits"])
        until(lambda: count(s, "waiting") == n, "they wait", 120)
        time.sleep(6)  # beyond the time that streamerd keeps feeds without viewers
        quiet(s, pid)
        with_them, use_with = memory(pid), idle_use(pid, seconds)
        for sid in sids[:20]:  # they are not only cheap, they are still alive
            prompt = s.snapshot(sid)["pending_prompts"][0]
            assert s.answer(sid, prompt["id"], {"allow": True}).status == 200
        until(lambda: count(s, "done") == n + 20, "the answered ones end", 60)
        assert len(s.lines("written")) == 20
        return {"without": {**without, **use_without}, "with": {**with_them, **use_with}, "turns": n}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--turns", type=int, default=1000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=10)
    a = p.parse_args()
    rounds = [one_round(a.turns, a.seconds) for _ in range(a.rounds)]
    for r in rounds:
        print(json.dumps(r))
    for kind in ("Rss", "Pss", "Private_Dirty"):
        each = [(r["with"][kind] - r["without"][kind]) / r["turns"] for r in rounds]
        print(f"{kind}: {statistics.median(each):.0f} bytes a waiting turn (from {min(each):.0f} to {max(each):.0f})")
    for kind in ("cpu_percent", "wakeups_s"):
        print(f"{kind}: {statistics.median(r['without'][kind] for r in rounds):.3f} without, "
              f"{statistics.median(r['with'][kind] for r in rounds):.3f} with")
    worst = max((r["with"]["Rss"] - r["without"]["Rss"]) / r["turns"] for r in rounds)
    print(f"target {TARGET} bytes: {'met' if worst < TARGET else 'MISSED'}")
    return os.EX_OK if worst < TARGET else 1


if __name__ == "__main__":
    raise SystemExit(main())
