"""Runs a suite of the client module under node, as TAP:  run.py SUITE.mjs

Skipped where node is not to be had (20 or newer). Suites that need npm's packages are given their folder
in NODE_MODULES, or say in a skipped test why it can't be had.
"""

import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
OLDEST = 20


def skip(why):
    print("1..0 # SKIP " + why)
    sys.exit(0)


def main():
    node = shutil.which("node")
    if not node:
        skip("node is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    major = re.match(r"v(\d+)", version)
    if not major or int(major.group(1)) < OLDEST:
        skip(f"node {version.strip()} is older than {OLDEST}")
    return subprocess.run([node, "--test-reporter=tap", os.path.join(HERE, sys.argv[1])], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
