#!/bin/sh
# Runs the benchmarks of a build folder:  tools/bench.sh FOLDER [NAME [SCENARIO...]]
# NAME is log, latency, starts, waiting or fanout; without it all run, in about 15 minutes.
# Figures are left in FOLDER/tests/bench, of the fan-out a page with plots as well.
set -eu
cd "$(dirname "$0")/.."
dir=$1
shift
figures=$dir/tests/bench/fanout.json

status=0
if [ $# -gt 1 ] && [ "$1" = fanout ]; then
	shift
	for scenario in "$@"; do
		set -- "$@" --only "$scenario"
		shift
	done
	BUILD_DIR=$dir tests/bench/fanout.py all --json "$figures" "$@" || status=$?
else
	rm -f "$figures"
	meson test -C "$dir" --no-rebuild --benchmark --verbose "$@" || status=$?
fi
if [ -f "$figures" ]; then
	python3 tests/bench/page.py "$figures" "$dir/tests/bench"
fi
exit "$status"
