#!/bin/bash
# Python programs submit tasks to a pool through the gateway, here and over a node, and bad ones are told why.
# usage: 23_gateway.sh COHORT GATEWAY EXAMPLES
cohort=$1 gateway=$2 examples=$3
. "$(dirname "$0")/lib.sh"
here=$(cd "$(dirname "$0")" && pwd)
export PYTHONDONTWRITEBYTECODE=1
unset COHORT_KEY_FILE COHORT_PYTHON_KEY_FILE

# Every CPython from 3.6 on that is here.
pythons=()
for python in "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.*/bin/python "$(command -v python3)"; do
	[ -x "$python" ] && "$python" -c 'import sys; sys.exit(sys.version_info < (3, 6))' &&
		pythons+=("$python")
done
[ ${#pythons[@]} -gt 0 ] || { echo "$scenario: skipped, there is no Python 3.6 or later"; exit 0; }

"$cohort" keygen "$work/key" && "$cohort" keygen "$work/python.key" || fail "no keys"

# begin NAME ADDRESS POOL: a gateway; its pid is $pid, its address $address.
begin() {
	"$gateway" --key "$work/python.key" --port-file "$work/$1" "$2" "$3" 2>"$work/$1.log" </dev/null 9<&- &
	pid=$!
	nodes+=($pid)
	appears "$work/$1" .
	address=$(cat "$work/$1")
}
end() {
	kill "$pid"
	wait "$pid" || fail "the gateway ended with $?"
}

begin local python+tcp://127.0.0.1:0 local:2
for python in "${pythons[@]}"; do
	want 0 "$python" "$here/gateway_checks.py" "$examples" "$address" "$work/python.key"
	want 0 env COHORT_PYTHON_KEY_FILE="$work/python.key" "$python" "$examples/primes.py" "$address"
	says out "49 primes in 1000 numbers"
	says out "COHORT_ETASK: 1 divided by nothing"
done
end

begin path "python+unix:$work/socket" thread:2
want 0 "$python" "$here/gateway_checks.py" "$examples" "$address" "$work/python.key"
end
[ ! -e "$work/socket" ] || fail "the socket stayed behind"

export COHORT_KEY_FILE=$work/key
for scheme in tcp tls; do # of the pool's nodes
	node $scheme
	begin node.$scheme python+tcp://127.0.0.1:0 "$address"
	want 0 "$python" "$here/gateway_checks.py" "$examples" "$address" "$work/python.key"
	end
done

want 1 "$gateway" python+tcp://127.0.0.1:0 local:1
says err "COHORT_PYTHON_KEY_FILE"
want 1 "$gateway" --key "$work/python.key" python+tcp://0.0.0.0:0 local:1
says err "--insecure-plaintext"
echo "$scenario: ok"
