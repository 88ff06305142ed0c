"""The page in a real Chromium, against real daemons: the tests themselves are in page.mjs
(playwright-core drives the browser).

CHROMIUM names the browser, PLAYWRIGHT_DIR a folder with playwright-core installed; else it is
installed from tests/node with npm ci into the build folder.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading

from lib import tap
from lib.daemons import Stack
from lib.wait import SCALE

HERE = os.path.dirname(os.path.abspath(__file__))


def skip(why):
    print("1..0 # SKIP " + why)
    sys.exit(0)


def install():
    """A folder with node_modules/playwright-core."""
    if os.environ.get("PLAYWRIGHT_DIR"):
        return os.environ["PLAYWRIGHT_DIR"]
    folder = os.path.join(os.environ.get("BUILD_DIR") or tempfile.gettempdir(), "e2e-node")
    if os.path.exists(os.path.join(folder, "node_modules", "playwright-core", "package.json")):
        return folder
    os.makedirs(folder, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(HERE, "..", "node", name), folder)
    try:
        p = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder,
                           capture_output=True, text=True, timeout=120, check=False)
    except subprocess.TimeoutExpired:
        skip("npm ci took too long")
    if p.returncode:
        skip("npm ci failed: " + (p.stderr.strip().splitlines() or ["?"])[-1][:150])
    return folder


def run(stack, chromium, folder):
    """Passes the TAP of page.mjs on, and does what it asks for: it can't restart daemons itself."""
    p = subprocess.Popen(
        ["node", os.path.join(HERE, "page.mjs"), f"http://127.0.0.1:{stack.port}/", chromium],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PLAYWRIGHT_DIR": folder, "TIME_SCALE": str(SCALE)})
    end = threading.Timer(150 * SCALE, p.kill)
    end.start()
    for line in p.stdout:
        command, _, rest = line.strip().partition(" ")
        if command == "stop-streamerd":
            stack.streamerd.kill()
        elif command == "stop-chatd":
            stack.chatd.kill()
        elif command == "start-chatd":
            stack.chatd.start()
            stack.wait_ready()
        elif command == "start-streamerd":
            stack.streamerd.start()
            stack.wait_ready()
        else:
            print(line, end="", flush=True)
            continue
        p.stdin.write("done\n")
        p.stdin.flush()
    end.cancel()
    return p.wait()


def main():
    if not shutil.which("node") or not shutil.which("npm"):
        skip("node and npm are not installed")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        skip("chromium is not installed")
    folder = install()
    # at this rate the show takes a second and a long answer as long as a test wants
    with Stack(None, {"demo": {"type": "demo", "rate": 200}}) as stack:
        status = run(stack, chromium, folder)
        if status:
            stack.explain()
    return 1 if status else 0


if __name__ == "__main__":
    tap.note("the page in Chromium")
    sys.exit(main())
