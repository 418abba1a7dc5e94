#!/bin/bash
# leftovers.sh FOLDER: do the figures leave anything behind?  FOLDER is where their programs are.
#
# Each figure below is run to its end, and twice more until its contestants are at work, ours and the
# peer's, when its program is killed.  Afterwards nothing of its session may run, /dev/shm must be as it was, and the
# next run must have removed its folder.  With a /dev/shm of its own where the system lets it.
set -u
programs=$1
# FIGURE, and how many processes are at work for ours and for the peer.
figures=('queue.mutexring 4 4' 'queue.mib 3 3' 'queue.mib_mpi 3 5' 'remote.clients8 11 11')
failed=0

if [ -z "${LEFTOVERS_ALONE:-}" ] && unshare --mount --map-root-user true 2>/dev/null; then
	# shellcheck disable=SC2016 # for the shell inside
	LEFTOVERS_ALONE=1 exec unshare --mount --map-root-user \
		sh -c 'mount -t tmpfs none /dev/shm && exec "$0" "$@"' "$0" "$@"
fi

complain() {
	echo "leftovers: $*"
	failed=1
}

# until SECONDS COMMAND...: poll a fact.
until_true() {
	local end=$((SECONDS + $1))
	shift
	while ! "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 0.02
	done
}

nothing_in() { ! pgrep -s "$1" >/dev/null; }
at_work() { [ "$(pgrep -s "$1" | wc -l)" -ge "$2" ]; }
shared() { ls -A /dev/shm; }
folders_of() { compgen -G "/tmp/cohort-bench-$1-*" >/dev/null; }

# begin FIGURE [--peers]: in a session of its own, whose number is its pid.
begin() {
	setsid "$programs/bench_${1%%.*}" "${@:2}" "$1" >/dev/null 2>&1 &
	program=$!
}

kill_half_way() { # PROCESSES FIGURE [--peers]
	local processes=$1
	shift
	begin "$@"
	until_true 10 at_work $program "$processes" || { complain "$*: never began"; return; }
	kill -KILL $program
	wait $program 2>/dev/null
	check "$*" killed
	"$programs/bench_${1%%.*}" --list >/dev/null # as any run does first
	folders_of $program && complain "$*: the next run left the folder of the one that was killed"
}

check() { # FIGURE WHEN
	until_true 10 nothing_in $program || complain "$1 $2: still runs: $(pgrep -s $program -a | tr '\n' ';')"
	[ "$(shared)" = "$before" ] || complain "$1 $2: in /dev/shm: $(shared)"
}

before=$(shared)
for entry in "${figures[@]}"; do
	read -r figure ours peer <<<"$entry"
	begin "$figure"
	wait $program
	check "$figure" "run to its end"
	folders_of $program && complain "$figure: left its folder in /tmp"
	kill_half_way "$ours" "$figure"
	kill_half_way "$peer" "$figure" --peers
done
exit $failed
