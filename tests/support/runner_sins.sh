#!/bin/sh
# Every test of the program given must be reported as failed, for the reason its name says.
program=$1
unset COHORT_TEST_TALLY # these failures are not to be counted
out=$(mktemp)
trap 'rm -f "$out"' EXIT
bad=0

say() {
	echo "runner_sins: $*"
	bad=1
}

reason() {
	case $1 in
	check_fails) echo 'got 0, want -10003 (COHORT_EOF)' ;;
	require_ends_the_test) echo 'nothing != 0' ;;
	check_fails_in_a_child) echo 'nothing == 77' ;;
	require_fails_in_a_thread) echo 'nothing == 78' ;;
	leaves_a_descriptor) echo '1 descriptors left' ;;
	closes_a_descriptor_of_others) echo '1 descriptors closed' ;;
	leaves_a_child) echo 'process left' ;;
	leaves_a_zombie) echo 'dead but not waited for' ;;
	leaves_an_orphan) echo 'process outlived the test' ;;
	leaves_a_posix_segment) echo 'shared segments left: .*/dev/shm/cohort-sin' ;;
	leaves_a_sysv_segment) echo 'shared segments left: .*SysV shm' ;;
	hangs) echo 'still running after' ;;
	dies_of_a_signal) echo 'killed by signal 9' ;;
	reads_address_zero) echo 'killed by signal 11\|before the test ended' ;;
	exits_early) echo 'exited with 0 before the test ended' ;;
	leaks_memory) echo 'memory was leaked' ;;
	*) return 1 ;;
	esac
}

# Where the runner may not have segments of its own, these are still there.
tidy() {
	for path in $(grep -o '/dev/shm/cohort-sin-[0-9]*' "$out" | sort -u); do
		rm -f "$path"
	done
	for id in $(sed -n 's/.*SysV shm \([0-9]*\).*/\1/p' "$out" | sort -u); do
		ipcrm -m "$id" 2>/dev/null
	done
}

for name in $("$program" -l sins/); do
	short=${name#sins/}
	want=$(reason "$short") || say "$name: no reason is known for it"
	"$program" "$name" >"$out" 2>&1
	code=$?
	[ $code -eq 1 ] || say "$name: exit code $code, want 1"
	grep -q "$want" "$out" || { say "$name: \"$want\" is not in the output:"; cat "$out"; }
	grep -q 'went on after' "$out" && say "$name: went on"
	tidy
done
"$program" innocent/ >"$out" 2>&1 || { say "innocent tests failed:"; cat "$out"; }
"$program" no/such/test >"$out" 2>&1 && say "an empty selection passed"
"$program" -n innocent/ >"$out" 2>&1 || say "innocent tests fail without fork"
for exe in /proc/[0-9]*/exe; do
	[ "$(readlink "$exe")" = "$program" ] && say "${exe%/exe} is left"
done
exit $bad
