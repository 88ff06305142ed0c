#!/usr/bin/env python3
"""Every key of a config, every command and option of chatctl, is in its manual, the options in its completion too; and manuals are good mdoc."""
import os
import re
import shutil
import subprocess
import sys

import tree

sys.path.insert(0, os.path.join(tree.root(), "tools"))
import conf_man  # noqa: E402

CONFIG = ".lore/specs/config.md"
KEYS = {"chatd.conf": "chatd/options.c", "streamerd.conf": "streamerd/options.c"}
PAGES = ["chatd/chatd.8", "chatd/ctl/chatctl.8", "streamerd/streamerd.8"]


def keys_of(source):
    """(section, key) of the program's table, some of whose rows name their section by a macro."""
    text = tree.text(source)
    rows = re.findall(r'^\t(?:\{|OPT\()"([a-z]+)(?: \*)?", "([a-z_]+)",', text, re.M)
    rows += [("provider", key) for key in re.findall(r'^\tPROV\("([a-z_]+)"', text, re.M)]
    return rows + [("tools", key) for key in re.findall(r'^\tTOOL\("([a-z_]+)"', text, re.M)]


def documented(name):
    return {(section.split()[0], key) for section, keys, *_ in conf_man.rows(tree.text(CONFIG), name) for key in keys}


def problems():
    for name, source in KEYS.items():
        there, known = set(keys_of(source)), documented(name)
        if not there:
            yield "%s: no keys were found" % source
        for section, key in sorted(there - known):
            yield "%s: [%s] %s of %s is not there" % (CONFIG, section, key, name)
        for section, key in sorted(known - there):
            yield "%s: %s has no [%s] %s" % (CONFIG, name, section, key)
    manual = tree.text("chatd/ctl/chatctl.8")
    for command in re.findall(r'^\t\{"([a-z]+)", \w+_main', tree.text("chatd/ctl/chatctl.c"), re.M):
        if not re.search(r"^\.It Ic %s\b" % command, manual, re.M):
            yield "chatd/ctl/chatctl.8: nothing about %s" % command
    completion = tree.text("chatd/ctl/chatctl.bash")
    for option in sorted(set(re.findall(r"\[?(--[a-z-]+)", tree.text("chatd/ctl/chatctl.c")))):
        for where, text in (("chatctl.bash", completion), ("chatctl.8", manual.replace("Fl -", "--"))):
            if not re.search(r"(?<![a-z-])%s(?![a-z-])" % option, text):
                yield "chatd/ctl/%s: nothing about %s" % (where, option)
    if not shutil.which("mandoc"):
        return
    texts = [(p, tree.text(p)) for p in PAGES]
    texts += [(n + ".5", conf_man.page(tree.text(CONFIG), n, "January 1, 2026")) for n in KEYS]
    for name, text in texts:
        p = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=text.encode(), capture_output=True)
        for line in p.stdout.decode().splitlines():
            yield "%s: %s" % (name, line)


if __name__ == "__main__":
    sys.exit(tree.report(list(problems())))
