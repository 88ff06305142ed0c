"""What the fan-out benchmark must reach: figures out of the runs, medians, ratios, met or not.

Of each figure the median over the runs is taken first, ratios from the medians; a property (nothing
lost, nothing doubled) must hold in every run.
"""

from statistics import median


def dig(run, path):
    for key in path.split("."):
        run = run.get(key) if isinstance(run, dict) else None
        if run is None:
            return None
    return run


class Figures:
    def __init__(self, scenarios):
        self.scenarios = scenarios

    def runs(self, scenario, server):
        return [r for r in self.scenarios.get(scenario, {}).get(server, []) if "error" not in r]

    def all(self, scenario, server, path):
        found = [dig(r, path) for r in self.runs(scenario, server)]
        return [x for x in found if x is not None]

    def mid(self, scenario, server, path):
        values = self.all(scenario, server, path)
        return median(values) if values else None

    def always(self, scenario, server, path):
        """Was it so in every run?"""
        values = self.all(scenario, server, path)
        return bool(values) and len(values) == len(self.runs(scenario, server)) and all(values)


def ratio(a, b):
    return a / b if a is not None and b else None


def at_least(value, limit):
    return None if value is None else value >= limit


def at_most(value, limit):
    return None if value is None else value <= limit


def both(*conditions):
    """None: not measured."""
    if any(c is None for c in conditions):
        return None
    return all(conditions)


class Row:
    """One line of the table: what each server has, ours as a ratio to theirs, the target."""

    def __init__(self, what, unit, f, scenario, path, scale=1.0):
        self.what, self.unit = what, unit
        values = {s: f.mid(scenario, s, path) for s in ("chat", "nchan", "bare")}
        self.values = {s: None if v is None else v * scale for s, v in values.items()}
        self.spread = sorted(x * scale for x in f.all(scenario, "chat", path))
        self.target, self.met = "", None

    def aim(self, target, met):
        self.target, self.met = target, met
        return self

    @property
    def chat(self):
        return self.values["chat"]

    def to(self, server):
        if not self.unit:  # itself a ratio
            return None
        return ratio(self.chat, self.values[server])

    def as_json(self):
        return {"what": self.what, "unit": self.unit, **self.values, "chat_runs": self.spread,
                "to_nchan": self.to("nchan"), "to_bare": self.to("bare"), "target": self.target, "met": self.met}


def fan_out_rows(f):
    def row(what, unit, path, scale=1.0, scenario="saturation"):
        return Row(what, unit, f, scenario, path, scale)

    best = row("1,000 viewers: deliveries/s held", "/s", "best.held_s")
    yield best.aim("2.0 x nchan, 0.9 x bare", both(at_least(best.to("nchan"), 2), at_least(best.to("bare"), 0.9)))
    yield row("  1.5 x what bare holds: delivered", "/s", "over_bare.through_s")
    yield row("    ... p99", "ms", "over_bare.p99_us", 1e-3)
    over = row("  4.4 x what nchan holds: delivered", "/s", "over_nchan.through_s")
    late = row("    ... p99", "ms", "over_nchan.p99_us", 1e-3)
    yield over.aim("4 x nchan held, all there",
                   both(at_least(ratio(over.chat, best.values["nchan"]), 4),
                        f.always("saturation", "chat", "over_nchan.clean") if over.chat else None))
    yield late.aim("250 ms", at_most(late.chat, 250))
    cpu = row("  CPU a million, at nchan's highest rate", "s", "full.cpu_us")
    yield cpu.aim("0.55 x nchan", at_most(cpu.to("nchan"), 0.55))
    cpu = row("  CPU a million, at half of that", "s", "half.cpu_us")
    yield cpu.aim("0.55 x nchan", at_most(cpu.to("nchan"), 0.55))
    yield row("  p50 there", "ms", "half.p50_us", 1e-3)
    p99 = row("  p99 there", "ms", "half.p99_us", 1e-3)
    yield p99.aim("0.7 x nchan", at_most(p99.to("nchan"), 0.7))


def many_rows(f):
    best = Row("10,000 viewers: deliveries/s held", "/s", f, "many", "best.held_s")
    yield best.aim("2.5 x nchan", at_least(best.to("nchan"), 2.5))
    size = Row("  memory of an idle viewer (PSS)", "B", f, "many", "bytes")
    yield size.aim("512 B, 0.05 x nchan", both(at_most(size.chat, 512), at_most(size.to("nchan"), 0.05)))
    yield Row("  all came, within", "ms", f, "many", "open_ms")
    yield Row("  CPU of a join", "us", f, "many", "join_us")
    last = Row("5,000 viewers return: the last caught up", "ms", f, "back", "max_us", 1e-3)
    clean = f.always("back", "chat", "clean") if last.chat else None
    yield last.aim("0.5 x nchan, none lost", both(at_most(last.to("nchan"), 0.5), clean))
    yield Row("  half of them caught up", "ms", f, "back", "p50_us", 1e-3)


def stalled_rows(f):
    for r in f.runs("stalled", "chat") + f.runs("stalled", "nchan"):
        r["p99_ratio"] = ratio(r["beside"]["p99_us"], r["without"]["p99_us"])
        r["grown"] = r["pss_after"] - r["pss_before"]
        r["growing"] = r["pss_after"] - r["pss_filled"]
    yield Row("100 live viewers alone: p99", "ms", f, "stalled", "without.p99_us", 1e-3)
    yield Row("  beside 1,000 stalled: p99", "ms", f, "stalled", "beside.p99_us", 1e-3)
    x = Row("  ... as a ratio", "", f, "stalled", "p99_ratio")
    yield x.aim("1.10", at_most(x.chat, 1.10))
    grown = Row("  memory grown by all of them", "MiB", f, "stalled", "grown", 1 / 2**20)
    growing = Row("  ... in its second half", "MiB", f, "stalled", "growing", 1 / 2**20)
    yield grown
    yield growing.aim("1 MiB", at_most(growing.chat, 1))


def growth_rows(f):
    runs = f.runs("growth", "chat")
    if not runs:
        return
    by_size = {}
    for i, point in enumerate(runs[0]["points"]):
        each = {k: median(r["points"][i][k] for r in runs) for k in ("bytes", "cpu_us", "join_us")}
        by_size[point["viewers"]] = each
    small = by_size.get(1000) or next(iter(by_size.values()))
    for size, each in by_size.items():
        for key, what, unit, limit in (("bytes", "memory of one", "B", None), ("cpu_us", "CPU a delivery", "us", 1.5),
                                       ("join_us", "CPU of a join", "us", 1.5)):
            r = Row(f"{size:,} viewers: {what}", unit, f, "", "")
            r.values["chat"] = each[key]
            if size >= 1000:
                r.aim("512 B" if limit is None else f"{limit} x that of 1,000",
                      at_most(each[key], 512) if limit is None else at_most(each[key], limit * small[key]))
            yield r


def session_rows(f):
    yield Row("2,000 sessions x 20 events/s, not persisted: p50", "ms", f, "sessions", "p50_us", 1e-3)
    yield Row("  p99", "ms", f, "sessions", "p99_us", 1e-3)
    yield Row("  delivered", "/s", f, "sessions", "deliveries_s")
    yield Row("  CPU a million", "s", f, "sessions", "cpu_us")
    sent = Row("provider to viewer, persisted: sent", "/s", f, "whole", "sent_per_second")
    got = Row("  delivered", "/s", f, "whole", "delivered_per_second")
    p50 = Row("  p50", "ms", f, "whole", "p50_us", 1e-3)
    p99 = Row("  p99", "ms", f, "whole", "p99_us", 1e-3)
    cores = Row("  cores of both daemons", "cores", f, "whole", "cores")
    wanted = f.mid("whole", "chat", "turns")
    wanted = wanted and wanted * 20
    yield sent.aim("all of 20/s each", at_least(ratio(sent.chat, wanted), 0.99))
    yield got.aim("all that was sent", at_least(ratio(got.chat, sent.chat), 0.995))
    yield p50
    yield p99.aim("25 ms", at_most(p99.chat, 25))
    yield cores.aim("1.6", at_most(cores.chat, 1.6))


def rows(scenarios):
    f = Figures(scenarios)
    out = []
    for part in (fan_out_rows, many_rows, stalled_rows, growth_rows, session_rows):
        out += [r for r in part(f) if any(v is not None for v in r.values.values())]
    return out


def number(v):
    if v is None:
        return "-"
    return f"{v:,.0f}" if abs(v) >= 100 else f"{v:.1f}" if abs(v) >= 10 else f"{v:.2f}"


def table(some):
    """Lines for people."""
    head = ("", "unit", "streamerd", "nchan", "bare", "x nchan", "x bare", "target", "")
    body = [(r.what, r.unit, number(r.chat), number(r.values["nchan"]), number(r.values["bare"]), number(r.to("nchan")),
             number(r.to("bare")), r.target, {True: "met", False: "NOT MET", None: ""}[r.met]) for r in some]
    widths = [max(len(line[i]) for line in [head, *body]) for i in range(len(head))]
    for line in [head, *body]:
        cells = [c.ljust(w) if i in (0, 1, 7, 8) else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))]
        yield "  ".join(cells).rstrip()
