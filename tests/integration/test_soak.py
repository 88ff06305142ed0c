"""People work for a while and nothing is killed: memory and descriptors stay flat, the WAL stays small.

SOAK_SECONDS (20) and SOAK_USERS (10) set it; what is a minute here is to be half an hour before a release.
"""

import os
import random
import statistics
import threading
import time

from lib import plan, tap
from lib.load import Load, verify
from lib.upstream import Upstream
from lib.wait import SCALE, until

SECONDS = float(os.environ.get("SOAK_SECONDS") or 20)
USERS = int(os.environ.get("SOAK_USERS") or 10)
SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
WAL_BYTES = 24 << 20  # a checkpoint comes every 4 MiB; a reader's old snapshot may delay it
GROWTH_KB = 6 << 10  # between the middle and the end: allocators, pages of SQLite's cache

tap.LIMIT = 2 * SECONDS + 120


def pids(load):
    t = load.stack
    until(lambda: load.second.children("--process"), "the second streamerd has its process")
    found = {f"worker {n}": pid for n, pid in t.worker_pids().items()}
    return {**found, "supervisor": t.chatd.pid, "streamerd": t.serving_pids()[0],
            "second": load.second.children("--process")[0], "parent": t.streamerd.pid}


class Gauge(threading.Thread):
    """Looks at every daemon twice a second."""

    def __init__(self, load):
        super().__init__(daemon=True)
        self.load, self.rss, self.fds, self.wal = load, {}, {}, 0
        self.start()

    @staticmethod
    def rss_kb(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS:"))

    @staticmethod
    def fd_count(pid):
        return len(os.listdir(f"/proc/{pid}/fd"))

    def run(self):
        while not self.load.is_over():
            for name, pid in pids(self.load).items():
                self.rss.setdefault(name, []).append(self.rss_kb(pid))
                self.fds.setdefault(name, []).append(self.fd_count(pid))
            self.wal = max(self.wal, os.path.getsize(self.load.stack.db_path + "-wal"))
            time.sleep(0.5)


def test_memory_descriptors_and_the_wal_stay_where_they_are(load):
    """PRC-5, DUR-9"""
    before = {name: Gauge.fd_count(pid) for name, pid in pids(load).items()}
    users = load.begin()
    gauge = Gauge(load)
    gauge.join(SECONDS + 30)
    log = load.calm_down(users)
    load.check(log, users)
    for name, seen in gauge.rss.items():
        n = len(seen) // 3
        middle, end = statistics.median(seen[n:2 * n]), statistics.median(seen[2 * n:])
        tap.note(f"{name}: {middle:.0f} kB in the middle, {end:.0f} kB at the end; "
                 f"at most {max(gauge.fds[name])} descriptors")
        assert end - middle < GROWTH_KB * max(1, SCALE), f"{name} grew from {middle} to {end} kB"
    tap.note(f"WAL: at most {gauge.wal >> 10} kB")
    assert gauge.wal < WAL_BYTES, f"the WAL had {gauge.wal} bytes"

    def at_rest():
        now = {name: Gauge.fd_count(pid) for name, pid in pids(load).items()}
        # a worker keeps a connection to the provider and its tool server for the next turn
        return all(now[name] <= n + 16 for name, n in before.items())

    until(at_rest, f"descriptors are as before: {before}", 20)
    tap.eq(verify(load.stack.db_path)[0], 0, "chatctl verify")


if __name__ == "__main__":
    tap.note(f"SEED={SEED} SOAK_SECONDS={SECONDS:g} SOAK_USERS={USERS}")
    with Upstream() as provider:
        provider.default, provider.keeps = plan.script, False
        with Load(provider, SECONDS, USERS, SEED) as load_of:
            tap.run(globals(), load_of)
    tap.finish()
