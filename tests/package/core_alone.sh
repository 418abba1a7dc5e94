#!/bin/sh
# Core is what one machine can do: without net/ it builds and passes its tests.  The long ones, and those that try all
# interleavings are left to the build with net: nothing in them could tell the difference.
# usage: core_alone.sh SOURCE CC GENERATOR
set -eu
source=$1 cc=$2 generator=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir "$work/source"
for part in CMakeLists.txt cmake core examples tests README.md; do
	cp -r "$source/$part" "$work/source"
done
cmake -S "$work/source" -B "$work/build" -G "$generator" -DCMAKE_C_COMPILER="$cc" -DCOHORT_NET=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	-DCOHORT_BENCH=OFF -DCOHORT_EXAMPLES=OFF -DCOHORT_WERROR=ON >"$work/log" 2>&1 &&
	cmake --build "$work/build" -j 2 >"$work/log" 2>&1 || { tail -n 40 "$work/log"; exit 1; }
(cd "$work/build" && ctest -L unit -E '^model_|_(death|kill|faults)$|^(conn|sync|queue)/|^test_(dict|ring)$' -j 2 --output-on-failure) >"$work/log" 2>&1 || { tail -n 60 "$work/log"; exit 1; }
grep 'tests passed' "$work/log"
