"""Writes a C file with the files of the page: embed.py OUT.c FILE..."""

import hashlib
import os
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


def main(out, names):
    rows, arrays = [], []
    for i, name in enumerate(names):
        with open(name, "rb") as f:
            data = f.read()
        base = os.path.basename(name)
        path = "/" if base == "index.html" else "/" + base
        kind = TYPES[os.path.splitext(base)[1]]
        etag = hashlib.sha256(data).hexdigest()[:16]
        numbers = [", ".join(str(b) for b in data[k : k + 24]) for k in range(0, len(data), 24)]
        arrays.append("static const unsigned char file_%d[] = {\n%s\n};\n" % (i, ",\n".join(numbers)))
        rows.append('\t{"%s", "%s", "\\"%s\\"", file_%d, sizeof(file_%d)},\n' % (path, kind, etag, i, i))
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "streamerd/page.h"\n\n' + "\n".join(arrays))
        f.write("\nconst struct page_file page_files[] = {\n" + "".join(rows) + "};\n")
        f.write("const size_t page_n_files = %d;\n" % len(rows))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
