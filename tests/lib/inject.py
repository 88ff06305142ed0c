"""The nth call of one system call fails in one process, as the kernel might have failed it.

strace is attached to every thread that a running process has and makes call number n of each thread
return an error without being executed. Children of the process are left alone.

    with Fault(pid, "pwrite64", "EIO", 3) as fault:
        ...
    fault.hits                              # how many calls failed: 0 if n was past the last
"""

import collections
import os
import re
import shutil
import signal
import subprocess
import tempfile

from lib import tap
from lib.wait import scaled, until

CALL = re.compile(r"^(\d+ +)?(\w+)\(")  # the thread is named if there are several


def tracer(tid):
    try:
        with open(f"/proc/{tid}/status", encoding="ascii", errors="replace") as f:
            return int(re.search(r"^TracerPid:\t(\d+)", f.read(), re.MULTILINE)[1])
    except OSError:
        return None


class Trace:
    """strace on a running process; `options` say what it does there."""

    def __init__(self, pid, *options):
        self.pid = pid
        self.file = tempfile.NamedTemporaryFile(prefix="chatd-strace-", mode="r", encoding="utf-8",
                                                errors="replace")
        self.tids = tids = os.listdir(f"/proc/{pid}/task")
        # without -f: children are not ours to break
        argv = ["strace", "-qq", "-s", "0", "-e", "signal=STOP", "-o", self.file.name, *options]
        for tid in tids:
            argv += ["-p", tid]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, start_new_session=True)
        try:
            until(lambda: self.process.poll() is not None or all(tracer(t) for t in tids), "strace is attached")
            assert self.process.poll() is None, f"strace: {self.process.stderr.read().decode()}"
        except BaseException:
            self.stop()
            raise

    def stop(self):
        """Detaches; harmless if the process has ended meanwhile.

        A call that fails is none at all to the kernel (ENOSYS) until strace has put in the result: so
        the threads are halted outside of calls while it leaves.
        """
        try:
            if self.process.poll() is None:
                os.kill(self.pid, signal.SIGSTOP)
                until(lambda: self.process.poll() is not None or self.is_halted(), "the process is halted")
                self.process.send_signal(signal.SIGINT)
                self.process.wait(scaled(10))
        except ProcessLookupError:
            pass
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            self.process.stderr.close()
            try:
                os.kill(self.pid, signal.SIGCONT)
            except ProcessLookupError:
                pass

    def is_halted(self):
        alive = sum(bool(tracer(t)) for t in self.tids)
        return sum(line.endswith("--- stopped by SIGSTOP ---") for line in self.lines()) >= alive

    def lines(self):
        self.file.seek(0)
        return self.file.read().splitlines()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Nothing:
    """Leaves everything as it is."""

    def stop(self):
        pass


class Fault(Trace):
    def __init__(self, pid, syscall, error, n):
        super().__init__(pid, "-e", f"trace={syscall}", "-e", f"inject={syscall}:error={error}:when={n}")

    @property
    def hits(self):
        return sum(line.endswith("(INJECTED)") for line in self.lines())


class Count(Trace):
    """Only counts: how often the busiest thread made each call."""

    def __init__(self, pid, syscalls):
        super().__init__(pid, "-e", "trace=" + ",".join(syscalls))

    def most(self):
        found = collections.Counter()
        for line in self.lines():
            call = CALL.match(line)
            if call:
                found[call[1], call[2]] += 1
        most = collections.Counter()
        for (_, name), n in found.items():
            most[name] = max(most[name], n)
        return most


def check_possible():
    """Raises tap.Skip where processes can't be traced."""
    if not shutil.which("strace"):
        raise tap.Skip("strace is not installed")
    p = subprocess.Popen(["sleep", "60"])
    try:
        with Trace(p.pid, "-e", "trace=none"):
            pass
    except AssertionError as e:
        raise tap.Skip(f"processes can't be traced here: {e}") from None
    finally:
        p.kill()
        p.wait()
