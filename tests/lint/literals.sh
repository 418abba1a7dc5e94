#!/bin/sh
# Formats are literals.  For printf-like functions the compiler sees to that, as long as each
# of them says that it is one and the warning is on: both are looked at here.  A tpl format is
# a literal everywhere but in tpl's own file, where it comes out of a parsed and checked one.
# usage: literals.sh ROOT
. "$(dirname "$0")/lib.sh"

# One statement a line, so that what stands on the next line is seen too.
statements() {
	strip "$1" | awk '{ line = line " " $0 } /[;{}]/ { print FNR ":" line; line = "" }'
}

for file in $(sources '*.[ch]' core net | having 'const char \*format'); do
	statements "$file" | grep -E 'const char \*format, \.\.\.\)' |
		grep -vE 'COHORT_PRINTF|format\(printf|[a-z_]*(map|new|pack)[a-z_]*\(' | while IFS=: read -r line rest; do
		case $file:$rest in
		*.c:*static* | *.h:*) sin "$file:$line" "a printf-like function without COHORT_PRINTF" ;;
		esac
	done
done
grep -q -- '-Wformat=2' cmake/CohortWarnings.cmake || sin cmake/CohortWarnings.cmake "-Wformat=2 is off"
for file in $(sources '*.c' core net examples | having 'tpl_map'); do
	[ "$file" != core/wire/codec_tpl.c ] || continue
	statements "$file" | grep -P '(?<!\w)tpl_map(_va)?\s*\(\s*(?!")' | while IFS=: read -r line rest; do
		sin "$file:$line" "tpl_map of something that is no literal"
	done
done
lint_end
