#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks everything in alerts/: rules and their tests, runbooks, catalogue,
# Alertmanager's configuration, routes, inhibition and messages. Needs Debian's
# prometheus, prometheus-alertmanager and python3-yaml; a second or ten.
#
#   scripts/check-alerts.sh [--metrics FILE]
#
# FILE lists the metrics that the exporter publishes; without it the exporter
# itself is asked (build/release/meshhook-exporter metrics), so build it first.
# Prints a line a check and "N passed, M failed"; exits 1 if one failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

exporter=${MESHHOOK_BIN:-build/release}/meshhook-exporter
listing=
if [[ ${1:-} == --metrics && $# == 2 ]]; then
  listing=$(realpath "$2")
elif (($# > 0)); then
  sed -n '3,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
  exit 2
fi
for tool in promtool amtool /usr/bin/python3; do
  command -v "$tool" >/dev/null || {
    printf 'check-alerts: no %s; install prometheus, prometheus-alertmanager, python3-yaml\n' \
      "$tool" >&2
    exit 2
  }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
passed=0
failed=0

check() { # NAME COMMAND...: what it printed is shown only if it failed
  local name=$1
  shift
  if "$@" >"$work/output" 2>&1; then
    passed=$((passed + 1))
    printf 'ok    %s\n' "$name"
  else
    failed=$((failed + 1))
    printf 'FAIL  %s\n' "$name"
    sed 's/^/      /' "$work/output"
  fi
}

rules() { /usr/bin/python3 alerts/checks/rules.py "$@"; }

metrics_exist() {
  if [[ -z $listing ]]; then
    listing=$work/metrics.md
    if [[ ! -x $exporter ]]; then
      printf '%s is not built; or name a list with --metrics\n' "$exporter"
      return 1
    fi
    "$exporter" metrics >"$listing" || return
  fi
  rules metrics "$listing"
}

# The configuration with the paths of this machine, and made fit for the demo.
configurations() {
  sed "s|/etc/alertmanager/templates|$PWD/alerts/templates|" \
    alerts/alertmanager.yml >"$work/alertmanager.yml"
  sed -f alerts/demo.sed "$work/alertmanager.yml" >"$work/demo.yml"
}

mail_is_encrypted() {
  grep -qx '  smtp_require_tls: true' alerts/alertmanager.yml ||
    { printf 'mail without TLS is for the demo alone (demo.sed)\n'; return 1; }
}

demo_changes_one_line() {
  diff "$work/alertmanager.yml" "$work/demo.yml" >"$work/changes"
  [[ $(grep '^>' "$work/changes") == '>   smtp_require_tls: false' ]] ||
    { printf 'demo.sed changes:\n'; cat "$work/changes"; return 1; }
}

route_leads_to() { # RECEIVER LABEL...
  local receiver=$1
  shift
  amtool config routes test --config.file="$work/alertmanager.yml" \
    --verify.receivers="$receiver" "$@"
}

configurations
for file in alerts/*.rules.yml; do
  check "rules: ${file#alerts/}" promtool check rules "$file"
done
for file in alerts/*.test.yml; do
  check "tests: ${file#alerts/}" promtool test rules "$file"
done
check 'rules: labels' rules labels
check 'rules: annotations and links' rules annotations
check 'rules: each fires in a test and stays silent in another' rules tests
check 'rules: each metric is published' metrics_exist
check 'runbooks: one an alert, complete' rules runbooks
check 'catalogue: current' /usr/bin/python3 alerts/checks/catalogue.py --check
check 'alertmanager: configuration' amtool check-config "$work/alertmanager.yml"
check 'alertmanager: configuration of the demo' amtool check-config "$work/demo.yml"
check 'alertmanager: mail is encrypted' mail_is_encrypted
check 'alertmanager: the demo changes that one line' demo_changes_one_line
while IFS=: read -r receiver labels; do
  [[ -z $receiver || $receiver == \#* ]] && continue
  read -ra words <<<"$labels"
  check "route: ${labels# } -> $receiver" route_leads_to "$receiver" "${words[@]}"
done <alerts/checks/routes.txt
check 'alertmanager: inhibition, running' /usr/bin/python3 alerts/checks/inhibition.py
check 'messages: as expected' alerts/checks/messages.sh

printf '%d passed, %d failed\n' "$passed" "$failed"
((failed == 0))
