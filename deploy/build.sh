#!/usr/bin/env bash
# Generates the code of the messages and the kernels, and bundles the programs into dist/, because a command that
# loads hundreds of small modules starts slowly. `build.sh generated` stops after the first. Types are checked by
# `npm run check:types`.
# Does only what has become stale, so that the launchers can call it each time, also as a user who
# may not write here.
set -euo pipefail
cd "$(dirname "$0")/.."
. deploy/launch.sh # the list of sources

gen=shared/bus/gen
kernels=shared/simd/gen/kernels.wasm

proto_is_stale() {
  [ ! -s $gen/messages.d.ts ] || [ -n "$(find proto -newer $gen/messages.d.ts -print -quit)" ]
}

kernels_are_stale() {
  [ ! -s $kernels ] || [ -n "$(find shared/simd/assemblyscript -newer $kernels -print -quit)" ]
}

dist_is_stale() {
  [ ! -e dist/.built ] || [ -n "$(find $BUILT_FROM -newer dist/.built -print -quit)" ]
}

proto_is_stale || kernels_are_stale || { [ "${1:-}" != generated ] && dist_is_stale; } || exit 0

# Launchers started at the same time wait for the first.
mkdir -p dist
exec 9>dist/.lock
flock 9

if proto_is_stale; then
  mkdir -p $gen
  node_modules/.bin/pbjs --target static-module --wrap es6 --dependency protobufjs/minimal.js \
    --no-create --no-verify --no-delimited --no-service --force-number \
    --out $gen/messages.js proto/*.proto
  node_modules/.bin/pbts --out $gen/messages.d.ts.new $gen/messages.js
  # pbts writes a CommonJS import, which an ES module's declarations may not have.
  sed 's/^import Long = require("long");$/import Long from "long";/' \
    $gen/messages.d.ts.new >$gen/messages.d.ts
  rm $gen/messages.d.ts.new
fi

if kernels_are_stale; then
  node_modules/.bin/asc shared/simd/assemblyscript/kernels.ts --outFile $kernels \
    --enable simd --runtime stub --use abort= --noAssert -O3
fi

if [ "${1:-}" != generated ] && dist_is_stale; then
  touch dist/.building
  # Chunks that a running program may still load stay for a day.
  [ ! -d dist/chunks ] || find dist/chunks -mtime +1 -delete
  # Libraries that load files of their own stay outside.
  node_modules/.bin/esbuild coordinator/cli/main.ts agent/main.ts agent/sender-worker.ts test/lab/internet/main.ts \
    --bundle --splitting --platform=node --target=node20 --format=esm --outbase=. --outdir=dist \
    --banner:js="import { createRequire as requireFrom } from 'node:module'; const require = requireFrom(import.meta.url);" \
    --chunk-names=chunks/[name]-[hash] --log-level=warning \
    --external:koffi --external:pcap --external:@duckdb/* --external:fastify --external:ip-num
  mkdir -p dist/shared/simd/gen
  cp $kernels dist/$kernels
  mv dist/.building dist/.built # as old as the start of the build: later edits are newer
fi
