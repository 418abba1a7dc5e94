#!/bin/bash
# The command says what is wrong with its arguments, and does what it is asked.
# usage: 01_command.sh COHORT
cohort=$1
. "$(dirname "$0")/lib.sh"
unset COHORT_KEY_FILE
key=$work/key

# Wrong usage is 2, with what was got and what is allowed.
want 2 "$cohort"
says err "usage: cohort COMMAND"
want 2 "$cohort" fly
says err "got 'fly', which is none of the commands: echo, keygen, "
want 2 "$cohort" keygen
says err "got 0 operands where 1 must be"
want 2 "$cohort" keygen "$key" "$key.2"
says err "got '$key.2' beyond the 1 operands it takes"
want 2 "$cohort" ping --cuont 3 unix:/x
says err "got '--cuont', which is none of the options: --count, --key, --cert, "
want 2 "$cohort" ping unix:/x --count
says err "--count needs an argument"
want 2 "$cohort" ping --count 3x unix:/x
says err "--count got '3x': a number from 1 to 1000 is allowed"
want 2 "$cohort" ping --count 1001 --key "$key" unix:/x
says err "--count got '1001'"
want 2 "$cohort" ping unix:/x
says err "give --key FILE or set \$COHORT_KEY_FILE"
want 2 "$cohort" ping --cert "$key" unix:/x
says err "got --cert without --ca"
want 2 "$cohort" ping --key "$key" --crl "$key" unix:/x
says err "got --crl without --cert"
want 2 "$cohort" echo --key "$key"
says err "got no --listen ADDRESS"
want 2 "$cohort" echo --listen unix:"$work/echo"
says err "give --key FILE or set \$COHORT_KEY_FILE"
want 2 "$cohort" version now
[ ! -e "$key" ] || fail "a key was made by wrong usage"

# Help is no error, and goes to standard output.
want 0 "$cohort" --help
says out keygen
for command in echo keygen node ping version; do
	want 0 "$cohort" $command --help
	says out "usage: cohort $command"
	[ ! -s "$work/err" ] || fail "$command --help talks on standard error"
done
want 0 "$cohort" version
says out ", protocol "

# Keys: made once, for one's own eyes.
want 0 "$cohort" keygen "$key"
[ "$(stat -c %a "$key")" = 600 ] || fail "the key has mode $(stat -c %a "$key")"
cp "$key" "$work/before"
want 1 "$cohort" keygen "$key"
says err "not overwritten"
cmp -s "$key" "$work/before" || fail "a key was overwritten"

# To another key in three steps.
want 2 "$cohort" keygen --add --drop "$key"
says err "got two of --add, --swap and --drop"
want 1 "$cohort" keygen --swap "$key"
says err "it holds one key only; run: cohort keygen --add"
cp "$key" "$work/turned"
for step in add swap drop; do
	want 0 "$cohort" keygen --$step "$work/turned"
done
[ "$(wc -l <"$work/turned")" = 1 ] || fail "the file does not end with one key"
! cmp -s "$key" "$work/turned" || fail "the key did not change"

# A ping that cannot get in: why, and 1.
want 1 "$cohort" ping --key "$key" unix:"$work/nobody"
says err "No such file or directory"
want 1 "$cohort" ping --key "$work/nothing" unix:"$work/nobody"
says err "$work/nothing"
want 1 "$cohort" ping --key "$key" mars:
says err mars
want 1 "$cohort" ping --key "$key" tcp://192.0.2.1:9
says err "192.0.2.1"
chmod 644 "$key"
want 1 "$cohort" ping --key "$key" unix:"$work/nobody"
says err "$key"
echo "$scenario: ok"
