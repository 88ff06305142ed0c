#!/usr/bin/env python3
"""Counts the cases of a `meson test` run:  count_tests.py testlog.json...

A TAP program counts with each of its sub-tests, any other test as one. A program that failed
without a failed sub-test (it crashed, or ran out of time) counts as one failure. Skipped cases are
named and count as neither. The last line is "N passed, N failed"; exit status 1 if any failed, or
if nothing ran at all.
"""
import json
import re
import sys

CASE = re.compile(r"^(not )?ok\b(.*)$", re.M)
# what failed and what it says of itself; meson shows neither for TAP programs
FAILED = re.compile(r"^not ok\b.*\n(?:#.*\n?)*", re.M)
SKIPPED = re.compile(r"^ok\b *\d*(?: *- *)?(.*?)\s*#\s*skip\S*\s*(.*)$", re.M | re.I)
PLAN = re.compile(r"^1\.\.0\s*#\s*skip\S*\s*(.*)$", re.M | re.I)
FINE = ("OK", "EXPECTEDFAIL")


def count(test):
    """(passed, failed, skipped) of one meson test."""
    cases = CASE.findall(test.get("stdout") or "")
    result = test["result"]
    if result == "SKIP":
        return 0, 0, 1
    if not cases:
        return (1, 0, 0) if result in FINE else (0, 1, 0)
    skipped = sum(1 for bad, rest in cases if re.search(r"#\s*skip", rest, re.I))
    failed = sum(1 for bad, rest in cases if bad and not re.search(r"#\s*todo", rest, re.I))
    passed = len(cases) - failed - skipped
    if result not in FINE and not failed:
        failed = 1
    return passed, failed, skipped


def skips(test):
    """One line for each skipped case, with its reason."""
    out = test.get("stdout") or ""
    cases = SKIPPED.findall(out)
    if test["result"] == "SKIP" and not cases:
        said = PLAN.search(out)
        lines = (out + "\n" + (test.get("stderr") or "")).split("\n")
        why = said.group(1) if said else next((line for line in reversed(lines) if line.strip()), "")
        return ["%s: %s" % (test["name"], why.strip() or "no reason given")]
    return ["%s: %s: %s" % (test["name"], case, why.strip() or "no reason given") for case, why in cases]


def main():
    total = [0, 0, 0]
    skipped = []
    for name in sys.argv[1:]:
        with open(name, encoding="utf-8") as log:
            for line in log:
                test = json.loads(line)
                got = count(test)
                total = [a + b for a, b in zip(total, got)]
                skipped += skips(test)
                if got[1]:
                    print("failed: %s (%s, %d cases)" % (test["name"], test["result"], got[1]))
                    for case in FAILED.findall(test.get("stdout") or ""):
                        print("    " + case.rstrip().replace("\n", "\n    "))
    if skipped:
        print("%d skipped" % len(skipped))
    for line in skipped:
        print("    " + line)
    print("%d passed, %d failed" % (total[0], total[1]))
    return 1 if total[1] or not total[0] else 0


if __name__ == "__main__":
    sys.exit(main())
