#!/usr/bin/env bash
# Installs the Debian 12 packages that dimwatch needs, group by group; those that are there already
# cost nothing. Services that a package brings are not started.
set -euo pipefail

usage() {
  cat <<'TXT'
usage: deploy/install-packages.sh GROUP...

  build       compilers and libraries to build the server, the command and the clients
  runtime     libraries to run what was built elsewhere
  python      what the Python client needs
  quickstart  build, python, and PyTorch, scikit-learn, matplotlib, Prometheus
  test        quickstart, and what the tests use besides
  bench       peers that the benchmarks compare with
  lint        clang-format, clang-tidy
  fuzz        clang with libFuzzer (tests/fuzz/run.sh)
TXT
}

# What multiplies matrices (src/knn/products.h).
products() {
  case "$1/$(dpkg --print-architecture)" in
    build/amd64) echo libdnnl-dev ;;
    runtime/amd64) echo libdnnl2 ;;
    build/*) echo libopenblas-dev ;;
    runtime/*) echo libopenblas0-pthread ;;
  esac
}

packages_of() {
  case "$1" in
    build) echo g++ cmake ninja-build pkg-config git libgrpc++-dev protobuf-compiler-grpc \
      protobuf-compiler libprotobuf-dev libeigen3-dev libhnswlib-dev "$(products build)" \
      prometheus-cpp-dev libspdlog-dev libcli11-dev libtomlplusplus-dev nlohmann-json3-dev \
      libsqlite3-dev libcpp-httplib-dev libxxhash-dev libssl-dev zlib1g-dev ;;
    runtime) echo libgrpc++1.51 "$(products runtime)" libprometheus-cpp-core1.0 libspdlog1.10 \
      libsqlite3-0 libcpp-httplib0.11 libtomlplusplus3 libxxhash0 libssl3 ;;
    python) echo python3 python3-grpcio python3-protobuf python3-numpy ;;
    quickstart) packages_of build; packages_of python
      echo python3-torch python3-sklearn python3-matplotlib prometheus ;;
    test) packages_of quickstart
      echo ccache libgtest-dev libgmock-dev libbenchmark-dev python3-pytest python3-yaml shellcheck \
        prometheus-alertmanager procps tmux openssl systemd systemd-container iproute2 \
        haproxy ;;
    bench) echo libfaiss-dev libopenblas-dev ;;
    lint) echo clang-format-14 clang-tidy-14 ;;
    fuzz) echo clang-14 libclang-rt-14-dev ;;
    *) echo "deploy/install-packages.sh: unknown group '$1'" >&2; usage >&2; exit 2 ;;
  esac
}

main() {
  case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    "") usage >&2; exit 2 ;;
  esac
  local group names missing=() name
  for group in "$@"; do
    names=$(packages_of "$group")
    for name in $names; do
      dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null | grep -qx installed || missing+=("$name")
    done
  done
  if ((${#missing[@]} == 0)); then
    echo "packages: all there"
    return
  fi
  local sudo=()
  if ((EUID != 0)); then
    command -v sudo > /dev/null || {
      echo "packages: need root or sudo to install: ${missing[*]}" >&2
      exit 1
    }
    sudo=(sudo)
  fi
  # A policy that lets no service start; taken away again unless the machine had one.
  local policy=/usr/sbin/policy-rc.d
  if [[ ! -e $policy ]]; then
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" > /dev/null
    "${sudo[@]}" chmod +x "$policy"
    # shellcheck disable=SC2064
    trap "${sudo[*]} rm -f $policy" EXIT
  fi
  echo "packages: installing ${#missing[@]}: ${missing[*]}"
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}

main "$@"
