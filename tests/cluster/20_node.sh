#!/bin/bash
# A node lets in who holds the key, runs what it is permitted to, and says why it does not.
# usage: 20_node.sh COHORT PROGRAM     (PROGRAM: 06_remote_pool)
cohort=$1 program=$2
. "$(dirname "$0")/lib.sh"
unset COHORT_KEY_FILE COHORT_POOL
"$cohort" keygen "$work/key" && "$cohort" keygen "$work/other" || fail "no keys"

# Wrong usage.
want 2 "$cohort" node --listen unix:/a --join unix:/b --key "$work/key"
says err "got both of --listen and --join: exactly one is allowed"
want 2 "$cohort" node --key "$work/key"
says err "got none of --listen and --join"
want 2 "$cohort" node --listen unix:/a
says err "give --key FILE or set \$COHORT_KEY_FILE"
want 2 "$cohort" node --listen unix:/a --key "$work/key" --slots 0
says err "--slots got '0': a number from 1 to"
want 2 "$cohort" node --listen unix:/a --key "$work/key" --name "a b"
says err "--name got 'a b': 1 to 64 of letters"
want 2 "$cohort" node --listen unix:/a --key "$work/key" --cluster ../c
says err "--cluster got '../c'"
want 2 "$cohort" node --join unix:/a --key "$work/key" --port-file "$work/port"
says err "--port-file"
for address in python+tcp://127.0.0.1:0 python+unix:/a; do # of data only
	want 2 "$cohort" node --listen $address --key "$work/key"
	says err "got '$address', where Python peers exchange data and no tasks"
	want 2 "$cohort" node --join $address --key "$work/key"
done

# What cannot begin: 1, and why.
want 1 "$cohort" node --listen tcp://192.0.2.1:0 --key "$work/key"
says err "tls://192.0.2.1:0"
want 1 "$cohort" node --listen tcp://127.0.0.1 --key "$work/key"
says err "no port"
want 1 "$cohort" node --listen tcp://127.0.0.1:0 --key "$work/no-key"
says err "$work/no-key"
want 1 "$cohort" node --listen tcp://127.0.0.1:0 --key "$work/key" --port-file "$work"
says err "no plain file"

# Clear text over a network: only when it is asked for, and with a warning.
node open --listen tcp://0.0.0.0:0 --key "$work/key" --insecure-plaintext
appears "$work/open.log" "WARN.*INSECURE, as was asked for"
kill $pid

# One that serves: found by ping with the key, by nobody without.
export COHORT_KEY_FILE=$work/key
node alpha --slots 2
alpha=$address alpha_pid=$pid
want 0 "$cohort" ping "$alpha" --count 3
says out "$alpha"
says out "alpha"
[ "$scheme" = tls ] && guard="TLS 1.3, by the key" || guard="loopback of this machine"
says out "$guard"
says out "round trips: 3, min "
want 1 "$cohort" ping "$alpha" --key "$work/other"
says err "$alpha"
want 1 "$cohort" node --listen "$alpha"
says err "$alpha"
says err "in use"

# The same program there, by its sum.
want 0 "$program" "$alpha"
says out "49 primes in 1000 numbers from 1000000000, on $alpha"
want 1 env COHORT_KEY_FILE="$work/other" "$program" "$alpha"
says err "$alpha"

# A node that may run another program only.
node beta --program /bin/true
want 1 "$program" "$address"
says err "$program"

# A Unix socket, and its own way home: nodes that join.
node gamma --listen unix:"$work/socket"
[ "$address" = "unix:$work/socket" ] || fail "the port file says $address"
want 0 "$cohort" ping "$address"
says out "Unix socket of this machine"
want 0 "$program" "$address"
"$cohort" node --join unix:"$work/home" --name delta --slots 1 2>"$work/delta.log" &
nodes+=($!)
want 0 "$program" listen:unix:"$work/home"
says out "49 primes"
home=$scheme://127.0.0.1:${alpha##*:} # free once alpha has ended
"$cohort" node --join "$home" --name epsilon --slots 1 2>"$work/epsilon.log" &
nodes+=($!)

# SIGTERM ends it in order, however often it comes.
kill $alpha_pid
kill $alpha_pid
wait $alpha_pid
code=$?
[ $code = 0 ] || fail "SIGTERM ended the node with $code"
want 0 "$program" "listen:$home"
says out "49 primes"
want 1 "$cohort" ping "$alpha"
says err "refused"
echo "$scenario: ok"
