#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [SECONDS [TARGET...]]: search with every libFuzzer target for SECONDS each (default 60).
# What it finds new is kept in build-fuzz/found/TARGET; a crash is copied to tests/fuzz/corpus/TARGET.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
[ $# -gt 0 ] && shift
build=build-fuzz
[ -f $build/build.ninja ] || CC=clang meson setup $build -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false \
	-Doptimization=1 -Dwerror=false >/dev/null
ninja --quiet -C $build fuzzers
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(ls tests/fuzz/corpus)
bad=0
for t in "${targets[@]}"; do
	mkdir -p $build/found/"$t" $build/crashes
	if $build/tests/fuzz/fuzz_"$t" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 -max_len=65536 \
		-artifact_prefix=$build/crashes/"$t"- -print_final_stats=1 -verbosity=0 \
		$build/found/"$t" tests/fuzz/corpus/"$t" > $build/"$t".log 2>&1; then
		echo "$t: $(awk '/number_of_executed_units/ {print $2}' $build/"$t".log) inputs, nothing found"
	else
		bad=1
		echo "$t: FAILED, see $build/$t.log"
		tail -n 30 $build/"$t".log
		for c in $build/crashes/"$t"-*; do [ -f "$c" ] && cp "$c" tests/fuzz/corpus/"$t"/; done
	fi
done
exit $bad
