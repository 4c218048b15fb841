# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The Debian 12 packages that this project uses, and how to get them. To be
# sourced; scripts, CI and deploy/Dockerfile all take their lists from here.
#
#   package_list GROUP...      prints the packages of the groups, one a line
#   packages_missing GROUP...  prints those that are not installed
#   install_packages GROUP...  installs those, and only those; needs root or
#                              sudo only if there is one to install
#
# Groups: build (compile), runtime (what the binaries load), test (linters),
# stack (what scripts/stack.sh starts), catcher (its part that is ours), bench,
# dashboards (node, unless one is on PATH already).
#
# Some of these packages start a service when they are installed. Here they
# do not: what this installs is neither started nor enabled at boot. A service
# that was there before is left alone.

package_list() {
  local group
  for group in "$@"; do
    case $group in
      build)
        printf '%s\n' g++ cmake ninja-build pkg-config prometheus-cpp-dev \
          libpq-dev libcivetweb-dev libjsoncpp-dev libgtest-dev \
          libyaml-cpp-dev libcli11-dev libspdlog-dev libdeflate-dev zlib1g-dev \
          libjwt-dev libssl-dev libcurl4-openssl-dev
        ;;
      runtime)
        printf '%s\n' ca-certificates libpq5 libprometheus-cpp-core1.0 \
          libcivetweb1 libjsoncpp25 libyaml-cpp0.7 libspdlog1.10 libfmt9 \
          libdeflate0 libjwt0 libssl3 libcurl4
        ;;
      test) printf '%s\n' clang clang-format clang-tidy libclang-rt-14-dev \
        shellcheck python3 python3-yaml git pgbouncer postgresql-15-hypopg \
        python3-prometheus-client \
        python3-jsonschema ;;
      stack)
        package_list catcher
        printf '%s\n' postgresql postgresql-contrib prometheus \
          prometheus-alertmanager prometheus-node-exporter python3-yaml \
          curl jq
        ;;
      catcher) printf '%s\n' python3 python3-aiosmtpd ;;
      bench) printf '%s\n' postgresql postgresql-contrib python3 wrk ;;
      dashboards)
        if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
          printf '%s\n' nodejs npm
        fi
        ;;
      *)
        printf 'packages: no group is called %s\n' "$group" >&2
        return 2
        ;;
    esac
  done
}

packages_missing() {
  local package packages
  packages=$(package_list "$@") || return
  sort -u <<<"$packages" | while read -r package; do
    if [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) \
      != installed ]]; then
      printf '%s\n' "$package"
    fi
  done
}

_packages_fail() {
  printf 'packages: %s\n' "$*" >&2
  return 1
}

# Run as root, with the packages as arguments. Debian asks policy-rc.d before
# it starts a service; 101 means no. One that stands there is put back.
_packages_install() (
  set -euo pipefail
  export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
  policy=/usr/sbin/policy-rc.d
  mark='# while the meshhook scripts install packages'
  log=$(mktemp /tmp/meshhook-packages.XXXXXXXX)

  restore() {
    if [[ -e $policy.before-meshhook ]]; then
      mv "$policy.before-meshhook" "$policy"
    elif [[ -e $policy ]] && grep -qF "$mark" "$policy"; then
      rm "$policy"
    fi
  }
  forbid_starts() {
    restore  # what an interrupted install may have left
    if [[ -e $policy ]]; then
      mv "$policy" "$policy.before-meshhook"
    fi
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
    chmod 0755 "$policy"
  }
  apt_get() {
    apt-get --quiet --yes -o DPkg::Lock::Timeout=300 \
      -o APT::Install-Recommends=false "$@" </dev/null >>"$log" 2>&1
  }
  services() {
    find /lib/systemd/system /etc/systemd/system -maxdepth 1 \
      -name '*.service' ! -name '*@.service' -printf '%f\n' 2>/dev/null |
      grep -E '^(pgbouncer|postgresql|prometheus)' | sort -u
  }

  before=$(services) || before=
  trap restore EXIT
  trap 'exit 130' INT TERM HUP
  forbid_starts
  # One broken source among several makes this fail; the rest may do.
  apt_get update || echo 'packages: apt-get update failed; going on' >&2
  if ! apt_get install "$@"; then
    tail -n 20 "$log" >&2
    _packages_fail "apt-get install failed; all of its output is in $log"
    exit 1
  fi
  if command -v systemctl >/dev/null; then
    after=$(services) || after=
    comm -13 <(printf '%s\n' "$before") <(printf '%s\n' "$after") |
      while read -r service; do
        systemctl --quiet disable "$service" >>"$log" 2>&1
      done
  fi
  rm "$log"
)

install_packages() {
  local missing sudo=()
  missing=$(packages_missing "$@") || return
  if [[ -z $missing ]]; then
    return
  fi
  # shellcheck disable=SC2086  # a list of words
  set -- $missing
  if ((EUID != 0)); then
    sudo=(sudo)
    if ! command -v sudo >/dev/null || { [[ ! -t 0 ]] && ! sudo -n true; }
    then
      _packages_fail "not root, and no sudo without a password. As root run:
  apt-get install --no-install-recommends $*"
      return
    fi
  fi
  printf 'Installing %d Debian packages: %s\n' $# "$*"
  "${sudo[@]}" bash -c "$(declare -f _packages_fail _packages_install)
    _packages_install \"\$@\"" install_packages "$@"
}
