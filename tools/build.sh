#!/bin/sh
# Configures (where needed) and compiles:  [TARGETS="..."] tools/build.sh FOLDER [MESON-OPTION...]
set -eu
cd "$(dirname "$0")/.."
dir=$1
shift

if [ ! -f "$dir/build.ninja" ]; then
	out=$(meson setup "$dir" "$@" 2>&1) || { echo "$out"; exit 1; }
elif [ -n "$(find . -path './build*' -prune -o -name meson.build -newer "$dir/build.ninja" -print)" ]; then
	# a room that was added is found only by asking again which there are
	out=$(meson setup --reconfigure "$dir" 2>&1) || { echo "$out"; exit 1; }
fi
# shellcheck disable=SC2086 # a list of words
ninja -C "$dir" --quiet ${TARGETS:-}
