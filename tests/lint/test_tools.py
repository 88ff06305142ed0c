#!/usr/bin/env python3
"""The scripts behind the verbs, where they can be tried without installing anything. RUN-3"""
import json
import os
import subprocess
import sys
import tempfile

import tree

failed = 0


def check(what, condition):
    global failed
    print("%s %s" % ("ok" if condition else "not ok", what))
    failed += not condition


def lines_for(*tests):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as log:
        for result, stdout in tests:
            log.write(json.dumps({"name": "suite / x", "result": result, "stdout": stdout}) + "\n")
        log.flush()
        r = subprocess.run([sys.executable, os.path.join(tree.root(), "tools/count_tests.py"), log.name],
                           capture_output=True, text=True, check=False)
    return r.stdout.splitlines(), r.returncode


def counted(*tests):
    lines, status = lines_for(*tests)
    return lines[-1], status


check("TAP cases and plain tests are counted one by one",
      counted(("OK", "1..2\nok 1 - a\nok 2 - b\n"), ("OK", "")) == ("3 passed, 0 failed", 0))
check("a failed case counts once and fails the run",
      counted(("FAIL", "ok 1 - a\nnot ok 2 - b\n")) == ("1 passed, 1 failed", 1))
check("a program that died after passing cases is a failure",
      counted(("ERROR", "ok 1 - a\n")) == ("1 passed, 1 failed", 1))
check("a time-out without output is a failure", counted(("TIMEOUT", None)) == ("0 passed, 1 failed", 1))
check("skipped cases count as neither",
      counted(("OK", "ok 1 - a\nok 2 - b # SKIP no node\n"), ("SKIP", "")) == ("1 passed, 0 failed", 0))
check("each skipped case is named with its reason, before the last line",
      lines_for(("OK", "1..3\nok 1 - a\nok 2 - b c # SKIP no node\nok 3 - d # skip\n"), ("SKIP", "1..0 # SKIP no chromium\n"),
                ("SKIP", "no loop devices\n"), ("SKIP", None), ("SKIP", "ok 1 - e (X-1) # SKIP why\n1..1\n"))[0] == [
          "6 skipped", "    suite / x: b c: no node", "    suite / x: d: no reason given", "    suite / x: no chromium",
          "    suite / x: no loop devices", "    suite / x: no reason given", "    suite / x: e (X-1): why", "1 passed, 0 failed"])
check("a run of nothing is not a success", counted() == ("0 passed, 0 failed", 1))

packages = [line.split() for line in tree.text("tools/packages").splitlines()
            if line and not line.startswith("#")]
check("the package list has a known tier and one name a line, perhaps with its command, none twice",
      all(len(p) in (2, 3) and p[0] in ("build", "test", "deb", "check", "bench") for p in packages)
      and len({p[1] for p in packages}) == len(packages))
verbs = {"build", "run", "test", "check", "fmt", "fuzz", "deb", "debtest", "bench", "deps", "clean"}
listed = subprocess.run(["make", "-s", "-C", tree.root(), "help"], capture_output=True, text=True, check=False)
check("make help names every verb",
      listed.returncode == 0 and verbs <= {line.split("\t")[0] for line in listed.stdout.splitlines()})
sys.exit(1 if failed else 0)
