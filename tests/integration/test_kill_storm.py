"""Everything is killed at random while 20 people work; afterwards nothing is missing.

STORM_SECONDS (60), STORM_USERS (20) and STORM_SEED set the run; the seed is printed. Two workers, two
streamerds, tools over MCP. Killed with SIGKILL: workers, the supervisor, streamerds, tool servers.
"""

import collections
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

from lib import http, plan, tap
from lib.daemons import STREAMERD, Daemon, Stack, free_port
from lib.db import Log, frame_data
from lib.strict import Watcher
from lib.upstream import Upstream
from lib.wait import SCALE, until

SECONDS = float(os.environ.get("STORM_SECONDS") or 60)
USERS = int(os.environ.get("STORM_USERS") or 20)
SEED = int(os.environ.get("STORM_SEED") or random.SystemRandom().randrange(1 << 32))
CHATCTL = os.environ.get("CHATCTL") or "build/chatd/ctl/chatctl"
KILLS = int(1.9 * SECONDS)
SERVER = os.path.join(os.path.dirname(os.path.abspath(http.__file__)), "journal_mcp_server.py")

tap.LIMIT = 2 * SECONDS + 180


class Storm:
    """The stack with a second streamerd, and what is known of everybody who uses it."""

    def __init__(self, up):
        self.stack = Stack(up, workers=2, drain="300ms", start=False)
        self.journal = os.path.join(self.stack.dir, "journal")
        self.stack.chatd_extra = (f"[tools kit]\ncommand = {sys.executable} {SERVER} {self.journal}\n"
                                  f"permission = allow\nask_tools = risky\n")
        self.stack.write_conf()
        self.stack.start()
        self.second_port = free_port()
        conf = os.path.join(self.stack.dir, "second.conf")
        with open(conf, "w", encoding="utf-8") as f:
            f.write(f"[http]\nlisten = 127.0.0.1:{self.second_port}\n[bus]\ndir = {self.stack.bus}\n")
        self.second = Daemon("streamerd", [STREAMERD, "-c", conf], os.path.join(self.stack.dir, "second.log"))
        self.second.start()
        self.ports = [self.stack.port, self.second_port]
        self.accepted, self.allowed = {}, collections.Counter()  # turn → facts; call → words of a person
        self.lock = threading.Lock()
        self.deadline = time.monotonic() + SECONDS
        self.killed = collections.Counter()
        self.faults = []

    def is_over(self):
        return time.monotonic() >= self.deadline

    def request(self, rng, method, target, body=None, headers=None):
        """Tries until something answers that is not "come back later"."""
        end = time.monotonic() + 60 * SCALE
        while time.monotonic() < end:
            try:
                r = http.request(rng.choice(self.ports), method, target, body, headers, timeout=15)
            except OSError:
                time.sleep(0.05)
                continue
            if r.status not in (502, 503, 504):
                return r
            assert r.header("Retry-After") is not None or r.status != 503, f"503 without Retry-After: {r}"
            time.sleep(0.05)
        raise AssertionError(f"{method} {target} was not answered for a minute")

    # --- killing ---

    def tool_pids(self):
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if self.journal.encode() in f.read().split(b"\0"):
                        found.append(int(pid))
            except OSError:
                pass
        return found

    def kill(self, pid):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def kill_one(self, rng):
        t = self.stack
        what = rng.choices(("worker", "tool", "streamerd", "supervisor"), (40, 24, 20, 16))[0]
        if what == "worker":
            pids = list(t.worker_pids().values())
        elif what == "tool":
            pids = self.tool_pids()
        else:
            pids = None
        if pids is not None:
            if not pids or not self.kill(rng.choice(sorted(pids))):
                return
        else:
            daemon = t.chatd if what == "supervisor" else rng.choice((t.streamerd, self.second))
            daemon.kill()
            daemon.start()
        self.killed[what] += 1

    def rage(self, rng):
        try:
            began = time.monotonic()
            while not self.is_over():
                due = began + (sum(self.killed.values()) + rng.random()) * SECONDS / KILLS
                time.sleep(max(0.02, min(due, self.deadline) - time.monotonic()))
                self.revive()
                self.kill_one(rng)
        except Exception as e:
            self.faults.append(f"the killer: {e!r}")

    def revive(self):
        """What ended by itself is started again, and told of if that was not in order."""
        for d in (self.stack.chatd, self.stack.streamerd, self.second):
            if not d.is_running():
                # a supervisor that finds the lock of its killed predecessor held, by a worker that is
                # being born, comes back a moment later, as systemd would have it
                if d.process.returncode not in (75,):
                    self.faults.append(f"{d.name} ended with {d.process.returncode}")
                d.start()


class User(threading.Thread):
    """Somebody who says one thing after the other in one session, and answers what is asked."""

    def __init__(self, storm, number):
        super().__init__(daemon=True)
        self.storm, self.number, self.rng = storm, number, random.Random(f"{SEED}-{number}")
        self.session_id, self.watcher, self.fault, self.turns = None, None, None, 0
        self.db = None

    def make_plan(self):
        self.turns += 1
        name = f"u{self.number}t{self.turns}"
        rng = self.rng
        words = lambda what, n: [f"{name}.{what}{i} " for i in range(rng.randrange(1, n))]  # noqa: E731
        steps = []
        for s in range(rng.choice((0, 1, 1, 2, 2))):
            calls = []
            for i in range(rng.randrange(1, 4)):
                tool = rng.choice(("kit__look", "kit__put", "kit__act", "kit__act", "kit__risky", "ask_user"))
                calls.append([tool, {"questions": [{"question": "Which?", "options": [{"label": "this"},
                                                                                     {"label": "that"}]}]}
                              if tool == "ask_user" else
                              {"key": f"{name}.{s}.{i}", "ms": rng.choice((0, 20, 100, 400))}])
            steps.append((words(f"s{s}w", 8), calls))
        steps.append((words("end", 30), []))
        return plan.plan(name, *steps, rate=rng.choice((15, 30, 200)))

    def say(self, text, on_busy):
        body = {"content": text, "on_busy": on_busy}
        if self.session_id:
            body["session_id"] = self.session_id
        r = self.storm.request(self.rng, "POST", "/v1/messages", body,
                               {"Idempotency-Key": f"{SEED}-{self.number}-{self.turns}"})
        assert r.status == 202, r
        turn = r.json()
        assert self.session_id in (None, turn["session_id"]), turn
        self.session_id = turn["session_id"]
        with self.storm.lock:
            assert turn["turn_id"] not in self.storm.accepted, f"accepted twice: {turn}"
            self.storm.accepted[turn["turn_id"]] = {"session": self.session_id, "text": text, "aborted": False}
        if not self.watcher:
            self.watcher = Watcher(self.storm.ports, self.session_id, random.Random(self.rng.random()))
        return turn["turn_id"]

    def answer_prompts(self):
        for p in list(self.watcher.state.prompts.values()):
            if p["kind"] == "ask_user":
                body = {"answers": {q["id"]: "this" for q in p["questions"]}}
            else:
                body = {"allow": self.rng.random() < 0.7}
            if body.get("allow") and p.get("uncertain"):
                with self.storm.lock:  # before it is sent: the word may arrive though its answer does not
                    self.storm.allowed[p["tool_invocation_id"]] += 1
            r = self.storm.request(self.rng, "POST", f"/v1/sessions/{self.session_id}/prompts/{p['id']}", body)
            assert r.status == 200 or (r.status, r.error()["code"]) == (409, "already_resolved"), (p, r)
            until(lambda: p["id"] not in self.watcher.state.prompts or self.watcher.fault,  # noqa: B023
                  f"prompt_resolved of {p['id']}", 60)

    def finish(self, turn_id):
        """Until the turn is over: answers prompts, seldom aborts."""
        patience = 90 * SCALE + SECONDS
        end = time.monotonic() + patience
        abort_at = time.monotonic() + self.rng.random() * 3 if self.rng.random() < 0.08 else None
        while time.monotonic() < end:
            if self.watcher.fault:
                return
            if self.db.one("SELECT ended_at FROM turns WHERE id = ?", turn_id):
                return
            self.answer_prompts()
            if abort_at and time.monotonic() > abort_at:
                abort_at = None
                self.storm.accepted[turn_id]["aborted"] = True
                r = self.storm.request(self.rng, "POST", f"/v1/sessions/{self.session_id}/abort",
                                       {"turn_id": turn_id})
                assert r.status in (202, 409), r
            time.sleep(0.1)
        raise AssertionError(f"{turn_id} of {self.session_id} did not end within {patience:g} s")

    def run(self):
        self.db = Log(self.storm.stack.db_path)
        try:
            while not self.storm.is_over() and not (self.watcher and self.watcher.fault):
                last = self.say(self.make_plan(), "reject")
                if self.rng.random() < 0.3:
                    queued = [self.say(self.make_plan(), "queue") for _ in range(self.rng.randrange(1, 3))]
                    for turn_id in [last, *queued]:
                        self.finish(turn_id)
                elif self.rng.random() < 0.1:
                    self.storm.accepted[last]["aborted"] = True
                    self.finish(self.say(self.make_plan(), "interrupt"))
                else:
                    self.finish(last)
        except Exception as e:
            self.fault = f"user {self.number} in {self.session_id}: {type(e).__name__} {e}"


def check_turns(storm, log):
    """Every acknowledged message has its answer or its stated end."""
    ends = collections.Counter()
    for turn_id, facts in storm.accepted.items():
        row = log.rows("SELECT * FROM turns WHERE id = ?", turn_id)
        assert row, f"{turn_id} was accepted and is not in the log"
        row = row[0]
        ends[row["state"] if row["state"] != "error" else row["error_code"]] += 1
        if row["state"] == "aborted":
            assert facts["aborted"], f"{row} was not aborted by anybody"
        elif row["state"] == "error":
            tap.eq(row["error_code"], "worker_crashed", f"why {turn_id} ended")
        else:
            tap.eq(row["state"], "done", f"state of {turn_id}")
            told = log.one("SELECT content FROM messages WHERE id = ?", row["message_id"])
            tap.eq(json.loads(told), plan.answer_of(facts["text"]), f"answer of {turn_id}")
    stored = {r["id"] for r in log.rows("SELECT id FROM turns")}
    tap.eq(stored - set(storm.accepted), set(), "turns that nobody was told of")
    return ends


def check_viewers(storm, log, users):
    """What was shown is in the log, and what is shown is what the log adds up to."""
    shown = 0
    for u in users:
        w = u.watcher
        rows = {f"{r['generation']}-{r['seq']}": r for r in log.events(u.session_id)}
        for ident, raw in w.seen.items():
            assert ident in rows, f"{ident} of {u.session_id} was shown and is not in the log: {raw!r}"
            tap.eq(raw, frame_data(rows[ident]), f"bytes of {ident} of {u.session_id}")
        shown += len(w.seen)
    return shown


def check_calls(storm, log):
    """A call that may not be repeated ran once, or as often as a person said."""
    ran = collections.Counter()
    with open(storm.journal, encoding="ascii") as f:
        for line in f:
            ran[tuple(line.split())] += 1
    for (tool, key), n in ran.items():
        if tool in ("act", "risky"):
            words = storm.allowed[key]
            assert n <= 1 + words, f"{tool} {key} ran {n} times with {words} words"
    for row in log.rows("SELECT id, name, status, server FROM calls WHERE status = 'done' AND server = 'kit'"):
        assert ran[(row["name"], row["id"])], f"{row} is done and never ran"
    repeated = sum(1 for n in ran.values() if n > 1)
    uncertain = log.one("SELECT count(*) FROM prompts WHERE request LIKE '%\"uncertain\":true%'")
    return len(ran), repeated, uncertain


def calm_down(storm, users):
    """All is up again and everybody is done."""
    storm.revive()
    for u in users:
        u.join(200 * SCALE + 2 * SECONDS)
        assert not u.is_alive(), f"user {u.number} still waits in {u.session_id}"
    log = Log(storm.stack.db_path)
    for u in users:
        w = u.watcher
        last = log.one("SELECT max(e.seq) FROM events e JOIN sessions s ON s.row = e.session WHERE s.id = ?",
                       u.session_id)
        if not w.fault:
            try:
                until(lambda: w.state.seq == last or w.fault, f"{u.session_id} is shown to {last}", 60)  # noqa: B023
            except AssertionError as e:
                storm.faults.append(f"{e}, is at {w.state.seq}")
    for u in users:
        u.watcher.stop()
    return log


def test_a_storm_of_kills_takes_nothing(storm):
    """DUR-1, DUR-2, DUR-3, DUR-4, DUR-5, DUR-6, DUR-7, DUR-8, SDC-18, PRC-6"""
    rng = random.Random(SEED)
    users = [User(storm, i) for i in range(USERS)]
    for u in users:
        u.start()
    killer = threading.Thread(target=storm.rage, args=(rng,), daemon=True)
    killer.start()
    killer.join(SECONDS + 60)
    log = calm_down(storm, users)
    faults = storm.faults + [u.fault or u.watcher.fault for u in users if u.fault or u.watcher.fault]
    assert not faults, "\n".join(faults)
    tap.note(f"kills: {dict(storm.killed)}")
    ends = check_turns(storm, log)
    tap.note(f"{len(storm.accepted)} turns: {dict(ends)}")
    resumed = log.one("SELECT count(*) FROM events WHERE type = 14")
    tap.note(f"{check_viewers(storm, log, users)} events shown to {USERS} viewers in "
             f"{sum(u.watcher.visits for u in users)} visits; {resumed} times resumed")
    tap.note("%d calls ran, %d more than once, %d uncertain" % check_calls(storm, log))
    assert sum(storm.killed.values()) >= 100 or SECONDS < 60, f"kills: {storm.killed}"
    for u in users:
        snap = storm.request(u.rng, "GET", f"/v1/sessions/{u.session_id}/snapshot").json()
        u.watcher.state.snapshot(snap)  # complains if it differs from what was shown


def test_the_log_is_what_its_events_add_up_to(storm):
    """DUR-3, DUR-9, SDC-15, OPS-1"""
    p = subprocess.run([CHATCTL, "verify", storm.stack.db_path], capture_output=True, text=True, timeout=120,
                       check=False)
    tap.note(p.stdout.strip()[-300:])
    tap.eq((p.returncode, p.stderr), (0, ""), p.stdout[:3000])


def test_all_of_it_ends_in_order(storm):
    """RUN-1"""
    tap.eq(storm.second.term(), 0, "the second streamerd")
    storm.stack.check_end()
    until(lambda: not storm.tool_pids(), "no tool server is left", 20)


if __name__ == "__main__":
    tap.note(f"STORM_SEED={SEED} STORM_SECONDS={SECONDS:g} STORM_USERS={USERS}")
    with Upstream() as provider:
        provider.default = plan.script
        storm_of = Storm(provider)
        with storm_of.stack:
            try:
                tap.run(globals(), storm_of)
                if tap._failed:
                    storm_of.stack.explain()
            finally:
                storm_of.second.kill()
                for left in storm_of.tool_pids():
                    storm_of.kill(left)
    tap.finish()
