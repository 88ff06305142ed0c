"""Deadlines. Tests never sleep for a fixed time and hope: they wait for a condition.

SCALE stretches every deadline; it is 1 for a plain build and more under valgrind or a sanitizer
(environment TIME_SCALE, or 12 when WRAPPER is set).
"""

import os
import time

SCALE = float(os.environ.get("TIME_SCALE") or (12 if os.environ.get("WRAPPER") else 1))


class Late(AssertionError):
    """A condition did not come true in time."""


def scaled(seconds):
    return seconds * SCALE


def until(condition, what, timeout=10.0, poll=0.005):
    """Waits until condition() is true and returns what it returned. `what` names it if it never is."""
    end = time.monotonic() + scaled(timeout)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise Late(f"not within {scaled(timeout):g} s: {what}")
        time.sleep(poll)
        poll = min(poll * 1.3, 0.1)


def stays(condition, what, seconds):
    """The opposite: condition() must stay true for this long (not stretched)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), what
        time.sleep(0.01)
