#!/bin/sh
# Runs every suite of a build folder:  tools/test.sh FOLDER [MESON-TEST-OPTION...]
# The last line is "N passed, N failed"; exit status 0 if none failed.
set -eu
cd "$(dirname "$0")/.."
dir=$1
shift

rm -f "$dir/meson-logs/testlog.json"
status=0
meson test -C "$dir" --no-rebuild --print-errorlogs --num-processes 2 "$@" || status=$?
if [ ! -f "$dir/meson-logs/testlog.json" ]; then
	echo "test: meson left no log (status $status)" >&2
	echo "0 passed, 1 failed"
	exit 1
fi
python3 tools/count_tests.py "$dir/meson-logs/testlog.json" || exit 1
exit "$status"
