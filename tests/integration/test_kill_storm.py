"""Everything is killed at random while 20 people work; afterwards nothing is missing.

STORM_SECONDS (60), STORM_USERS (20) and STORM_SEED set the run; the seed is printed. Killed with
SIGKILL: workers, the supervisor, streamerds, tool servers. What is done meanwhile: lib/load.py.
"""

import collections
import os
import random
import signal
import threading
import time

from lib import plan, tap
from lib.load import Load, verify
from lib.upstream import Upstream

SECONDS = float(os.environ.get("STORM_SECONDS") or 60)
USERS = int(os.environ.get("STORM_USERS") or 20)
SEED = int(os.environ.get("STORM_SEED") or random.SystemRandom().randrange(1 << 32))
KILLS = int(1.9 * SECONDS)

tap.LIMIT = 2 * SECONDS + 180


class Killer(threading.Thread):
    """Kills something again and again until the load is over."""

    def __init__(self, load, rng):
        super().__init__(daemon=True)
        self.load, self.rng = load, rng
        self.killed = collections.Counter()
        self.start()

    def one(self):
        t = self.load.stack
        what = self.rng.choices(("worker", "tool", "streamerd", "supervisor"), (40, 24, 20, 16))[0]
        if what in ("worker", "tool"):
            pids = sorted(t.worker_pids().values() if what == "worker" else self.load.tool_pids())
            if not pids:
                return
            try:
                os.kill(self.rng.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                return
        else:
            daemon = t.chatd if what == "supervisor" else self.rng.choice((t.streamerd, self.load.second))
            daemon.kill()
            daemon.start()
        self.killed[what] += 1

    def revive(self):
        """What ended by itself is told of, and started again as systemd would."""
        for d in (self.load.stack.chatd, self.load.stack.streamerd, self.load.second):
            if not d.is_running():
                self.load.faults.append(f"{d.name} ended with {d.process.returncode}")
                d.start()

    def run(self):
        try:
            began = time.monotonic()
            while not self.load.is_over():
                due = began + (sum(self.killed.values()) + self.rng.random()) * SECONDS / KILLS
                time.sleep(max(0.02, min(due, self.load.deadline) - time.monotonic()))
                self.revive()
                self.one()
        except Exception as e:
            self.load.faults.append(f"the killer: {e!r}")


def test_a_storm_of_kills_takes_nothing(load):
    """DUR-1, DUR-2, DUR-3, DUR-4, DUR-5, DUR-6, DUR-7, SDC-18, PRC-6"""
    users = load.begin()
    killer = Killer(load, random.Random(SEED))
    killer.join(SECONDS + 60)
    killer.revive()
    log = load.calm_down(users)
    tap.note(f"kills: {dict(killer.killed)}")
    load.check(log, users, may_fail=("worker_crashed",))
    assert sum(killer.killed.values()) >= 100 or SECONDS < 60, f"kills: {killer.killed}"


def test_the_log_is_what_its_events_add_up_to(load):
    """DUR-3, DUR-9, SDC-15, OPS-1"""
    status, said, complaint = verify(load.stack.db_path)
    tap.note(said.strip()[-300:])
    tap.eq((status, complaint), (0, ""), said[:3000])


if __name__ == "__main__":
    tap.note(f"STORM_SEED={SEED} STORM_SECONDS={SECONDS:g} STORM_USERS={USERS}")
    with Upstream() as provider:
        provider.default, provider.keeps = plan.script, False
        with Load(provider, SECONDS, USERS, SEED) as load_of:
            tap.run(globals(), load_of)
    tap.finish()
