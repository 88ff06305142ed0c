"""A disk that fills up, or becomes read-only, and a lock that an operator holds: turns pause, nothing is lost, service resumes."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

from lib import shim, tap, upstream
from lib.daemons import Stack
from lib.upstream import Upstream
from lib.wait import SCALE, Late, until


class SmallDisk:
    """A small tmpfs: larger than the WAL may grow. Needs the right to mount."""

    def __init__(self, size="64m"):
        self.dir = tempfile.mkdtemp(prefix="chatd-disk-")
        self.filler = os.path.join(self.dir, "filler")
        p = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", self.dir],
                           capture_output=True, text=True, check=False)
        self.mounted = p.returncode == 0
        self.why = (p.stderr.strip().splitlines() or ["?"])[0]

    def fill(self):
        """Takes all space that is left, to the last page."""
        with open(self.filler, "ab", buffering=0) as f:
            for size in (65536, 4096):
                try:
                    while True:
                        f.write(b"\0" * size)
                except OSError:
                    pass

    def free(self):
        os.unlink(self.filler)

    def remount(self, how):
        """Refused while a file is open for writing: also by who was killed a moment ago."""
        until(lambda: subprocess.run(["mount", "-o", f"remount,{how}", self.dir], capture_output=True,
                                     check=False).returncode == 0, f"remount,{how}")

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.dir], capture_output=True, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)


class Ext4Disk:
    """ext4 in a file. abort() makes it read-only as its own answer to a broken disk does.

    `remount,ro` is refused while a file is open for writing, of the mount alone (`remount,ro,bind`) as
    well; `remount,abort` is not: the journal is given up, each write fails from then on, and there is no
    way back. So replace() does what a person would: takes it off and mounts what the disk holds, its
    journal replayed, in the same place; between the two the folder is there and empty.
    """

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="chatd-ext4-")
        self.images = tempfile.mkdtemp(prefix="chatd-image-")
        self.n = 0
        with open(self.image(), "wb") as f:
            f.truncate(48 << 20)
        self.why = None
        if self.run("mkfs.ext4", "-q", self.image()):
            self.mount()

    def image(self):
        return os.path.join(self.images, str(self.n))

    def run(self, *argv):
        try:
            p = subprocess.run(argv, capture_output=True, text=True, check=False)
            why = p.stderr.strip() if p.returncode else None
        except OSError as e:
            why = str(e)
        self.why = self.why or why
        return why is None

    def mount(self):
        self.run("mount", "-o", "loop", self.image(), self.dir)

    def abort(self):
        assert self.run("mount", "-o", "remount,abort", self.dir), self.why

    def replace(self, tried):
        before = self.image()
        self.n += 1
        shutil.copyfile(before, self.image())
        self.run("umount", "-l", self.dir)
        tried()
        tap.eq(os.listdir(self.dir), [], "nothing is begun in its place")
        self.mount()
        assert not self.why, self.why

    def close(self):
        subprocess.run(["umount", "-l", self.dir], capture_output=True, check=False)
        shutil.rmtree(self.dir, ignore_errors=True)
        shutil.rmtree(self.images, ignore_errors=True)


@contextlib.contextmanager
def ext4_stack(t):
    disk = Ext4Disk()
    try:
        if disk.why:
            raise tap.Skip(f"ext4 in a file can't be mounted here: {disk.why}")
        with Stack(t.up, workers=2, db=os.path.join(disk.dir, "events.db")) as s:
            yield disk, s
    finally:
        disk.close()


@contextlib.contextmanager
def disk_stack(t):
    """A SmallDisk and a stack whose log is on it."""
    disk = SmallDisk()
    try:
        if not disk.mounted:
            raise tap.Skip(f"a tmpfs can't be mounted here: {disk.why}")
        with Stack(t.up, workers=2, db=os.path.join(disk.dir, "events.db")) as s:
            yield disk, s
    finally:
        disk.close()


class Posters:
    """Posts messages beside the test, each with a text of its own, until new turns are refused.

    Who posts in the moment in which the disk fills up waits for a commit that does not come: his
    answer is later than that of those who come when it is known.
    """

    def __init__(self, s):
        self.s, self.answers, self.threads = s, {}, []
        s.up.default = upstream.text("x" * 3000)

    def post(self):
        n = f"more {len(self.threads)}"

        def run():
            self.answers[n] = self.s.post(n)

        self.threads.append(threading.Thread(target=run, daemon=True))
        self.threads[-1].start()

    def refused(self):
        return [r for r in list(self.answers.values()) if r.status == 503]

    def wait_refused(self):
        """Posts until somebody is told that the log can't be written; returns that answer."""
        def told():
            self.post()
            time.sleep(0.02)
            return [r for r in self.refused() if r.error()["code"] == "log_unavailable"]

        return until(told, "new turns are refused", 20)[0]

    def check(self):
        """Once space is back: who was told 202 is stored, who was refused is not."""
        for x in self.threads:
            x.join(20 * SCALE)
        tap.eq(len(self.answers), len(self.threads), "answers")
        log = self.s.log
        stored = {json.loads(r["content"]) for r in log.rows("SELECT content FROM v_messages WHERE role = 'user'")}
        late = 0
        for text, r in self.answers.items():
            if r.status == 202:
                assert text in stored, f"{text!r} was accepted and is not stored"
            else:
                code = r.error()["code"]
                late += code != "log_unavailable"
                assert code in ("log_unavailable", "worker_unavailable"), f"{r}"
                assert code != "log_unavailable" or text not in stored, f"{text!r} was refused and is stored"
        tap.note(f"{len(self.answers)} posted, {len(self.refused())} refused, {late} of them by time-out")


def told(viewer):
    """Reads a little; true once the viewer was told that storing fails."""
    try:
        viewer.next(0.1 / SCALE)
    except Late:
        pass
    return viewer.notices


def dripping(t, s, name, count, texts):
    """That many turns that are being answered, each with a viewer who has seen some of it."""
    turns = [s.say(t.up.on(f"{name} {i}", upstream.drip(texts, 100))) for i in range(count)]
    viewers = [s.viewer(x["session_id"]) for x in turns]
    for v in viewers:
        v.until(lambda e: len(v.state.content) > 500)  # noqa: B023
    return turns, viewers


def failures(s):
    return sum(n for name, n in s.metrics().items() if name.startswith("chatd_log_failures_total"))


def check_readable(s, turns, done):
    """Everything that is stored can be had, by whoever comes now, and no more than that."""
    listed = {x["id"] for x in s.call("GET", "/v1/sessions").json()["sessions"]}
    for turn in turns + [done]:
        ident = turn["session_id"]
        assert ident in listed, f"{ident} is not in the list"
        tap.eq(s.call("GET", f"/v1/sessions/{ident}").status, 200, "session")
        stored, last = s.log.text(ident), s.log.one("SELECT max(seq) FROM v_events WHERE session_id = ?", ident)
        snap = s.snapshot(ident)
        tap.eq((snap["content"], snap["seq"]), (stored, last), "snapshot")
        running = turn is not done
        tap.eq(snap["state"], "processing" if running else "idle", "state")
        messages = s.messages(ident)["messages"]
        tap.eq([m["role"] for m in messages], ["user"] if running else ["user", "assistant"], "messages")
        for cursor in (None, "1-1"):  # from a snapshot, and by pages
            with s.viewer(ident, cursor) as v:
                v.state.content = ""
                while v.state.seq is None or v.state.seq < last:
                    v.next()
                tap.eq(v.state.content, stored, f"shown from {cursor}")


def check_resumed(s, turns, viewers, texts):
    for v, turn in zip(viewers, turns):
        v.to_end(60)
        tap.eq(v.events[-1].name, "response_end", "the end of a paused turn")
        tap.eq(v.state.content, "".join(texts), "text at the viewer")
        tap.eq(s.messages(turn["session_id"])["messages"][-1]["content"], "".join(texts), "the stored answer")
        s.log.check_seqs(turn["session_id"])


def test_a_file_system_that_becomes_read_only_is_read_as_ever_and_service_resumes_on_its_repair(t):
    """FAF-4, DUR-2, DUR-3, DUR-4, SDC-8"""
    with ext4_stack(t) as (disk, s):
        texts = [f"{i:05d} " * 20 for i in range(300)]
        done = s.say(t.up.on("done before", upstream.text("all ", "there")))
        s.wait_idle(done["session_id"])
        turns, viewers = dripping(t, s, "aborted disk", 4, texts)
        disk.abort()
        posters = Posters(s)
        posters.wait_refused()
        for v, turn in zip(viewers, turns):
            until(lambda: told(v), "the user is told that storing fails")  # noqa: B023
            assert s.log.text(turn["session_id"]).startswith(v.state.content), "shown but not stored"
        tap.eq(s.call("GET", "/readyz").status, 503, "readyz: the log can't be written")
        tap.eq(s.call("GET", "/healthz").status, 200, "healthz")
        assert "Read-only file system" in s.chatd.log(), "an operator is told why"
        for _ in range(3):  # and so it stays, however often opening it for writing has failed meanwhile
            before = failures(s)
            until(lambda: failures(s) >= before + 4, "the log was tried again")  # noqa: B023
            check_readable(s, turns, done)
        pids = s.worker_pids()
        before = failures(s)
        disk.replace(lambda: until(lambda: failures(s) >= before + 4, "the log was tried again"))
        del s._log.db  # of the disk that is gone
        until(lambda: s.post("more").status == 202, "new turns are taken again", 15)
        check_resumed(s, turns, viewers, texts)
        tap.eq(s.worker_pids(), pids, "workers")
        posters.check()
        tap.eq(s.log.one("PRAGMA integrity_check"), "ok", "integrity")


def test_a_full_disk_pauses_turns_and_service_resumes_by_itself(t):
    """FAF-4, DUR-2, DUR-3"""
    with disk_stack(t) as (disk, s):
        texts = [f"{i:05d} " * 20 for i in range(400)]
        turns = [s.say(t.up.on(f"full {i}", upstream.drip(texts, 100))) for i in range(4)]
        viewers = [s.viewer(x["session_id"]) for x in turns]
        for v in viewers:
            v.until(lambda e: len(v.state.content) > 500)  # noqa: B023
        disk.fill()
        posters = Posters(s)
        r = posters.wait_refused()
        assert int(r.header("retry-after")) >= 1, r.headers
        # What is readable stays readable, and says that the turn is not over.
        snap = s.snapshot(turns[0]["session_id"])
        tap.eq(snap["state"], "processing", "state")
        tap.eq(s.call("GET", "/readyz").status, 503, "readyz: the log can't be written")
        tap.eq(s.call("GET", "/healthz").status, 200, "healthz")
        lines = [x for x in s.chatd.log().splitlines() if x[:3] in ("<3>", "<4>") and "log" in x]
        assert lines, "an operator is told"
        # Nothing is shown that is not stored.
        for v, turn in zip(viewers, turns):
            until(lambda: told(v), "the user is told that storing fails")  # noqa: B023
            stored = s.log.text(turn["session_id"])
            assert stored.startswith(v.state.content), "shown but not stored"
        errors = [s.snapshot(turn["session_id"])["error"] for turn in turns]
        assert "persist_error" in [e["code"] for e in errors if e], f"who comes now is not told: {errors}"
        disk.free()
        freed = time.monotonic()
        until(lambda: s.post("more").status == 202, "new turns are taken again", 15)
        tap.note(f"taken again {time.monotonic() - freed:.2f} s after space came back")
        for v, turn in zip(viewers, turns):
            v.to_end(60)
            tap.eq(v.events[-1].name, "response_end", "the end of a paused turn")
            tap.eq(v.state.content, "".join(texts), "text at the viewer")
            tap.eq(s.log.text(turn["session_id"]), "".join(texts), "text in the log")
            s.log.check_seqs(turn["session_id"])
        posters.check()
        tap.eq(s.log.one("PRAGMA integrity_check"), "ok", "integrity")


def test_a_log_that_becomes_read_only_pauses_turns_and_service_resumes_by_itself(t):
    """FAF-4, DUR-2, DUR-3, OPS-5"""
    shim.check_possible()
    with Stack(t.up, workers=1, start=False) as s:
        disk = shim.Shim(s)
        s.start()
        texts = [f"{i:05d} " * 20 for i in range(300)]
        done = s.say(t.up.on("done before", upstream.text("all ", "there")))
        s.wait_idle(done["session_id"])
        turns, viewers = dripping(t, s, "read-only", 2, texts)
        waiting = 'chatd_turns_waiting{worker="0"}'
        tap.eq(s.metrics()[waiting], 0.0, waiting)
        disk.read_only("worker")
        posters = Posters(s)
        posters.wait_refused()
        tap.eq(s.call("GET", "/readyz").status, 503, "readyz: the log can't be written")
        tap.eq(s.call("GET", "/healthz").status, 200, "healthz")
        tap.eq(s.metrics()[waiting], 0.0, waiting)
        tap.eq(s.metrics()['chatd_log_stalled{worker="0"}'], 1.0, "chatd_log_stalled")
        for v, turn in zip(viewers, turns):
            until(lambda: told(v), "the user is told that storing fails")  # noqa: B023
            assert s.log.text(turn["session_id"]).startswith(v.state.content), "shown but not stored"
        assert "Read-only file system" in s.chatd.log() or "log.stalled" in s.chatd.log(), "an operator is told"
        before = failures(s)
        until(lambda: failures(s) >= before + 4, "the log was tried again")
        check_readable(s, turns, done)
        disk.stop()
        until(lambda: s.post("more").status == 202, "new turns are taken again", 15)
        tap.eq(s.metrics()[waiting], 0.0, waiting)
        for v, turn in zip(viewers, turns):
            v.to_end(60)
            tap.eq(v.events[-1].name, "response_end", "the end of a paused turn")
            tap.eq(v.state.content, "".join(texts), "text at the viewer")
            tap.eq(s.log.text(turn["session_id"]), "".join(texts), "text in the log")
            s.log.check_seqs(turn["session_id"])
        posters.check()
        tap.eq(s.log.one("PRAGMA integrity_check"), "ok", "integrity")


def test_one_read_that_fails_does_not_end_a_turn(t):
    """FAF-4, FAF-6"""
    shim.check_possible()
    with Stack(t.up, workers=1, start=False) as s:
        disk = shim.Shim(s)
        s.start()
        t.up.on("long", upstream.text(*["x" * 10000] * 40))
        t.up.on("more of it", upstream.text("fine"))
        for n in (20, 40, 80):  # of the hundred pages that the answer takes
            first = s.say("long")
            s.wait_idle(first["session_id"])
            s.say("more of it", first["session_id"])  # the last turn's answer is read in any case
            s.wait_idle(first["session_id"])
            s.kill_workers()  # nothing of it is in memory
            s.wait_ready()
            tap.eq(s.call("GET", f"/v1/sessions/{first['session_id']}").status, 200, "session")
            fault = disk.fail("worker", "pread64", "EIO", n)
            turn = s.say("more of it", first["session_id"])
            s.wait_state(turn["turn_id"], "done", "error")
            row = s.log.rows("SELECT state, error_code FROM turns WHERE id = ?", turn["turn_id"])[0]
            fault.stop()
            tap.eq(fault.hits, 1, "reads that failed")
            tap.eq((row["state"], row["error_code"]), ("done", None), f"the turn, read {n} failing")
            assert "log.read_failed" in s.chatd.log(), "an operator is told"
            with open(s.chatd.log_path, "w", encoding="ascii"):
                pass  # SQLite's word for it is that of a broken database: not to be complained about at the end


def test_workers_that_start_on_a_read_only_disk_show_it_and_go_on_once_it_can_be_written(t):
    """FAF-4, DUR-6"""
    with disk_stack(t) as (disk, s):
        texts = [f"{i:05d} " * 20 for i in range(200)]
        done = s.say(t.up.on("done before", upstream.text("all ", "there")))
        s.wait_idle(done["session_id"])
        turns, viewers = dripping(t, s, "remounted", 4, texts)
        # nobody may have a file open there for writing, us included, when the mount changes
        os.kill(s.chatd.pid, signal.SIGSTOP)
        try:
            s.kill_workers()
            disk.remount("ro")
        finally:
            os.kill(s.chatd.pid, signal.SIGCONT)
        for v in viewers:
            until(lambda: told(v), "the user is told")  # noqa: B023
        until(lambda: "Read-only file system" in s.chatd.log(), "an operator is told why")
        posters = Posters(s)
        posters.wait_refused()
        tap.eq(s.call("GET", "/readyz").status, 503, "readyz: the log can't be written")
        for _ in range(3):
            before = failures(s)
            until(lambda: failures(s) >= before + 4, "the log was tried again")  # noqa: B023
            check_readable(s, turns, done)
        pids = s.worker_pids()
        disk.remount("rw")
        until(lambda: s.post("more").status == 202, "new turns are taken again", 15)
        check_resumed(s, turns, viewers, texts)
        tap.eq(s.worker_pids(), pids, "workers")
        posters.check()


def test_abort_while_the_disk_is_full_takes_effect_when_it_can_be_stored(t):
    """FAF-4, SDC-3"""
    with disk_stack(t) as (disk, s):
        key = t.up.on("abort on full", upstream.drip(["y" * 50] * 10, 100, ends=False))
        turn = s.say(key)
        until(lambda: s.log.text(turn["session_id"]), "text")
        disk.fill()
        Posters(s).wait_refused()
        answers = []
        x = threading.Thread(target=lambda: answers.append(s.abort(turn["session_id"]).status))
        x.start()
        x.join(1)
        disk.free()
        x.join(20 * SCALE)
        assert answers and answers[0] in (202, 503), answers
        until(lambda: s.post("more").status == 202, "new turns are taken again", 15)
        if s.snapshot(turn["session_id"])["state"] != "idle":
            until(lambda: s.abort(turn["session_id"]).status == 202, "its worker writes again, too", 15)
        tap.eq(s.wait_idle(turn["session_id"])["messages"][-1]["status"], "aborted", "status of the message")
        s.log.check_seqs(turn["session_id"])


def test_an_operator_who_holds_the_write_lock_for_two_seconds_breaks_nothing(t):
    """DUR-9, FAF-4"""
    texts = [f"{i} " for i in range(300)]
    turn = t.say(t.up.on("lock", upstream.drip(texts, 100)))
    v = t.viewer(turn["session_id"])
    v.until(lambda e: v.state.content)
    db = sqlite3.connect(t.db_path, timeout=10, isolation_level=None)
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute("BEGIN IMMEDIATE")
    answers = []

    def post():
        answers.append(t.post("while locked"))

    t.up.on("while locked", upstream.text("ok"))
    p = threading.Thread(target=post)
    p.start()
    time.sleep(2)
    tap.eq(t.snapshot(turn["session_id"])["state"], "processing", "state")
    db.execute("ROLLBACK")
    db.close()
    p.join(20 * SCALE)
    assert answers and answers[0].status in (202, 503), answers
    if answers[0].status == 202:
        tap.eq(t.wait_idle(answers[0].json()["session_id"])["content"], "ok", "the turn posted meanwhile")
    else:
        tap.eq(answers[0].error()["code"], "log_unavailable", f"{answers[0]}")
    v.to_end(30)
    tap.eq(v.state.content, "".join(texts), "text")
    t.log.check_seqs(turn["session_id"])
    until(lambda: t.post("while locked").status == 202, "new turns are taken")
    t.wait_ready()  # by every worker


def test_readers_that_stay_do_not_stop_the_log(t):
    """DUR-9"""
    db = sqlite3.connect(f"file:{t.db_path}?mode=ro", uri=True, isolation_level=None)
    db.execute("BEGIN")
    before = db.execute("SELECT count(*) FROM events").fetchone()[0]
    turn = t.say(t.up.on("reader", upstream.text(*(["z" * 1000] * 200))))
    tap.eq(t.wait_idle(turn["session_id"])["content"], "z" * 200000, "answer")
    tap.eq(db.execute("SELECT count(*) FROM events").fetchone()[0], before, "the reader's own view")
    db.execute("COMMIT")
    assert db.execute("SELECT count(*) FROM events").fetchone()[0] > before
    db.close()


if __name__ == "__main__":
    with Upstream() as up:
        with Stack(up) as stack:
            tap.run(globals(), stack)
    tap.finish()
