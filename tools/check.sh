#!/bin/bash
# What must hold before a commit: format, static analysis, all suites plain and with sanitizers.
#	tools/check.sh BUILD-FOLDER
# A tool that isn't installed is named and left out.
set -eu
cd "$(dirname "$0")/.."
build=$1
sources=$(git ls-files '*.c')
headers=$(git ls-files '*.h')

step() {
	echo "check: $*"
}

have() {
	command -v "$1" >/dev/null 2>&1 || { step "no $1 here, left out"; return 1; }
}

if have clang-format; then
	step format
	# shellcheck disable=SC2086
	clang-format --dry-run --Werror $sources $headers
fi
if have shellcheck; then
	step shellcheck
	shellcheck tools/*.sh .ci/run
fi
if have cppcheck; then
	step cppcheck
	# varFuncNullUB: NULL is a pointer on every system that this is for
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j 2 \
		--enable=warning,performance,portability --suppress=missingIncludeSystem \
		--suppress=normalCheckLevelMaxBranches --suppress=varFuncNullUB --library=tools/cppcheck.cfg \
		-D_GNU_SOURCE -DCHATD_VERSION='""' -I . common proto chatd streamerd
fi
tools/build.sh "$build"
if have clang-tidy; then
	step clang-tidy
	# one at a time: of the second file on, its va_list check finds what isn't there
	git ls-files 'common/*.c' 'proto/*.c' 'chatd/*.c' 'streamerd/*.c' |
		xargs -P 2 -n 1 clang-tidy -p "$build" --quiet
fi
step suites
tools/test.sh "$build"
step "suites with ASan and UBSan"
tools/build.sh "$build-asan" -Db_sanitize=address,undefined -Db_lundef=false
tools/test.sh "$build-asan" --timeout-multiplier 3
