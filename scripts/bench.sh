#!/usr/bin/env bash
# The figures of docs/figures.md, in less than five minutes. What is compared is
# compared within one run; on a busy machine only the ratios mean something.
set -euo pipefail
cd "$(dirname "$0")/.."
say() { printf '\n== %s\n' "$*"; }
say "machine: $(nproc) processors, kernel $(uname -r | cut -d. -f1,2), load $(cut -d' ' -f1-3 /proc/loadavg)"
for peer in runsvdir s6-svscan; do
  command -v "$peer" >/dev/null || echo "without $peer: its rows are missing (scripts/install-test-deps.sh installs it)"
done
dir=$(mktemp -d -t vigil-bench.XXXXXX)
trap 'rm -rf "$dir"' EXIT
for name in restart memory verdict output signals beat threads notify store; do
  "${GO:-go}" build -o "$dir/$name" "./bench/$name" # beforehand: no compiler runs beside a measurement
done
say "restart";  "$dir/restart" -n 60
say "memory";   "$dir/memory"
say "verdict";  "$dir/verdict" -n 30
say "output";   "$dir/output" -bytes $((64 << 20)) -rounds 3
say "signals";  "$dir/signals"
say "beat";     "$dir/beat"
say "threads";  "$dir/threads"
say "notify";   "$dir/notify"
say "store";    "$dir/store" -n 5
say "load at the end $(cut -d' ' -f1-3 /proc/loadavg)"
