#!/usr/bin/env python3
"""embed_text.py NAME IN OUT: writes the file IN as a NUL-terminated char array NAME into the header OUT."""
import sys

name, source, target = sys.argv[1:]
with open(source, "rb") as f:
    data = f.read() + b"\0"
with open(target, "w", encoding="utf-8") as f:
    f.write(f"/* made from {source.rsplit('/', 1)[-1]} */\n#pragma once\n\n")
    f.write(f"static const char {name}[{len(data)}] = {{\n")
    for i in range(0, len(data), 20):
        f.write("\t" + " ".join(f"{b if b < 128 else b - 256}," for b in data[i:i + 20]) + "\n")
    f.write("};\n")
