#!/bin/sh
# The file's noun begins its functions: queue.c defines cohort_queue_* and coh_queue_*, and
# queue_wait.c, a part of queue, may define coh_queue_* as well.  Others are listed, with the
# reason, in names.allow.  usage: names.sh ROOT
. "$(dirname "$0")/lib.sh"

allow=${NAMES_ALLOW:-$lint_dir/names.allow}

fits() { # NOUN NAME: after the prefix, NOUN or its first words begin the name
	noun=$1
	while :; do
		case $2 in "$noun" | "$noun"_*) return 0 ;; esac
		case $noun in *_*) noun=${noun%_*} ;; *) return 1 ;; esac
	done
}

listed() { # FILE NAME
	for pattern in $(awk -v f="$1" '$1 == f { print $2 }' "$allow"); do
		# shellcheck disable=SC2254 # a pattern on purpose
		case $2 in $pattern) return 0 ;; esac
	done
	return 1
}

sources '*.c' core net | xargs awk -f "$lint_dir/functions.awk" /dev/null | while read -r file line name linkage rest; do
	[ "$linkage" = extern ] && [ "$name" != main ] || continue
	noun=${file##*/}
	noun=${noun%.c}
	case $name in
	cohort_*) short=${name#cohort_} ;;
	coh_*) short=${name#coh_} ;;
	*) sin "$file:$line" "$name begins neither with cohort_ nor with coh_"; continue ;;
	esac
	fits "$noun" "$short" || listed "$file" "$name" ||
		sin "$file:$line" "$name does not begin with the file's noun, $noun"
done

for file in $(awk '!/^#/ && NF { print $1 }' "$allow" | sort -u); do
	[ -e "$file" ] || [ -n "$NAMES_ALLOW" ] || sin "names.allow" "lists $file, which does not exist"
done
lint_end
