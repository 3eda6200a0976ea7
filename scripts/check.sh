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
