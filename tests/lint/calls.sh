#!/bin/sh
# Calls with a place of their own, or none.  usage: calls.sh ROOT
# A line of the table: what | where it is looked for | where it is right | why.
. "$(dirname "$0")/lib.sh"

table='
malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf : core net : core/base/mem.c : allocate through base/mem.h, so that every failure can be tested
clock_gettime|gettimeofday|time|ftime : core net : core/base/clock.c : ask cohort_now, which tests can stop
strcpy|strcat|sprintf|vsprintf|gets|alloca|strtok|mktemp|tmpnam : core net examples : : it cannot be used safely
atoi|atol|atoll : core net : : it cannot tell a bad number from 0
sleep|usleep|nanosleep|clock_nanosleep|thrd_sleep : core net tests : tests/bench/* : wait for a fact with a deadline
memcmp|bcmp|timingsafe_bcmp : net/trust : : on a secret it tells by its time how much was right (if it is none, say NOT SECRET in the line above)
printf|puts|vprintf|perror|(fprintf|vfprintf)(?=\s*\(\s*std(err|out)) : core net : core/base/object.h core/work/process_self.c net/cmd/* : a library does not print
system|popen|setenv|putenv|unsetenv : core net : net/cmd/* : it changes or trusts what belongs to the whole process
'

right() { # FILE PATTERNS
	for pattern in $2; do
		# shellcheck disable=SC2254 # a pattern on purpose
		case $1 in $pattern) return 0 ;; esac
	done
	return 1
}

excused() { # FILE LINE: the reason stands in the line above or in it
	sed -n "$(($2 > 1 ? $2 - 1 : 1)),$2p" "$1" | grep -q 'NOT SECRET'
}

echo "$table" | while IFS=: read -r what where except why; do
	[ -n "$what" ] || continue
	what=$(echo "$what" | tr -d ' ')
	set -f
	# shellcheck disable=SC2086 # lists of words
	for file in $(set +f; sources '*.[ch]' $where | having "(?<![\\w.>])($what)\\s*\\("); do
		! right "$file" "$except" || continue
		strip "$file" | grep -nP "(?<![\\w.>])($what)\\s*\\(" | while IFS=: read -r line rest; do
			case $what in memcmp*) ! excused "$file" "$line" || continue ;; esac
			call=$(echo "$rest" | grep -oP "(?<![\\w.>])($what)(?=\\s*\\()" | head -1)
			sin "$file:$line" "$call:$why"
		done
	done
	set +f
done

# The same for scripts: nothing waits by the clock.
for file in $(sources '*.sh' tests deploy); do
	case $file in tests/bench/* | tests/lint/*) continue ;; esac
	grep -nE '(^|[;&|({ 	])sleep[ 	]+[0-9$"]' "$file" | grep -vE '^[0-9]+:[ 	]*#' |
		while IFS=: read -r line rest; do
			sin "$file:$line" "sleep: wait for a fact with a deadline"
		done
done
lint_end
