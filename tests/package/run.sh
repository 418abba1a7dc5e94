#!/bin/sh
# Install into a folder, move it elsewhere, and build and run a program against it: in C and in
# C++, shared and static, found by pkg-config and by CMake.
# usage: run.sh BUILD SOURCE CC CXX GENERATOR
set -eu
build=$1 source=$2 cc=$3 cxx=$4 generator=$5
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cmake --install "$build" --prefix "$work/first" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
mv "$work/first" "$work/prefix"
prefix=$work/prefix
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name cohort.pc)")
lib=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH

needs_shared() {
	readelf -d "$1" | grep -q 'NEEDED.*\[libcohort\.so\.0\]'
}

# PROGRAM KIND: run it, and see that it is linked the way it should be.
judge() {
	case $2 in
	shared) needs_shared "$1" || { echo "package: $1 does not need libcohort.so.0"; exit 1; } ;;
	static) if needs_shared "$1"; then echo "package: $1 is not linked statically"; exit 1; fi ;;
	esac
	[ "$(LD_LIBRARY_PATH=$lib "$1")" = "outside: ok" ] || { echo "package: $1 failed"; exit 1; }
}

flags=$(pkg-config --cflags cohort)
shared=$(pkg-config --libs cohort)
static=$(pkg-config --static --libs cohort | sed 's/-lcohort/-l:libcohort.a/')
src=$source/tests/package/outside.c
# the flags are lists of words
# shellcheck disable=SC2086
{
	$cc -std=c11 -Wall -Wextra -Werror $flags "$src" -o "$work/c_shared" $shared
	$cc -std=c11 -Wall -Wextra -Werror $flags "$src" -o "$work/c_static" $static
	$cxx -x c++ -Wall -Wextra -Werror $flags "$src" -o "$work/cxx_shared" -x none $shared
	$cxx -x c++ -Wall -Wextra -Werror $flags "$src" -o "$work/cxx_static" -x none $static
}
for kind in shared static; do
	judge "$work/c_$kind" $kind
	judge "$work/cxx_$kind" $kind
done

cmake -S "$source/tests/package" -B "$work/outside" -G "$generator" -DCMAKE_PREFIX_PATH="$prefix" \
	-DCMAKE_C_COMPILER="$cc" -DCMAKE_CXX_COMPILER="$cxx" >"$work/log" 2>&1 &&
	cmake --build "$work/outside" >>"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
judge "$work/outside/outside_cohort" shared
judge "$work/outside/outside_cxx_cohort" shared
judge "$work/outside/outside_cohort_static" static
judge "$work/outside/outside_cxx_cohort_static" static

readelf --dyn-syms -W "$lib/libcohort.so" | grep -q 'cohort_strerror@@COHORT_0\.1' ||
	{ echo "package: the symbols have no version"; exit 1; }
[ "$(pkg-config --modversion cohort)" = "$(sed -n 's/^project(cohort VERSION \([0-9.]*\).*/\1/p' "$source/CMakeLists.txt")" ] ||
	{ echo "package: cohort.pc has another version"; exit 1; }
if [ -e "$prefix/bin/cohort" ]; then
	"$prefix/bin/cohort" version || { echo "package: the installed command does not run"; exit 1; }
fi
echo "package: ok"
