"""Prometheus text, read strictly: what a scraper would forgive is an error here.

    families = parse(body)      # name → Family; AssertionError says what is wrong
    families["chatd_turns_total"].value(outcome="done")
"""

import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")
SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)\Z")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|\Z)')
SUFFIXES = ("_bucket", "_sum", "_count")


class Family:
    def __init__(self, name, kind):
        self.name, self.kind, self.samples = name, kind, {}

    def value(self, suffix="", **labels):
        """The sum of all samples that have these labels."""
        return sum(v for (name, have), v in self.samples.items()
                   if name == self.name + suffix and labels.items() <= dict(have).items())


def labels_of(text, line):
    found, at = [], 0
    while text and at < len(text):
        m = LABEL.match(text, at)
        assert m, f"labels: {line}"
        found.append((m.group(1), m.group(2)))
        at = m.end()
        assert m.group(3) == "," or at == len(text), f"labels: {line}"
    assert text is None or not text.endswith(","), f"a comma too many: {line}"
    names = [n for n, _ in found]
    assert len(set(names)) == len(names), f"a label twice: {line}"
    return tuple(sorted(found))


def check_histogram(f):
    rows = {}
    for (name, labels), value in f.samples.items():
        plain = tuple(x for x in labels if x[0] != "le")
        row = rows.setdefault(plain, {"le": []})
        if name.endswith("_bucket"):
            row["le"].append((float(dict(labels)["le"]), value))
        else:
            assert name != f.name, f"{f.name}: a histogram has no sample of its own name"
            row[name[len(f.name):]] = value
    for labels, row in rows.items():
        where = f"{f.name} {dict(labels)}"
        assert row["le"] == sorted(row["le"]), f"{where}: buckets out of order"
        counts = [n for _, n in row["le"]]
        assert counts == sorted(counts), f"{where}: buckets are not running sums: {counts}"
        assert row["le"] and row["le"][-1][0] == math.inf, f"{where}: no +Inf"
        assert counts[-1] == row["_count"], f"{where}: +Inf is {counts[-1]}, count {row['_count']}"
        assert row["_sum"] >= 0, f"{where}: no sum"


def parse(body):
    text = body.decode("utf-8")
    assert text.endswith("\n"), "the last line has no end"
    families, current, helped = {}, None, None
    for line in text[:-1].split("\n"):
        assert line and line == line.strip(), f"blank: {line!r}"
        if line.startswith("# HELP "):
            _, _, name, words = line.split(" ", 3)
            assert words and name not in families, f"help: {line}"
            helped = name
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert NAME.match(name) and name not in families, f"type: {line}"
            assert kind in ("counter", "gauge", "histogram"), line
            assert helped == name, f"no help for {name}"
            assert (kind == "counter") == name.endswith("_total"), f"a {kind} called {name}"
            current = families[name] = Family(name, kind)
            continue
        m = SAMPLE.match(line)
        assert m, f"no sample: {line}"
        name, labels, value = m.group(1), labels_of(m.group(2), line), float(m.group(3))
        base = name
        if current and current.kind == "histogram":
            base = next((name[:-len(s)] for s in SUFFIXES if name.endswith(s)), name)
        assert current and base == current.name, f"a sample outside its family: {line}"
        assert (name, labels) not in current.samples, f"twice: {line}"
        assert math.isfinite(value) and value >= 0, line
        current.samples[name, labels] = value
    for f in families.values():
        if f.kind == "histogram":
            check_histogram(f)
    return families
