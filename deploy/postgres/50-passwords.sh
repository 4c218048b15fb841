#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs once, when compose.yaml's database is made: gives the roles that log
# in over the network the passwords of the URLs in deploy/secrets, or in
# $SECRETS.
set -euo pipefail

password_of() {  # FILE, which holds postgresql://USER:PASSWORD@HOST/DATABASE
  local encoded
  encoded=$(sed --quiet 's|^[a-z]*://[^:/@]*:\([^@/]*\)@.*|\1|p' "$1") ||
    return
  encoded=${encoded//\\/\\\\}
  printf '%b' "${encoded//%/\\x}"
}

secrets=${SECRETS:-/run/secrets}
owner_password=$(password_of "$secrets/owner_database_url")
exporter_password=$(password_of "$secrets/database_url")
api_password=$(password_of "$secrets/api_database_url")
export owner_password exporter_password api_password

# Not as arguments: those can be seen by every user of the machine.
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" \
  --dbname "$POSTGRES_DB" <<'SQL'
\getenv owner_password owner_password
\getenv exporter_password exporter_password
\getenv api_password api_password
alter role postgres password :'owner_password';
create role meshhook_exporter login password :'exporter_password';
create role meshhook_api login noinherit password :'api_password';
SQL
