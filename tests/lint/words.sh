#!/bin/sh
# Words that say a thing is not done.  usage: words.sh ROOT
. "$(dirname "$0")/lib.sh"

pattern='TO''DO|FIX''ME'
{
	sources '*' core net tests examples cmake deploy | grep -v '/corpus/'
	ls ./*.md CMakeLists.txt CMakePresets.json 2>/dev/null
} | tr '\n' '\0' | xargs -0 grep -InE "$pattern" /dev/null | while IFS=: read -r file line rest; do
	sin "$file:$line" "unfinished: $rest"
done
lint_end
