# lib.sh - what every scenario begins with: sourced, it makes a folder of the scenario's own, which
# goes with everything in it, as do the nodes it started, when the scenario ends.
set -u
export LC_ALL=C
scenario=$(basename "$0" .sh)
scheme=${COHORT_SCHEME:-tcp} # what nodes are reached by
work=$(mktemp -d)
nodes=()
mkfifo "$work/never"
exec 9<>"$work/never"
cleanup() {
	for node in "${nodes[@]}"; do kill "$node" 2>/dev/null; done
	for node in "${nodes[@]}"; do wait "$node"; done
	chmod -R u+rwX "$work"
	rm -rf "$work"
} 2>/dev/null
trap cleanup EXIT
trap 'exit 1' INT TERM

fail() { # WORDS
	echo "$scenario: $*" >&2
	exit 1
}

# want CODE COMMAND...: run it, out to $work/out and $work/err, and see it end with CODE.
want() {
	local code=$1 got
	shift
	"$@" >"$work/out" 2>"$work/err" </dev/null
	got=$?
	[ $got = "$code" ] || { cat "$work/err" >&2; fail "'$*' ended with $got, not $code"; }
}

# says FILE WORDS: the words stand in $work/FILE (out, err).
says() {
	grep -qF -- "$2" "$work/$1" || { cat "$work/$1" >&2; fail "its $1 does not say: $2"; }
}

# appears FILE PATTERN: look until FILE, which need not be there yet, has it; at most 20 s.
appears() {
	local until=$((SECONDS + 20))
	until grep -qs -e "$2" "$1"; do
		[ $SECONDS -lt $until ] || fail "no '$2' in ${1##*/} within 20 s"
		read -r -t 0.05 <&9 # nobody writes there
	done
}

# node NAME OPTION...: start a node; its pid is then $pid, its address $address.
node() {
	local name=$1
	shift
	"$cohort" node --listen "$scheme://127.0.0.1:0" --port-file "$work/$name" --name "$name" -v "$@" \
		2>"$work/$name.log" </dev/null 9<&- &
	pid=$!
	nodes+=($pid)
	appears "$work/$name" .
	address=$(cat "$work/$name")
}
