#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs the benchmarks, one after another: see --help.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=scripts/lib/packages.sh
source "$ROOT/scripts/lib/packages.sh"

# name | minutes | minutes with --quick | options of --quick | what it measures
BENCHES='scrape      | 6  | 2 | --rounds 40 --round-trips 0,20           | a scrape, beside two of postgres_exporter
anatomy     | 1  | 1 | --rounds 40                              | where its time and memory go
growth      | 6  | 3 | --rounds 3 --only workflows                | how its cost grows
load        | 10 | 2 | --seconds 15 --rounds 2 --arm-seconds 10 | scrapes under full load, and what they take
trigger     | 6  | 1 | --pairs 2 --seconds 2                    | what the data layer costs a transaction
fold        | 8  | 1 | --seconds 5 --facts 100000 --history 100000 --workflows 100 | how fast facts are folded
freshness   | 1  | 1 | --seconds 10                             | from a commit to the page
gain        | 4  | 1 | --runs 100000                            | what the views gain over the runs
ten_million | 40 | 5 | --runs 1000000                           | the data layer with 10 million runs
api         | 40 | 6 | --runs 200000 --seconds 1                | the JSON API with 10 million runs'

help() {
  cat <<'HELP'
scripts/bench.sh: measures, and checks the bounds that docs/performance.md has.
Each benchmark starts throwaway servers of its own; nothing else should run, or
only CPU times mean something.

  scripts/bench.sh                     all of them
  scripts/bench.sh NAME...             only these
  scripts/bench.sh [NAME...] --quick   less of each: to see that they work

  name         minutes  --quick
HELP
  local name minutes quick _ what
  while IFS='|' read -r name minutes quick _ what; do
    printf '  %-12s %7d  %7d  %s\n' "${name%% *}" "$((minutes))" \
      "$((quick))" "${what# }"
  done <<<"$BENCHES"
  cat <<'HELP'

Each takes options of its own: tests/bench/NAME.py --help. Those that compare
get postgres_exporter from deb.debian.org, once, and do not install it.
Exit status: 0 if every bound was met.
HELP
}

quick=no
names=()
for argument in "$@"; do
  case $argument in
    --quick) quick=yes ;;
    --help | -h) help; exit 0 ;;
    *)
      if ! grep -q "^$argument *|" <<<"$BENCHES"; then
        printf 'bench.sh: no benchmark is called %s; see --help\n' \
          "$argument" >&2
        exit 2
      fi
      names+=("$argument")
      ;;
  esac
done

cd "$ROOT"
install_packages build bench
cmake --preset release >/dev/null
cmake --build --preset release --target meshhook-exporter
missed=()
while IFS='|' read -r name minutes quick_minutes quick_options _; do
  name=${name%% *}
  if ((${#names[@]})) && [[ " ${names[*]} " != *" $name "* ]]; then continue; fi
  options=()
  if [[ $quick == yes ]]; then
    minutes=$quick_minutes
    read -ra options <<<"$quick_options"
  fi
  printf '\n== %s (about %d min)\n' "$name" "$((minutes))"
  if ! "tests/bench/$name.py" "${options[@]}" </dev/null; then
    missed+=("$name")
  fi
done <<<"$BENCHES"
if ((${#missed[@]})); then
  printf '\nbench.sh: not met or failed: %s\n' "${missed[*]}" >&2
  exit 1
fi
