#!/usr/bin/env bash
# Generates the code of the messages and the kernels, and compiles to dist/. `build.sh generated`
# stops after the first.
# Does only what has become stale, so that the launchers can call it each time, also as a user who
# may not write here.
set -euo pipefail
cd "$(dirname "$0")/.."

gen=shared/bus/gen
kernels=shared/simd/gen/kernels.wasm

proto_is_stale() {
  [ ! -s $gen/messages.d.ts ] || [ -n "$(find proto -newer $gen/messages.d.ts -print -quit)" ]
}

kernels_are_stale() {
  [ ! -s $kernels ] || [ -n "$(find shared/simd/assemblyscript -newer $kernels -print -quit)" ]
}

dist_is_stale() {
  [ ! -e dist/.built ] || [ -n "$(find shared coordinator agent test/lab/internet tsconfig.json tsconfig.build.json \
    package.json -newer dist/.built -print -quit)" ]
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
  node_modules/.bin/tsc --project tsconfig.build.json
  mkdir -p dist/$gen
  cp $gen/messages.js dist/$gen/
  mkdir -p dist/shared/simd/gen
  cp $kernels dist/$kernels
  mv dist/.building dist/.built # as old as the start of the build: later edits are newer
fi
