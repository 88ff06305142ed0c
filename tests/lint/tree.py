"""The files that lints look at: what is in the source tree and not built or generated."""
import os

SKIP = (".git", "node_modules", "__pycache__")


def root():
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def files(*suffixes):
    """Paths relative to the root, sorted, of all files with one of the suffixes."""
    top = root()
    found = []
    for folder, folders, names in os.walk(top):
        here = os.path.relpath(folder, top)
        folders[:] = [f for f in folders
                      if f not in SKIP and not (here == "." and f.startswith("build"))]
        for name in names:
            if name.endswith(suffixes):
                found.append(os.path.normpath(os.path.join(here, name)))
    return sorted(found)


def text(path):
    with open(os.path.join(root(), path), encoding="utf-8", errors="replace") as f:
        return f.read()


def report(problems):
    """Prints each problem; the exit status."""
    for p in problems:
        print(p)
    print("%d problems" % len(problems))
    return 1 if problems else 0
