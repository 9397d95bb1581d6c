#!/usr/bin/env bash
# Installs what Transect needs on Debian and is missing, and builds it. Run again it does nothing.
#
#   setup.sh          what running needs
#   setup.sh --test   and what the tests need
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '%s\n' "setup: $*" >&2; }

packages=()
need() { # COMMAND-OR-FILE PACKAGE
  case "$1" in
    /*) [ -e "$1" ] || packages+=("$2") ;;
    *) command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || packages+=("$2") ;;
  esac
}

need nats-server nats-server
need /usr/include/pcap/pcap.h libpcap-dev
need g++ build-essential
need make build-essential
need python3 python3
need ip iproute2
need setpriv util-linux
need flock util-linux
if [ "${1:-}" = --test ]; then
  need tshark tshark
  need nmap nmap
  need nft nftables
  need openssl openssl
  need ssh-keygen openssh-client
  need curl curl
  need pgrep procps
  need dockerd docker.io
  need iptables iptables
  need /usr/bin/busybox busybox-static
fi

if [ ${#packages[@]} -gt 0 ]; then
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || { say "run as root, or install sudo: ${packages[*]} are missing"; exit 1; }
    as_root=(sudo)
  fi
  say "installing ${packages[*]} (Debian)"
  "${as_root[@]}" apt-get update -qq
  # Servers of our own are started when they are needed. Debian's packages enable services of theirs: those
  # that were not there before are not there afterwards, and none is started meanwhile.
  units=/etc/systemd/system
  before=$(find "$units" -type l 2>/dev/null | sort || true)
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
  fi
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Use-Pty=0 "${packages[@]}" >/dev/null
  after=$(find "$units" -type l 2>/dev/null | sort || true)
  comm -13 <(printf '%s\n' "$before") <(printf '%s\n' "$after") | while IFS= read -r link; do
    [ -n "$link" ] || continue
    say "not enabled: ${link##*/}, which was not there before"
    "${as_root[@]}" rm -f "$link"
  done
fi

major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
if [ "${major:-0}" -lt 20 ]; then
  say "Node.js 20 or later is needed; found: $(node --version 2>/dev/null || echo none)"
  exit 1
fi

if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.installed ]; then
  say 'installing npm packages'
  # Not `npm ci`: it refuses a lock file without the optional packages of every other platform.
  npm install --no-save --no-fund --no-audit --loglevel=error >&2
  touch node_modules/.installed
fi

if [ ! -e dist/.built ]; then say 'building'; fi
deploy/build.sh
