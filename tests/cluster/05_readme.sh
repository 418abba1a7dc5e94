#!/bin/bash
# The program in the README compiles without a warning and squares, and so does the changed line.
# usage: 05_readme.sh ROOT CC LIBRARY
root=$1 cc=$2 lib=$3
. "$(dirname "$0")/lib.sh"

# block N: the N-th block of C in the README.
block() {
	awk -v n="$1" '/^```c$/ { at++; next } /^```$/ { open = 0 } { if (at == n && !done) print }
		/^```$/ && at == n { done = 1 }' "$root/README.md" | grep -v '^```$'
}

# build SOURCE PROGRAM
build() {
	want 0 "$cc" -std=c11 -Wall -Wextra -Werror -I"$root/core/include" -I"$root/net/include" \
		"$1" -o "$2" "$lib" "-Wl,-rpath,$(dirname "$lib")"
}

block 1 >"$work/squares.c"
build "$work/squares.c" "$work/squares"
want 0 "$work/squares"
[ "$(tr '\n' ' ' <"$work/out")" = "1 4 9 16 25 " ] || fail "it prints $(cat "$work/out")"

# The one line that changes.
changed=$(block 2)
[ "$(printf '%s\n' "$changed" | wc -l)" = 1 ] || fail "more than one line changes: $changed"
awk -v new="$changed" '/cohort_pool_open/ { print new; n++; next } { print } END { exit n != 1 }' \
	"$work/squares.c" >"$work/nodes.c" || fail "no line, or several, that opens a pool"
build "$work/nodes.c" "$work/nodes"
echo "$scenario: ok"
