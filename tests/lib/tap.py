"""A small test runner: each function test_* of a module is one line of TAP.

    def test_a_message_is_answered(t):
        '''FAF-1, SDC-7'''
        ...

    if __name__ == "__main__":
        with Stack(...) as t:
            tap.run(globals(), t)

Functions run in the order in which they stand; what is given to run() is passed to each. The
docstring names the requirements that would break. A failure prints where, and what the daemons
said since the test began. Arguments on the command line choose tests by a part of their name.

SEED repeats a run that used random numbers: `seed()` prints what it chose.
"""

import faulthandler
import os
import random
import signal
import sys
import time
import traceback

from lib.wait import scaled

LIMIT = 120  # seconds for one test, stretched
_failed = 0
_number = 0
_explaining = False


class Skip(Exception):
    """Raised by a test that can't run here, with the reason."""


class TooLong(Exception):
    pass


def note(text):
    for line in str(text).splitlines() or [""]:
        print("# " + line, flush=True)
        if _explaining and not sys.stderr.isatty():  # meson keeps no lines of TAP, only stderr
            print(line, file=sys.stderr, flush=True)


def seed():
    """A random generator whose seed is printed; SEED in the environment repeats it."""
    value = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
    note(f"SEED={value}")
    return random.Random(value)


def eq(got, wanted, what="value"):
    if got != wanted:
        raise AssertionError(f"{what}: got {_short(got)}, wanted {_short(wanted)}")


def _short(value):
    text = repr(value)
    return text if len(text) < 1500 else text[:700] + " ... " + text[-700:]


def _alarm(signum, frame):
    raise TooLong("the test took too long")


def one(name, function, on_fail=None):
    """Runs one function as one line of TAP. True if it did not fail."""
    global _number, _failed, _explaining
    _number += 1
    ids = " ".join((function.__doc__ or "").split())
    label = name + (f" ({ids})" if ids else "")
    label = label.replace("#", "")
    began = time.monotonic()
    signal.signal(signal.SIGALRM, _alarm)
    signal.setitimer(signal.ITIMER_REAL, scaled(LIMIT))
    try:
        function()
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(f"ok {_number} - {label}", flush=True)
    except Skip as why:
        signal.setitimer(signal.ITIMER_REAL, 0)
        reason = " ".join(str(why).split())
        print(f"ok {_number} - {label} # SKIP {reason}", flush=True)
    except (Exception, KeyboardInterrupt) as e:  # whatever it is, the others still run
        signal.setitimer(signal.ITIMER_REAL, 0)
        _failed += 1
        print(f"not ok {_number} - {label}", flush=True)
        _explaining = True
        note(f"{label}:\n" + "".join(traceback.format_exception(e)))
        if on_fail:
            on_fail()
        _explaining = False
        return False
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    note(f"{time.monotonic() - began:.2f} s")
    return True


def run(names, *args):
    """Runs the test functions of a module; args[0] may be a Stack, whose end is the last test."""
    faulthandler.enable()
    chosen = sys.argv[1:]
    stack = args[0] if args and hasattr(args[0], "check_end") else None
    tests = [(n, f) for n, f in names.items() if n.startswith("test_") and callable(f)]
    for name, function in tests:
        if chosen and not any(c in name for c in chosen):
            continue
        if stack:
            stack.mark()

        def call(function=function):
            return function(*args)

        call.__doc__ = function.__doc__
        one(name[5:].replace("_", " "), call, stack.explain if stack else None)
    if stack:
        one("the daemons end cleanly", stack.check_end, stack.explain)


def finish():
    """Prints the plan; the exit status says whether all went well."""
    print(f"1..{_number}", flush=True)
    sys.stdout.flush()
    # Threads of upstreams and viewers may still wait for peers that are gone.
    os._exit(1 if _failed else 0)
