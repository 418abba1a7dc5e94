#!/bin/bash
# A threaded program in threads, in processes, and over TLS with its queues in another network namespace.
# usage: 30_ported.sh COHORT PORTED
cohort=$1 ported=$2
. "$(dirname "$0")/lib.sh"
export COHORT_KEY_FILE=$work/key
answer="9592 primes below 100000"

# at_work N ADDRESS [COMMAND...]: start N workers at ADDRESS, run by COMMAND.
workers=()
at_work() {
	local n=$1 address=$2
	shift 2
	workers=()
	while [ "$n" -gt 0 ]; do
		"$@" "$ported" "$address" work >"$work/worker$n" 2>&1 &
		workers+=($!)
		nodes+=($!)
		appears "$work/worker$n" "at work"
		n=$((n - 1))
	done
}

# home: every worker ends by itself, and well.
home() {
	local pid
	for pid in "${workers[@]}"; do
		wait "$pid" || { cat "$work"/worker*; fail "a worker ended with $?"; }
	done
}

want 0 "$ported" local:
says out "$answer"

at_work 2 "local:ported-$$"
want 0 "$ported" "local:ported-$$" lead
says out "$answer"
home

# over_tls HOST [COMMAND...]: queues at HOST, served by COMMAND (in the other namespace).
over_tls() {
	local host=$1 address
	shift
	"$@" "$ported" "tls://$host:0/primes" serve >"$work/server" 2>&1 &
	nodes+=($!)
	appears "$work/server" "serving at"
	address=$(sed -n 's/^serving at //p' "$work/server")/primes
	at_work 2 "$address"
	want 0 "$ported" "$address" lead
	says out "$answer"
	home
}

"$cohort" keygen "$COHORT_KEY_FILE" || fail "no key"
over_tls 127.0.0.1

space=cohort-$$
net=198.18.$((RANDOM % 250)) # for tests alone (RFC 2544)
gone() {
	cleanup
	ip netns del "$space" 2>/dev/null
}
if ip netns add "$space" 2>/dev/null; then
	trap gone EXIT
	if ip link add "c$$" type veth peer name "d$$" netns "$space" 2>/dev/null &&
		ip addr add "$net.1/24" dev "c$$" && ip link set "c$$" up &&
		ip -n "$space" addr add "$net.2/24" dev "d$$" && ip -n "$space" link set "d$$" up; then
		over_tls "$net.2" ip netns exec "$space"
		echo "$scenario: ok, with the queues in another network namespace"
		exit 0
	fi
fi
echo "$scenario: ok; no network namespaces here: TLS over loopback alone"
