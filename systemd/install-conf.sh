#!/bin/sh
# meson install: a config that is there already is its operator's and stays as it is.
#	install-conf.sh FOLDER FILE...
set -eu
dir=${DESTDIR:-}$1
shift
mkdir -p "$dir"
for file in "$@"; do
	[ -e "$dir/$(basename "$file")" ] || install -m 644 "$file" "$dir/"
done
