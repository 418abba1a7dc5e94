#!/bin/bash
# Echo and ping agree in every mode, ping says which it is, and each mode refuses the others.
# usage: 22_echo.sh COHORT
cohort=$1
. "$(dirname "$0")/lib.sh"
export COHORT_KEY_FILE=$work/key
export COHORT_PYTHON_KEY_FILE=$work/python.key
"$cohort" keygen "$work/key" || fail "no key"
"$cohort" keygen "$work/python.key" || fail "no key for Python"

# echo NAME ADDRESS: serve there; the address is then $address.
echo_at() {
	"$cohort" echo --listen "$2" --port-file "$work/$1" -v 2>"$work/$1.log" </dev/null 9<&- &
	nodes+=($!)
	appears "$work/$1" .
	address=$(cat "$work/$1")
}

echo_at unix unix:"$work/socket"
want 0 "$cohort" ping --count 3 "$address"
says out "mode: own handshake, clear text through a Unix socket"
says out "round trips: 3, min"
echo_at tcp tcp://127.0.0.1:0
tcp=$address
want 0 "$cohort" ping --count 3 "$tcp"
says out "mode: own handshake, clear text over the loopback"
echo_at tls tls://127.0.0.1:0
tls=$address
want 0 "$cohort" ping --count 3 "$tls"
says out "mode: TLS 1.3, by the key"
want 1 "$cohort" ping "tcp${tls#tls}"
want 1 "$cohort" ping "tls${tcp#tcp}"
echo_at python python+tcp://127.0.0.1:0
want 0 "$cohort" ping "$address"
says out "mode: Python's handshake"
says out "round trips: none"
(unset COHORT_KEY_FILE && want 0 "$cohort" ping "$address") || exit 1
(unset COHORT_PYTHON_KEY_FILE && want 2 "$cohort" ping "$address" && says err "COHORT_PYTHON_KEY_FILE") || exit 1
want 1 "$cohort" ping "${address#python+}"
want 1 "$cohort" ping "python+$tcp"

# Another key gets in nowhere.
"$cohort" keygen "$work/other" || fail "no other key"
for name in unix tcp tls python; do
	want 1 "$cohort" ping --key "$work/other" "$(cat "$work/$name")"
done
want 0 "$cohort" ping --count 1 "$tcp"

# Another key in its file counts from SIGHUP on.
cp -p "$work/other" "$work/key"
kill -HUP "${nodes[1]}"
appears "$work/tcp.log" "read again"
want 0 "$cohort" ping --count 1 "$tcp"
want 1 "$cohort" ping --count 1 "$tls"
echo "$scenario: ok"
