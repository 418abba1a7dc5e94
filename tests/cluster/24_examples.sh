#!/bin/bash
# The examples with a pool, as they stand, on two nodes: nothing changes but the address.
# usage: 24_examples.sh COHORT MAP FUTURE IMAP REMOTE
cohort=$1
. "$(dirname "$0")/lib.sh"
unset COHORT_POOL
export COHORT_KEY_FILE=$work/key
"$cohort" keygen "$work/key" || fail "no key"
node one --slots 2
pool=$address
node two --slots 1
pool=$pool,$address

# run WORDS PROGRAM: on the nodes, told by an argument and by the environment.
run() {
	want 0 "$2" "$pool"
	says out "$1"
	want 0 env COHORT_POOL="$pool" "$2"
	says out "$1"
}
run "49 primes in 1000 numbers from 1000000000, on $pool" "$2"
run "27 was done by $scheme://127.0.0.1:" "$3"
says out "0: 0 never gets to 1"
says out "crash: $scheme://127.0.0.1:"
says out ": task crash was running when 3 workers died; the last: worker "
run "11.958260743101 is the root of 143" "$4"
run "49 primes in 1000 numbers from 1000000000, on $pool" "$5"
echo "$scenario: ok"
