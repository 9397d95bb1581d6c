# Sourced: compiles everything, benchmarks included, into $out, which goes with the shell.
deploy/setup.sh
out=$(mktemp -d "${TMPDIR:-/tmp}/transect-bench-XXXXXX")
trap 'rm -rf "$out"' EXIT
node_modules/.bin/tsc --outDir "$out" --incremental false
cp -r shared/bus/gen "$out/shared/bus/"
cp -r shared/simd/gen "$out/shared/simd/"
ln -s "$PWD/node_modules" "$out/node_modules"
cp package.json "$out/"
