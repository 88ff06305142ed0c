#!/bin/bash
# Each fuzz target for a while, from its corpus:  tools/fuzz.sh BUILD-FOLDER SECONDS [JOBS]
# JOBS run side by side (1). What a target finds is left in BUILD-FOLDER/found, new inputs in
# BUILD-FOLDER/corpus, what it said in BUILD-FOLDER/log. Exit status 1 if something was found.
set -eu
cd "$(dirname "$0")/.."
build=$1
seconds=$2
jobs=${3:-1}

CC=clang tools/build.sh "$build" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
mkdir -p "$build/found" "$build/log"

# A small quarantine: with the usual one each job grows to a gigabyte, and a dozen fill a machine.
one() {
	local build=$1 seconds=$2 name=$3
	local asan=quarantine_size_mb=8:malloc_context_size=4

	mkdir -p "$build/corpus/$name"
	if ! ASAN_OPTIONS=$asan "$build/tests/fuzz/fuzz_$name" -max_total_time="$seconds" -timeout=60 -rss_limit_mb=1024 \
		-print_final_stats=1 -artifact_prefix="$build/found/$name-" \
		"$build/corpus/$name" "tests/fuzz/corpus/$name" >"$build/log/$name" 2>&1; then
		echo "fuzz: $name: FOUND something: $build/log/$name"
		return 1
	fi
	sed -n "s/^stat::number_of_executed_units: */fuzz: $name: runs: /p" "$build/log/$name"
}
export -f one

echo "fuzz: each target for $seconds s, $jobs at a time"
for target in "$build"/tests/fuzz/fuzz_*; do
	name=${target##*/fuzz_}
	case $name in
	replay_* | *.p) continue ;;
	esac
	echo "$name"
done | xargs -P "$jobs" -I{} bash -c 'one "$@"' one "$build" "$seconds" {}
