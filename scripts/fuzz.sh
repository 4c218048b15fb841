#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Feeds the parsers what nobody would send on purpose: see --help.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

help() {
  cat <<'HELP'
scripts/fuzz.sh: builds the programs of tests/fuzz with clang and its
sanitizers, and runs them side by side under libFuzzer.

  scripts/fuzz.sh [--seconds N] [TARGET]...

  --seconds N   how long each runs; 60
  TARGET        such as token, for tests/fuzz/token_fuzz.cc; all of them

They begin with tests/fuzz/corpus/TARGET. What they find on top of it is kept in
build/fuzz/corpus/TARGET, from where the next run goes on. An input that breaks
a program is left as build/fuzz/found/TARGET-…, and
  build/fuzz/TARGET_fuzz build/fuzz/found/TARGET-…
breaks it again.

Exit status: 0 if none was found, 1 if one was.
HELP
}

usage() {
  printf 'fuzz.sh: %s; see --help\n' "$1" >&2
  exit 2
}

seconds=60
targets=()
while (($# > 0)); do
  case $1 in
    --seconds)
      [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || usage '--seconds wants a number'
      seconds=$2
      shift
      ;;
    --help | -h) help; exit 0 ;;
    -*) usage "unknown option $1" ;;
    *)
      [[ -f $ROOT/tests/fuzz/${1}_fuzz.cc ]] || usage "no target is called $1"
      targets+=("$1")
      ;;
  esac
  shift
done

cd "$ROOT"
if ((${#targets[@]} == 0)); then
  mapfile -t targets < <(
    find tests/fuzz -name '*_fuzz.cc' -printf '%f\n' | sed 's/_fuzz\.cc$//' |
      sort)
fi

cmake --preset fuzz >/dev/null
cmake --build --preset fuzz --target "${targets[@]/%/_fuzz}"

# Tokens may have 8 KiB and bodies 16: a little more than what is taken.
run() {  # TARGET
  local target=$1 options=()
  if [[ -f tests/fuzz/$target.dict ]]; then
    options+=("-dict=tests/fuzz/$target.dict")
  fi
  mkdir -p "build/fuzz/corpus/$target" build/fuzz/found
  exec "build/fuzz/${target}_fuzz" "${options[@]}" -max_total_time="$seconds" \
    -max_len=17000 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/found/$target-" \
    "build/fuzz/corpus/$target" "tests/fuzz/corpus/$target" \
    >"build/fuzz/$target.log" 2>&1
}

declare -A pids
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM HUP

for target in "${targets[@]}"; do
  run "$target" &
  pids[$target]=$!
  printf '%s: %s seconds, from %d inputs\n' "$target" "$seconds" \
    "$(find "tests/fuzz/corpus/$target" "build/fuzz/corpus/$target" -type f \
      2>/dev/null | wc -l)"
done

stat() {  # TARGET NAME: of libFuzzer's own, at the end
  sed -n "s/^stat::$2: *//p" "build/fuzz/$1.log"
}

status=0
started=$SECONDS
while ((${#pids[@]} > 0)); do
  sleep 1
  for target in "${!pids[@]}"; do
    log=build/fuzz/$target.log
    if kill -0 "${pids[$target]}" 2>/dev/null; then
      if (((SECONDS - started) % 15 == 0)); then
        printf '%4d s %s: %s\n' $((SECONDS - started)) "$target" \
          "$(grep -E '^#[0-9]+[[:space:]]' "$log" | tail -n 1 | tr '\t' ' ')"
      fi
      continue
    fi
    if wait "${pids[$target]}"; then
      printf 'ok   %s: %s inputs tried, %s of them new\n' "$target" \
        "$(stat "$target" number_of_executed_units)" \
        "$(stat "$target" new_units_added)"
    else
      status=1
      printf 'FAIL %s; all it said is in %s\n' "$target" "$log"
      grep -vE '^#[0-9]+[[:space:]]' "$log" | tail -n 40
    fi
    unset "pids[$target]"
  done
done
exit $status
