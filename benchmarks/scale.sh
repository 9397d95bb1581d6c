#!/usr/bin/env bash
# What a large survey costs the coordinator: scale.sh [AGENTS] [SHARDS] [SHARDS_PER_SECOND]
set -euo pipefail
cd "$(dirname "$0")/.."
. benchmarks/compile.sh
ulimit -n 65536 2>/dev/null || true
node "$out/benchmarks/scale/main.js" "$PWD" "${1:-1000}" "${2:-1000000}" "${3:-1000}"
