#!/usr/bin/env bash
# From a clone on Debian 12 to a real training run watched live: installs the packages, builds, starts
# the server and Prometheus, trains the two examples, and shows what dimwatch saw.
set -euo pipefail

usage() {
  cat <<'TXT'
usage: deploy/quickstart.sh [--keep | --exit] [--no-install] [--build DIR] [--work DIR] [--jobs N]
                            [--grpc-port P] [--http-port P] [--prometheus-port P] [--steps N]

Needs Debian 12 with root or sudo; takes under 15 minutes on two cores.

  --keep              leave the server and Prometheus running at the end, until Ctrl-C, to look
                      around (default on a terminal)
  --exit              stop them at the end (default elsewhere)
  --no-install        do not install packages
  --build DIR         build folder (default: build/ in the repository)
  --work DIR          where data, logs and pictures go (default: quickstart/ in the build folder)
  --jobs N            parallel compilations (default: one a core, at most one a GiB of memory)
  --grpc-port P, --http-port P, --prometheus-port P
                      ports on the loopback (default: 50051, 9464, 9090; a free one if it is taken)
  --steps N           optimizer steps of the first example (default: 2500)

Everything that it starts ends with it. It is safe to run again: the build goes on where it was, and
runs are added to those of before.
TXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
work=
jobs=
keep=
install=1
steps=2500
grpc_port=
http_port=
prometheus_port=
python=/usr/bin/python3
pids=()
start=$SECONDS

main() {
  parse "$@"
  trap stop EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  install_packages
  build_programs
  start_server
  start_prometheus
  run_examples
  summary
}

parse() {
  while (($#)); do
    case "$1" in
      --keep) keep=1; shift ;;
      --exit) keep=0; shift ;;
      --no-install) install=0; shift ;;
      -h | --help) usage; exit 0 ;;
      --build | --work | --jobs | --steps | --grpc-port | --http-port | --prometheus-port)
        (($# > 1)) || { usage >&2; exit 2; }
        set_option "$1" "$2"; shift 2 ;;
      *) echo "unknown option '$1'" >&2; usage >&2; exit 2 ;;
    esac
  done
  work=${work:-$build/quickstart}
  jobs=${jobs:-$(default_jobs)}
  if [[ -z $keep ]]; then
    if [[ -t 0 && -t 1 ]]; then keep=1; else keep=0; fi
  fi
}

set_option() {
  case "$1" in
    --build) build=$(realpath -m "$2") ;;
    --work) work=$(realpath -m "$2") ;;
    *) [[ $2 =~ ^[1-9][0-9]*$ ]] || { echo "$1 wants a positive number, got '$2'" >&2; exit 2; }
      case "$1" in
        --jobs) jobs=$2 ;;
        --steps) steps=$2 ;;
        --grpc-port) grpc_port=$2 ;;
        --http-port) http_port=$2 ;;
        --prometheus-port) prometheus_port=$2 ;;
      esac ;;
  esac
}

phase() { printf '\n== %s (%d s so far)\n' "$1" $((SECONDS - start)); }

# fail WHAT HINT: ends with the reason and with what to do.
fail() {
  printf '\nquickstart: %s\n  %s\n' "$1" "$2" >&2
  exit 1
}

default_jobs() {
  local cores gibibytes
  cores=$(nproc)
  gibibytes=$(awk '/MemAvailable/ { print int($2 / 1048576) }' /proc/meminfo)
  ((gibibytes >= 1)) || gibibytes=1
  echo $((cores < gibibytes ? cores : gibibytes))
}

install_packages() {
  phase "packages"
  ((install)) || { echo "left as they are"; return; }
  "$root/deploy/install-packages.sh" quickstart || fail "the packages could not be installed" \
    "See the message above. Without root, ask for: deploy/install-packages.sh quickstart; then use --no-install."
}

build_programs() {
  phase "build in $build with $jobs jobs"
  mkdir -p "$build" "$work"
  if ! cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDIMWATCH_TESTS=OFF \
      > "$work/build.log" 2>&1; then
    tail -n 20 "$work/build.log" >&2
    fail "configuring failed" "The whole output is in $work/build.log. If a package is missing, leave out --no-install."
  fi
  if ! cmake --build "$build" -j "$jobs" --target dimwatch-server dimwatch dimwatch_python \
      2>&1 | tee -a "$work/build.log" | progress; then
    grep -E -A 5 'FAILED|error:|Killed' "$work/build.log" | tail -n 30 >&2
    fail "the build failed" "The whole output is in $work/build.log. If a compiler was killed for memory, try --jobs 1."
  fi
}

# Shows the newest of ninja's lines: in place on a terminal, otherwise every 25th.
progress() {
  local line count=0
  while IFS= read -r line; do
    [[ $line == \[* ]] || continue
    count=$((count + 1))
    if [[ -t 1 ]]; then
      printf '\r\033[K%.100s' "$line"
    elif ((count % 25 == 0)); then
      printf '%.100s\n' "$line"
    fi
  done
  [[ ! -t 1 ]] || echo
}

# free_port WANTED DEFAULT: the wanted port, or the default one if it is free, or any that is.
free_port() {
  "$python" - "${1:-0}" "$2" <<'PY'
import socket, sys
wanted, default = map(int, sys.argv[1:])
for port in [wanted] if wanted else [default, 0]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        print(probe.getsockname()[1])
        sys.exit()
sys.exit(1)
PY
}

# wait_for URL PID LOG NAME: until URL answers 200, or fails if the process ended.
wait_for() {
  local deadline=$((SECONDS + 60))
  until "$python" -c 'import sys, urllib.request as u
u.build_opener(u.ProxyHandler({})).open(sys.argv[1], timeout=2)' "$1" 2> /dev/null; do
    kill -0 "$2" 2> /dev/null || { tail -n 20 "$3" >&2; fail "$4 ended" "Its output is in $3."; }
    ((SECONDS < deadline)) || fail "$4 does not answer on $1" "Its output is in $3."
    sleep 0.2
  done
}

start_server() {
  phase "server"
  grpc=127.0.0.1:$(free_port "$grpc_port" 50051) ||
    fail "port $grpc_port is taken" "Choose another with --grpc-port, or leave that out."
  http=127.0.0.1:$(free_port "$http_port" 9464) ||
    fail "port $http_port is taken" "Choose another with --http-port, or leave that out."
  "$build/bin/dimwatch-server" --listen "$grpc" --http "$http" --data-dir "$work/data" \
    > "$work/server.log" 2>&1 &
  server=$!
  pids+=("$server")
  wait_for "http://$http/readyz" "$server" "$work/server.log" dimwatch-server
  echo "dimwatch-server on $grpc, HTTP on http://$http"
}

start_prometheus() {
  local port
  port=$(free_port "$prometheus_port" 9090) ||
    fail "port $prometheus_port is taken" "Choose another with --prometheus-port, or leave that out."
  prometheus=127.0.0.1:$port
  rm -rf "$work/prometheus"
  cp -r "$root/deploy/prometheus" "$work/prometheus"
  echo "- targets: [$http]" > "$work/prometheus/targets/dimwatch.yml"
  echo "[]" > "$work/prometheus/targets/alertmanager.yml"
  sed -i 's/_interval: 15s/_interval: 5s/' "$work/prometheus/prometheus.yml"
  prometheus --config.file="$work/prometheus/prometheus.yml" --web.listen-address="$prometheus" \
    --storage.tsdb.path="$work/prometheus-data" > "$work/prometheus.log" 2>&1 &
  pids+=("$!")
  wait_for "http://$prometheus/-/ready" "$!" "$work/prometheus.log" prometheus
  echo "prometheus on http://$prometheus"
}

run_examples() {
  phase "a small transformer groks a + b mod 113 ($steps steps, 3 to 6 minutes)"
  example grokking --steps "$steps"
  phase "a small network overfits wrong labels, and stops itself"
  example digits_overfitting
}

# example NAME OPTION...: one training, shown live; its whole output is kept beside its picture.
example() {
  local name=$1
  shift
  PYTHONPATH=$build/python OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 PYTHONUNBUFFERED=1 \
    "$python" "$root/client/python/examples/$name.py" --server "$grpc" --out "$work/$name" "$@" \
    2>&1 | tee "$work/$name.txt" ||
    fail "the example $name failed" "Its output is in $work/$name.txt, the server's in $work/server.log."
}

summary() {
  phase "done"
  echo "pictures    $work/grokking.png"
  echo "            $work/digits_overfitting.png"
  echo "tables      $work/grokking.txt, $work/digits_overfitting.txt: what fired when, at the end"
  echo "all runs    $build/bin/dimwatch runs --server $grpc   (while the server runs)"
  if ((keep)); then
    echo "live        http://$http/ (also /metrics), http://$prometheus/graph?g0.expr=dimwatch_lid_mean&g0.tab=0"
    echo "Ctrl-C stops the server and Prometheus."
    wait
  else
    echo "again       deploy/quickstart.sh --keep leaves the server (http://$http/)"
    echo "            and Prometheus (http://$prometheus/) running to look around"
  fi
}

# Ends what was started, newest first; the server persists what it holds.
stop() {
  local at
  trap - EXIT INT TERM
  for ((at = ${#pids[@]} - 1; at >= 0; at--)); do
    kill -TERM "${pids[at]}" 2> /dev/null || true
  done
  for ((at = ${#pids[@]} - 1; at >= 0; at--)); do
    wait "${pids[at]}" 2> /dev/null || true
  done
}

main "$@"
