#!/bin/sh
# SPDX-License-Identifier: MIT
# Starts Alertmanager in its container on alerts/alertmanager.yml with the
# settings of .env put in; its arguments go to Alertmanager.
#   SMTP_SMARTHOST  HOST:PORT; mail:1025 is the catcher, the only host that mail
#                   goes to without TLS
#   SMTP_USERNAME, SMTP_FROM, ALERT_MAIL_TO  empty: as the file has them
# Reads alertmanager.yml and demo.sed beside itself, writes into $TMPDIR or /tmp.
set -eu

from=$(dirname "$0")
config=${TMPDIR:-/tmp}/alertmanager.yml

# put TEXT VALUE: a value goes in where TEXT stands; none changes nothing.
put() {
  case $2 in
    '') return ;;
    *[!A-Za-z0-9.@_+:,\ \<\>-]*)
      echo "start.sh: a setting may hold letters, digits, blanks and . @ _ + : , < > -, not: $2" >&2
      exit 1
      ;;
  esac
  sed "s|$1|$2|" "$config" >"$config.new"
  mv "$config.new" "$config"
}

if [ "$SMTP_SMARTHOST" = mail:1025 ]; then
  sed -f "$from/demo.sed" "$from/alertmanager.yml" >"$config"
else
  cp "$from/alertmanager.yml" "$config"
fi
put '^  smtp_smarthost: .*' "${SMTP_SMARTHOST:+  smtp_smarthost: $SMTP_SMARTHOST}"
put '^  smtp_auth_username: .*' "${SMTP_USERNAME:+  smtp_auth_username: $SMTP_USERNAME}"
put '^  smtp_from: .*' "${SMTP_FROM:+  smtp_from: $SMTP_FROM}"
put '^\( *- to:\) .*' "${ALERT_MAIL_TO:+      - to: $ALERT_MAIL_TO}"

amtool check-config "$config" >/dev/null
exec alertmanager --config.file="$config" "$@"
