#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the tests that need a server on every PostgreSQL version: see --help.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/packages.sh
source "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/servers.sh
source "$ROOT/scripts/lib/servers.sh"

help() {
  cat <<HELP
scripts/test-matrix.sh: run the tests that need a server on PostgreSQL
$(server_versions | paste -sd ' '), got from the npm registry. About 3 minutes a version.

  scripts/test-matrix.sh [MAJOR]...           all but unit tests
  scripts/test-matrix.sh --contract [MAJOR].. every collector and its metrics
                                              only; 10 seconds a version

Builds the release first. Goes on after a version that fails; its last lines say
which did. Exit status: 0 if every test passed.
HELP
}

labels='contract|integration|data|collectors'
case ${1:-} in
  --help | -h) help; exit 0 ;;
  --contract) labels=contract; shift ;;
  -*) printf 'test-matrix.sh: unknown option %s; see --help\n' "$1" >&2; exit 2 ;;
esac

cd "$ROOT"
install_packages build test stack dashboards
cmake --preset release >/dev/null
cmake --build --preset release
mapfile -t versions < <(if (($#)); then printf '%s\n' "$@"; else server_versions; fi)
summary=() status=0
for version in "${versions[@]}"; do
  printf '\n== PostgreSQL %s\n' "$version"
  PG_BINDIR=$(server_bindir "$version")
  export PG_BINDIR
  if ctest --preset release --label-regex "$labels"; then
    summary+=("ok    PostgreSQL $version")
  else
    summary+=("FAIL  PostgreSQL $version")
    status=1
  fi
done
printf '\n'
printf '%s\n' "${summary[@]}"
exit "$status"
