"""What tests need from npm, installed once from tests/node with the lock's exact versions.

NODE_MODULES in the environment may name a folder in which that was done before; else it is done in
the build folder. Skip says why it can't be had.
"""

import fcntl
import os
import shutil
import subprocess
import tempfile

from lib.tap import Skip

NODE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "node")
FILES = ("package.json", "package-lock.json")


def _same(folder):
    """Is what this folder has what the lock asks for?"""
    try:
        with open(os.path.join(NODE, FILES[1]), "rb") as a, open(os.path.join(folder, "installed"), "rb") as b:
            return a.read() == b.read()
    except OSError:
        return False


def _install(folder):
    for name in FILES:
        shutil.copy(os.path.join(NODE, name), folder)
    try:
        p = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=folder,
                           capture_output=True, text=True, timeout=200, check=False)
    except subprocess.TimeoutExpired:
        raise Skip("npm ci took too long") from None
    if p.returncode:
        raise Skip("npm ci failed: " + (p.stderr.strip().splitlines() or ["?"])[-1][:150])
    shutil.copy(os.path.join(folder, FILES[1]), os.path.join(folder, "installed"))


def node_major():
    """18 of Debian 12's node; Skip if there is none."""
    node = shutil.which("node")
    if not node:
        raise Skip("node is not installed")
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    return int(version.strip().lstrip("v").split(".")[0] or 0)


def bin_folder():
    """The folder of the installed programs, or Skip."""
    node_major()
    modules = os.environ.get("NODE_MODULES")
    if modules:
        return os.path.join(modules, ".bin")
    if not shutil.which("npm"):
        raise Skip("npm is not installed")
    folder = os.path.join(os.environ.get("BUILD_DIR") or tempfile.gettempdir(), "npm")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # suites run side by side
        if not _same(folder):
            _install(folder)
    return os.path.join(folder, "node_modules", ".bin")


def program(name, oldest=18):
    """The path of an installed program, or Skip, also if it asks for a newer node than there is."""
    if node_major() < oldest:
        raise Skip(f"{name} needs node {oldest}")
    path = os.path.join(bin_folder(), name)
    if not os.path.exists(path):
        raise Skip(f"{name} is not installed")
    return path
