#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Writes the reference pages from the program itself.
#
#   scripts/update-docs.sh           docs/metrics.md, docs/command-line.md, and
#                                    what docs/api.md has of the API's document
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

scripts/lib/api_page.py docs/api.md exporter/api/openapi.json >"$out/api.md"

pages=(metrics.md command-line.md api.md)
if [[ ${1:-} == --check ]]; then
  stale=0
  for page in "${pages[@]}"; do
    if ! diff --unified=0 "docs/$page" "$out/$page"; then
      printf 'docs/%s is not current; run scripts/update-docs.sh\n' "$page" >&2
      stale=$((stale + 1))
    fi
  done
  printf '%d passed, %d failed\n' $((${#pages[@]} - stale)) "$stale"
  exit $((stale > 0))
fi
for page in "${pages[@]}"; do
  cp "$out/$page" "docs/$page"
done
