#!/bin/bash
# The word count is the one coreutils come to, on every kind of address.
# usage: 10_wordcount.sh WORDCOUNT
wordcount=$1
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/wordcount_lib.sh"

judge local:2
judge inline:
judge thread:2
judge local:1

# The address from the environment, a folder given relative, a single file, the same twice.
cd "$top" || exit 1
want 0 env COHORT_POOL=inline: "$wordcount" --tsv .
cmp -s "$work/out" "$work/expected" || fail "with \$COHORT_POOL: other counts"
want 0 "$wordcount" --tsv --pool local:1 plain ./plain
printf 'and\t2\ncat\t6\ns\t2\nthe\t6\n' | cmp -s - "$work/out" || fail "a file given twice: $(cat "$work/out")"

# On a terminal there is a progress line, taken away again.
script -qec "$wordcount --pool local:2 $top/large" /dev/null >"$work/terminal"
grep -q $'\r\033\[K[0-9]*/[0-9]* tasks, [0-9]* tasks/s, [0-9]* s left' "$work/terminal" ||
	fail "no progress line on a terminal: $(cat -v "$work/terminal")"

# Wrong use.
want 2 "$wordcount" --tsv "$top/not-there"
says err "not-there: No such file or directory"
want 2 "$wordcount" --sort
want 0 "$wordcount" --help
want 1 "$wordcount" --pool mars: "$top"
says err mars
[ ! -e /dev/full ] || want 1 sh -c "'$wordcount' --tsv '$top' >/dev/full"
echo "$scenario: ok"
