"""People at work: a load of turns with tools, prompts, queues, aborts and viewers, and what must hold after it.

Two workers, two streamerds over one chatd, tools over MCP that write down each execution. What a test
does to the processes meanwhile is its own business: this only sees to it that everybody comes back,
and afterwards that nothing is missing.

    load = Load(up, seconds=10, users=5, seed=1)
    users = load.begin()
    ...                                     # until load.is_over()
    log = load.calm_down(users)
    load.check(log, users)
"""

import collections
import json
import os
import random
import subprocess
import sys
import threading
import time

from lib import http, plan, tap
from lib.daemons import BUG, STREAMERD, Daemon, Stack, free_port
from lib.db import Log
from lib.strict import Watcher
from lib.wait import SCALE, until

SERVER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "journal_mcp_server.py")
CHATCTL = os.environ.get("CHATCTL") or os.path.join(os.environ.get("BUILD_DIR", "build"), "chatd/ctl/chatctl")


def verify(path, *options):
    """chatctl verify: (exit status, stdout, stderr)."""
    p = subprocess.run([CHATCTL, "verify", *options, path], capture_output=True, text=True, timeout=120 * SCALE,
                       check=False)
    return p.returncode, p.stdout, p.stderr


class Load:
    """The stack with a second streamerd, and what is known of everybody who uses it."""

    def __init__(self, up, seconds, users, seed, drain="300ms"):
        self.seconds, self.n_users, self.seed = seconds, users, seed
        self.stack = Stack(up, workers=2, drain=drain, start=False)
        self.journal = os.path.join(self.stack.tool_dir, "journal")
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
        self.deadline = time.monotonic() + seconds
        self.faults = []
        self.longest = 0.0  # seconds until somebody was answered

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            self.second.kill()
            self.stack.__exit__(kind, value, trace)
        finally:
            for left in self.tool_pids():
                try:
                    os.kill(left, 9)
                except ProcessLookupError:
                    pass

    # what tap.run() wants of a stack
    def mark(self):
        self.stack.mark()

    def explain(self):
        self.stack.explain()

    def check_end(self):
        """RUN-1"""
        if self.second.is_running():
            tap.eq(self.second.term(), 0, "the second streamerd")
        found = BUG.search(self.second.log(whole=True))
        assert not found, f"the second streamerd said {self.second.log(whole=True)[found.start():][:3000]}"
        self.stack.check_end()
        until(lambda: not self.tool_pids(), "no tool server is left", 20)

    def is_over(self):
        return time.monotonic() >= self.deadline

    def begin(self):
        self.deadline = time.monotonic() + self.seconds
        users = [User(self, i) for i in range(self.n_users)]
        for u in users:
            u.start()
        return users

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

    def request(self, rng, method, target, body=None, headers=None):
        """Tries until something answers that is not "come back later"."""
        began = time.monotonic()
        while time.monotonic() < began + 60 * SCALE:
            try:
                r = http.request(rng.choice(self.ports), method, target, body, headers, timeout=15)
            except OSError:
                time.sleep(0.05)
                continue
            if r.status not in (502, 503, 504):
                self.longest = max(self.longest, time.monotonic() - began)
                return r
            assert r.header("Retry-After") is not None or r.status != 503, f"503 without Retry-After: {r}"
            time.sleep(0.05)
        raise AssertionError(f"{method} {target} was not answered for a minute")

    def calm_down(self, users):
        """Waits until everybody is done and everything is shown; returns the log."""
        for u in users:
            u.join(200 * SCALE + 2 * self.seconds)
            assert not u.is_alive(), f"user {u.number} still waits in {u.session_id}"
        log = Log(self.stack.db_path)
        for u in users:
            try:
                u.see_all(log)
            except AssertionError as e:
                self.faults.append(f"{e}, is at {u.watcher.state.seq}")
        for u in users:
            if u.watcher:
                u.watcher.stop()
        return log

    def check(self, log, users, may_fail=()):
        """may_fail: codes of errors with which a turn may have ended."""
        faults = self.faults + [u.fault for u in users if u.fault]
        faults += [u.watcher.fault for u in users if u.watcher and u.watcher.fault]
        assert not faults, "\n".join(faults)
        tap.note(f"{len(self.accepted)} turns: {dict(check_turns(self, log, may_fail))}")
        for u in users:
            u.close_session(log)
        tap.note(f"{sum(u.shown for u in users)} events shown to {len(users)} users in {sum(u.sessions for u in users)} "
                 f"sessions and {sum(u.visits for u in users)} visits; "
                 f"{log.one('SELECT count(*) FROM events WHERE type = 14')} times resumed")
        tap.note("%d calls ran, %d more than once, %d uncertain" % check_calls(self, log))


SESSION_TURNS = 30  # then a conversation is left: a load whose questions grow is none that stays the same


class User(threading.Thread):
    """Somebody who says one thing after the other in one session, and answers what is asked."""

    def __init__(self, load, number):
        super().__init__(daemon=True)
        self.load, self.number, self.rng = load, number, random.Random(f"{load.seed}-{number}")
        self.session_id, self.watcher, self.fault, self.turns = None, None, None, 0
        self.db = None
        self.sessions, self.shown, self.visits, self.turns_here = 0, 0, 0, 0

    def make_plan(self):
        self.turns += 1
        self.turns_here += 1
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
        r = self.load.request(self.rng, "POST", "/v1/messages", body,
                              {"Idempotency-Key": f"{self.load.seed}-{self.number}-{self.turns}"})
        assert r.status == 202, r
        turn = r.json()
        assert self.session_id in (None, turn["session_id"]), turn
        self.session_id = turn["session_id"]
        with self.load.lock:
            assert turn["turn_id"] not in self.load.accepted, f"accepted twice: {turn}"
            self.load.accepted[turn["turn_id"]] = {"session": self.session_id, "text": text, "aborted": False}
        if not self.watcher:
            self.watcher = Watcher(self.load.ports, self.session_id, random.Random(self.rng.random()))
        return turn["turn_id"]

    def see_all(self, log):
        """Waits until what is stored is shown."""
        if not self.watcher:
            return
        last = log.one("SELECT max(e.seq) FROM events e JOIN sessions s ON s.row = e.session WHERE s.id = ?",
                       self.session_id)
        until(lambda: self.watcher.state.seq == last or self.watcher.fault, f"{self.session_id} is shown to {last}", 60)

    def close_session(self, log):
        """Compares all that was shown of it with the log; the next message begins another one."""
        w = self.watcher
        if not w:
            return
        self.shown += w.check(log.events(self.session_id))
        snap = self.load.request(self.rng, "GET", f"/v1/sessions/{self.session_id}/snapshot").json()
        w.state.snapshot(snap)  # complains if it differs from what was shown
        self.sessions, self.visits = self.sessions + 1, self.visits + w.visits
        self.session_id, self.watcher, self.turns_here = None, None, 0

    def answer_prompts(self):
        for p in list(self.watcher.state.prompts.values()):
            if p["kind"] == "ask_user":
                body = {"answers": {q["id"]: "this" for q in p["questions"]}}
            else:
                body = {"allow": self.rng.random() < 0.7}
            if body.get("allow") and p.get("uncertain"):
                with self.load.lock:  # before it is sent: the word may arrive though its answer does not
                    self.load.allowed[p["tool_invocation_id"]] += 1
            r = self.load.request(self.rng, "POST", f"/v1/sessions/{self.session_id}/prompts/{p['id']}", body)
            assert r.status == 200 or (r.status, r.error()["code"]) == (409, "already_resolved"), (p, r)
            until(lambda: p["id"] not in self.watcher.state.prompts or self.watcher.fault,  # noqa: B023
                  f"prompt_resolved of {p['id']}", 60)

    def finish(self, turn_id):
        """Until the turn is over: answers prompts, seldom aborts."""
        patience = 90 * SCALE + self.load.seconds
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
                self.load.accepted[turn_id]["aborted"] = True
                r = self.load.request(self.rng, "POST", f"/v1/sessions/{self.session_id}/abort",
                                      {"turn_id": turn_id})
                assert r.status in (202, 409), r
            time.sleep(0.1)
        raise AssertionError(f"{turn_id} of {self.session_id} did not end within {patience:g} s")

    def run(self):
        self.db = Log(self.load.stack.db_path)
        try:
            while not self.load.is_over() and not (self.watcher and self.watcher.fault):
                last = self.say(self.make_plan(), "reject")
                if self.rng.random() < 0.3:
                    queued = [self.say(self.make_plan(), "queue") for _ in range(self.rng.randrange(1, 3))]
                    for turn_id in [last, *queued]:
                        self.finish(turn_id)
                elif self.rng.random() < 0.1:
                    self.load.accepted[last]["aborted"] = True
                    self.finish(self.say(self.make_plan(), "interrupt"))
                else:
                    self.finish(last)
                if self.turns_here >= SESSION_TURNS and not self.watcher.fault:
                    self.see_all(self.db)
                    self.watcher.stop()
                    assert not self.watcher.fault, self.watcher.fault
                    self.close_session(self.db)
        except Exception as e:
            self.fault = f"user {self.number} in {self.session_id}: {type(e).__name__} {e}"


def check_turns(load, log, may_fail):
    """Every acknowledged message has its answer or its stated end."""
    ends = collections.Counter()
    for turn_id, facts in load.accepted.items():
        row = log.rows("SELECT * FROM turns WHERE id = ?", turn_id)
        assert row, f"{turn_id} was accepted and is not in the log"
        row = row[0]
        ends[row["state"] if row["state"] != "error" else row["error_code"]] += 1
        if row["state"] == "aborted":
            assert facts["aborted"], f"{row} was not aborted by anybody"
        elif row["state"] == "error":
            assert row["error_code"] in may_fail, f"{turn_id} ended with {row}"
        else:
            tap.eq(row["state"], "done", f"state of {turn_id}")
            told = log.one("SELECT content FROM messages WHERE id = ?", row["message_id"])
            tap.eq(json.loads(told), plan.answer_of(facts["text"]), f"answer of {turn_id}")
    stored = {r["id"] for r in log.rows("SELECT id FROM turns")}
    tap.eq(stored - set(load.accepted), set(), "turns that nobody was told of")
    return ends


def check_calls(load, log):
    """A call that may not be repeated ran once, or as often as a person said."""
    ran = collections.Counter()
    with open(load.journal, encoding="ascii") as f:
        for line in f:
            ran[tuple(line.split())] += 1
    for (tool, key), n in ran.items():
        if tool in ("act", "risky"):
            words = load.allowed[key]
            assert n <= 1 + words, f"{tool} {key} ran {n} times with {words} words"
    for row in log.rows("SELECT id, name, status, server FROM calls WHERE status = 'done' AND server = 'kit'"):
        assert ran[(row["name"], row["id"])], f"{row} is done and never ran"
    for row in log.rows("SELECT id, name FROM calls WHERE status = 'denied' AND server = 'kit'"):
        assert not ran[(row["name"], row["id"])], f"{row} was not allowed and ran"
    repeated = sum(1 for n in ran.values() if n > 1)
    uncertain = log.one("SELECT count(*) FROM prompts WHERE request LIKE '%\"uncertain\":true%'")
    return len(ran), repeated, uncertain
