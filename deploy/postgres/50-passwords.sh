#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs once, when compose.yaml's database is made: gives the two roles that log
# in over the network the passwords of the URLs in deploy/secrets.
set -euo pipefail

password_of() {  # FILE, which holds postgresql://USER:PASSWORD@HOST/DATABASE
  sed --quiet 's|^[a-z]*://[^:/@]*:\([^@/]*\)@.*|\1|p' "$1"
}

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" \
  --dbname "$POSTGRES_DB" \
  --set owner_password="$(password_of /run/secrets/owner_database_url)" \
  --set exporter_password="$(password_of /run/secrets/database_url)" <<'SQL'
alter role postgres password :'owner_password';
create role meshhook_exporter login password :'exporter_password';
SQL
