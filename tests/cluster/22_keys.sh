#!/bin/bash
# A node goes from one key to another by SIGHUP, lets in who should get in at every step, and keeps the old
# key when the new file is bad.
# usage: 22_keys.sh COHORT
cohort=$1
. "$(dirname "$0")/lib.sh"
unset COHORT_KEY_FILE COHORT_POOL
"$cohort" keygen "$work/key" || fail "no key"
cp -p "$work/key" "$work/old"
node alpha --key "$work/key"

# told WORDS: send SIGHUP and see WORDS come into the log once more
told() {
	local before until=$((SECONDS + 20))
	before=$(grep -cF -- "$1" "$work/alpha.log")
	kill -HUP "$pid"
	until [ "$(grep -cF -- "$1" "$work/alpha.log")" -gt "$before" ]; do
		[ $SECONDS -lt $until ] || { cat "$work/alpha.log" >&2; fail "SIGHUP: it does not say: $1"; }
		read -r -t 0.05 <&9
	done
}

for step in add swap drop; do
	cp -p "$work/key" "$work/before"
	want 0 "$cohort" keygen --$step "$work/key"
	for when in before after; do
		want 0 "$cohort" ping "$address" --count 1 --key "$work/before"
		want 0 "$cohort" ping "$address" --count 1 --key "$work/key"
		[ $when = after ] || told "read again"
	done
done
want 1 "$cohort" ping "$address" --count 1 --key "$work/old"
says err "the same at both ends?"

# A file that cannot be used changes nothing.
cp -p "$work/key" "$work/good"
echo "no key" >"$work/key"
told "the old key stays in force: listener $address: key file $work/key: line 1 has 6 characters"
want 0 "$cohort" ping "$address" --count 1 --key "$work/good"
cp -p "$work/old" "$work/key"
chmod 640 "$work/key"
told "lets others at it"
want 0 "$cohort" ping "$address" --count 1 --key "$work/good"
want 1 "$cohort" ping "$address" --count 1 --key "$work/old"
! grep -qF -e "$(cut -c1-16 "$work/good")" -e "$(cut -c1-16 "$work/old")" "$work/alpha.log" ||
	fail "the log shows a key"

kill "$pid"
wait "$pid" || fail "SIGTERM ended the node with $?"
echo "$scenario: ok"
