"""tools/run.sh, which is what `make run` runs once all is built, with configs of one's own (4 s)."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile

from lib import http, tap
from lib.daemons import free_port
from lib.wait import scaled, until

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BUILD_DIR", os.path.join(TOP, "build"))

CHATD_CONF = """[log]
path = {dir}/events.db
[bus]
dir = {dir}/bus
[workers]
count = 1
drain_timeout = 200ms
[defaults]
provider = demo
[provider demo]
type = demo
"""

STREAMERD_CONF = """[http]
listen = 127.0.0.1:{port}    ; nobody else is there
[bus]
dir = {dir}/bus
[auth]
mode = none
"""


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        return [int(x) for x in f.read().split()]


def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def write(folder, name, text, **values):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="ascii") as f:
        f.write(text.format(dir=folder, **values))
    return path


def hears(pid, sig):
    """Has the process a handler for it?"""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        caught = next(int(line.split()[1], 16) for line in f if line.startswith("SigCgt:"))
    return caught >> (sig - 1) & 1


def test_sigterm_before_the_address_is_free_is_an_orderly_end(folder):
    """RUN-1"""
    with socket.socket() as taken:  # streamerd tries again for two seconds
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        conf = write(folder, "early.conf", STREAMERD_CONF, port=taken.getsockname()[1])
        p = subprocess.Popen([os.path.join(BUILD, "streamerd/streamerd"), "-c", conf], stderr=subprocess.DEVNULL)
        until(lambda: p.poll() is not None or hears(p.pid, signal.SIGTERM), "it hears SIGTERM")
        p.send_signal(signal.SIGTERM)
        tap.eq(p.wait(scaled(10)), 0, "exit status")


def test_a_check_that_is_ended_has_not_found_the_file_to_be_fine(folder):
    """RUN-1: SIGTERM ends a daemon with 0, but 0 of --check means something else"""
    fifo = os.path.join(folder, "slow.conf")
    os.mkfifo(fifo)
    for daemon in ("chatd/chatd", "streamerd/streamerd"):
        p = subprocess.Popen([os.path.join(BUILD, daemon), "-c", fifo, "--check"], stderr=subprocess.DEVNULL)
        with open(fifo, "wb"):  # so it is reading now, and waits for what comes
            p.send_signal(signal.SIGTERM)
            tap.eq(p.wait(scaled(10)), -signal.SIGTERM, f"exit status of {daemon}")


def test_it_says_where_the_page_is_and_stops_both_daemons(folder):
    """RUN-3, RUN-1"""
    port = free_port()
    argv = [os.path.join(TOP, "tools", "run.sh"), BUILD, write(folder, "c.conf", CHATD_CONF),
            write(folder, "s.conf", STREAMERD_CONF, port=port)]
    out = os.path.join(folder, "out")
    with open(out, "wb") as f:
        run = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f, start_new_session=True)

    def said():
        with open(out, encoding="utf-8", errors="replace") as f:
            return f.read()

    daemons = []
    try:
        until(lambda: f"http://127.0.0.1:{port}/" in said() or run.poll() is not None, "the address is printed", 40)
        assert run.poll() is None, "it ended:\n" + said()
        r = http.request(port, "GET", "/")
        tap.eq(r.status, 200, "GET /")
        assert b"<html" in bytes(r.body).lower(), r
        until(lambda: len(children(run.pid)) == 2, "nothing but the daemons runs", 10)
        daemons = children(run.pid)
        for pid in list(daemons):
            daemons += children(pid)
        assert len(daemons) >= 4, daemons  # supervisor, worker, parent, serving process
        run.send_signal(signal.SIGTERM)
        tap.eq(run.wait(scaled(30)), 0, "exit status on SIGTERM")
        tap.eq([pid for pid in daemons if is_there(pid)], [], "what still runs")
    except BaseException:
        tap.note(said())
        raise
    finally:
        if run.poll() is None:
            for pid in [*daemons, run.pid]:
                if is_there(pid):
                    os.kill(pid, signal.SIGKILL)
            run.wait()


if __name__ == "__main__":
    work = tempfile.mkdtemp(prefix="chatd-run-")
    try:
        tap.run(globals(), work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    tap.finish()
