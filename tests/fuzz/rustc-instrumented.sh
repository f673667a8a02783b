#!/bin/sh
# Stands in for rustc (RUSTC_WRAPPER): adds libFuzzer's instrumentation to the code under
# test and to the parsers that it leans on, and to nothing else, so that the counters that
# libFuzzer walks after every input stay few and the build stays short.
case " $* " in
*" --crate-name weir "* | *" --crate-name serde_json "* | *" --crate-name spool_recovery "* | \
    *" --crate-name request_facts "* | *" --crate-name sse_reader "*)
    exec "$@" -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
        -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
        -Cllvm-args=-sanitizer-coverage-trace-compares
    ;;
*) exec "$@" ;;
esac
