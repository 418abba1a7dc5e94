# lib.sh - what every lint begins with: sourced, with the root of the tree as first argument.
#
# A lint prints one line a sin, "path:line: what is wrong", and ends with `lint_end`, which
# exits 1 if there was any.  selftest.sh plants each sin and wants to see it found.
lint_name=$(basename "$0" .sh)
lint_dir=$(cd "$(dirname "$0")" && pwd)
cd "$1" || exit 2
lint_log=$(mktemp)
trap 'rm -f "$lint_log"' EXIT

# sin PLACE WORDS: seen also when called in a pipeline's subshell.
sin() {
	echo "$lint_name: $1: $2" | tee -a "$lint_log"
}

lint_end() {
	[ ! -s "$lint_log" ] || exit 1
	echo "$lint_name: ok"
}

# sources PATTERN DIR...: files of that name pattern below the folders that exist.
sources() {
	pattern=$1
	shift
	for dir in "$@"; do
		[ -d "$dir" ] && find "$dir" -type f -name "$pattern"
	done | sort
}

# having PATTERN: of the files on standard input those with a line of it; looking closer at all of them takes minutes.
having() {
	xargs grep -lP "$1" /dev/null
}

# strip FILE: the file with comments blanked and strings emptied; lines stay where they are.
strip() {
	awk -f "$lint_dir/strip.awk" "$1"
}
