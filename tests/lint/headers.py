#!/usr/bin/env python3
"""Each header of ours compiles alone:  headers.py COMPILER [ARG...]"""
import subprocess
import sys
import tempfile

import tree


def main():
    compiler = sys.argv[1:]
    problems = []
    headers = [h for h in tree.files(".h") if h.split("/")[0] in ("common", "proto", "chatd", "streamerd")]
    with tempfile.NamedTemporaryFile("w", suffix=".c") as unit:
        for header in headers:
            unit.seek(0)
            unit.truncate()
            # twice: it must guard itself
            unit.write('#include "%s"\n#include "%s"\n' % (header, header))
            unit.flush()
            r = subprocess.run(compiler + ["-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror",
                                           "-fsyntax-only", "-I", tree.root(), unit.name],
                               capture_output=True, text=True, check=False)
            if r.returncode:
                problems.append("%s does not compile alone:\n%s" % (header, r.stderr))
    print("%d headers" % len(headers))
    return tree.report(problems)


if __name__ == "__main__":
    sys.exit(main())
