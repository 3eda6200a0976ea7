#!/usr/bin/env bash
# The demo: the example bank deadlocks, vigil notices, takes the stacks, starts
# it again, and shows the incident. Everything is in one temporary directory;
# nothing is left running.
set -euo pipefail
bin=$(cd "$1" && pwd)
dir=$(mktemp -d -t vigil-demo.XXXXXX)
run=$dir/run state=$dir/state
mkdir -p "$run" "$state"
say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
vigil() { "$bin/vigil" --runtime-dir "$run" --state-dir "$state" "$@"; }

say "vigil supervises the example service (heartbeat limit 2 s)"
"$bin/vigil" run --runtime-dir "$run" --state-dir "$state" --name wedge --ready notify --heartbeat 2s -- \
  "$bin/wedge" -listen 127.0.0.1:0 -addr-file "$dir/address" &
pid=$!
finish() {
  kill -TERM "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || true
}
trap finish EXIT

# wait_for N DESCRIPTION COMMAND...: at most N tenths of a second.
wait_for() {
  local n=$1 what=$2
  shift 2
  for _ in $(seq "$n"); do
    if "$@" >/dev/null 2>&1; then return 0; fi
    kill -0 "$pid" 2>/dev/null || { echo "vigil has ended early" >&2; exit 1; }
    sleep 0.1
  done
  echo "waited in vain for $what" >&2
  exit 1
}
instance() { vigil status --json | sed -n 's/.*"instance": *\([0-9]*\).*/\1/p' | head -n1; }
ready() { vigil status --json | grep -q '"ready": *true'; }
second() { [ "$(instance)" -ge 2 ] && ready; }
complete() { vigil incidents list --json | grep -Eq '"status": *"(complete|partial)"'; }

wait_for 150 "the service to be ready" ready
vigil status
say "asking it to deadlock two of its workers"
get() { # one HTTP GET by the shell alone
  exec 3<>"/dev/tcp/${1%:*}/${1##*:}"
  printf 'GET %s HTTP/1.0\r\n\r\n' "$2" >&3
  cat <&3
  exec 3>&-
}
get "$(cat "$dir/address")" /deadlock | tail -n 1 || true
wait_for 200 "the hang to be noticed and the service started again" second
wait_for 600 "the incident to be complete" complete
say "after the restart"
vigil status
say "the incident"
vigil incidents show last
say "stopping"
finish
trap - EXIT
echo "everything of this demo is in $dir (remove it when you have looked around)"
echo "  again: $bin/vigil incidents --state-dir $state show last"
