#!/bin/sh
# Builds the Debian packages:  tools/deb.sh BUILD-FOLDER
# They land in BUILD-FOLDER/deb. What is built is the tree as it is, without what git ignores.
# PAGE=bundled or PAGE=plain says which page is in it; without, bundled where there is npm. A bundle that
# can't be made is an error then.
set -eu
cd "$(dirname "$0")/.."
out=$PWD/$1/deb
rm -rf "$out"
mkdir -p "$out/src"
# also where there is no git: a tree that was unpacked from an archive has nothing to leave out
if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
	git ls-files -co --exclude-standard
else
	find . -path "./$1" -prune -o -type f -print
fi | tar -cf - -T - | tar -xf - -C "$out/src"
if [ -z "${PAGE:-}" ]; then
	PAGE=plain
	if command -v npm >/dev/null 2>&1; then
		PAGE=bundled
	fi
fi
export PAGE
(cd "$out/src" && dpkg-buildpackage --build=binary --no-sign)
if command -v lintian >/dev/null 2>&1; then
	lintian --fail-on error --info "$out"/*.changes
fi
ls -l "$out"/*.deb
