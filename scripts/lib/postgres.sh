# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Throwaway PostgreSQL clusters for the demo and the tests. To be sourced; each
# function returns non-zero with one line on standard error when it fails.
#
#   pg_cluster_create DIR [safe|fast]  makes and starts a cluster in DIR, with
#                                      the roles of tests/fixtures/roles.sql;
#                                      safe (default): as durable as a server,
#                                      fast: fsync off, for tests
#   pg_cluster_start DIR               starts it again, on the same port
#   pg_cluster_stop DIR [MODE]         stops it; MODE fast (default), smart or
#                                      immediate; fine if it is down already
#   pg_standby_create DIR PRIMARY      a streaming copy of the running cluster
#                                      in PRIMARY, started
#   pg_database_create DIR NAME [TEMPLATE]
#                                      makes a database of the role postgres,
#                                      a copy of TEMPLATE if given
#   pg_fixtures_load DIR NAME          loads the other fixtures, once
#   pg_template_mark DIR NAME          makes it a template: shut to sessions,
#                                      copied by pg_database_create
#   pg_psql DIR DATABASE [ARGUMENT]... runs psql there as the superuser
#
# DIR/postgres.env holds PGHOST (127.0.0.1), PGPORT, PG_SOCKET_DIR, PG_DATA and
# PG_BINDIR as shell assignments; DIR/postgres.log is the server's log.
#
# The superuser is supabase_admin, as on Supabase. Loopback and the socket are
# trusted, except that members of the role password_user give a password.
# The server's programs come from $PG_BINDIR, else pg_config, else the newest
# in /usr/lib/postgresql; psql from beside them, else from PATH. Where root
# runs this the server runs as the system user postgres, owns DIR/data and may
# pass through DIR.

_pg_fixtures=$(cd "${BASH_SOURCE[0]%/*}/../../tests/fixtures" && pwd)

_pg_fail() {
  printf 'postgres: %s\n' "$*" >&2
  return 1
}

_pg_bindir() {
  local candidate
  if [[ -n ${PG_BINDIR:-} ]]; then
    candidate=$PG_BINDIR
  elif ! candidate=$(pg_config --bindir 2>/dev/null) ||
    [[ ! -x $candidate/initdb ]]; then
    candidate=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1)
  fi
  [[ -x $candidate/initdb ]] ||
    _pg_fail "no initdb in $candidate: install postgresql or set PG_BINDIR" ||
    return
  printf '%s\n' "$candidate"
}

# Sets what DIR/postgres.env holds. It is run as shell, so nobody else's is.
_pg_env() {  # DIR
  [[ -O $1/postgres.env ]] ||
    _pg_fail "no $1/postgres.env, or it belongs to someone else" || return
  # shellcheck source=/dev/null
  source "$1/postgres.env"
}

# Runs a command as the server's user, from a directory that it may read.
_pg_as_server() {
  if ((EUID == 0)); then
    (cd / && runuser -u postgres -- "$@")
  else
    (cd / && "$@")
  fi
}

# Below the range that outgoing connections take their ports from.
_pg_free_port() {
  local port
  for _ in {1..50}; do
    port=$((20000 + RANDOM % 12000))
    if ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      printf '%s\n' "$port"
      return
    fi
  done
  _pg_fail 'no free port found'
}

# A socket's path is 107 bytes at most, so a deep DIR has its sockets in /tmp.
_pg_socket_dir() {
  if ((${#1} <= 80)); then
    printf '%s/socket\n' "$1"
  else
    mktemp --dry-run /tmp/pg-XXXXXXXX
  fi
}

_pg_env_write() {  # DIR PORT SOCKET_DIR BINDIR
  printf '%s=%q\n' PGHOST 127.0.0.1 PGPORT "$2" PG_SOCKET_DIR "$3" \
    PG_DATA "$1/data" PG_BINDIR "$4" >"$1/postgres.env"
}

_pg_configure() {  # SAFE_OR_FAST, on standard output
  cat <<'CONF'
listen_addresses = '127.0.0.1'
shared_preload_libraries = 'pg_stat_statements'
track_io_timing = on
wal_level = logical
max_prepared_transactions = 10
password_encryption = 'scram-sha-256'
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
CONF
  # Commits stay synchronous: killing the server loses nothing even so.
  if [[ $1 == fast ]]; then
    printf '%s = off\n' fsync full_page_writes
  fi
}

_pg_hba() {
  cat <<'HBA'
local all         +password_user              scram-sha-256
host  all         +password_user 127.0.0.1/32 scram-sha-256
local all         all                         trust
host  all         all            127.0.0.1/32 trust
local replication all                         trust
host  replication all            127.0.0.1/32 trust
HBA
}

_pg_initdb() {  # DIR BINDIR SAFE_OR_FAST
  local options=(--pgdata="$1/data" --username=supabase_admin --auth=trust
    --encoding=UTF8 --locale=C.UTF-8)
  if [[ $3 == fast ]]; then
    options+=(--no-sync)
  fi
  _pg_as_server "$2/initdb" "${options[@]}" >>"$1/postgres.log" 2>&1 ||
    _pg_fail "initdb failed, see $1/postgres.log" || return
  _pg_configure "$3" >>"$1/data/postgresql.conf" &&
    _pg_hba >"$1/data/pg_hba.conf"
}

# A killed server counts as running until its parent has reaped it.
_pg_await_reaping() {  # DATA
  local pid
  [[ -r $1/postmaster.pid ]] && read -r pid <"$1/postmaster.pid" || return 0
  for _ in {1..50}; do
    grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null || return 0
    sleep 0.2
  done
}

pg_cluster_create() {
  local dir durability=${2:-safe} bindir socket_dir port
  [[ $durability == safe || $durability == fast ]] ||
    _pg_fail "durability is safe or fast, not $durability" || return
  mkdir -p "$1" && dir=$(cd "$1" && pwd) && bindir=$(_pg_bindir) || return
  [[ ! -e $dir/data ]] || _pg_fail "there is a cluster in $dir" || return
  if ((EUID == 0)); then
    chmod o+x "$dir" || return
    _pg_as_server test -x "$dir" ||
      _pg_fail "the user postgres cannot reach $dir" || return
  fi
  mkdir "$dir/data" && : >"$dir/postgres.log" || return
  if ((EUID == 0)); then
    chown postgres: "$dir/data" "$dir/postgres.log" || return
  fi
  _pg_initdb "$dir" "$bindir" "$durability" &&
    socket_dir=$(_pg_socket_dir "$dir") || return
  for _ in {1..5}; do
    port=$(_pg_free_port) &&
      _pg_env_write "$dir" "$port" "$socket_dir" "$bindir" || return
    if pg_cluster_start "$dir" 2>/dev/null; then
      pg_psql "$dir" postgres --command='CREATE ROLE password_user' \
        --file="$_pg_fixtures/roles.sql"
      return
    fi
    grep -q 'Address already in use' "$dir/postgres.log" || break
  done
  _pg_fail "the server does not start, see $dir/postgres.log"
}

# By hand, because not every server comes with pg_basebackup. Files that vanish
# while they are copied come back when the standby replays.
pg_standby_create() (
  _pg_env "$2" || exit
  begin="pg_backup_start('standby', true)" end='pg_backup_stop(false)'
  if (($(<"$PG_DATA/PG_VERSION") < 15)); then
    begin="pg_start_backup('standby', true, false)"
    end='pg_stop_backup(false, false)'
  fi
  mkdir "$1" && : >"$1/postgres.log" || exit
  pg_psql "$2" postgres --tuples-only --no-align --output=/dev/null <<SQL || exit
SELECT $begin;
\! cp --archive '$PG_DATA' '$1/data' 2>/dev/null
\o '$1/data/backup_label'
SELECT labelfile FROM $end;
SQL
  rm -rf "$1/data/postmaster."* "$1/data/pg_replslot/"*
  : >"$1/data/standby.signal"
  printf "primary_conninfo = 'host=%s port=%s user=supabase_admin'\n" \
    "$PGHOST" "$PGPORT" >>"$1/data/postgresql.auto.conf"
  if ((EUID == 0)); then
    chown postgres: "$1" "$1/postgres.log" "$1/data/standby.signal" \
      "$1/data/backup_label" || exit
  fi
  _pg_env_write "$1" "$(_pg_free_port)" "$1/socket" "$PG_BINDIR" &&
    pg_cluster_start "$1"
)

pg_cluster_start() (
  _pg_env "$1" || exit
  log=${PG_DATA%/data}/postgres.log
  mkdir -p "$PG_SOCKET_DIR" || exit
  if ((EUID == 0)); then
    chown postgres: "$PG_SOCKET_DIR" || exit
  fi
  # After a kill -9 the dead server lingers for a moment, and its children
  # hold its memory.
  for _ in {1..5}; do
    _pg_await_reaping "$PG_DATA"
    if _pg_as_server "$PG_BINDIR/pg_ctl" start --wait --timeout=60 --silent \
      --pgdata="$PG_DATA" --log="$log" \
      --options="-p $PGPORT -k '$PG_SOCKET_DIR'" >>"$log" 2>&1; then
      exit 0
    fi
    tail -n 5 "$log" | grep -q -e 'pre-existing shared memory' \
      -e 'lock file "postmaster.pid" already exists' || break
    sleep 1
  done
  _pg_fail "the server does not start, see $1/postgres.log"
)

pg_cluster_stop() (
  _pg_env "$1" || exit
  _pg_await_reaping "$PG_DATA"
  state=0
  _pg_as_server "$PG_BINDIR/pg_ctl" status --pgdata="$PG_DATA" >/dev/null ||
    state=$?
  if ((state == 0)); then
    _pg_as_server "$PG_BINDIR/pg_ctl" stop --wait --timeout=60 --silent \
      --pgdata="$PG_DATA" --mode="${2:-fast}" ||
      _pg_fail "the server in $1 does not stop" || exit
  elif ((state != 3)); then
    _pg_fail "no cluster in $PG_DATA" || exit
  fi
  if [[ -d $PG_SOCKET_DIR && $PG_SOCKET_DIR != "${PG_DATA%/data}/socket" ]]
  then
    rm -r "$PG_SOCKET_DIR"
  fi
)

pg_psql() (
  _pg_env "$1" || exit
  psql=$PG_BINDIR/psql
  [[ -x $psql ]] || psql=$(command -v psql) ||
    _pg_fail 'no psql found: install postgresql-client' || exit
  exec "$psql" --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --host="$PGHOST" \
    --port="$PGPORT" --username=supabase_admin --dbname="$2" "${@:3}"
)

# A copy does not inherit its template's owner.
pg_database_create() {
  pg_psql "$1" postgres --set=name="$2" --set=template="${3:-template1}" \
    <<<'CREATE DATABASE :"name" OWNER postgres TEMPLATE :"template";'
}

pg_fixtures_load() {
  local layer
  for layer in supabase meshhook demo; do
    pg_psql "$1" "$2" --single-transaction --output=/dev/null \
      --file="$_pg_fixtures/$layer.sql" || return
  done
}

pg_template_mark() {
  pg_psql "$1" postgres --set=name="$2" \
    <<<'ALTER DATABASE :"name" IS_TEMPLATE true ALLOW_CONNECTIONS false;'
}
