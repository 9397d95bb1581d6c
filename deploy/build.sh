#!/usr/bin/env bash
# Generates the protobuf code and compiles to dist/. `build.sh proto` stops after the first.
# Does only what has become stale, so that the launchers can call it each time.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p dist
exec 9>dist/.lock
flock 9

gen=shared/bus/gen
if [ ! -s $gen/messages.d.ts ] || [ -n "$(find proto -newer $gen/messages.d.ts -print -quit)" ]; then
  mkdir -p $gen
  npx --no-install pbjs --target static-module --wrap es6 --dependency protobufjs/minimal.js \
    --no-create --no-verify --no-delimited --no-service --force-number \
    --out $gen/messages.js proto/*.proto
  npx --no-install pbts --out $gen/messages.d.ts.new $gen/messages.js
  # pbts writes a CommonJS import, which an ES module's declarations may not have.
  sed 's/^import Long = require("long");$/import Long from "long";/' $gen/messages.d.ts.new >$gen/messages.d.ts
  rm $gen/messages.d.ts.new
fi
[ "${1:-}" = proto ] && exit 0

if [ ! -e dist/.built ] || [ -n "$(find shared coordinator agent tsconfig.json tsconfig.build.json \
  package.json -newer dist/.built -print -quit)" ]; then
  npx --no-install tsc --project tsconfig.build.json
  mkdir -p dist/$gen
  cp $gen/messages.js dist/$gen/
  touch dist/.built
fi
