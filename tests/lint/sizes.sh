#!/bin/sh
# Files and functions of a size that can be read.  A comment "sizes: REASON" above a function,
# or in the first 40 lines of a file, is the written reason that lifts the limit.
# usage: sizes.sh ROOT
. "$(dirname "$0")/lib.sh"

all=$(sources '*.[ch]' core net examples tests)
echo "$all" | xargs awk 'FNR == 701 { print FILENAME }' /dev/null | while read -r file; do
	head -40 "$file" | grep -q 'sizes: [^ ]' || sin "$file" "$(wc -l <"$file") lines, at most 700"
done
echo "$all" | xargs awk -f "$lint_dir/functions.awk" /dev/null | {
	while read -r file line name rest; do
		# shellcheck disable=SC2086 # a list of fields
		set -- $rest
		[ "$5" = 0 ] || continue
		[ "$2" -le 80 ] || sin "$file:$line" "$name has $2 lines, at most 80"
		[ "$3" -le 6 ] || sin "$file:$line" "$name has $3 parameters, at most 6"
		[ "$4" -le 4 ] || sin "$file:$line" "$name nests $4 deep, at most 4"
	done
}
lint_end
