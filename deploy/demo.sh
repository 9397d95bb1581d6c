#!/usr/bin/env bash
# A survey of this machine's own loopback, for people who see Transect for the first time: installs
# what is missing, listens on one port, surveys 127.1.0.0/16 on that port and a closed one, and
# shows what came out. Leaves nothing running, whether it ends or is interrupted.
set -euo pipefail
cd "$(dirname "$0")/.."

deploy/setup.sh

if [ "$(id -u)" != 0 ]; then
  echo 'demo: probes need raw sockets, so the rest runs with sudo' >&2
  exec sudo --preserve-env=PATH "$0"
fi

folder=$(mktemp -d "${TMPDIR:-/tmp}/transect-demo-XXXXXX")
listeners=$folder/listeners.mjs
# The kernel picks the ports: whatever else runs here is left alone.
cat >"$listeners" <<'EOF'
import { createServer } from 'node:net';
import { once } from 'node:events';

const open = createServer((socket) => socket.destroy()).listen(0, '0.0.0.0', 4096);
const closed = createServer().listen(0, '0.0.0.0');
await Promise.all([once(open, 'listening'), once(closed, 'listening')]);
const ports = [open.address().port, closed.address().port];
closed.close(() => console.log(ports.join(' ')));
EOF
exec 3< <(exec setpriv --pdeathsig KILL node "$listeners")
listener=$!
survey=
finish() {
  trap - EXIT INT TERM
  kill "$listener" 2>/dev/null || true
  rm -f "$listeners"
}
trap finish EXIT
# The survey has a session of its own, so that Ctrl-C reaches it once, through us: it settles and
# stores what it has sent, and we end as it did.
trap '[ -z "$survey" ] || kill -INT "$survey" 2>/dev/null || true' INT TERM
read -r -u 3 open closed

cat <<EOF

Transect surveys address space with many agents at once. This demo surveys this machine only:
127.1.0.0/16 on port $open (something listens) and port $closed (nothing does), with two agents.

  \$ ./transect scan 127.1.0.0/16 -p $open,$closed --allow-special 127.0.0.0/8 \\
      -r 20000 --agents 2 --rows all -o rows.csv -f saddr,sport,classification,ttl

EOF
setsid ./transect scan 127.1.0.0/16 -p "$open,$closed" --allow-special 127.0.0.0/8 \
  -r 20000 --cooldown 4s --agents 2 --rows all \
  -o "$folder/rows.csv" -f saddr,sport,classification,ttl --data "$folder/data" &
survey=$!
code=0
wait "$survey" || code=$?
while kill -0 "$survey" 2>/dev/null; do # a trap interrupts wait
  code=0
  wait "$survey" || code=$?
done

if [ -s "$folder/rows.csv" ]; then
  printf '\nSome rows:\n\n'
  sed -n '1,6p' "$folder/rows.csv" | sed 's/^/  /'
fi
cat <<EOF

Try next:

  ./transect scan 127.0.0.1 -p 1-65535 --allow-special 127.0.0.0/8 -r 50000   # what listens here
  ./transect scan --help                                                      # all options
  ./transect coordinator                                                      # many hosts: README.md

EOF
exit "$code"
