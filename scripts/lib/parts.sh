# shellcheck shell=bash
# SPDX-License-Identifier: MIT
# The parts of a running stack: how each is started and how it shows health.
# To be sourced after postgres.sh and process.sh, with DIR (absolute) and ROOT
# set and DIR/stack.env sourced.
#
#   part_start NAME   starts it; its state in DIR is kept from one start to the
#                     next, and so is its port
#   part_alive NAME   answers, or at least runs; the reason on stdout if not
#   part_ready NAME   also does its work: the exporter reaches its database
#   part_stop NAME / part_kill NAME

MESHHOOK_BIN=${MESHHOOK_BIN:-$ROOT/build/release}

# Replaces each FROM by its TO, literally: render FILE FROM TO [FROM TO]...
render() {
  local text
  text=$(<"$1")
  shift
  while (($#)); do
    text=${text//"$1"/"$2"}
    shift 2
  done
  printf '%s\n' "$text"
}

# Quiet if it does; otherwise prints what it said instead, in one line.
answers() {  # URL
  local answer
  answer=$(curl --silent --show-error --max-time 3 --noproxy '*' \
    --write-out ' (HTTP %{http_code})' "$1" 2>&1) &&
    [[ $answer == *'(HTTP 2'??')' ]] && return
  answer=$(tr --squeeze-repeats '[:space:]' ' ' <<<"${answer:0:300}")
  printf '%s\n' "${answer% }"
  return 1
}

# postgres: one cluster, whose programs postgres.sh knows how to run. Alive is
# a process that works in the cluster's folder; a pid alone proves nothing.
postgres_pid() {
  local data=$DIR/postgres/data pid
  read -r pid 2>/dev/null <"$data/postmaster.pid" &&
    [[ $(readlink "/proc/$pid/cwd") == "$data" ]] && printf '%s\n' "$pid"
}

# After a crash or a reboot the pid in the lock file may be someone else's:
# pg_ctl would take that process for the server, and signal it.
forget_stale_lock() {
  local lock=$DIR/postgres/data/postmaster.pid pid
  if ! postgres_pid >/dev/null && read -r pid 2>/dev/null <"$lock" &&
    process_id "$pid" >/dev/null; then
    rm "$lock"
  fi
}

start_postgres() {
  forget_stale_lock
  pg_cluster_start "$DIR/postgres" && postgres_pid >"$DIR/run/postgres.pid"
}

alive_postgres() {
  postgres_pid >/dev/null || { echo 'not running'; return 1; }
  pg_psql "$DIR/postgres" postgres --output=/dev/null -c 'select' 2>&1
}

stop_postgres() {
  if [[ ! -e $DIR/postgres/postgres.env ]]; then
    return
  fi
  forget_stale_lock
  pg_cluster_stop "$DIR/postgres" || pg_cluster_stop "$DIR/postgres" immediate
  rm -f "$DIR/run/postgres.pid"
}

kill_postgres() {
  local pid children
  pid=$(postgres_pid) || return 0
  children=$(<"/proc/$pid/task/$pid/children")
  # shellcheck disable=SC2086  # a list of pids
  kill -KILL "$pid" $children
  while postgres_pid >/dev/null; do sleep 0.05; done
  rm -f "$DIR/run/postgres.pid"
}

# The API's login is made with the demo's database; in one's own nobody knows
# what it is.
start_exporter() {
  local api=()
  if [[ -n $API_DATABASE_URL ]]; then
    api=(--api.listen-address="${API_URL#http://}"
      --api.jwt-secret-file="$API_SECRET")
  fi
  DATABASE_URL=$DATABASE_URL API_DATABASE_URL=$API_DATABASE_URL \
    process_start "$DIR" exporter \
    env --unset=DATA_SOURCE_NAME "$MESHHOOK_BIN/meshhook-exporter" \
    --web.listen-address="${EXPORTER_URL#http://}" "${api[@]}"
}
alive_exporter() { answers "$EXPORTER_URL/healthz"; }
ready_exporter() { answers "$EXPORTER_URL/readyz"; }

start_catcher() {
  process_start "$DIR" catcher "$ROOT/scripts/catcher.py" \
    --http "$CATCHER_ADDRESS" --smtp "$SMTP_ADDRESS" --output "$NOTIFICATIONS"
}
alive_catcher() { answers "http://$CATCHER_ADDRESS/healthz"; }

start_alertmanager() {
  local home=$DIR/alertmanager
  mkdir -p "$home/secrets" "$home/data"
  ln -sfn "$ROOT/alerts/templates" "$home/templates"
  printf '%s' "$SLACK_URL" >"$home/secrets/slack_url"
  printf 'the catcher asks for none' >"$home/secrets/smtp_password"
  render "$ROOT/alerts/alertmanager.yml" \
    /etc/alertmanager/secrets "$home/secrets" \
    /etc/alertmanager/templates "$home/templates" \
    mail:1025 "$SMTP_ADDRESS" >"$home/rendered.yml"
  sed -f "$ROOT/alerts/demo.sed" "$home/rendered.yml" >"$home/alertmanager.yml"
  rm "$home/rendered.yml"
  process_start "$DIR" alertmanager prometheus-alertmanager \
    --config.file="$home/alertmanager.yml" --storage.path="$home/data" \
    --web.listen-address="${ALERTMANAGER_URL#http://}" \
    --web.external-url="$ALERTMANAGER_URL" --cluster.listen-address=
}
alive_alertmanager() { answers "$ALERTMANAGER_URL/-/ready"; }

start_prometheus() {
  local home=$DIR/prometheus
  mkdir -p "$home/data"
  ln -sfn "$ROOT/alerts" "$home/rules"
  render "$ROOT/deploy/prometheus/prometheus.yml" \
    exporter:9187 "${EXPORTER_URL#http://}" \
    alertmanager:9093 "${ALERTMANAGER_URL#http://}" \
    node_exporter:9100 "${NODE_EXPORTER_URL#http://}" \
    localhost:9090 "${PROMETHEUS_URL#http://}" \
    /etc/prometheus/rules "$home/rules" >"$home/prometheus.yml"
  process_start "$DIR" prometheus prometheus \
    --config.file="$home/prometheus.yml" --storage.tsdb.path="$home/data" \
    --web.listen-address="${PROMETHEUS_URL#http://}" \
    --web.external-url="$PROMETHEUS_URL"
}
alive_prometheus() { answers "$PROMETHEUS_URL/-/ready"; }
ready_prometheus() {
  local jobs
  jobs=$(curl --fail --silent --show-error --max-time 3 --noproxy '*' \
    --get --data-urlencode 'query=up == 0' "$PROMETHEUS_URL/api/v1/query" |
    jq --raw-output '[.data.result[].metric.job] | join(", ")') || return
  if [[ -n $jobs ]]; then
    echo "cannot scrape $jobs"
    return 1
  fi
}

start_node_exporter() {
  process_start "$DIR" node_exporter prometheus-node-exporter \
    --web.listen-address="${NODE_EXPORTER_URL#http://}"
}
alive_node_exporter() { answers "$NODE_EXPORTER_URL/"; }

start_load() {
  DATABASE_URL=$OWNER_DATABASE_URL process_start "$DIR" load \
    "$MESHHOOK_BIN/meshhook-load" --rate "$LOAD_RATE"
}
alive_load() { process_alive "$DIR" load || { echo 'not running'; return 1; }; }

start_grafana() {
  local home=$DIR/grafana file
  mkdir -p "$home/data"
  rm -rf "$home/provisioning"
  cp -r "$ROOT/deploy/grafana/provisioning" "$home/"
  find "$home/provisioning" -name '*.yaml' -o -name '*.yml' |
    while read -r file; do
      render "$file" http://prometheus:9090 "$PROMETHEUS_URL" \
        http://alertmanager:9093 "$ALERTMANAGER_URL" \
        /var/lib/grafana/dashboards "$ROOT/dashboards/generated" \
        >"$file.rendered"
      mv "$file.rendered" "$file"
    done
  GF_SERVER_HTTP_ADDR=127.0.0.1 GF_SERVER_HTTP_PORT=${GRAFANA_URL##*:} \
    GF_PATHS_DATA=$home/data GF_PATHS_LOGS=$home/data/log \
    GF_PATHS_PROVISIONING=$home/provisioning \
    GF_AUTH_ANONYMOUS_ENABLED=true GF_ANALYTICS_REPORTING_ENABLED=false \
    GF_ANALYTICS_CHECK_FOR_UPDATES=false \
    process_start "$DIR" grafana grafana-server \
    --homepath="${GRAFANA_HOME:-/usr/share/grafana}"
}
alive_grafana() { answers "$GRAFANA_URL/api/health"; }

part_start() { "start_$1"; }

part_alive() {
  if [[ $1 != postgres ]] && ! process_alive "$DIR" "$1"; then
    echo 'not running'
    return 1
  fi
  "alive_$1"
}

part_ready() {
  part_alive "$1" || return
  if declare -F "ready_$1" >/dev/null; then
    "ready_$1"
  fi
}

part_stop() {
  if [[ $1 == postgres ]]; then stop_postgres; else process_stop "$DIR" "$1"; fi
}

part_kill() {
  if [[ $1 == postgres ]]; then kill_postgres; else process_kill "$DIR" "$1"; fi
}
