#!/usr/bin/env python3
"""Unfinished work does not come into the tree, and no file grows beyond what one can read.

Words that announce unfinished work, doc blocks without content, and commented-out calls are errors.
A source file of more than 500 lines is named (a warning); of more than 900 it is an error.
"""
import re
import sys

import tree

OURS = (".c", ".h", ".py", ".sh", ".mjs", ".js", ".ts", ".html", ".build", ".sql")
BAD = re.compile(r"\b(TODO|FIXME|XXX|HACK|(?i:placeholder))\b")
EMPTY_BLOCK = re.compile(r"/\*\*?\s*\*/")
DEAD_CALL = re.compile(r"^\s*//.*;\s*$")
WARN, TOO_LONG = 500, 900
# an HTML attribute, and the lint that looks for the words
FINE = re.compile(r"placeholder=|\.placeholder\b|::placeholder", re.I)


def main():
    problems = []
    for path in tree.files(*OURS):
        if path in ("tests/lint/words.py",) or path.startswith("tests/golden/"):
            continue
        lines = tree.text(path).splitlines()
        c_file = path.endswith((".c", ".h"))
        for number, line in enumerate(lines, 1):
            if BAD.search(FINE.sub("", line)) or (c_file and (EMPTY_BLOCK.search(line) or DEAD_CALL.match(line))):
                problems.append("%s:%d: %s" % (path, number, line.strip()[:80]))
        if len(lines) > TOO_LONG:
            problems.append("%s: %d lines: split it" % (path, len(lines)))
        elif len(lines) > WARN:
            print("warning: %s has %d lines" % (path, len(lines)))
    return tree.report(problems)


if __name__ == "__main__":
    sys.exit(main())
