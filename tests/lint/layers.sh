#!/bin/sh
# Who may include whom: house drawing in ARCHITECTURE.md.  usage: layers.sh ROOT
. "$(dirname "$0")/lib.sh"

# Answers come in variables: a subshell for each of six thousand includes took a minute.

# What layer $1 may include, itself first: in $under.
core_work='core/work core/conn core/sync core/os core/wire core/base'
net_conn="net/conn net/python net/trust net/addr $core_work"
below() {
	case $1 in
	core/base) under='core/base' ;;
	core/os) under='core/os core/base' ;;
	core/wire) under='core/wire core/base' ;;
	core/sync) under='core/sync core/os core/base' ;;
	core/conn) under='core/conn core/os core/wire core/base' ;;
	core/work) under=$core_work ;;
	net/addr) under="net/addr $core_work" ;;
	net/trust) under="net/trust $core_work" ;;
	net/python) under="net/python net/trust $core_work" ;;
	net/conn) under=$net_conn ;;
	net/node) under="net/node $net_conn" ;;
	net/cmd) under="net/cmd net/node $net_conn" ;;
	*) under= ;;
	esac
}

# The layer that public header $1 is the face of: in $layer.
face() {
	case $1 in
	error | log | time) layer=core/base ;;
	message) layer=core/wire ;;
	loop | process) layer=core/os ;; # what a process inherits speaks of how it was started
	conn) layer=core/conn ;;
	sync | shared | data) layer=core/sync ;;
	address) layer=net/addr ;;
	auth | tls) layer=net/trust ;;
	listener | dial) layer=net/conn ;;
	*) if [ -e "core/include/cohort/$1.h" ]; then layer=core/work; else layer=net/node; fi ;;
	esac
}

# Half and layer of file $1: in $layer.
home() {
	layer=${1#*/}
	layer=${1%%/*}/${layer%%/*}
}

# The layer of what file $2 names $1 in quotes, as the compiler looks, core first: in $layer.
layer_of() {
	layer=
	for half in core net; do
		[ -e "$half/$1" ] && { home "$half/$1"; return; }
	done
	if [ -e "${2%/*}/$1" ]; then home "$2"; fi
}

allowed_in() { # LAYER TARGET
	below "$1"
	case " $under " in *" $2 "*) return 0 ;; esac
	return 1
}

# Is HEADER in angle brackets fine in FILE?  Third-party headers by list, each with its place.
third_party() {
	case $1 in
	event2/*) where="core/os/loop_libevent.c examples/08_libevent_loop.c" ;;
	openssl/*) where="net/trust/hmac_openssl.c net/trust/tls_*openssl.c tests/net/test_trust_*.c tests/net/pki.c tests/bench/peer_*.c" ;;
	tpl.h) where="core/wire/codec_tpl.c tests/*tpl*.c tests/bench/*.c tests/fuzz/*.c tests/contract/*.c" ;;
	CUnit/*) where="tests/support/*.c" ;;
	zlib.h) where="examples/*.c examples/*/*.c" ;;
	zmq.h | libgearman/* | hiredis/* | mpi.h) where="tests/bench/peer_*.c" ;;
	uthash.h | utlist.h) where="core/*.c net/*.c examples/*.c" ;;
	*) return 1 ;;
	esac
	for pattern in $where; do
		# shellcheck disable=SC2254 # a pattern on purpose
		case $2 in $pattern) return 0 ;; esac
	done
	sin "$2:$3" "<$1> belongs in $where only"
}

system_header() {
	case $1 in
	sys/*.h | linux/*.h | netinet/*.h | arpa/inet.h | net/if.h) return 0 ;;
	assert.h | ctype.h | dirent.h | dlfcn.h | endian.h | errno.h | fcntl.h | fnmatch.h | ftw.h) return 0 ;;
	argp.h | err.h | fts.h | getopt.h | inttypes.h | libgen.h | limits.h | locale.h | math.h | netdb.h | poll.h) return 0 ;;
	pthread.h | pwd.h | sched.h | search.h | semaphore.h | setjmp.h | signal.h | spawn.h) return 0 ;;
	stdalign.h | stdarg.h | stdatomic.h | stdbool.h | stddef.h | stdint.h | stdio.h | stdlib.h) return 0 ;;
	emmintrin.h) return 0 ;; # SSE2, of every x86 of 64 bits: core/base/copy.c
	stdnoreturn.h | string.h | strings.h | syslog.h | termios.h | threads.h | time.h | unistd.h | wchar.h) return 0 ;;
	esac
	return 1
}

quoted() { # FILE LINE HEADER
	home "$1"
	from=$layer
	layer_of "$3" "$1"
	[ -n "$layer" ] || { sin "$1:$2" "\"$3\" is nowhere in core or net"; return; }
	allowed_in "$from" "$layer" || sin "$1:$2" "$from may not include $layer (\"$3\")"
}

public() { # FILE LINE NAME: <cohort/NAME.h>
	case $1 in
	core/include/*/cohort.h) return ;; # the umbrella names all
	core/include/*) [ -e "core/include/cohort/$3.h" ] || sin "$1:$2" "core may not include net's <cohort/$3.h>" ;;
	net/include/*) ;;
	*)
		home "$1"
		from=$layer
		face "$3"
		allowed_in "$from" "$layer" || sin "$1:$2" "$from may not include <cohort/$3.h>, which is $layer's"
		;;
	esac
}

angled() { # FILE LINE HEADER
	case $3 in
	cohort/*.h)
		case $1 in core/* | net/*) name=${3#cohort/}; public "$1" "$2" "${name%.h}" ;; esac
		return
		;;
	esac
	third_party "$3" "$1" "$2" && return
	case $1 in
	core/* | net/* | examples/*) system_header "$3" || sin "$1:$2" "<$3> is on no list: is it the system's?" ;;
	esac
}

# shellcheck disable=SC2046 # no file name of ours has a space
grep -nE '^[ 	]*#[ 	]*include' $(sources '*.[ch]' core net examples tests) /dev/null |
	sed -nE 's/^([^:]*):([0-9]+):[^<"]*([<"])([^>"]*).*/\1 \2 \3 \4/p' |
	while read -r file line kind header; do
		case $kind in
		'"') case $file in core/* | net/*) quoted "$file" "$line" "$header" ;; esac ;;
		*) angled "$file" "$line" "$header" ;;
		esac
	done
lint_end
