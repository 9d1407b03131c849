#!/usr/bin/env bash
# Runs a fuzz target of tests/events/targets.rs, or frames::TARGET of frames.rs, with libFuzzer,
# which follows the coverage, for as many seconds as one likes. What it finds interesting is kept in
# target/fuzz/corpus, what breaks in target/fuzz/crashes.
#
#   tests/fuzz.sh rendering_markdown [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:?"which target? see tests/events/targets.rs and frames.rs"}
case $target in *::*) test=$target ;; *) test=targets::$target ;; esac
seconds=${2:-60}
deploy/need.sh cc=gcc c++=g++
mkdir -p target/fuzz/corpus/"$target" target/fuzz/crashes/"$target"
here=$(pwd)/target/fuzz

# Events of the field are what decoding begins with.
case $target in
decoding_*)
    for body in tests/field/*/*.json; do
        case $body in
        *.expected.json | */properties.json) ;;
        *) cp "$body" "$here/corpus/$target/$(basename "$(dirname "$body")")-$(basename "$body")" ;;
        esac
    done
    ;;
esac

# The binaries that are built along have coverage counters too, and need functions that count. In
# the target, libFuzzer's own functions take their place.
{
    for name in 8bit_counters_init pcs_init trace_pc_indir trace_switch trace_div4 trace_div8 trace_gep \
        trace_cmp1 trace_cmp2 trace_cmp4 trace_cmp8 trace_const_cmp1 trace_const_cmp2 trace_const_cmp4 trace_const_cmp8; do
        echo "__attribute__((weak)) void __sanitizer_cov_$name(void) {}"
    done
} > "$here"/stubs.c
cc -c -fPIC -o "$here"/stubs.o "$here"/stubs.c
printf '#!/bin/sh\nexec cc "$@" %s\n' "$here"/stubs.o > "$here"/cc
chmod +x "$here"/cc

# What cargo-bolero passes, for one test target instead of all of them.
flags="--cfg fuzzing -Cpasses=sancov-module --cfg fuzzing_libfuzzer"
for pass in inline-8bit-counters level=4 pc-table trace-compares; do
    flags="$flags -Cllvm-args=-sanitizer-coverage-$pass"
done
export RUSTFLAGS=$flags BOLERO_FUZZER=libfuzzer
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=$here/cc CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$here/cc
host=$(rustc -vV | sed -n 's/^host: //p')
binary=$(cargo test --locked --test events --target "$host" --target-dir target/fuzz/build --no-run --message-format json |
    sed -n 's/.*"name":"events".*"executable":"\([^"]*\)".*/\1/p' | tail -1)

export BOLERO_TEST_NAME=$test BOLERO_LIBTEST_HARNESS=1
export BOLERO_LIBFUZZER_ARGS="$here/corpus/$target -artifact_prefix=$here/crashes/$target/ -timeout=10 -max_total_time=$seconds"
exec "$binary" "$test" --exact --nocapture --quiet --test-threads 1
