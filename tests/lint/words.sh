#!/bin/sh
# Words that say a thing is not done.  usage: words.sh ROOT
. "$(dirname "$0")/lib.sh"

pattern='TO''DO|FIX''ME'
{
	sources '*' core net tests examples cmake deploy | grep -v '/corpus/'
	ls ./*.md CMakeLists.txt CMakePresets.json 2>/dev/null
} | while read -r file; do
	grep -InE "$pattern" "$file" | while IFS=: read -r line rest; do
		sin "$file:$line" "unfinished: $rest"
	done
done
lint_end
