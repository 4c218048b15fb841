#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Runs shellcheck over every shell script of the tree.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mapfile -t scripts < <(
  { git ls-files; git ls-files --others --exclude-standard; } |
    grep -E '\.sh$|^\.ci/run$' | sort -u)
shellcheck --external-sources --source-path=SCRIPTDIR "${scripts[@]}"
printf '%d passed, 0 failed\n' "${#scripts[@]}"
