#!/usr/bin/env bash
# Measures what Weir costs and writes RESULTS.md beside this file, or another with --out FILE.
# With --quick, about three minutes. Traces are replayed where WEIR_DATA names a folder with
# traffic/*.jsonl, see src/trace.rs. With --profile MEASURE, where the processor time goes instead.
# Everything listens on loopback and ends with this script.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

target="${CARGO_TARGET_DIR:-target}"
# Debian keeps servers such as nginx where an ordinary user's PATH does not look.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

cargo build --profile dist -p weir -p weir-bench

if [ -z "${WEIR_CHDB:-}" ]; then
  WEIR_CHDB="$("${PYTHON:-python3}" deploy/setup/setup.py paths --json | sed -n 's/.*"store_library": "\(.*\)".*/\1/p')"
  export WEIR_CHDB
fi

if [ "${1:-}" = "--profile" ]; then
  exec bash tests/bench/profile.sh "${2:-closed}" "$target/dist"
fi

label="$(date -u +%F), commit $(git rev-parse --short HEAD 2> /dev/null || echo unknown)"
options=(--weir "$target/dist/weir" --label "$label")
case " $* " in
  *" --out "*) ;;
  *) options+=(--out tests/bench/RESULTS.md) ;;
esac
exec "$target/dist/weir-bench" run "${options[@]}" "$@"
