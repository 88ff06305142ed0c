"""Writes a C file with the files of the page:  embed.py MODE WORK OUT.c DEPFILE

MODE is `bundled` (esbuild, with the packages of package-lock.json: Markdown, highlighting), `plain`
(the same sources as they are, without any package: text stays text) or `auto`: bundled if node and
the packages are to be had, else plain, and it says so. WORK is where packages are installed.

A file's path is where it lies below this folder: page/app.js is served as /page/app.js.
"""

import glob
import gzip
import hashlib
import os
import shutil
import subprocess
import sys

WEB = os.path.dirname(os.path.abspath(__file__))
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
ROOT = {"index.html": "/", "ops.html": "/ops", "icon.svg": "/icon.svg"}
ENTRIES = ("page/app.js", "page/ops.js")
PLAIN = {"page/markdown.js": "page/markdown_plain.js"}  # what stands in without packages
LOCK = ("package.json", "package-lock.json")


class Unavailable(Exception):
    """Why there can be no bundle."""


def read(path):
    with open(path, "rb") as f:
        return f.read()


def sources():
    """Names of all that the page is made of, relative to WEB."""
    found = []
    for pattern in ("page/*.js", "page/*.css", "chat-client/chat-*.js"):
        found += glob.glob(os.path.join(WEB, pattern))
    return sorted(os.path.relpath(path, WEB) for path in found)


def run(argv, folder, env=None):
    try:
        p = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{argv[0]}: {error}") from None
    return p.returncode, (p.stderr.strip() or p.stdout.strip())


def install(work):
    """The packages, exactly as the lock names them; again only when it changed."""
    stamp = os.path.join(work, "installed")
    lock = b"".join(read(os.path.join(WEB, name)) for name in LOCK)
    if os.path.exists(stamp) and read(stamp) == lock:
        return
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Unavailable(f"{program} is not installed")
    os.makedirs(work, exist_ok=True)
    for name in LOCK:
        shutil.copy(os.path.join(WEB, name), work)
    status, said = run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], work)
    if status:
        raise Unavailable("npm ci failed: " + (said.splitlines() or ["?"])[-1][:200])
    with open(stamp, "wb") as f:
        f.write(lock)


def licences(work):
    """The licences of what is in the bundle: every package but the bundler."""
    text = []
    for path in sorted(glob.glob(os.path.join(work, "node_modules", "*", "LICENSE*"))):
        name = os.path.basename(os.path.dirname(path))
        if name not in ("esbuild", "argparse"):
            text.append(f"=== {name} ===\n\n" + read(path).decode("utf-8", "replace").strip() + "\n")
    return "\n".join(text).encode()


def bundle(work):
    """{name: bytes} of the bundled scripts. A defect of a script is an error whatever the mode."""
    install(work)
    out = os.path.join(work, "out")
    shutil.rmtree(out, ignore_errors=True)
    status, said = run(
        ["node", os.path.join(work, "node_modules", "esbuild", "bin", "esbuild")] +
        [os.path.join(WEB, name) for name in ENTRIES] +
        ["--bundle", "--format=esm", "--minify", "--target=es2022", "--legal-comments=none", "--charset=utf8",
         "--log-level=warning", "--outdir=" + os.path.join(out, "page")],
        work, {**os.environ, "NODE_PATH": os.path.join(work, "node_modules")})
    if status:
        sys.exit("embed: " + said)
    files = {name: read(os.path.join(out, name)) for name in ENTRIES}
    files["page/licences.txt"] = licences(work)
    return files


def collect(mode, work):
    files = {name: read(os.path.join(WEB, name)) for name in ROOT}
    scripts = None
    if mode != "plain":
        try:
            scripts = bundle(work)
        except Unavailable as why:
            if mode == "bundled":
                sys.exit(f"embed: the page can't be bundled: {why} (-Dpage=plain does without)")
            print(f"embed: the page is built without Markdown: {why}", file=sys.stderr)
    for name in sources():
        if name.endswith(".css") or name.startswith("chat-client/"):  # which others may load as well
            files[name] = read(os.path.join(WEB, name))
        elif scripts is None and name not in PLAIN.values():
            files[name] = read(os.path.join(WEB, PLAIN.get(name, name)))
    return {**files, **(scripts or {})}


def array(name, data):
    numbers = [", ".join(str(b) for b in data[k : k + 24]) for k in range(0, len(data), 24)]
    return "static const unsigned char %s[] = {\n%s\n};\n" % (name, ",\n".join(numbers))


def main(mode, work, out, depfile):
    rows, arrays = [], []
    for i, (name, data) in enumerate(sorted(collect(mode, work).items())):
        kind = TYPES[os.path.splitext(name)[1]]
        etag = hashlib.sha256(data).hexdigest()[:16]
        packed = gzip.compress(data, 9, mtime=0)
        arrays += [array(f"file_{i}", data), array(f"packed_{i}", packed)]
        rows.append(
            '\t{"%s", "%s", "\\"%s\\"", file_%d, sizeof(file_%d), packed_%d, sizeof(packed_%d)},\n'
            % (ROOT.get(name, "/" + name), kind, etag, i, i, i, i))
    with open(out, "w", encoding="ascii") as f:
        f.write('#include "streamerd/page.h"\n\n' + "\n".join(arrays))
        f.write("\nconst struct page_file page_files[] = {\n" + "".join(rows) + "};\n")
        f.write("const size_t page_n_files = %d;\n" % len(rows))
    with open(depfile, "w", encoding="utf-8") as f:
        names = list(ROOT) + list(LOCK) + sources()
        f.write(out + ": " + " ".join(os.path.join(WEB, n).replace(" ", "\\ ") for n in names) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
