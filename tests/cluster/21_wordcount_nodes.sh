#!/bin/bash
# Two nodes count what coreutils count, and one does it alone when the other is killed.
# usage: 21_wordcount_nodes.sh WORDCOUNT COHORT
wordcount=$1 cohort=$2
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/wordcount_lib.sh"
export COHORT_KEY_FILE=$work/key
"$cohort" keygen "$work/key" || fail "no key"

node one --slots 1
first=$address
node two --slots 1
judge "$first,$address"
says out "tasks by $first"
says out "tasks by $address"

# One is killed when the first task is done and many are not: the progress line tells.
second=$address second_pid=$pid
for i in $(seq 40); do ln "$top/large" "$top/large-$i"; done
want 0 "$wordcount" --tsv --pool local:2 "$top"
mv "$work/out" "$work/local"
script -qec "'$wordcount' --tsv --pool '$first,$second' '$top' >'$work/out'" /dev/null >"$work/terminal" 9<&- &
run=$!
appears "$work/terminal" tasks/s
{ kill -KILL $second_pid; wait $second_pid; } 2>/dev/null
kill -0 $run 2>/dev/null || fail "it was over before a node was killed"
wait $run || fail "with one node killed, wordcount ended with $?: $(cat -v "$work/terminal")"
cmp -s "$work/out" "$work/local" || fail "with one node killed, other counts"
echo "$scenario: ok"
