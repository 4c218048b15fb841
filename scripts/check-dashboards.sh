#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# Checks the Grafana dashboards.
#
#   scripts/check-dashboards.sh
#       The committed JSON is what the sources make; every board keeps the
#       rules of the house (see dashboards/README.md); every query is PromQL;
#       every metric asked for is exported (if the exporter has been built).
#
#   scripts/check-dashboards.sh --live PROMETHEUS_URL [--wait SECONDS]
#       Every query of every panel and variable finds data in that Prometheus,
#       within so many seconds (default: at once).
#
# Prints what fails, and last "N passed, M failed". Exit status: 1 if a check
# fails, 2 if called wrongly. Needs node 20 or later, npm, and promtool
# (Debian's prometheus); fetches its npm packages when they are not there.
set -euo pipefail

usage() {
  sed -n 's/^#   \(scripts.*\)/usage: \1/p' "$0" >&2
  exit 2
}

arguments=()
while (($# > 0)); do
  case $1 in
    --live | --wait)
      (($# >= 2)) || usage
      arguments+=("$1" "$2")
      shift 2
      ;;
    *) usage ;;
  esac
done

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root/dashboards"

# npm writes this file when it has installed what the lock file says.
if [[ ! -e node_modules/.package-lock.json || package-lock.json -nt node_modules/.package-lock.json ]]; then
  npm ci --silent --no-audit --no-fund
fi
node node_modules/typescript/bin/tsc -p .
# A check that finds nothing must be one that can find something.
if ! tests=$(node --test build/check/check.test.js 2>&1); then
  printf '%s\n' "$tests" >&2
  exit 1
fi
exec node build/check/main.js --generated generated \
  --exporter "${MESHHOOK_BIN:-$root/build/release}/meshhook-exporter" "${arguments[@]}"
