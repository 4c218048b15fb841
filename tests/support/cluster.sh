#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# The cluster that the integration tests share: a throwaway server with two
# template databases that each test clones.
#
#   cluster.sh start DIR EXPORTER   fixture: MeshHook's schema and no more
#                                   migrated: that, with our data layer
#   cluster.sh stop DIR
set -euo pipefail

source "${BASH_SOURCE[0]%/*}/../../scripts/lib/postgres.sh"

stop() {
  if [[ -e $1/postgres.env ]]; then pg_cluster_stop "$1" immediate; fi
  rm -rf "$1"
}

start() {
  local dir=$1 exporter=$2
  stop "$dir"
  mkdir -p "$dir"
  pg_cluster_create "$dir" fast
  # shellcheck source=/dev/null
  source "$dir/postgres.env"
  pg_database_create "$dir" fixture
  pg_fixtures_load "$dir" fixture
  pg_database_create "$dir" migrated fixture
  DATABASE_URL="postgresql://postgres@127.0.0.1:$PGPORT/migrated" \
    "$exporter" migrate
  pg_template_mark "$dir" fixture
  pg_template_mark "$dir" migrated
}

case ${1:-} in
  start) start "$2" "$3" ;;
  stop) stop "$2" ;;
  *) sed -n '3,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
