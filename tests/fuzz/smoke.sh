#!/bin/bash
# smoke.sh BUILT [SECONDS [NAME...]]: run the fuzz targets found in the folder BUILT, 20 s each.
#
# Each starts from its corpus; what it finds new stays in a temporary folder.  fuzz_NAME must
# find nothing; fuzz_NAME_planted must find the bug that was planted in it, for which it has a minute.
# Exit 1 otherwise.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
built=${1:?usage: smoke.sh BUILT [SECONDS [NAME...]]}
seconds=${2:-20}
shift $(($# < 2 ? $# : 2))
names=("$@")
if [ ${#names[@]} -eq 0 ]; then
	shopt -s nullglob
	for program in "$built"/fuzz_*_planted; do
		name=${program##*/fuzz_}
		names+=("${name%_planted}")
	done
fi

[ ${#names[@]} -gt 0 ] || { echo "smoke: no fuzz target in $built" >&2; exit 1; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# fuzz NAME SUFFIX SECONDS: exit code of the fuzzer, its words in $work/NAME.log
fuzz() {
	local options=(-max_total_time="$3" -timeout=5 -rss_limit_mb=2048 -max_len=4096
		-artifact_prefix="$work/$1" -print_final_stats=1)
	[ -f "$here/$1.dict" ] && options+=(-dict="$here/$1.dict")
	mkdir -p "$work/$1$2"
	"$built/fuzz_$1$2" "${options[@]}" "$work/$1$2" "$here/corpus/$1" >"$work/$1.log" 2>&1
}

# target NAME: both of it.  0 when all is well.
target() {
	local name=$1 log=$work/$1.log well=0
	if [ -z "$(ls -A "$here/corpus/$name" 2>/dev/null)" ]; then
		echo "$name: no corpus in $here/corpus/$name"
		well=1
	fi
	if fuzz "$name" "" "$seconds"; then
		echo "$name: nothing found in $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") runs"
	else
		grep -v '^#' "$log" | tail -n 40
		echo "$name: FOUND a bug, or did not run"
		well=1
	fi
	if fuzz "$name" _planted $((seconds < 60 ? 60 : seconds)); then
		echo "$name: the planted bug was NOT found"
		well=1
	elif ! grep -q 'Test unit written to' "$log"; then
		tail -n 40 "$log"
		echo "$name: the planted target did not run"
		well=1
	else
		echo "$name: the planted bug was found"
	fi
	return $well
}

# As many at once as there are CPUs; each says all it has to say at its end.
for name in "${names[@]}"; do
	while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do
		wait -n
	done
	{
		said=$(target "$name") || touch "$work/failed"
		echo "$said"
	} &
done
wait
[ ! -e "$work/failed" ]
