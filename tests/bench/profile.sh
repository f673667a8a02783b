#!/usr/bin/env bash
# Where Weir's processor time goes under one measure: profile.sh MEASURE FOLDER-OF-PROGRAMS
# Uses `perf`, with the processor's clock, so it needs no hardware counters; prints the dearest
# functions by themselves, then with what they call. The whole record stays in perf.data.
set -euo pipefail

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
perf record --quiet --event cpu-clock --freq 2000 --call-graph fp --no-inherit --pid "$weir" --output "$record" -- sleep 4
wait "$load"
trap - EXIT

echo
echo "by threads:"
perf report --input "$record" --stdio --no-children --sort comm --call-graph none 2> /dev/null | grep -v '^#' | grep -v '^$' | head -n 12
echo "by themselves:"
perf report --input "$record" --stdio --no-children --sort symbol --call-graph none 2> /dev/null | grep -v '^#' | grep -v '^$' | head -n 60
echo "record: $record"
