#!/bin/sh
# Core is what one machine can do: without net/ it builds, and keeps its promises over the addresses of one machine.  What
# is below addresses does not know of net/ and is tested beside it.
# usage: core_alone.sh SOURCE CC GENERATOR
set -eu
source=$1 cc=$2 generator=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/source"
for part in CMakeLists.txt cmake core examples tests README.md; do
	cp -r "$source/$part" "$work/source"
done
cmake -S "$work/source" -B "$work/build" -G "$generator" -DCMAKE_C_COMPILER="$cc" -DCOHORT_NET=OFF -DCMAKE_BUILD_TYPE=Debug \
	-DCOHORT_BENCH=OFF -DCOHORT_EXAMPLES=OFF -DCOHORT_WERROR=ON >"$work/log" 2>&1 &&
	cmake --build "$work/build" -j 2 --target cohort_shared pool_contract queue_contract test_task >"$work/log" 2>&1 ||
	{ tail -n 40 "$work/log"; exit 1; }
(cd "$work/build" && ctest -R '^(pool|queue)/|^test_task$' -j 2 --no-tests=error --output-on-failure) >"$work/log" 2>&1 ||
	{ tail -n 60 "$work/log"; exit 1; }
grep 'tests passed' "$work/log"
