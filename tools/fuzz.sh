#!/bin/bash
# Each fuzz target for a while, from its corpus:  tools/fuzz.sh BUILD-FOLDER SECONDS
# What a target finds is left in BUILD-FOLDER/found; new inputs go to BUILD-FOLDER/corpus.
set -eu
cd "$(dirname "$0")/.."
build=$1
seconds=$2

CC=clang tools/build.sh "$build" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
mkdir -p "$build/found"
for target in "$build"/tests/fuzz/fuzz_*; do
	name=${target##*/fuzz_}
	case $name in
	replay_* | *.p) continue ;;
	esac
	echo "fuzz: $name for $seconds s"
	mkdir -p "$build/corpus/$name"
	"$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=0 \
		-verbosity=0 -artifact_prefix="$build/found/$name-" \
		"$build/corpus/$name" "tests/fuzz/corpus/$name"
done
