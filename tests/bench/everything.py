"""All scenarios, several runs of each, one JSON file and one table.

The first run of every scenario comes before the second of any, so that when time is over each has
been measured. A run that fails is told and counts for nothing; the others go on.
"""

import json
import os
import platform
import shutil
import subprocess
import time
import traceback

from bench import servers, targets
from bench.scenarios import SCENARIOS

DISTURBED = 0.10   # cores that others had
PATIENCE = 60      # seconds, in all, for which a quiet moment is waited for


def version(argv):
    try:
        r = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
        return (r.stdout + r.stderr).strip().splitlines()[0]
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return None


def machine():
    cpu = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    return {"cpu": cpu, "cores": os.cpu_count(), "kernel": platform.release(),
            "server_core": servers.SERVER_CORE, "load_core": servers.LOAD_CORE,
            "nginx": version(["nginx", "-v"]),
            "nchan": version(["dpkg-query", "-W", "-f", "${Version}", "libnginx-mod-nchan"]),
            "date": time.strftime("%Y-%m-%d %H:%M:%S %z")}


def usable(server):
    return server != "nchan" or (shutil.which("nginx") and os.path.exists(servers.NCHAN_MODULE))


def others(value):
    """Every figure of that name in a run, however deep."""
    if isinstance(value, dict):
        for k, v in value.items():
            if k == "others":
                yield v
            else:
                yield from others(v)
    elif isinstance(value, list):
        for v in value:
            yield from others(v)


def one(name, server, plan, known):
    try:
        return SCENARIOS[name][0](plan, server, known)
    except Exception as e:  # whatever it is, the other runs go on
        traceback.print_exc()
        return {"error": f"{type(e).__name__}: {e}"}


class Quiet:
    """Waits before a run until the machine is idle, as long as there is patience left."""

    def __init__(self, patience):
        self.left = patience

    def wait(self):
        while self.left > 0:
            before = servers.busy()
            time.sleep(0.25)
            if servers.busy() - before <= 0.25 * DISTURBED + 0.01:
                return
            self.left -= 0.25


def disturbance(all_runs):
    seen = sorted(others(all_runs))
    if not seen:
        return None
    return {"median": seen[len(seen) // 2], "p90": seen[int(0.9 * (len(seen) - 1))]}


def say(line):
    print(line, flush=True)


def measure(plan, names, runs, minutes, path, tell=say):
    """Exit status: 0 if nothing failed."""
    began, known, found = time.monotonic(), {}, {n: {} for n in names}
    left_out, quiet = [], Quiet(0 if plan.quick else PATIENCE)
    for r in range(runs):
        for name in names:
            for server in SCENARIOS[name][1]:
                if not usable(server):
                    continue
                if time.monotonic() - began > 60 * minutes:
                    left_out.append(f"{name} {server} run {r + 1}")
                    continue
                quiet.wait()
                at = time.monotonic()
                figures = one(name, server, plan, known)
                figures["took_s"] = round(time.monotonic() - at, 2)
                found[name].setdefault(server, []).append(figures)
                tell(f"run {r + 1}: {SCENARIOS[name][2]}: {server}: {figures['took_s']:.0f} s"
                     + (f"  FAILED {figures['error']}" if "error" in figures else ""))
    return report(plan, found, left_out, time.monotonic() - began, path, tell)


def report(plan, found, left_out, took, path, tell):
    some = targets.rows(found)
    failed = [f"{n} {s}: {r['error']}" for n, by in found.items() for s, rs in by.items() for r in rs if "error" in r]
    noise = disturbance(found)
    tell("")
    for line in targets.table(some):
        tell(line)
    tell(f"\n{took:.0f} s. Medians; ratios of medians. x is streamerd's figure divided by theirs.")
    if noise:
        tell(f"others on this machine had {noise['median']:.2f} cores (p90 {noise['p90']:.2f}) meanwhile"
              + (": these figures are NOT of a quiet machine" if noise["p90"] > DISTURBED else ""))
    for what, lines in (("left out for lack of time", left_out), ("failed", failed)):
        if lines:
            tell(f"{what}: " + "; ".join(lines))
    missing = [s for s in servers.SERVERS if not usable(s)]
    if missing:
        tell("not installed: " + " ".join(missing) + " (tools/deps.sh bench)")
    if path:
        with open(path, "w", encoding="utf-8") as f:
            json.dump({"machine": machine(), "quick": plan.quick, "took_s": round(took, 1), "others": noise,
                       "left_out": left_out, "failed": failed, "table": [r.as_json() for r in some],
                       "scenarios": found}, f, indent=1)
        tell(f"figures: {path}")
    return 1 if failed else 0
