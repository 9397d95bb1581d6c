#!/usr/bin/env bash
# Installs what the tests need and is missing, builds, and runs all checks and tests.
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/setup.sh --test
npm run --silent check
