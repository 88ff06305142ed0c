#!/usr/bin/env python3
"""A page of figures and its plots out of the fan-out benchmark's JSON.

    tests/bench/page.py FIGURES.json FOLDER [DATE]

writes FOLDER/DATE-fan-out.md and the SVGs that it shows.
"""

import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from bench import svg, targets  # noqa: E402

NAMES = {"chat": "streamerd", "nchan": "nchan", "bare": "bare loop"}


def steps(figures, scenario, server):
    for run in figures["scenarios"].get(scenario, {}).get(server, []):
        yield from run.get("steps", [])
        for key in ("half", "full", "over_bare", "over_nchan"):
            if key in run:
                yield run[key]


def middle_of(points):
    """One point for each x: of nearly the same rates, the median."""
    out, group = [], []
    for p in sorted(points):
        if group and p[0] > group[0][0] * 1.1:
            out.append(sorted(group, key=lambda q: q[1])[len(group) // 2])
            group = []
        group.append(p)
    return out + ([sorted(group, key=lambda q: q[1])[len(group) // 2]] if group else [])


def against_rate(figures, scenario, title, what, scale, unit):
    series = []
    for server, name in NAMES.items():
        points = [(r["rate"] * r["live"], r[what] * scale) for r in steps(figures, scenario, server)]
        if points:
            series.append((name, svg.COLOURS[server], middle_of(points)))
    return svg.chart(title, "deliveries/s offered", unit, series) if series else None


def growth_chart(figures):
    runs = [r for r in figures["scenarios"].get("growth", {}).get("chat", []) if "points" in r]
    if not runs:
        return None
    series = []
    for (key, name), colour in zip((("cpu_us", "CPU a delivery, µs"), ("join_us", "CPU of a join, µs"),
                                    ("bytes", "memory, bytes")), svg.OTHER_COLOURS):
        points = [(p["viewers"], p[key]) for r in runs for p in r["points"]]
        series.append((name, colour, middle_of(points)))
    return svg.chart("What one viewer costs as they become more", "viewers", "", series)


def charts(figures):
    for viewers, scenario in (("1,000", "saturation"), ("10,000", "many")):
        yield (f"{scenario}-delivered", f"{viewers} viewers: delivered",
               against_rate(figures, scenario, f"1 session, {viewers} viewers: delivered", "deliveries_s", 1, "deliveries/s"))
        yield (f"{scenario}-p99", f"{viewers} viewers: p99",
               against_rate(figures, scenario, f"1 session, {viewers} viewers: latency p99", "p99_us", 1e-3, "ms"))
    yield "growth", "Growth", growth_chart(figures)


def table(rows):
    yield "| | unit | streamerd | nchan | bare loop | x nchan | x bare | target | |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for r in rows:
        met = {True: "met", False: "**not met**", None: ""}[r["met"]]
        cells = [r["what"].strip() if not r["what"].startswith(" ") else "… " + r["what"].strip(" ."), r["unit"],
                 *(targets.number(r[k]) for k in ("chat", "nchan", "bare", "to_nchan", "to_bare")), r["target"], met]
        yield "| " + " | ".join(cells) + " |"


def text(figures, date, images):
    m = figures["machine"]
    yield from ("---", "title: Fan-out beside nchan and a bare epoll loop", f"date: {date}", "status: current",
                "tags: [notes, measurement, fan-out]", "modules: [streamerd, tests]",
                "related: [../specs/benchmarks.md, ../specs/sse.md]", "---", "",
                "# Fan-out beside nchan and a bare epoll loop", "",
                f"Written by `tests/bench/page.py` from one run of `make bench` ({figures['took_s']:.0f} s). Method and",
                "meaning of each figure: `../specs/benchmarks.md`. Medians over the runs; x is streamerd's figure divided",
                "by the other's.", "",
                f"{m['cpu']}, {m['cores']} cores, Linux {m['kernel']}; server on core {m['server_core']}, load on core "
                f"{m['load_core']}; {m['nginx']}, nchan {m['nchan']}; {m['date']}.", "")
    if figures["others"]:
        yield (f"Other work on the machine had {figures['others']['median']:.2f} cores meanwhile (p90 "
               f"{figures['others']['p90']:.2f}).")
        yield ""
    if figures["quick"]:
        yield "**A quick run: the figures mean nothing.**\n"
    for what in ("failed", "left_out"):
        if figures[what]:
            yield f"{what.replace('_', ' ')}: " + "; ".join(figures[what]) + "\n"
    yield from table(figures["table"])
    for name, title in images:
        yield f"\n![{title}]({name})"


def write(path, folder, date):
    """Returns the names of the files, the page first."""
    with open(path, encoding="utf-8") as f:
        figures = json.load(f)
    images = []
    for name, title, image in charts(figures):
        if image:
            file = f"{date}-fan-out-{name}.svg"
            with open(os.path.join(folder, file), "w", encoding="utf-8") as f:
                f.write(image)
            images.append((file, title))
    page = f"{date}-fan-out.md"
    with open(os.path.join(folder, page), "w", encoding="utf-8") as f:
        f.write("\n".join(text(figures, date, images)) + "\n")
    return [page] + [file for file, _ in images]


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as f:
        date = json.load(f)["machine"]["date"].split()[0]
    for name in write(sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) == 4 else date):
        print(os.path.join(sys.argv[2], name))


if __name__ == "__main__":
    main()
