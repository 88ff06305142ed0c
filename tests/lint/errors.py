#!/usr/bin/env python3
"""The table of errors in the API's description is that of the program.

Each code of proto/fault.h stands once in .lore/specs/http-api.md, in the row of its status or, if only events carry it, in the
row of that kind of event; and the table has no other codes.
"""
import re
import sys

import tree

ROW = re.compile(r'F\((\d+), (\w+), "([a-z_]+)", (\d+),')
EVENTS = {"in `error` events": range(40, 60), "in `warning` events": range(60, 80)}


def kind_of(number, status):
    for name, numbers in EVENTS.items():
        if number in numbers:
            return name
    return status


def main():
    problems = []
    wanted = {code: kind_of(int(number), status) for number, _, code, status in ROW.findall(tree.text("proto/fault.h")) if number != "0"}
    section = tree.text(".lore/specs/http-api.md").split("## Errors", 1)[1].split("\n## ", 1)[0]
    found = {}
    for line in section.splitlines():
        cells = [c.strip() for c in line.strip("|").split("|")]
        if not line.startswith("|") or len(cells) != 2 or cells[0] in ("status", "---"):
            continue
        for code in re.findall(r"`([a-z_]+)`", re.sub(r"\([^)]*\)", "", cells[1])):
            if code in found:
                problems.append("http-api.md: %s stands twice" % code)
            found[code] = cells[0]
    if len(wanted) < 40:
        problems.append("proto/fault.h: only %d codes were understood" % len(wanted))
    for code in sorted(set(wanted) | set(found)):
        if wanted.get(code) != found.get(code):
            problems.append("%s: %s in proto/fault.h, %s in http-api.md" % (code, wanted.get(code), found.get(code)))
    return tree.report(problems)


if __name__ == "__main__":
    sys.exit(main())
