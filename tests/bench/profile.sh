#!/usr/bin/env bash
# Where Weir's processor time goes under one measure: profile.sh MEASURE FOLDER-OF-PROGRAMS
# Uses `perf`, with the processor's clock, so it needs no hardware counters; prints the dearest
# threads, functions by themselves, then with what they call. The whole record stays in perf.data.
# No pipefail: `head` ends its pipe early.
set -eu

measure="$1"
programs="$2"
seconds=6

command -v perf > /dev/null || { echo "perf is missing: install linux-perf (Debian) or linux-tools (Ubuntu)"; exit 1; }
record="$(mktemp --tmpdir weir-perf-XXXXXX.data)"

"$programs/weir-bench" run --only "$measure" --seconds "$seconds" --weir "$programs/weir" &
load=$!
trap 'kill "$load" 2> /dev/null || true' EXIT
# Weir is the load's child that is called so; the store's process is Weir's child, not measured here.
weir=""
for _ in $(seq 100); do
  weir="$(pgrep --parent "$load" --exact weir || true)"
  [ -n "$weir" ] && break
  sleep 0.05
done
[ -n "$weir" ] || { echo "weir did not start"; exit 1; }
sleep 2
perf record --quiet --event cpu-clock --freq 997 --call-graph dwarf,8192 --pid "$weir" --output "$record" -- sleep 4
wait "$load"
trap - EXIT

shown() { perf report --input "$record" --stdio --no-inline --call-graph none "$@" 2> /dev/null | grep -v '^#' | grep -v '^$' || true; }
echo
echo "by threads:"
shown --no-children --sort comm | head -n 12 || true
for thread in weir-path weir-recorder; do
  echo "$thread, by themselves:"
  shown --comm "$thread" --no-children --sort symbol | head -n 40
  echo "$thread, with what they call:"
  shown --comm "$thread" --children --sort symbol | head -n 60
done
echo "record: $record"
