"""The page in a real Chromium, against real daemons:  test_page.py NAME  runs NAME.mjs, which drives the
browser by playwright-core and prints TAP. What it can't do itself (restart a daemon, read the log) is done here.

CHROMIUM names the browser; what is needed from npm comes by lib.npm. ONLY=WORDS runs the tests with these
words in their names; CHROMIUM_ARGS adds flags.
"""

import json
import os
import shutil
import subprocess
import sys
import threading

import shows
from lib import npm, tap
from lib.daemons import Stack
from lib.tools import ToolStack, ToolUpstream
from lib.upstream import text
from lib.wait import SCALE
from wire import Wire

HERE = os.path.dirname(os.path.abspath(__file__))
LIMIT = 280  # seconds, for one file; a fifth of it on a machine of its own


def skip(why):
    print("1..0 # SKIP " + why)
    sys.exit(0)


def start(daemon, stack):
    daemon.start()
    stack.wait_ready()


def content(stack, session):
    """The last answer of a session as its events have it."""
    parts = []
    for event in stack.events(session):
        if event["type"] == "response_start":
            parts = []
        elif event["type"] == "response_chunk":
            parts.append(event["payload"]["content"])
    return "".join(parts)


def wire_of(stack):
    stack.wire = Wire(stack.port)
    return stack.wire


COMMANDS = {
    "stop-streamerd": lambda s: s.streamerd.kill(),
    "start-streamerd": lambda s: start(s.streamerd, s),
    "stop-chatd": lambda s: s.chatd.kill(),
    "start-chatd": lambda s: start(s.chatd, s),
    "content": content,
    "wire": lambda s: f"http://127.0.0.1:{wire_of(s).port}/",
    "cut": lambda s: s.wire.cut(),
    "mend": lambda s: s.wire.mend(),
    "provider-recovers": lambda s: s.up.on("provider fails", text("it is well again")) and None,
}


def run(name, stack, demo, chromium, modules):
    """Passes the TAP on, and does what it asks for."""
    p = subprocess.Popen(
        ["node", os.path.join(HERE, name + ".mjs"), f"http://127.0.0.1:{stack.port}/", chromium,
         f"http://127.0.0.1:{demo.port}/"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "NODE_MODULES": modules, "TIME_SCALE": str(SCALE)})
    end = threading.Timer(LIMIT * SCALE, p.kill)
    end.start()
    for line in p.stdout:
        command, *rest = line.split() or [""]
        if command in COMMANDS:
            p.stdin.write(json.dumps(COMMANDS[command](stack, *rest)) + "\n")
            p.stdin.flush()
        else:
            print(line, end="", flush=True)
    end.cancel()
    return p.wait()


def main(name):
    if not shutil.which("node"):
        skip("node is not installed")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        skip("chromium is not installed")
    try:
        modules = os.path.dirname(npm.bin_folder())
    except tap.Skip as why:
        skip(str(why))
    # at this rate the show of the demo takes a second
    with shows.register(ToolUpstream()) as up, \
            ToolStack(up) as stack, Stack(None, {"demo": {"type": "demo", "rate": 200}}) as demo:
        status = run(name, stack, demo, chromium, modules)
        if status:
            stack.explain()
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
