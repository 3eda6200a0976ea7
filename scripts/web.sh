#!/usr/bin/env bash
# Builds the pages of `vigil browse` into browser/web/dist, or into $1.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(realpath -m "${1:-browser/web/dist}")
mkdir -p "$out"
cd browser/web
go tool esbuild src/main.tsx src/style.css --bundle --minify --format=esm --target=es2022 --charset=utf8 \
  --jsx-factory=h --jsx-fragment=Fragment --legal-comments=none --log-level=warning \
  --alias:preact=./vendor/preact/preact.mjs --alias:preact/hooks=./vendor/preact/hooks.mjs \
  --alias:uplot=./vendor/uplot/uPlot.esm.js --alias:dagre=./vendor/dagre/dagre.esm.js \
  --outdir="$out" --entry-names=app --banner:js="$(cat licences.txt)"
cp index.html icon.svg "$out"/
size=$(cat "$out"/* | gzip -9 | wc -c)
if [ "$size" -gt 153600 ]; then
  echo "the pages are $size bytes gzipped: the limit is 150 KB" >&2
  exit 1
fi
