#!/usr/bin/env bash
# Runs ours beside zmap, masscan and trafgen, in namespaces that nothing leads out of, prints the
# tables and writes them into benchmarks/README.md. Needs root; installs Debian's peers when missing.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo 'bench:peers makes network namespaces: run it as root' >&2; exit 1; }
missing=()
command -v zmap >/dev/null || missing+=(zmap)
command -v masscan >/dev/null || missing+=(masscan)
command -v trafgen >/dev/null || missing+=(netsniff-ng)
if [ ${#missing[@]} -gt 0 ]; then
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi
. benchmarks/compile.sh
TRANSECT_ROOT=$PWD node "$out/benchmarks/peers/main.js" "$PWD"
node_modules/.bin/biome format --write benchmarks/README.md >/dev/null
