#!/usr/bin/env python3
"""Who may include what: the table of .lore/specs/architecture.md, PRC-1 and PRC-2.

An include of ours is root-relative. A room is the longest folder of the table that a file lies in;
it may include itself and the rooms named here. Outside libraries have rooms too: streamerd has no
SQLite and no libcurl, the supervisor reads nothing that would need jansson or msgpack.
"""
import re
import sys

import tree

STORES = ["common", "proto"]
ROOMS = {
    "common": [],
    "proto": ["common"],
    "chatd/store": STORES,
    "chatd/provider": STORES,
    "chatd/tool": STORES,
    "chatd/worker": ["chatd/store", "chatd/provider", "chatd/tool", "chatd/options.h"] + STORES,
    "chatd/supervisor": ["common", "chatd/options.h"],
    "chatd/ctl": ["chatd/store", "chatd/worker/accumulator.h"] + STORES,
    "streamerd/http": ["common", "proto/fault.h"],
    "streamerd": ["common", "proto", "streamerd/http"],
}
# [header, the only rooms that may include it]
OUTSIDE = [
    ("sqlite3.h", ["chatd/store", "chatd/ctl"]),
    ("curl/", ["chatd/provider"]),
    ("ini.h", ["common", "chatd/ctl"]),
    ("msgpack", ["proto"]),
    ("systemd/", ["chatd/supervisor", "streamerd", "chatd"]),
    ("sys/queue.h", ["common"]),  # common/list.h, common/hash.h: as static analysis takes them
    ("uthash.h", ["common"]),
    ("sodium", ["streamerd", "common", "chatd/ctl"]),
]
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]', re.M)


def room_of(path):
    best = ""
    for room in ROOMS:
        if path.startswith(room + "/") and len(room) > len(best):
            best = room
    return best


def allowed(room, header):
    if room_of(header) == room:
        return True
    return any(header == may or room_of(header) == may for may in ROOMS[room])


def problems():
    for path in tree.files(".c", ".h"):
        room = room_of(path)
        if not room:
            continue
        for kind, header in INCLUDE.findall(tree.text(path)):
            if kind == '"':
                if "/" not in header:
                    yield '%s: "%s": includes are relative to the root' % (path, header)
                elif not allowed(room, header):
                    yield "%s: %s may not include %s" % (path, room, header)
                continue
            for prefix, rooms in OUTSIDE:
                if header.startswith(prefix) and room not in rooms:
                    yield "%s: %s may not include <%s>" % (path, room, header)


if __name__ == "__main__":
    sys.exit(tree.report(list(problems())))
