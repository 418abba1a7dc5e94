#!/bin/bash
# The example of a connection says what it should, and why it cannot without a key.
# usage: 02_connection.sh COHORT EXAMPLE
cohort=$1 example=$2
. "$(dirname "$0")/lib.sh"
unset COHORT_KEY_FILE

want 1 "$example"
says err "COHORT_KEY_FILE"
"$cohort" keygen "$work/key" || fail "no key"
want 0 env COHORT_KEY_FILE="$work/key" "$example"
says out "hello from next door"
says out "hello from afar"
says out "hello yourself"
for address in unix:"$work/socket" tcp://[::1]:0 tls://127.0.0.1:0 tls://[::1]:0; do # one word changed
	want 0 env COHORT_KEY_FILE="$work/key" "$example" "$address"
	says out "hello from afar"
done
echo "$scenario: ok"
