#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The whole product on this machine, from a bare Debian 12: see --help.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/packages.sh
source "$ROOT/scripts/lib/packages.sh"

help() {
  cat <<HELP
scripts/demo.sh: watch a MeshHook database, with everything around it, in one
command. Nothing leaves this machine: all ports are on 127.0.0.1.

  scripts/demo.sh                       a demo database with a load of 20 runs/s
  DATABASE_URL=postgresql://… scripts/demo.sh
                                        your own MeshHook database instead

Options
  --seconds N     stop by itself after N seconds (default: run until Ctrl-C)
  --dir DIR       keep data and logs in DIR (default: $default_dir,
                  removed at the end if all went well)
  --load-rate N   runs per second of the demo load (default 20; 0: none)
  --help          this text

What it does, in order
  1. installs the Debian packages that are missing (root or sudo; it asks
     for neither if nothing is missing)
  2. builds the exporter into build/release
  3. starts PostgreSQL, the exporter, Alertmanager, Prometheus, node_exporter
     and a catcher for Slack messages and mails, each on a free port
  4. prints the addresses, then a summary every few seconds
  5. on Ctrl-C, or after N seconds, stops everything it started

Your own database: the URL's role should be meshhook_exporter. Install the
schema once, as the role that owns MeshHook's tables:
  DATABASE_URL=… build/release/meshhook-exporter migrate

Exit status: 0 if every part was healthy all the time, 1 if one was not or
did not start, 2 for a wrong option, 130 if interrupted before it was up.

When something is wrong
  - the failing part's last log lines are printed; all logs: DIR/log/
  - an earlier run that crashed is cleaned up by the next one
  - to stop a run from elsewhere: scripts/stack.sh down DIR
HELP
}

fail() {
  printf 'demo: %s\n' "$1" >&2
  exit "${2:-1}"
}

step() { printf '\n%s\n' "$1"; }

stack() { "$ROOT/scripts/stack.sh" "$@" 9>&-; }  # no part inherits the lock

build() {
  local log=$ROOT/build/demo.log
  if [[ -n ${MESHHOOK_BIN:-} ]]; then
    step "Using the binaries in $MESHHOOK_BIN"
    return
  elif [[ ! -w $ROOT && -x $ROOT/build/release/meshhook-exporter ]]; then
    step "Not building: $ROOT is not yours to write. Using build/release."
    return
  fi
  step 'Building (a minute or two the first time)'
  mkdir -p "$ROOT/build"
  if ! (cd "$ROOT" && cmake --preset release &&
    cmake --build --preset release --target meshhook-exporter meshhook-load) \
    >"$log" 2>&1; then
    tail -n 30 "$log" >&2
    fail "the build failed; all of its output is in $log"
  fi
}

# Made at once, so that nobody else can make it and leave files there to be
# run. One run a directory: the lock is held until this shell ends, however it
# ends.
claim_directory() {
  local asked=$dir
  dir=$(realpath --canonicalize-missing "$asked")
  mkdir -p "${dir%/*}/"
  mkdir -m 0711 "$dir" 2>/dev/null || true
  if [[ -L ${asked%/} || ! -d $dir || ! -O $dir ]]; then
    fail "$asked is not a directory of yours; choose another with --dir"
  fi
  exec 9>>"$dir/.demo.lock" || fail "cannot write $dir/.demo.lock"
  flock --nonblock 9 ||
    fail "a demo runs in $dir already; stop it, or choose another --dir"
}

print_addresses() {
  # shellcheck source=/dev/null
  source "$dir/stack.env"
  step 'Open in a browser'
  printf '  %-14s%s\n' Prometheus "$PROMETHEUS_URL" \
    Alerts "$PROMETHEUS_URL/alerts" Alertmanager "$ALERTMANAGER_URL" \
    Exporter "$EXPORTER_URL/metrics"
  if command -v grafana-server >/dev/null; then
    printf '  %-14s%s\n' Grafana "$GRAFANA_URL"
  else
    printf '  %-14s%s\n' Grafana \
      'no grafana-server on PATH; docker compose has it, with the dashboards'
  fi
  if [[ -n $API_DATABASE_URL ]]; then
    step 'Ask the API, as an operator'
    # shellcheck disable=SC2016  # for the reader's shell
    printf '  curl -H "Authorization: Bearer $(%s %s)" %s\n' \
      "$ROOT/scripts/lib/api_token.py" "$API_SECRET" "$API_URL/api/metrics"
  fi
  step 'Slack messages and mails land in'
  printf '  tail -f %s | jq .\n' "$NOTIFICATIONS"
  if [[ -n $OWNER_DATABASE_URL ]]; then
    step 'Make the busiest workflow fail (and mend it: failure_ratio = 0.005)'
    printf '  psql %s -c "%s"\n' "$OWNER_DATABASE_URL" \
      "update demo.workflow_behaviour set failure_ratio = 1 where slug = 'lead-sync'"
  fi
  step "Ctrl-C stops everything${seconds:+; it stops by itself in $seconds s}"
}

# Prints the summary, over the one before where this is a terminal. Every ill
# part is remembered for the end.
show() {
  local health block line width
  if health=$(stack health "$dir" 2>&1); then
    health="all $(wc -l <<<"$health") healthy"
  else
    health=$(grep -v ' ok$' <<<"$health" | sed 's/^ *//; s/  */: /' | paste -sd ';')
    ill=$health
  fi
  if [[ -t 1 ]]; then
    block=$("$ROOT/scripts/lib/summary.py" "$PROMETHEUS_URL" "$NOTIFICATIONS")
    block+=$'\n'$(printf '  %-10s%s' parts "$health")
    if ((shown)); then
      printf '\e[%dA\e[J' "$shown"
    fi
    shown=0
    width=$(tput cols 2>/dev/null) || width=80
    while IFS= read -r line; do
      printf '%s\n' "${line:0:width - 1}"  # a wrapped line would count twice
      shown=$((shown + 1))
    done <<<"$block"
  else
    printf '%s | parts: %s\n' "$("$ROOT/scripts/lib/summary.py" --line \
      "$PROMETHEUS_URL" "$NOTIFICATIONS")" "$health"
  fi
}

watch_stack() {
  local shown=0 pause=10 left until=$((SECONDS + ${seconds:-0}))
  if [[ -t 1 ]]; then
    pause=3
  fi
  trap 'stopping=yes' INT TERM
  trap 'stopping=yes; exec >>"$dir/log/demo.log" 2>&1' HUP PIPE
  while [[ -z $stopping ]]; do
    show
    left=$pause
    if [[ -n $seconds ]] && ((until - SECONDS <= pause)); then
      left=$((until > SECONDS ? until - SECONDS : 0))
      stopping=yes
    fi
    sleep "$left" 9>&- &
    wait $! || [[ -n $stopping ]]
  done
  show
}

# Whatever ends this script, the stack ends with it.
finish() {
  local status=$?
  set +e  # whether or not anybody can be told
  trap '' INT TERM HUP PIPE
  step 'Stopping'
  stack down "$dir" || status=1
  if ((status == 0)) && [[ -n $ill ]]; then
    printf 'demo: not every part was healthy: %s\n' "$ill" >&2
    status=1
  fi
  if ((status == 0)); then
    echo 'Every part was healthy; all are stopped.'
    if [[ $dir == "$default_dir" ]]; then
      rm -rf "$dir"
    fi
  else
    printf 'All parts are stopped; logs are in %s\n' "$dir/log"
  fi
  exit "$status"
}

default_dir=/tmp/meshhook-demo-$EUID
dir=$default_dir seconds='' load_rate=20 ill='' stopping=''
while (($#)); do
  case $1 in
    --help | -h) help; exit ;;
    --seconds | --dir | --load-rate)
      (($# > 1)) || fail "$1 needs a value; see --help" 2
      case $1 in
        --seconds) seconds=$2 ;;
        --dir) dir=$2 ;;
        --load-rate) load_rate=$2 ;;
      esac
      shift 2
      ;;
    *) fail "unknown option $1; see --help" 2 ;;
  esac
done
[[ -z $seconds || $seconds =~ ^[1-9][0-9]*$ ]] ||
  fail "--seconds takes a whole number, not $seconds" 2
[[ $load_rate =~ ^[0-9]+(\.[0-9]+)?$ ]] ||
  fail "--load-rate takes a number, not $load_rate" 2

claim_directory
install_packages build stack
build
trap 'exit 130' INT TERM HUP PIPE
trap finish EXIT
options=(--load-rate "$load_rate")
if command -v grafana-server >/dev/null; then
  options+=(--with-grafana)
fi
if [[ -n ${DATABASE_URL:-} ]]; then
  step 'Starting around the database of DATABASE_URL'
  # Not as an argument: those can be seen by every user of the machine.
  stack up "${options[@]}" \
    --database-url-file <(printf '%s\n' "$DATABASE_URL") "$dir"
  step 'What to mend in this database (meshhook-exporter check)'
  { "${MESHHOOK_BIN:-$ROOT/build/release}/meshhook-exporter" check 2>/dev/null ||
    (($? == 2)); } | grep -v '^ok' || echo '  nothing'
else
  step 'Starting'
  stack up "${options[@]}" "$dir"
fi
print_addresses
watch_stack
