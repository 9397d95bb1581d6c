#!/usr/bin/env bash
# Runs the benchmarks that need nothing but this machine, and prints their tables.
set -euo pipefail
cd "$(dirname "$0")/.."
. benchmarks/compile.sh
for name in space-speed packet-speed permutation-quality sink-speed; do node "$out/benchmarks/$name.js"; done
