#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Writes the reference pages from the program itself.
#
#   scripts/update-docs.sh           docs/metrics.md and docs/command-line.md
#   scripts/update-docs.sh --check   exits 1 if one is not current
#
# The program is build/release/meshhook-exporter, or $MESHHOOK_BIN's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

exporter=${MESHHOOK_BIN:-build/release}/meshhook-exporter
out=$(mktemp -d /tmp/meshhook-docs.XXXXXXXX)
trap 'rm -rf "$out"' EXIT

"$exporter" metrics >"$out/metrics.md"

# shellcheck disable=SC2016  # the backticks are Markdown's
{
  printf '# Command line\n\n'
  printf 'Written by `scripts/update-docs.sh` from the program itself.\n'
  for command in '' serve migrate check scrape explain metrics; do
    printf '\n## `meshhook-exporter%s`\n\n```\n' "${command:+ $command}"
    # shellcheck disable=SC2086
    "$exporter" $command --help
    printf '```\n'
  done
} >"$out/command-line.md"

if [[ ${1:-} == --check ]]; then
  stale=0
  for page in docs/metrics.md docs/command-line.md; do
    if ! diff --unified=0 "$page" "$out/${page##*/}"; then
      printf '%s is not current; run scripts/update-docs.sh\n' "$page" >&2
      stale=1
    fi
  done
  printf '%d passed, %d failed\n' $((2 - stale)) "$stale"
  exit "$stale"
fi
cp "$out/metrics.md" docs/metrics.md
cp "$out/command-line.md" docs/command-line.md
