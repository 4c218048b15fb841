#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the whole monitoring stack, on loopback, in a directory of its own.
#
#   scripts/stack.sh up [OPTION]... DIR  starts everything and waits until each
#                                        part answers; takes all of it down
#                                        again if one does not
#     --load-rate N        runs per second that the load makes (20; 0: no load)
#     --database-url URL   watches this database instead of making one: no
#                          postgres, no fixtures, no migration, no load
#     --database-url-file FILE  the same, read from a file
#     --with-grafana       starts grafana-server too
#   scripts/stack.sh start NAME DIR      starts one part again, on its old port
#   scripts/stack.sh stop NAME DIR       ends it
#   scripts/stack.sh kill NAME DIR       ends it by SIGKILL
#   scripts/stack.sh health DIR          a line a part; exits 1 if one is ill
#   scripts/stack.sh down DIR            ends all that runs for DIR, crashed
#                                        or not; leaves the files
#
# Parts: postgres exporter catcher alertmanager prometheus node_exporter load,
# and grafana. DIR/stack.env says where they are, as shell assignments;
# DIR/log/NAME.log, DIR/run/NAME.pid. Prometheus and Alertmanager run on the
# files that compose.yaml mounts, with addresses and secrets put in.
# The binaries come from build/release, or from $MESHHOOK_BIN.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/postgres.sh
source "$ROOT/scripts/lib/postgres.sh"
# shellcheck source=scripts/lib/process.sh
source "$ROOT/scripts/lib/process.sh"
# shellcheck source=scripts/lib/parts.sh
source "$ROOT/scripts/lib/parts.sh"

ALL_PARTS=(postgres exporter catcher alertmanager prometheus node_exporter load
  grafana)
DEADLINE=60  # seconds that a part has to answer

die() {
  printf 'stack: %s\n' "$*" >&2
  exit 1
}

usage() {
  printf 'stack: %s\nstack: see the top of scripts/stack.sh\n' "$*" >&2
  exit 2
}

# Ports below the range that outgoing connections use, so that a part that is
# down for a while finds its own still free.
free_ports() {  # COUNT
  /usr/bin/python3 - "$1" <<'PYTHON'
import random, socket, sys
taken = []
for port in random.sample(range(20000, 32000), 12000):
    probe = socket.socket()
    try:
        probe.bind(("127.0.0.1", port))
    except OSError:
        continue
    taken.append(probe)
    if len(taken) == int(sys.argv[1]):
        break
print(*(probe.getsockname()[1] for probe in taken))
PYTHON
}

write_env() {  # NAME VALUE [NAME VALUE]...
  (umask 077 && printf '%s=%q\n' "$@" >>"$DIR/stack.env")
}

read_env() {
  [[ -r $DIR/stack.env ]] || die "there is no stack in $DIR"
  # shellcheck source=/dev/null
  source "$DIR/stack.env"
}

say() { printf '  %-14s %s\n' "$1" "$2"; }

explain_failure() {  # NAME REASON
  local log
  printf 'stack: %s: %s\n' "$1" "$2" >&2
  for log in "$DIR/log/$1.log" "$DIR/$1/$1.log"; do  # the latter: postgres
    if [[ -s $log ]]; then
      printf 'stack: the last lines of %s:\n' "$log" >&2
      tail -n 15 "$log" | sed 's/^/  | /' >&2
    fi
  done
}

# Waits until the part passes CHECK (part_alive or part_ready).
await() {  # NAME CHECK
  local reason deadline=$((SECONDS + DEADLINE))
  until reason=$("$2" "$1"); do
    if [[ $1 != postgres ]] && ! process_alive "$DIR" "$1"; then
      explain_failure "$1" 'ended right after its start'
      return 1
    elif ((SECONDS >= deadline)); then
      explain_failure "$1" "not well after $DEADLINE s: $reason"
      return 1
    fi
    sleep 0.2
  done
}

bring_up() {  # NAME CHECK ADDRESS
  local before=$SECONDS
  part_start "$1"
  await "$1" "$2"
  say "$1" "$3 ($((SECONDS - before)) s)"
}

create_database() {
  local before=$SECONDS
  pg_cluster_create "$DIR/postgres" >>"$DIR/log/postgres.log" 2>&1 ||
    { explain_failure postgres 'no cluster'; return 1; }
  postgres_pid >"$DIR/run/postgres.pid"
  # shellcheck source=/dev/null
  PGPORT=$(source "$DIR/postgres/postgres.env" && echo "$PGPORT")
  say postgres "127.0.0.1:$PGPORT ($((SECONDS - before)) s)"
  before=$SECONDS
  { pg_database_create "$DIR/postgres" meshhook &&
    pg_fixtures_load "$DIR/postgres" meshhook; } >"$DIR/log/fixtures.log" 2>&1 ||
    { explain_failure fixtures 'failed'; return 1; }
  say fixtures "loaded ($((SECONDS - before)) s)"
}

migrate() {
  local before=$SECONDS
  env --unset=DATA_SOURCE_NAME DATABASE_URL="$OWNER_DATABASE_URL" \
    "$MESHHOOK_BIN/meshhook-exporter" migrate >"$DIR/log/migrate.log" 2>&1 ||
    { explain_failure migrate 'failed'; return 1; }
  say migrate "done ($((SECONDS - before)) s)"
}

# Leaves DIR as `up` needs it: no process, no file of an earlier stack.
prepare() {
  mkdir -p "$DIR"
  require_own_dir  # somebody may have made it just now
  if [[ -e $DIR/.meshhook-stack ]]; then
    all_down
    rm -rf "$DIR"/{postgres,alertmanager,prometheus,grafana,log,run} \
      "$DIR"/{stack.env,notifications.jsonl,api_secret}
  fi
  chmod 0711 "$DIR"  # the server's own user must pass through
  : >"$DIR/.meshhook-stack"
  mkdir "$DIR/log" "$DIR/run"
}

up_parts() {
  local ports load_rate=$1 watched=$2 with_grafana=$3 parts
  read -ra ports < <(free_ports 8)
  parts=(exporter catcher alertmanager prometheus node_exporter)
  if [[ -n $watched ]]; then
    write_env DATABASE_URL "$watched" OWNER_DATABASE_URL '' \
      ADMIN_DATABASE_URL '' API_DATABASE_URL ''
  else
    create_database
    local server=127.0.0.1:$PGPORT/meshhook
    write_env DATABASE_URL "postgresql://meshhook_exporter@$server" \
      API_DATABASE_URL "postgresql://meshhook_api@$server" \
      OWNER_DATABASE_URL "postgresql://postgres@$server" \
      ADMIN_DATABASE_URL "postgresql://supabase_admin@$server"
    parts=(postgres "${parts[@]}")
    if [[ $load_rate != 0 ]]; then
      parts+=(load)
    fi
  fi
  if [[ $with_grafana == yes ]]; then
    parts+=(grafana)
  fi
  write_env EXPORTER_URL "http://127.0.0.1:${ports[0]}" \
    PROMETHEUS_URL "http://127.0.0.1:${ports[1]}" \
    ALERTMANAGER_URL "http://127.0.0.1:${ports[2]}" \
    NODE_EXPORTER_URL "http://127.0.0.1:${ports[3]}" \
    CATCHER_ADDRESS "127.0.0.1:${ports[4]}" \
    SLACK_URL "http://127.0.0.1:${ports[4]}/slack" \
    SMTP_ADDRESS "127.0.0.1:${ports[5]}" \
    GRAFANA_URL "http://127.0.0.1:${ports[6]}" \
    API_URL "http://127.0.0.1:${ports[7]}" API_SECRET "$DIR/api_secret" \
    NOTIFICATIONS "$DIR/notifications.jsonl" \
    LOAD_RATE "$load_rate" STACK_PARTS "${parts[*]}"
  read_env
  : >"$NOTIFICATIONS"
  (umask 077 && head -c 32 /dev/urandom | base64 >"$API_SECRET")

  if [[ -z $watched ]]; then
    migrate
    bring_up exporter part_ready "$EXPORTER_URL/metrics"
  else
    bring_up exporter part_alive "$EXPORTER_URL/metrics"
  fi
  bring_up catcher part_alive "$SLACK_URL, smtp $SMTP_ADDRESS"
  bring_up alertmanager part_alive "$ALERTMANAGER_URL"
  bring_up prometheus part_alive "$PROMETHEUS_URL"
  bring_up node_exporter part_alive "$NODE_EXPORTER_URL/metrics"
  if [[ " ${parts[*]} " == *' load '* ]]; then
    bring_up load part_alive "$LOAD_RATE runs per second"
  fi
  if [[ $with_grafana == yes ]]; then
    bring_up grafana part_alive "$GRAFANA_URL"
  fi
}

command_up() {
  local load_rate=20 watched='' with_grafana=no
  while (($# > 1)); do
    case $1 in
      --load-rate)
        load_rate=$2
        [[ $load_rate =~ ^[0-9]+(\.[0-9]+)?$ ]] || usage "no rate: $load_rate"
        shift 2
        ;;
      --database-url) watched=$2; shift 2 ;;
      --database-url-file) watched=$(<"$2"); shift 2 ;;
      --with-grafana) with_grafana=yes; shift ;;
      *) usage "unknown: $1" ;;
    esac
  done
  (($# == 1)) || usage 'up takes a directory'
  set_dir "$1"
  [[ -x $MESHHOOK_BIN/meshhook-exporter ]] ||
    die "no $MESHHOOK_BIN/meshhook-exporter: build it first (cmake --preset release && cmake --build --preset release)"
  if [[ -e $DIR && ! -e $DIR/.meshhook-stack && -n $(ls -A --ignore=.demo.lock "$DIR") ]]; then
    die "$DIR holds files that are not of a stack"
  fi
  trap 'exit 130' INT TERM HUP PIPE
  trap 'abandon $?' EXIT
  prepare
  up_parts "$load_rate" "$watched" "$with_grafana"
  trap - EXIT
}

# What `up` does when it fails or is interrupted. Not in this shell: in a trap
# a bare `return` means something else.
abandon() {
  trap '' INT TERM HUP
  "$ROOT/scripts/stack.sh" down "$DIR"
  printf 'stack: not started; everything is stopped, logs are in %s\n' \
    "$DIR/log" >&2
  exit "$1"
}

all_down() {
  local index
  for ((index = ${#ALL_PARTS[@]} - 1; index >= 0; index--)); do
    part_stop "${ALL_PARTS[index]}" ||
      printf 'stack: %s is not stopped\n' "${ALL_PARTS[index]}" >&2
  done
}

command_health() {
  local part reason ill=0
  for part in $STACK_PARTS; do
    if reason=$(part_ready "$part"); then
      say "$part" ok
    else
      say "$part" "${reason:-ill}"
      ill=1
    fi
  done
  return "$ill"
}

# What stands in the directory is run as shell.
require_own_dir() {
  local path
  for path in "$DIR" "$DIR"/{stack.env,postgres,postgres/postgres.env}; do
    [[ ! -e $path || -O $path ]] || die "$path belongs to someone else"
  done
}

# Paths go into configuration files and sockets: plain ones only.
set_dir() {
  [[ $1 =~ ^[A-Za-z0-9._/+-]+$ ]] ||
    usage "a directory's path may hold letters, digits and . _ + - /: $1"
  DIR=$(realpath --canonicalize-missing "$1")
  require_own_dir
}

command_one() {  # COMMAND NAME DIR
  [[ " ${ALL_PARTS[*]} " == *" $2 "* ]] || usage "no part is called $2"
  set_dir "$3"
  read_env
  case $1 in
    start)
      if ! part_alive "$2" >/dev/null; then
        part_stop "$2"
        part_start "$2"
        await "$2" part_alive
      fi
      ;;
    stop) part_stop "$2" ;;
    kill) part_kill "$2" ;;
  esac
}

case "${1:-}:$#" in
  up:*) shift; command_up "$@" ;;
  start:3 | stop:3 | kill:3) command_one "$@" ;;
  health:2) set_dir "$2"; read_env; command_health ;;
  down:2) set_dir "$2"; all_down ;;
  *) usage "not understood: ${*:-no command}" ;;
esac
