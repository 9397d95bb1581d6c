# Sourced by the launchers: runs a program of this checkout, after building what has become stale.
# Usage: launch NAME SCRIPT ARGUMENT…
BUILT_FROM='proto shared coordinator agent test/lab/internet deploy/build.sh package.json'
launch() {
  name=$1 script=$2
  # Where a stream is closed, the next file that is opened would take its place.
  (: >&1) 2>/dev/null || exec >/dev/null
  (: >&2) || exec 2>/dev/null
  shift 2
  [ -d "$here/node_modules" ] || { echo "$name: run 'npm run setup' in $here first" >&2; exit 1; }
  # Node cannot even load its modules with fewer, and prints a stack trace.
  files=$(ulimit -H -n)
  if [ "$files" != unlimited ] && [ "$files" -lt 256 ]; then
    echo "$name: $files file descriptors are too few: allow 256 or more (ulimit -n)" >&2
    exit 1
  fi
  # One search instead of the three of build.sh, which takes 40 ms.
  newer=$(cd "$here" && [ -e dist/.built ] && find $BUILT_FROM -newer dist/.built -print -quit) || newer=all
  [ -z "$newer" ] || "$here/deploy/build.sh" >&2 || exit 1
  # Node forgets that a signal was ignored when it was started (nohup): the last digit's lowest bit is SIGHUP.
  case "$(sed -n 's/^SigIgn:.*\(.\)$/\1/p' /proc/self/status 2>/dev/null)" in
    [13579bdf]) export TRANSECT_HANGUP_IGNORED=1 ;;
  esac
  exec node "$here/$script" "$@"
}
