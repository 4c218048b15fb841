# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# Starts, finds and ends the long-lived processes of a stack directory. To be
# sourced.
#
#   process_start DIR NAME COMMAND...  starts it in a session of its own: log in
#                                      DIR/log/NAME.log, pid in DIR/run/NAME.pid
#   process_alive DIR NAME             does it run?
#   process_stop DIR NAME [SECONDS]    SIGTERM, after SECONDS (10) SIGKILL
#   process_kill DIR NAME              SIGKILL, at once
#   process_pids DIR NAME              prints every process of the part
#   process_id PID                     tells a process from all that ever had
#                                      its pid; fails if it has ended
#
# A pid alone proves nothing: after a crash or a reboot it may be someone
# else's. DIR/run/NAME.id holds when the process began, which no other process
# of that pid shares; and its children are known by MESHHOOK_PART=DIR/NAME in
# their environment. Nothing else is ever signalled.

# The boot and the tick in which it began.
process_id() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return
  # Behind the command's name, which may hold anything: state is the first
  # field, the start the twentieth.
  read -ra stat <<<"${stat##*) }"
  [[ ${stat[0]} != [ZX] ]] &&
    printf '%s %s\n' "$(</proc/sys/kernel/random/boot_id)" "${stat[19]}"
}

process_alive() {
  local id
  [[ -r $1/run/$2.pid && -r $1/run/$2.id ]] &&
    id=$(process_id "$(<"$1/run/$2.pid")") &&
    [[ $id == "$(<"$1/run/$2.id")" ]]
}

process_start() {
  local dir=$1 name=$2 pid
  shift 2
  # Without job control a background command leads no group, so that setsid
  # does not fork and $! is the command itself.
  MESHHOOK_PART=$dir/$name setsid "$@" </dev/null >>"$dir/log/$name.log" 2>&1 &
  pid=$!
  # One that has ended by now has no id, and so counts as not alive.
  process_id "$pid" >"$dir/run/$name.id" || : >"$dir/run/$name.id"
  printf '%s\n' "$pid" >"$dir/run/$name.pid"
  disown "$pid"
}

# /proc/PID/environ cannot be read where it is another user's: not ours.
process_pids() {
  local files=()
  if process_alive "$1" "$2"; then
    cat "$1/run/$2.pid"
  fi
  mapfile -t files < <(
    grep --files-with-matches --null-data --line-regexp --fixed-strings \
      --no-messages -e "MESHHOOK_PART=$1/$2" /proc/[0-9]*/environ
  )
  files=("${files[@]#/proc/}")
  if ((${#files[@]})); then
    printf '%s\n' "${files[@]%/environ}"
  fi
}

# Signals the part's processes; fails if there are none. One that ends between
# the look and the signal makes kill complain, which says nothing new.
_process_signal() {
  local pids=()
  mapfile -t pids < <(process_pids "$1" "$2")
  ((${#pids[@]})) || return
  kill "-$3" "${pids[@]}" 2>/dev/null || return 0
}

process_stop() {
  local patience=${3:-10} signal=TERM
  local deadline=$((SECONDS + patience))
  while _process_signal "$1" "$2" "$signal"; do
    if ((SECONDS >= deadline + 10)); then
      printf '%s does not end, not even by SIGKILL\n' "$2" >&2
      return 1
    elif ((SECONDS >= deadline)); then
      signal=KILL
    else
      signal=0
    fi
    sleep 0.1
  done
  rm -f "$1/run/$2.pid" "$1/run/$2.id"
}

process_kill() {
  _process_signal "$1" "$2" KILL || return 0
  process_stop "$1" "$2" 0
}
