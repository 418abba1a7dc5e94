#!/bin/sh
# Who may include whom: house drawing in ARCHITECTURE.md.  usage: layers.sh ROOT
. "$(dirname "$0")/lib.sh"

# What a layer may include, itself first.
below() {
	case $1 in
	core/base) echo core/base ;;
	core/os) echo core/os core/base ;;
	core/wire) echo core/wire core/base ;;
	core/sync) echo core/sync core/os core/base ;;
	core/conn) echo core/conn core/os core/wire core/base ;;
	core/work) echo core/work core/conn core/sync core/os core/wire core/base ;;
	net/addr) echo net/addr "$(below core/work)" ;;
	net/trust) echo net/trust "$(below core/work)" ;;
	net/python) echo net/python net/trust "$(below core/work)" ;;
	net/conn) echo net/conn net/python net/trust net/addr "$(below core/work)" ;;
	net/node) echo net/node "$(below net/conn)" ;;
	net/cmd) echo net/cmd "$(below net/node)" ;;
	esac
}

# The layer that a public header is the face of.
face() {
	case $1 in
	error | log | time) echo core/base ;;
	message) echo core/wire ;;
	loop | process) echo core/os ;; # what a process inherits speaks of how it was started
	conn) echo core/conn ;;
	sync | shared | data) echo core/sync ;;
	address) echo net/addr ;;
	auth | tls) echo net/trust ;;
	listener | dial) echo net/conn ;;
	*) if [ -e "core/include/cohort/$1.h" ]; then echo core/work; else echo net/node; fi ;;
	esac
}

# The layer of what FILE names in quotes: as the compiler looks, core first.
layer_of() {
	for half in core net; do
		[ -e "$half/$1" ] && { echo "$half/${1%%/*}"; return; }
	done
	[ -e "$(dirname "$2")/$1" ] && dirname "$2"
}

allowed_in() { # LAYER TARGET
	case " $(below "$1") " in *" $2 "*) return 0 ;; esac
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
	stdnoreturn.h | string.h | strings.h | syslog.h | termios.h | threads.h | time.h | unistd.h | wchar.h) return 0 ;;
	esac
	return 1
}

quoted() { # FILE LINE HEADER
	from=$(dirname "$1" | cut -d/ -f1-2)
	to=$(layer_of "$3" "$1" | cut -d/ -f1-2)
	[ -n "$to" ] || { sin "$1:$2" "\"$3\" is nowhere in core or net"; return; }
	allowed_in "$from" "$to" || sin "$1:$2" "$from may not include $to (\"$3\")"
}

public() { # FILE LINE NAME: <cohort/NAME.h>
	case $1 in
	core/include/*/cohort.h) return ;; # the umbrella names all
	core/include/*) [ -e "core/include/cohort/$3.h" ] || sin "$1:$2" "core may not include net's <cohort/$3.h>" ;;
	net/include/*) ;;
	*)
		from=$(dirname "$1" | cut -d/ -f1-2)
		allowed_in "$from" "$(face "$3")" || sin "$1:$2" "$from may not include <cohort/$3.h>, which is $(face "$3")'s"
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

for file in $(sources '*.[ch]' core net examples tests); do
	grep -nE '^[ 	]*#[ 	]*include' "$file" |
		sed -nE 's/^([0-9]+):[^<"]*([<"])([^>"]*).*/\1 \2 \3/p' |
		while read -r line kind header; do
			case $kind in
			'"') case $file in core/* | net/*) quoted "$file" "$line" "$header" ;; esac ;;
			*) angled "$file" "$line" "$header" ;;
			esac
		done
done
lint_end
