#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Builds everything and runs every test, from a bare Debian 12: see --help.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/packages.sh
source "$ROOT/scripts/lib/packages.sh"
# shellcheck source=scripts/lib/servers.sh
source "$ROOT/scripts/lib/servers.sh"

help() {
  cat <<'HELP'
scripts/test.sh: build and test everything, on real PostgreSQL, Prometheus and
Alertmanager. About 15 minutes on 2 cores.

  scripts/test.sh           all of it
  scripts/test.sh --quick   all tests of the release build but checks and stack

What it does, in order
  1. installs the Debian packages that are missing (root or sudo)
  2. builds with the address and undefined-behaviour sanitizers, and runs the
     unit and integration tests, and some of faults
  3. the same with the thread sanitizer
  4. builds the release, and runs those again, all of faults (servers, networks
     and clients that misbehave), then the tests of the data layer and of
     collectors (SQL, to which a sanitizer adds nothing), the checks of
     alerts, dashboards, compose.yaml, style and reference pages, and the whole
     stack
  5. feeds the API's parsers for a minute what nobody would send on purpose;
     scripts/fuzz.sh can do so for longer
  6. runs every collector on the oldest and on the newest PostgreSQL;
     scripts/test-matrix.sh runs more tests on all versions

Exit status: 0 if every test passed.
HELP
}

step() { printf '\n== %s\n' "$*"; }

build_and_test() {  # PRESET [CTEST OPTION]...
  step "$1: build"
  cmake --preset "$1" >/dev/null
  cmake --build --preset "$1"
  step "$1: test"
  # Tests wait more than they work.
  ctest --preset "$1" --parallel $((2 * $(nproc))) "${@:2}"
}

quick=no
case ${1:-} in
  '') ;;
  --quick) quick=yes ;;
  --help | -h) help; exit 0 ;;
  *) printf 'test.sh: unknown option %s; see --help\n' "$1" >&2; exit 2 ;;
esac

cd "$ROOT"
step packages
install_packages build test stack dashboards
if [[ $quick == yes ]]; then
  build_and_test release --label-regex \
    'unit|integration|data|collectors|faults'
else
  build_and_test asan --label-regex 'unit|integration|faults'
  build_and_test tsan --label-regex 'unit|integration|faults'
  build_and_test release
  step 'fuzz'
  scripts/fuzz.sh --seconds 60
  step 'the oldest and the newest PostgreSQL'
  scripts/test-matrix.sh --contract "$(server_versions | head -n 1)" \
    "$(server_versions | tail -n 1)"
fi
