"""Holds a process still, whatever signals come.

SIGSTOP would do, but the kernel continues the stopped members of a process group that loses its
last parent in the session, which is just what happens to workers whose supervisor is killed. A tracer's
stop is not undone by that.
"""

import ctypes
import os

from lib.tap import Skip

SEIZE, INTERRUPT, DETACH, WALL = 0x4206, 0x4207, 17, 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request, pid):
    if _libc.ptrace(request, pid, None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def freeze(pid):
    """From the thread that will thaw it."""
    try:
        _ptrace(SEIZE, pid)
    except PermissionError as e:
        raise Skip("this process may not trace others") from e
    _ptrace(INTERRUPT, pid)
    os.waitpid(pid, WALL)


def thaw(pid):
    try:
        _ptrace(DETACH, pid)
    except ProcessLookupError:
        pass  # it was killed while it was held
