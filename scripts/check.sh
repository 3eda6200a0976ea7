#!/usr/bin/env bash
# What can be found without running anything.
set -euo pipefail
cd "$(dirname "$0")/.."
unformatted=$(git ls-files -z '*.go' | xargs -0 gofmt -l)
if [ -n "$unformatted" ]; then
  printf 'not formatted (gofmt -w):\n%s\n' "$unformatted" >&2
  exit 1
fi
go mod tidy -diff
go build ./...
go vet ./...
go vet -tags vigilfault ./internal/fault ./supervisor ./control/server
GOARCH=arm64 go vet ./...
go tool staticcheck ./...
# The pages that are built into vigil are those of their source.
fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
scripts/web.sh "$fresh"
if ! diff -r "$fresh" browser/web/dist >/dev/null; then
  echo "browser/web/dist is not what browser/web/src says: run scripts/web.sh" >&2
  exit 1
fi
