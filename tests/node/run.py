"""Runs a suite of the client module under node, as TAP:  run.py SUITE.mjs [npm]

Skipped where node is not to be had (20 or newer). `npm`: the suite needs the packages of tests/node/package.json; it finds
them in NODE_MODULES, and is skipped with the reason where they can't be had.
"""

import os
import re
import shutil
import subprocess
import sys

from lib import npm
from lib.tap import Skip

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
    env = dict(os.environ)
    if "npm" in sys.argv[2:]:
        try:
            env["NODE_MODULES"] = os.path.dirname(npm.bin_folder())
        except Skip as why:
            skip(str(why))
    return subprocess.run([node, "--test-reporter=tap", os.path.join(HERE, sys.argv[1])], env=env, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
