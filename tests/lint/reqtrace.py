#!/usr/bin/env python3
"""Requirements and tests name each other: .lore/specs/requirements.md against tests/.

Fails if a current id is named by no test, if a test names an id that doesn't exist, or if an id
stands twice. `--matrix` prints which files name which id.
"""
import re
import sys

import tree

SPEC = ".lore/specs/requirements.md"
ROW = re.compile(r"^\|\s*([A-Z]{3}-\d+)\s*\|\s*(\w+)\s*\|", re.M)
TESTS = (".c", ".h", ".py", ".mjs", ".js", ".ts", ".sh")


def main():
    rows = ROW.findall(tree.text(SPEC))
    status = dict(rows)
    problems = ["%s: %s stands twice" % (SPEC, i) for i in status if [r[0] for r in rows].count(i) > 1]
    problems += ["%s: %s has the status %s" % (SPEC, i, s) for i, s in rows
                 if s not in ("current", "planned", "withdrawn")]
    areas = "|".join(sorted({i.split("-")[0] for i in status}))
    mention = re.compile(r"\b((?:%s)-)(\d+)(?:\s*(?:to|\.\.)\s*(?:\1)?(\d{1,2}))?\b" % areas)
    named = {}
    for path in tree.files(*TESTS):
        if not path.startswith("tests/") or path == "tests/lint/reqtrace.py":
            continue
        for area, first, last in mention.findall(tree.text(path)):
            for n in range(int(first), int(last or first) + 1):
                named.setdefault("%s%d" % (area, n), set()).add(path)
    for i, where in sorted(named.items()):
        if i not in status:
            problems.append("%s: %s is not a requirement" % (", ".join(sorted(where)), i))
    problems += ["%s is current, but no test names it" % i for i, s in rows
                 if s == "current" and i not in named]
    if "--matrix" in sys.argv:
        for i, s in rows:
            print("%-7s %-8s %s" % (i, s, " ".join(sorted(named.get(i, [])))))
    return tree.report(problems)


if __name__ == "__main__":
    sys.exit(main())
