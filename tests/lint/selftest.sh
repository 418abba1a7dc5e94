#!/bin/sh
# Plant every sin the lints are for in a small tree, and see it found; and see the tree pass
# without it.  usage: selftest.sh CC CXX
lint=$(cd "$(dirname "$0")" && pwd)
cc=$1 cxx=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
bad=0 planted=0

# A tree of a few clean files.
fresh() {
	rm -rf "$tree"
	mkdir -p "$tree/core/include/cohort" "$tree/core/base" "$tree/core/os" "$tree/core/wire" \
		"$tree/core/work" "$tree/net/include/cohort" "$tree/net/addr" "$tree/net/trust" \
		"$tree/net/conn" "$tree/tests/core" "$tree/tests/cluster" "$tree/cmake"
	echo 'add_compile_options(-Wformat=2)' >"$tree/cmake/CohortWarnings.cmake"
	cat >"$tree/core/include/cohort/time.h" <<-'END'
		/* time.h - a header with enough words in it. */
		#ifndef COHORT_TIME_H
		#define COHORT_TIME_H
		#ifdef __cplusplus
		extern "C" {
		#endif
		#define COHORT_API __attribute__((visibility("default")))
		/* What it does, */
		/* and what it gives. */
		/* Any thread. */
		/* Waits for nothing. */
		/* Returns it. */
		COHORT_API int cohort_time_tell(int what);
		#ifdef __cplusplus
		}
		#endif
		#endif
	END
	echo '#include <cohort/time.h>' >"$tree/core/include/cohort/cohort.h"
	echo 'int coh_time_zone(int what);' >"$tree/core/base/time.h"
	cat >"$tree/core/base/time.c" <<-'END'
		/* time.c - a clean file; malloc( and sleep( in a comment are nothing. */
		#include "base/time.h"

		#include <cohort/time.h>
		#include <stdio.h>

		static const char text[] = "malloc(3) and sleep(1)";

		int cohort_time_tell(int what)
		{
			if (what > 0)
				return text[0];
			return coh_time_zone(what);
		}

		int coh_time_zone(int what)
		{
			return what;
		}
	END
}

# expect WORDS LINT [ARGUMENT...]: it must fail and say so.
expect() {
	words=$1 name=$2
	shift 2
	planted=$((planted + 1))
	if NAMES_ALLOW=/dev/null "$lint/$name.sh" "$tree" "$@" >"$work/out" 2>&1; then
		echo "selftest: $name did not find: $words"
		bad=1
	elif ! grep -q -- "$words" "$work/out"; then
		echo "selftest: $name failed without saying \"$words\":"
		cat "$work/out"
		bad=1
	fi
	fresh
}

clean() {
	name=$1
	shift
	NAMES_ALLOW=/dev/null "$lint/$name.sh" "$tree" "$@" >"$work/out" 2>&1 || {
		echo "selftest: $name fails on a clean tree:"
		cat "$work/out"
		bad=1
	}
}

# code FILE: standard input goes to its end.
code() {
	cat >>"$tree/$1"
}

repeat() { # COUNT LINE
	awk -v n="$1" -v line="$2" 'BEGIN { while (n-- > 0) print line }'
}

library() {
	# shellcheck disable=SC2046 # a list of files
	$cc -I"$tree/core" -I"$tree/core/include" -fPIC -fvisibility=hidden -c \
		"$tree/core/base/time.c" -o "$work/time.o" &&
		$cc -shared -o "$work/lib.so" "$work/time.o" && rm -f "$work/lib.a" &&
		ar rc "$work/lib.a" "$work/time.o"
}

fresh
clean layers
clean headers "$cc" "$cxx"
clean sizes
clean names
clean calls
clean literals
clean words
library
clean symbols "$work/lib.so" "$work/lib.a"

# layers
echo '#include "os/fd.h"' | code core/base/time.c; : | code core/os/fd.h
expect 'core/base may not include core/os' layers
: | code core/wire/frame.h; echo '#include "wire/frame.h"' | code core/os/fd.c
expect 'core/os may not include core/wire' layers
: | code net/addr/address.h; echo '#include "addr/address.h"' | code core/work/pool.c
expect 'core/work may not include net/addr' layers
: | code net/addr/address.h; echo '#include "addr/address.h"' | code net/trust/key.c
expect 'net/trust may not include net/addr' layers
: | code net/include/cohort/auth.h; echo '#include <cohort/auth.h>' | code core/work/pool.c
expect 'core/work may not include <cohort/auth.h>' layers
echo '#include <openssl/evp.h>' | code net/conn/tls.c
expect '<openssl/evp.h> belongs in net/trust/hmac_openssl.c' layers
echo '#include <tpl.h>' | code core/wire/message.c
expect '<tpl.h> belongs in core/wire/codec_tpl.c' layers
echo '#include <event2/event.h>' | code core/os/fd.c
expect '<event2/event.h> belongs in' layers
echo '#include <CUnit/Basic.h>' | code tests/core/test_time.c
expect '<CUnit/Basic.h> belongs in tests/support' layers
echo '#include <glib.h>' | code core/os/fd.c
expect '<glib.h> is on no list' layers

# symbols
echo '__attribute__((visibility("default"))) int helper_of_mine(void) { return 1; }' | code core/base/time.c
library
expect 'helper_of_mine: exported, and does not begin' symbols "$work/lib.so" "$work/lib.a"
echo 'int helper_of_mine(void) { return 1; }' | code core/base/time.c
library
expect 'helper_of_mine: a cross-file symbol' symbols "$work/lib.so" "$work/lib.a"
echo '__attribute__((visibility("default"))) int cohort_secret(void) { return 1; }' | code core/base/time.c
library
expect 'cohort_secret: exported, but in no public header' symbols "$work/lib.so" "$work/lib.a"
library
echo 'COHORT_API int cohort_promise(void);' | code core/include/cohort/time.h
expect 'cohort_promise: declared COHORT_API' symbols "$work/lib.so" "$work/lib.a"

# headers
echo 'size_t cohort_time_size(void);' | code core/include/cohort/time.h
expect 'does not compile alone as C:' headers "$cc" "$cxx"
echo 'int cohort_time_new(int class);' | code core/include/cohort/time.h
expect 'does not compile alone as C++' headers "$cc" "$cxx"
echo 'struct coh_fd { size_t n; };' | code core/os/fd.h
expect 'core/os/fd.h: does not compile alone' headers "$cc" "$cxx"
echo 'struct coh_fd { struct event_base *base; };' | code core/os/fd.h
expect "a third party's type" headers "$cc" "$cxx"
repeat 60 'int cohort_time_more(int a);' | code core/include/cohort/time.h
expect '% comment' headers "$cc" "$cxx"
cp "$tree/core/include/cohort/time.h" "$tree/core/include/cohort/new.h"
expect 'cohort.h does not include it' headers "$cc" "$cxx"

# sizes
repeat 701 '' | code core/base/time.c
expect '7[0-9][0-9] lines, at most 700' sizes
{ echo 'int coh_time_long(void)'; echo '{'; repeat 81 '	call();'; echo '}'; } | code core/base/time.c
expect 'coh_time_long has 81 lines' sizes
printf 'int coh_time_many(int a, int b, int c,\n    int (*d)(int, int), int e, int f, int g)\n{\n}\n' | code core/base/time.c
expect 'coh_time_many has 7 parameters' sizes
{ echo 'int coh_time_deep(void)'; echo '{'; t=''; for i in 1 2 3 4 5; do t="$t	"; echo "${t}if ($i)"; done; echo "$t	x();"; echo '}'; } | code core/base/time.c
expect 'coh_time_deep nests 5 deep' sizes
{ echo '/* sizes: a table of messages, one line each */'; echo 'int coh_time_long(void)'; echo '{'; repeat 81 '	call();'; echo '}'; } | code core/base/time.c
clean sizes
fresh

# names
printf 'int coh_clock_tell(void)\n{\n}\n' | code core/base/time.c
expect "coh_clock_tell does not begin with the file's noun" names
printf 'int time_tell(void)\n{\n}\n' | code core/base/time.c
expect 'time_tell begins neither' names

# calls
for call in 'malloc(1)' 'free(p)' 'strdup(p)' 'clock_gettime(1, p)' 'strcpy(a, b)' 'sprintf(a, b)' \
	'atoi(a)' 'printf(a)' 'fprintf(stderr, a)' 'setenv(a, b, 1)' 'usleep(1)'; do
	printf 'static void f(void)\n{\n\t%s;\n}\n' "$call" | code core/base/time.c
	expect "${call%%(*}:" calls
done
printf 'static int f(void)\n{\n\treturn memcmp(mac, got, 32);\n}\n' | code net/trust/key.c
expect 'memcmp: on a secret' calls
printf 'static void f(void)\n{\n\tnanosleep(&t, NULL);\n}\n' | code tests/core/test_time.c
expect 'nanosleep: wait for a fact' calls
printf '#!/bin/sh\nstart & sleep 1\n' | code tests/cluster/01_start.sh
expect 'sleep: wait for a fact' calls

# literals
echo 'int coh_say(const char *format, ...);' | code core/base/time.h
expect 'without COHORT_PRINTF' literals
: >"$tree/cmake/CohortWarnings.cmake"
expect '-Wformat=2 is off' literals
printf 'static void f(void)\n{\n\ttpl_map(\n\t    from_peer, &x);\n}\n' | code core/wire/message.c
expect 'tpl_map of something' literals

# words
echo '/* TO''DO: later */' | code core/base/time.c
expect 'unfinished' words
echo '# FIX''ME' | code cmake/CohortWarnings.cmake
expect 'unfinished' words

[ $bad -ne 0 ] || echo "selftest: ok, $planted sins found"
exit $bad
