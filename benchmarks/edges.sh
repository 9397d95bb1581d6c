#!/usr/bin/env bash
# What people wait for: lists read and planned, commands answered, a small scan from command to prompt; beside masscan,
# and beside another checkout if BEFORE names one that is built. Prints the table and writes it into
# benchmarks/README.md. Needs root for the scan; it stays on loopback.
#
#   benchmarks/edges.sh [large]    `large` adds the lists of twenty million lines
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo 'bench:edges scans loopback: run it as root' >&2; exit 1; }
missing=()
command -v masscan >/dev/null || missing+=(masscan)
[ -x /usr/bin/time ] || missing+=(time)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
npm run -s build
. benchmarks/compile.sh
TRANSECT_ROOT=$PWD node "$out/benchmarks/edges/main.js" "$@"
node_modules/.bin/biome format --write benchmarks/README.md >/dev/null
