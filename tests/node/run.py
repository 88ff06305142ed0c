"""Runs a suite of the client module under node, as TAP:  run.py SUITE.mjs [npm] [daemons]

Skipped where node is not to be had, or lacks what the suites can't do without; Debian 12's (18) has that. `npm`: the suite
needs the packages of tests/node/package.json; it finds them in NODE_MODULES, and is skipped with the reason where they can't be
had. `daemons`: both run, at BASE_URL; a POST to CONTROL_URL/kill-streamerd or /kill-workers does that (kill -9) and answers when
the dead are there again.
"""

import http.server
import os
import shutil
import subprocess
import sys
import threading

from lib import npm
from lib.daemons import Stack
from lib.tap import Skip

HERE = os.path.dirname(os.path.abspath(__file__))
# what the client and its suites stand on, asked of the node at hand; and can it be told to print TAP, or does it so anyway?
NEEDED = """
import("node:test").then((t) => {
  const lacks = ["fetch", "ReadableStream", "DOMException", "structuredClone"].filter((name) => !globalThis[name]);
  const parts = Object.entries({ "AbortSignal.timeout": AbortSignal.timeout, findLast: [].findLast, hasOwn: Object.hasOwn,
    "after() in node:test": t.after }).filter(([, v]) => !v).map(([name]) => name);
  console.log([...lacks, ...parts].join(", "));
}, () => console.log("node:test"));
"""


def skip(why):
    print("1..0 # SKIP " + why)
    sys.exit(0)


class Control:
    """What a suite under node can't do itself."""

    def __init__(self, stack):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                if self.path == "/kill-streamerd":
                    stack.restart_streamerd()
                elif self.path == "/kill-workers":
                    stack.kill_workers()
                    stack.wait_ready()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()


def main():
    node = shutil.which("node")
    if not node:
        skip("node is not installed")
    asked = subprocess.run([node, "-e", NEEDED], capture_output=True, text=True, check=False)
    if asked.returncode or asked.stdout.strip():
        skip(f"node is too old: it lacks {asked.stdout.strip() or 'much'}")
    tap = ["--test-reporter=tap"]
    if subprocess.run([node, *tap, "-e", ""], capture_output=True, check=False).returncode:
        tap = []
    env = dict(os.environ)
    if "npm" in sys.argv[2:]:
        try:
            env["NODE_MODULES"] = os.path.dirname(npm.bin_folder())
        except Skip as why:
            skip(str(why))
    command = [node, *tap, os.path.join(HERE, sys.argv[1])]
    if "daemons" not in sys.argv[2:]:
        return subprocess.run(command, env=env, check=False).returncode
    # fast enough for a test, slow enough to be killed in the middle of an answer
    with Stack(None, {"demo": {"type": "demo", "rate": 200}}) as stack, Control(stack) as control:
        env["BASE_URL"] = f"http://127.0.0.1:{stack.port}"
        env["CONTROL_URL"] = control.url
        status = subprocess.run(command, env=env, check=False).returncode
        if status:
            stack.explain()
    return status


if __name__ == "__main__":
    sys.exit(main())
