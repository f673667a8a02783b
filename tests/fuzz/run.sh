#!/bin/sh
# Runs every fuzz target for some seconds (default 30), on stable Rust and without cargo-fuzz.
#   tests/fuzz/run.sh [seconds-per-target]
# Found inputs are gathered under target/fuzz/corpus and grow from run to run.
# Exit 1 with the path of the input that failed; run the printed command to see it again.
set -eu
seconds=${1:-30}
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}/fuzz
command -v g++ >/dev/null || command -v clang++ >/dev/null || {
    echo "tests/fuzz needs a C++ compiler to build libFuzzer: install g++" >&2
    exit 1
}
mkdir -p "$target"
target=$(cd "$target" && pwd)
(cd "$here" && RUSTC_WRAPPER="$here/rustc-instrumented.sh" \
    cargo build --locked --quiet --profile fuzz --target-dir "$target")

for name in spool_recovery request_facts sse_reader render; do
    corpus=$target/corpus/$name
    found=$target/found/$name
    log=$target/$name.log
    mkdir -p "$corpus" "$found"
    if ! "$target/fuzz/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -use_value_profile=1 -print_final_stats=1 -artifact_prefix="$found/" \
        "$corpus" "$here/seeds/$name" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        echo "FAILED $name; again with: $target/fuzz/$name $input" >&2
        exit 1
    fi
    speed=$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    first=$(sed -n 's/.*INITED cov: \([0-9]*\).*/\1/p' "$log")
    last=$(sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$log" | tail -n 1)
    echo "$name: $runs executions, $speed/s, coverage $first -> $last"
done
