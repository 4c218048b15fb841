#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Writes the reference pages from the program itself.
#
#   scripts/update-docs.sh           README.md and docs/command-line.md
#   scripts/update-docs.sh --check   exits 1 if one is not current
#
# The program is build/release/meshhook-exporter, or $MESHHOOK_BIN's.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

exporter=${MESHHOOK_BIN:-build/release}/meshhook-exporter
out=$(mktemp -d /tmp/meshhook-docs.XXXXXXXX)
trap 'rm -rf "$out"' EXIT

# Puts the table between the README's two marks.
"$exporter" metrics >"$out/table"
awk -v table="$out/table" '
  /<!-- metrics: begin/ {
    print
    while ((getline line < table) > 0) print line
    skip = 1
  }
  /<!-- metrics: end/ { skip = 0 }
  !skip
' README.md >"$out/README.md"

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
  for page in README.md docs/command-line.md; do
    if ! diff --unified=0 "$page" "$out/${page##*/}"; then
      printf '%s is not current; run scripts/update-docs.sh\n' "$page" >&2
      stale=1
    fi
  done
  printf '%d passed, %d failed\n' $((2 - stale)) "$stale"
  exit "$stale"
fi
cp "$out/README.md" README.md
cp "$out/command-line.md" docs/command-line.md
