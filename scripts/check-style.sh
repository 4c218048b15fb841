#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Checks the C++ sources: clang-format over all, clang-tidy over the program
# (collectors are data, so it has nothing to say of them).
# Needs a configured build for the compile commands: build/release, or
# $MESHHOOK_BIN.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

build=${MESHHOOK_BIN:-build/release}
mapfile -t sources < <(git ls-files '*.cc' '*.h')
clang-format --dry-run --Werror "${sources[@]}"
printf 'ok   clang-format: %d files\n' "${#sources[@]}"

mapfile -t units < <(git ls-files 'exporter/*.cc')
printf '%s\n' "${units[@]}" |
  xargs --max-procs="$(nproc)" --max-args=4 \
    clang-tidy -p "$build" --quiet 2>/dev/null
printf 'ok   clang-tidy: %d files\n' "${#units[@]}"
printf '2 passed, 0 failed\n'
