# wordcount_lib.sh - files to count, what coreutils make of them, and a judge of what wordcount does.
# Sourced after lib.sh, with $wordcount set.
unset COHORT_POOL
top=$work/files
unset COHORT_POOL

# What must be counted.
mkdir -p "$top/deep/er/est" "$top/new
line"
printf 'The cat, the CAT and the cat7s\n' >"$top/plain"
printf 'no newline at the end' >"$top/new
line/file"
: >"$top/empty"
head -c 300000 /dev/urandom >"$top/binary"
printf 'nul\0nul\0\303\251t\303\251 na\357ve\200x' >"$top/deep/bytes"
gzip -c "$top/plain" >"$top/deep/er/one.gz"
cat "$top/deep/er/one.gz" <(gzip -c "$top/binary") >"$top/deep/er/est/two-members.gz"
seq -f 'line %.0f of a large file, which has words across each of its cuts' 130000 | tr 0-9 a-j >"$top/large"
{ # a word from far before a cut to far behind it, one that is a slice, and one up to the end
	head -c 4000000 "$top/large"
	head -c 900000 /dev/zero | tr '\0' q
	echo
	head -c 3488607 "$top/large" # the next letter is the first of a slice
	printf ' start'
	head -c 1000000 /dev/zero | tr '\0' Z
} >"$top/long-words"

expected() {
	find "$top" -type f ! -name '*.gz' -exec sh -c 'for f; do cat "$f"; echo; done' sh {} +
	find "$top" -type f -name '*.gz' -exec sh -c 'for f; do zcat "$f"; echo; done' sh {} +
}
expected | tr A-Z a-z | tr -cs a-z '\n' | sed '/^$/d' | sort | uniq -c |
	sed 's/^ *\([0-9]*\) \(.*\)/\2\t\1/' >"$work/expected"

# What must not.
ln -s ../plain "$top/deep/link"
ln -s .. "$top/deep/around"
mkfifo "$top/fifo"
head -c 200000 "$top/binary" | gzip -c | head -c 150000 >"$top/cut-short.gz"
printf '\037\213\010\000 this is not deflated' >"$top/broken.gz"
unreadable=2
if [ "$(id -u)" != 0 ]; then
	printf secret >"$top/secret"
	mkdir "$top/closed"
	chmod 0 "$top/secret" "$top/closed"
	unreadable=4
fi

# judge ADDRESS: counts, complaints, and nothing else; no progress line where nobody looks.
judge() {
	want 0 "$wordcount" --tsv --pool "$1" "$top"
	cmp -s "$work/out" "$work/expected" || fail "$1: not the counts of coreutils: $(
		diff "$work/expected" "$work/out" | cut -c 1-80 | head -5)"
	[ "$(wc -l <"$work/err")" = $unreadable ] || { cat "$work/err"; fail "$1: not $unreadable complaints"; }
	says err "$top/cut-short.gz: "
	says err "$top/broken.gz: "
	grep -q $'\r' "$work/err" && fail "$1: a progress line without a terminal"
	want 0 "$wordcount" --pool "$1" "$top"
	says out ", $unreadable unreadable"
	says out tasks/s
}
