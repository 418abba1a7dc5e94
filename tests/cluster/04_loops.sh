#!/bin/bash
# Connections in loops of the user's own: all hear all, and one word changes the transport.
# usage: 04_loops.sh COHORT POLL LIBEVENT
cohort=$1 poll=$2 libevent=$3
. "$(dirname "$0")/lib.sh"
export COHORT_KEY_FILE=$work/key
"$cohort" keygen "$work/key" || fail "no key"

for address in tcp://127.0.0.1:0 tls://127.0.0.1:0 unix:"$work/socket"; do
	want 0 "$poll" "$address"
	for i in 0 1 2; do says out "caller $i"; done
	want 0 "$libevent" "$address"
	says out "where -> WHERE"
	says out "the peer closed"
done
echo "$scenario: ok"
