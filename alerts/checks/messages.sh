#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Renders the messages of checks/messages/*.json as Slack and mail would get
# them, and compares them with the .txt beside each.
#
#   messages.sh            exits 1 and prints the difference if there is one
#   messages.sh --update   writes the .txt files: read them before you commit
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

render() { # NAME TYPE DATA
  printf -- '--- %s\n' "$1"
  amtool template render --template.glob='templates/*.tmpl' \
    --template.text="{{ template \"meshhook.$1\" . }}" \
    --template.type="$2" --template.data="$3"
  printf '\n'
}

messages() { # DATA
  local name
  for name in slack.color slack.title link slack.text slack.footer subject mail.text; do
    render "$name" text "$1"
  done
  render mail.html html "$1"
}

status=0
for data in checks/messages/*.json; do
  rendered=$(messages "$data")
  if [[ ${1:-} == --update ]]; then
    printf '%s\n' "$rendered" >"${data%.json}.txt"
  elif ! diff -u "${data%.json}.txt" - <<<"$rendered"; then
    status=1
  fi
done
exit "$status"
