#!/usr/bin/env bash
# A coordinator and one agent that live long: survey after survey, two at a time, for ten minutes, on
# loopback and on Ethernet, answered and not; what they hold is printed as it goes. Needs root.
#
#   npm run bench:soak -- [SURVEYS [SPACE…]]    spaces within 127.0.0.0/8, 198.18.0.0/15
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo 'bench:soak makes network namespaces: run it as root' >&2; exit 1; }
. benchmarks/compile.sh
here=ts$$ there=tt$$
ip netns add "$here"
ip netns add "$there"
trap 'ip netns del "$here"; ip netns del "$there"; rm -rf "$out"' EXIT
ip -n "$here" link add eth0 type veth peer name eth0 netns "$there"
for name in "$here" "$there"; do
  ip -n "$name" link set lo up
  ip -n "$name" link set eth0 up
done
ip -n "$here" address add 100.64.0.2/24 dev eth0
ip -n "$there" address add 100.64.0.1/24 dev eth0
ip -n "$there" route add local 198.18.0.0/16 dev lo
ip -n "$there" route add blackhole 198.19.0.0/16
ip -n "$here" route add 198.18.0.0/15 via 100.64.0.1
ip netns exec "$here" node "$out/benchmarks/soak/main.js" "$PWD" "$@"
