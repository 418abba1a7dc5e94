#!/bin/sh
# Headers stand alone, public ones in C++ too, and show nothing of a third party.
# usage: headers.sh ROOT CC CXX
cc=$2 cxx=$3
. "$(dirname "$0")/lib.sh"

include='-Icore/include -Inet/include'
foreign='\b(tpl_(node|bin|hook_t)|EVP_[A-Z_]+|SSL(_CTX)?|BIO|X509|event_base|evbuffer|bufferevent|evutil_\w+|CU_\w+|UT_hash_handle|UT_array)\b'

public() {
	# shellcheck disable=SC2086 # lists of words
	$cc -std=c11 -Wall -Wextra -Werror -pedantic $include -fsyntax-only -x c "$1" >"$out" 2>&1 ||
		sin "$1" "does not compile alone as C: $(grep -m1 error "$out")"
	# shellcheck disable=SC2086
	$cxx -Wall -Wextra -Werror $include -fsyntax-only -x c++ "$1" >"$out" 2>&1 ||
		sin "$1" "does not compile alone as C++: $(grep -m1 error "$out")"
	comment_share "$1"
	case $1 in core/include/cohort/cohort.h | net/*) return ;; esac
	grep -q "<${1#core/include/}>" core/include/cohort/cohort.h || sin "$1" "cohort.h does not include it"
}

# A header from which a correct program can be written is a third comment.
comment_share() {
	[ "$(basename "$1")" != cohort.h ] || return
	all=$(grep -cE '[^ 	]' "$1")
	code=$(strip "$1" | grep -vE '^	X\(' | grep -cE '[^ 	]') # X(code, number, "sentence") says itself
	[ $(((all - code) * 100 / all)) -ge 30 ] || sin "$1" "$(((all - code) * 100 / all)) % comment, least 30"
}

private() {
	# shellcheck disable=SC2086
	$cc -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror $include -Icore -Inet -fsyntax-only -x c "$1" >"$out" 2>&1 ||
		sin "$1" "does not compile alone: $(grep -m1 error "$out")"
}

out=$(mktemp)
trap 'rm -f "$lint_log" "$out"' EXIT
for header in $(sources '*.h' core net); do
	case $header in
	*/include/*) public "$header" ;;
	*) private "$header" ;;
	esac
	strip "$header" | grep -nP "$foreign|include *<(event2/|openssl/|tpl\.h|CUnit/|zlib\.h)" |
		while IFS=: read -r line rest; do
			sin "$header:$line" "a third party's type or header: $rest"
		done
done
lint_end
