#!/usr/bin/env bash
# The whole system on one machine, in a namespace that nothing leads out of: how fast it begins, how
# fast beside a single process it sends, and how soon it continues when an agent dies. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo 'bench:distributed makes a network namespace: run it as root' >&2; exit 1; }
. benchmarks/compile.sh
namespace=tb$$
ip netns add "$namespace"
trap 'ip netns del "$namespace"; rm -rf "$out"' EXIT
ip netns exec "$namespace" node "$out/benchmarks/distributed/main.js" "$PWD"
