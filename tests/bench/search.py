"""The highest rate that a server holds, over connections that stay open.

Held: every event was made in time and came to every viewer once and in order, the last of them and
99 % of all within `lag` seconds.
"""

STEP = 1.7        # from one rate to the next while looking for one that is not held
MOST = 14         # steps of one search
PRECISION = 1.06  # the search ends when held and not held are this close


def is_held(r, lag):
    in_time = r["made"] >= 0.98 * r["rate"] * r["seconds"] - 1
    return in_time and r["clean"] and r["p99_us"] <= lag * 1e6 and r["lag_us"] <= lag * 1e6


def settle(load):
    """Waits until what an overload left behind is delivered. False if it isn't in time."""
    r = load.run(0.001, 0.05, drain=8)
    return r["missing"] == 0


def step(load, rate, seconds, lag):
    load.run(rate, min(0.5, seconds / 4), drain=2)  # the first moment of a rate is not the rate
    return load.run(rate, seconds, drain=max(1.0, 2 * lag))


def attempt(load, rate, seconds, lag):
    """The step; once more if it failed, for others on the machine may have been why."""
    r = step(load, rate, seconds, lag)
    r["held"] = is_held(r, lag)
    if r["held"]:
        return r
    if not settle(load):
        return {**r, "stuck": True}
    again = step(load, rate, seconds, lag)
    again["held"] = is_held(again, lag)
    if not again["held"] and not settle(load):
        again["stuck"] = True
    return again if again["held"] or again["deliveries_s"] > r["deliveries_s"] else {**r, "stuck": again.get("stuck")}


def highest(load, guess, seconds=2.0, lag=0.25, tell=None, factor=STEP):
    """(best run that was held, all runs). `guess` is events/s; the nearer, the fewer steps, and
    the smaller `factor` may be."""
    low, high, best, runs = 0.0, None, None, []
    rate = guess
    while rate > 0.01 and len(runs) < MOST:
        r = attempt(load, rate, seconds, lag)
        runs.append(r)
        if tell:
            tell(r)
        if r["held"]:
            low, best = rate, r
        else:
            high = rate
        if r.get("stuck"):
            break
        if high is None:
            rate = low * factor
        elif low == 0:
            rate = high / factor
        elif high / low < PRECISION:
            break
        else:
            rate = (low * high) ** 0.5
    return best, runs
