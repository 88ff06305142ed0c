"""The nth call of a libc function fails, allocations too, and from a process's first moment on.

fault_shim.c is loaded into the daemons (FAULT_SHIM, built by meson) and does what a mapped file says:

    shim = Shim(stack)                      # before the stack is started
    fault = shim.fail("worker", "malloc", "ENOMEM", 17)
    ...
    fault.stop()
    fault.hits                              # 1, or 0 if there were fewer calls
"""

import errno
import mmap
import os
import struct

from lib import tap

LIBRARY = os.environ.get("FAULT_SHIM", "")
ROLES = {"worker": 1, "supervisor": 2, "streamerd": 3}
FUNCTIONS = ("malloc", "open", "pread64", "pwrite64", "fdatasync", "ftruncate", "socket", "bind", "listen",
             "epoll_ctl", "fork", "pipe2", "read_only")
LAYOUT = struct.Struct("=21I")  # role, function, errno, calls left, failures, calls made of each function


class Shim:
    def __init__(self, stack):
        self.path = os.path.join(stack.dir, "fault")
        with open(self.path, "w+b") as f:
            f.write(bytes(LAYOUT.size))
            f.flush()
            self.map = mmap.mmap(f.fileno(), LAYOUT.size)
        for d in (stack.chatd, stack.streamerd):
            d.env = {"LD_PRELOAD": LIBRARY, "FAULT_CONTROL": self.path, "FAULT_READ_ONLY": stack.db_path}

    def fail(self, role, function, error, n):
        self.map[:] = LAYOUT.pack(ROLES[role], FUNCTIONS.index(function) + 1, getattr(errno, error), n, 0, *[0] * 16)
        return self

    def read_only(self, role):
        """Until stop(): the log can be read as it was opened, and neither written nor opened for that."""
        return self.fail(role, "read_only", "EROFS", 1)

    def count(self, role):
        """Nothing fails; most() tells how often each function was called."""
        return self.fail(role, FUNCTIONS[0], "ENOMEM", 0)

    def most(self):
        return dict(zip(FUNCTIONS, LAYOUT.unpack(self.map)[6:]))

    @property
    def hits(self):
        return LAYOUT.unpack(self.map)[4]

    def stop(self):
        struct.pack_into("=I", self.map, 12, 0)


def check_possible():
    """Raises tap.Skip where there is no library to load (sanitizers want to be the first)."""
    if not LIBRARY or not os.path.exists(LIBRARY):
        raise tap.Skip("FAULT_SHIM is not built")
