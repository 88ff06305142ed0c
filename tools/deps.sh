#!/bin/sh
# Installs the Debian packages that are missing:  tools/deps.sh TIER...
# The tiers are those of tools/packages. Without anything missing it touches nothing and needs no
# network. Not as root, or not on Debian, it says what is missing instead.
# shellcheck disable=SC2086 # lists of words
set -eu
cd "$(dirname "$0")/.."

wanted=
for tier in "$@"; do
	while read -r of package command; do
		[ "$of" = "$tier" ] || continue
		if [ -n "$command" ] && command -v "$command" >/dev/null 2>&1; then
			continue
		fi
		wanted="$wanted $package"
	done <tools/packages
done

if ! command -v dpkg-query >/dev/null 2>&1; then
	echo "deps: not a Debian system; these packages (or their like) are needed:" $wanted >&2
	exit 0
fi

missing=
for package in $wanted; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ]; then
	echo "deps: packages are missing; as root:  apt-get install$missing" >&2
	exit 1
fi

install() {
	DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}
echo "deps: installing$missing"
install || { apt-get update && install; }
