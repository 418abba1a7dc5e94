#!/bin/sh
# Somebody died at every fault point of the sources.  usage: points.sh ROOT FOLDER
# The tests that kill leave a list each in FOLDER, NAME.deaths (core/sync/fault.c).
set -eu
root=$1 folder=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

find "$root/core" "$root/net" -name '*.[ch]' ! -name 'fault.h' -exec grep -ho 'COH_FAULT("[^"]*")' {} + |
	sed 's/.*("//; s/").*//' | sort >"$work/points"
cat "$folder"/*.deaths | sort -u >"$work/deaths"
[ "$(wc -l <"$work/points")" -gt 200 ] || { echo "only $(wc -l <"$work/points") points were found"; exit 1; }
uniq -d "$work/points" | sed 's/$/: two points have this name/'
sort -u "$work/points" | comm -23 - "$work/deaths" | sed 's/$/: nobody died there/' >"$work/spared"
cat "$work/spared"
[ ! -s "$work/spared" ] && [ -z "$(uniq -d "$work/points")" ]
