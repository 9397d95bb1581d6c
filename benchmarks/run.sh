#!/usr/bin/env bash
# Runs the benchmarks that need nothing but this machine, and prints their tables.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/setup.sh
out=$(mktemp -d "${TMPDIR:-/tmp}/transect-bench-XXXXXX")
trap 'rm -rf "$out"' EXIT
node_modules/.bin/tsc --outDir "$out" --incremental false
cp -r shared/bus/gen "$out/shared/bus/"
cp -r shared/simd/gen "$out/shared/simd/"
ln -s "$PWD/node_modules" "$out/node_modules"
cp package.json "$out/"
for name in space-speed packet-speed permutation-quality; do node "$out/benchmarks/$name.js"; done
