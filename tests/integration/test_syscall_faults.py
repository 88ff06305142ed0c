"""The kernel says no, once: the nth call of one system call fails in the worker or in streamerd.

The scenario: a message, a streamed answer that calls a tool, a permission, the result, a second turn,
watched by one viewer that loses its connection meanwhile. It is run again and again, n from 1 until no
call is left to fail. Clients do what clients do (come back, send again with the same key), and in the
end everything has its answer or its stated end, and nothing was shown that is not so.

    FAULT_FULL=1                    every n; otherwise a random few of each
    FAULT_EACH=300                  so many of each instead
    FAULT=worker:pwrite64:EIO:7     this one only (what stands behind may be left out), or 7-90
    FAULT_SECONDS=600               begin nothing new after this
    SEED=...                        repeats a choice
"""

import collections
import itertools
import json
import os
import random
import re
import sys
import time

from lib import http, inject, plan, shim, tap
from lib.daemons import BUG, Stack
from lib.load import SERVER, verify
from lib.strict import Watcher
from lib.upstream import Upstream
from lib.wait import SCALE, until

SENDS = ("EPIPE", "ENOBUFS")
# Of running processes, by strace.
CALLS = {
    "worker": {
        "pwrite64": ("ENOSPC", "EIO"), "pread64": ("EIO",), "fdatasync": ("EIO",),
        "openat": ("EMFILE", "ENOMEM"), "read": ("EIO",), "recvfrom": ("EIO",), "write": SENDS,
        "sendto": SENDS, "socket": ("EMFILE",), "connect": ("ECONNREFUSED", "ENETUNREACH"),
        "accept4": ("EMFILE",), "epoll_wait": ("EINTR",), "epoll_ctl": ("ENOMEM",), "mmap": ("ENOMEM",),
    },
    "streamerd": {
        "read": ("EIO",), "recvfrom": ("EIO",), "write": SENDS, "sendto": SENDS, "sendmsg": SENDS,
        "accept4": ("EMFILE",), "epoll_wait": ("EINTR",), "epoll_ctl": ("ENOMEM",), "mmap": ("ENOMEM",),
    },
}
# While the worker is started anew, by a library.
START = {
    "open": ("EMFILE", "EIO"), "pread64": ("EIO",), "pwrite64": ("ENOSPC",), "fdatasync": ("EIO",),
    "ftruncate": ("EIO",), "socket": ("EMFILE",), "bind": ("EADDRINUSE",), "listen": ("EADDRINUSE",),
    "epoll_ctl": ("ENOMEM",), "fork": ("EAGAIN",), "pipe2": ("EMFILE",),
}
MEMORY = {"malloc": ("ENOMEM",)}
FULL = bool(os.environ.get("FAULT_FULL"))
ONLY = (os.environ.get("FAULT", "").split(":") + [""] * 4)[:4]
SECONDS = float(os.environ.get("FAULT_SECONDS") or (3600 if FULL else 6 * SCALE))
EACH = int(os.environ.get("FAULT_EACH") or 2)  # of each fault in a short run
# How a turn may end other than with its answer.
STATED = ("provider_unreachable", "provider_timeout", "provider_truncated", "persist_error", "worker_crashed")
# A REQUIRE is for our own bugs, and for memory that is not there: no answer could be built without it.
MAY_ABORT = ("mmap", "malloc")
DIED = re.compile(r"(?:worker|process)\.died .* signal=(\d+)")


class Scenario:
    """Two turns of one session on a stack that is used for many."""

    def __init__(self, t, name):
        self.t, self.name = t, name
        self.first = plan.plan(name + "a", (["Let ", "me ", "see. "], [["kit__risky", {
            "key": f"{name}a.0.0", "ms": 0}]]), (["It ", "is ", "done."], []), rate=1000)
        self.second = plan.plan(name + "b", (["And ", "again."], []), rate=1000)
        self.session_id, self.turns, self.watcher, self.ended = None, {}, None, None

    def request(self, target, body, headers=None):
        """Tries until something answers that is not "come back later"."""
        last = None
        end = time.monotonic() + 20 * SCALE
        while time.monotonic() < end:
            try:
                last = http.request(self.t.port, "POST", target, body, headers, timeout=10)
            except OSError as e:
                last = e
                self.revive()
            else:
                if last.status not in (502, 503, 504):
                    return last
                assert last.header("Retry-After") is not None or last.status != 503, f"no Retry-After: {last}"
            time.sleep(0.02)
        raise AssertionError(f"POST {target} was not answered: {last!r}")

    def revive(self):
        """Does what the service manager would do. Whether it may have ended is looked at later."""
        d = self.t.streamerd
        if not d.is_running():
            self.ended = self.ended or f"streamerd ended with {d.process.returncode}"
            d.start()

    def say(self, text):
        body = {"content": text}
        if self.session_id:
            body["session_id"] = self.session_id
        r = self.request("/v1/messages", body, {"Idempotency-Key": str(hash(text))})
        assert r.status == 202, f"POST /v1/messages: {r}"
        turn = r.json()
        self.session_id = turn["session_id"]
        self.turns[turn["turn_id"]] = text
        if not self.watcher:
            self.watcher = Watcher([self.t.port], self.session_id, random.Random(self.name))
        return turn["turn_id"]

    def answer_prompts(self):
        for p in list(self.watcher.state.prompts.values()):
            try:
                self.watcher.viewer.sock.shutdown(2)  # it has lost its connection
            except OSError:
                pass
            r = self.request(f"/v1/sessions/{self.session_id}/prompts/{p['id']}", {"allow": True})
            assert r.status == 200 or (r.status, r.error()["code"]) == (409, "already_resolved"), (p, r)
            until(lambda: self.revive() or p["id"] not in self.watcher.state.prompts  # noqa: B023
                  or self.watcher.fault,
                  f"the viewer hears that {p['id']} is answered")

    def finish(self, turn_id):
        def is_over():
            assert not self.watcher.fault, self.watcher.fault
            self.revive()
            self.answer_prompts()
            return self.t.log.one("SELECT ended_at FROM turns WHERE id = ?", turn_id)

        until(is_over, f"{turn_id} ends", 20)

    def run(self):
        self.finish(self.say(self.first))
        self.finish(self.say(self.second))
        last = self.t.log.one("SELECT max(e.seq) FROM events e JOIN sessions s ON s.row = e.session WHERE s.id = ?",
                              self.session_id)
        w = self.watcher
        until(lambda: self.revive() or w.state.seq == last or w.fault,
              f"the viewer is shown event {last} of {self.session_id}")

    def check(self):
        """How its turns ended, once all that was shown and stored has been compared."""
        log, w, ends = self.t.log, self.watcher, []
        w.stop()
        assert not w.fault, w.fault
        log.check_seqs(self.session_id)
        w.check(log.events(self.session_id))
        tap.eq([r["turn_id"] for r in log.turns(self.session_id)], list(self.turns), "turns")
        for turn_id, text in self.turns.items():
            row = log.rows("SELECT * FROM turns WHERE id = ?", turn_id)[0]
            told = log.one("SELECT content FROM messages WHERE id = ?", row["message_id"])
            ends.append(row["error_code"] or row["state"])
            if row["state"] == "done":
                tap.eq(json.loads(told), plan.answer_of(text), f"answer of {turn_id}")
            else:
                assert row["state"] == "error" and row["error_code"] in STATED, f"it ended with {row}"
        w.state.snapshot(self.t.snapshot(self.session_id))  # complains if it differs from what was shown
        return ends

    def stop(self):
        if self.watcher:
            self.watcher.stop()


class Bench:
    """A kind of process, what is to fail there, and the stack of the moment: a fresh one after each failure."""

    def __init__(self, up, role, faults, preload=False, starts=False):
        self.up, self.role, self.faults, self.starts = up, role, faults, starts
        self.name = role + ("-start" if starts else "-memory" if preload else "")
        (shim if preload else inject).check_possible()
        if ONLY[0] not in ("", self.name):
            raise tap.Skip("another one was asked for")
        self.rng, self.number, self.cases, self.aborts = tap.seed(), 0, 0, 0
        self.ends, self.failed = collections.Counter(), []
        self.preload, self.t, self.shim = preload, None, None
        self.until = time.monotonic() + SECONDS

    def open(self):
        if self.t:
            return
        self.t = Stack(self.up, workers=1, start=False)
        if self.preload:
            self.shim = shim.Shim(self.t)
        self.t.chatd_extra = (f"[tools kit]\ncommand = {sys.executable} {SERVER} {self.t.tool_dir}/journal\n"
                              f"permission = allow\nask_tools = risky\n")
        self.t.write_conf()
        self.t.start()

    def close(self, failed=False):
        t, self.t = self.t, None
        if not t:
            return
        try:
            if not failed:
                tap.eq(verify(t.db_path)[:2][0], 0, "chatctl verify")
        finally:
            t.__exit__(AssertionError if failed else None, None, None)

    def pid(self):
        if self.role == "streamerd":
            return until(lambda: self.t.serving_pids().get(0), "the serving process is there")
        return until(lambda: self.t.worker_pids().get(0), "the worker is there")

    def scenario(self):
        if self.preload and self.role != "streamerd" and self.number % 2 == 0:
            self.close()  # a worker that dies again and again is started ever later
        self.open()
        self.t.mark()
        self.number += 1
        return Scenario(self.t, f"s{self.number}")

    def arm(self, call, error, n):
        if self.preload:
            return self.shim.fail(self.role, call, error, n)
        return inject.Fault(self.pid(), call, error, n)

    def settle(self, s, pid, call):
        """After a run: nobody died who should not have, nothing was said that only a bug says."""
        t, stated = self.t, False
        for d in (t.chatd, t.streamerd):
            said = d.log()
            if call == "pread64":  # SQLite's word for an EIO; chatctl looks at the file itself
                said = said.replace("database disk image is malformed", "EIO")
            found = BUG.search(said)
            if found:
                assert call in MAY_ABORT and "broken invariant" in found[0], \
                    f"{d.name} said: {said[max(0, found.start() - 200):][:1500]}"
                stated = True
            # libevent's own way to say that there is no memory
            stated = stated or (call in MAY_ABORT and "[err] " in said)
        if stated:
            self.aborts += 1
        s.revive()
        if call in MAY_ABORT and " status=255 " in t.chatd.log() + t.streamerd.log():
            stated = True  # uthash's own way to say that there is no memory
        assert stated or not s.ended, f"{s.ended}: {t.streamerd.log()[-1500:]}"
        assert t.chatd.is_running(), f"the supervisor ended with {t.chatd.process.returncode}"
        t.wait_ready()
        if not stated:
            assert self.starts or self.pid() == pid, f"the worker ended: {t.chatd.log()[-1500:]}"
            died = [x for x in DIED.findall(t.chatd.log() + t.streamerd.log()) if x not in ("0", "9" if self.starts else "0")]
            assert not died, f"the worker died of signal {died}: {t.chatd.log()[-1500:]}"
        if stated or call == "pread64":  # not to be complained about again at the end
            for d in (t.chatd, t.streamerd):
                with open(d.log_path, "w", encoding="ascii"):
                    pass

    def case(self, call, error, n):
        """True if there was a call to fail."""
        s = self.scenario()
        self.cases += 1
        try:
            pid = self.pid()
            fault = self.arm(call, error, n)
            try:
                if self.starts:
                    self.t.kill_workers()
                s.run()
            finally:
                fault.stop()
            self.settle(s, pid, call)
            self.ends.update(s.check())
        except AssertionError as e:
            self.failed.append(f"FAULT={self.name}:{call}:{error}:{n}")
            tap.note(f"{self.failed[-1]}: {e}")
            self.close(failed=True)
            return True
        finally:
            s.stop()
        return fault.hits > 0

    def calm(self, arm):
        """A run in which nothing fails."""
        s = self.scenario()
        counter = arm()
        try:
            if self.starts:
                self.t.kill_workers()
            s.run()
        finally:
            counter.stop()
        tap.eq(s.check(), ["done", "done"], "turns without a fault")
        s.stop()
        return counter

    def counts(self):
        """How often each call is made while nothing fails (by strace: by the busiest thread)."""
        self.calm(inject.Nothing)  # the first turn of a stack does more than the others
        if not self.preload:
            return self.calm(lambda: inject.Count(self.pid(), self.faults)).most()
        most = self.calm(lambda: self.shim.count(self.role)).most()
        return {call: most[call] for call in self.faults}

    def some(self, count):
        """A few of 1 to count, spread."""
        if count <= EACH:
            return range(1, count + 1)
        return [1 + (k * count + self.rng.randrange(count)) // EACH for k in range(EACH)]

    def cases_of(self, call, error, numbers):
        ran = []
        for n in numbers:
            if time.monotonic() > self.until:
                break
            ran.append(n)
            if not self.case(call, error, n) and FULL:
                break  # untouched
        if ran:
            tap.note(f"{call}:{error} " + (f"1-{ran[-1]}" if FULL and len(ran) > 1 else " ".join(map(str, ran))))

    def sweep(self):
        most = self.counts()
        tap.note(f"calls of {self.name} while nothing fails: {dict(most)}")
        late = []
        pairs = [(c, e) for c, errors in self.faults.items() for e in errors]
        if not FULL:
            self.rng.shuffle(pairs)  # what no time is left for is another each time
        for call, error in pairs:
            if ONLY[1] not in ("", call) or ONLY[2] not in ("", error):
                continue
            if time.monotonic() > self.until:
                late.append(f"{call}:{error}")
                continue
            if ONLY[3]:
                first, _, last = ONLY[3].partition("-")
                ran = range(int(first), int(last or first) + 1)
            else:
                ran = itertools.count(1) if FULL else self.some(most.get(call, 0))
            self.cases_of(call, error, ran)
        if late:
            tap.note(f"no time was left for {' '.join(late)}")
        tap.note(f"{self.cases} runs, turns ended {dict(self.ends)}, {self.aborts} ended a process by REQUIRE")
        assert not self.failed, "\n".join(self.failed)


def sweep(*args, **more):
    b = Bench(*args, **more)
    try:
        b.sweep()
    except BaseException:
        b.close(failed=True)
        raise
    b.close()


def test_a_worker_survives_any_call_that_fails_once(up):
    """FAF-4, FAF-6, PRC-1"""
    sweep(up, "worker", CALLS["worker"])


def test_streamerd_survives_any_call_that_fails_once(up):
    """FAF-4, FAF-6, PRC-1"""
    sweep(up, "streamerd", CALLS["streamerd"])


def test_a_worker_is_there_again_whatever_fails_once_at_its_start(up):
    """FAF-4, PRC-1"""
    sweep(up, "worker", START, preload=True, starts=True)


def test_a_supervisor_starts_its_worker_whatever_fails_once(up):
    """FAF-6, PRC-1"""
    sweep(up, "supervisor", START, preload=True, starts=True)


def test_a_worker_without_memory_for_a_moment_loses_nothing(up):
    """FAF-6, PRC-1"""
    sweep(up, "worker", MEMORY, preload=True)


def test_a_streamerd_without_memory_for_a_moment_shows_nothing_wrong(up):
    """FAF-6"""
    sweep(up, "streamerd", MEMORY, preload=True)


if __name__ == "__main__":
    with Upstream() as provider:
        provider.default = plan.script
        tap.LIMIT = 2 * SECONDS + 60
        tap.run(globals(), provider)
    tap.finish()
