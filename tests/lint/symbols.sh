#!/bin/sh
# What the library shows and defines.  usage: symbols.sh ROOT SHARED STATIC
shared=$(realpath "$2") static=$(realpath "$3")
. "$(dirname "$0")/lib.sh"

declared=$(mktemp)
trap 'rm -f "$lint_log" "$declared"' EXIT
for header in $(sources '*.h' core/include net/include); do
	# a declaration is COHORT_API to the next semicolon; its name stands before the first bracket
	strip "$header" | tr '\n' ' ' | grep -oE 'COHORT_API[^;(]*\(' |
		sed -nE 's/.*[ *](cohort_[a-z0-9_]+) *\($/\1/p'
done | sort -u >"$declared"

for symbol in $(nm -D --defined-only "$shared" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }'); do
	case $symbol in
	cohort_*) grep -qx "$symbol" "$declared" || sin "$symbol" "exported, but in no public header" ;;
	*) sin "$symbol" "exported, and does not begin with cohort_" ;;
	esac
done
nm -D --defined-only "$shared" | awk '{ sub(/@.*/, "", $3); print $3 }' | sort -u |
	comm -13 - "$declared" | while read -r symbol; do
	sin "$symbol" "declared COHORT_API, but the library does not have it"
done
for symbol in $(nm --defined-only -g "$static" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u); do
	case $symbol in
	cohort_* | coh_*) ;;
	*) sin "$symbol" "a cross-file symbol that begins neither with cohort_ nor with coh_" ;;
	esac
done
lint_end
