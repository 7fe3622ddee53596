#!/usr/bin/env bash
# Installs what the tests need, builds, and runs all of them; ends with one line
# "N passed, N failed". Exit code 0 only if everything passed.
set -euo pipefail

usage() {
  cat <<'TXT'
usage: tests/run.sh [--build DIR] [--jobs N] [--no-install]

  --build DIR    build folder (default: build/ in the repository)
  --jobs N       parallel compilations (default: the number of cores)
  --no-install   do not install packages

Runs, in this order: C++ tests (unit, golden, integration), Python tests (client, command, server,
repository rules), promtool, Prometheus, Alertmanager and dashboards.
TXT
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$root/build
jobs=$(nproc)
install=1
while (($#)); do
  case "$1" in
    --build) build=$(realpath -m "$2"); shift 2 ;;
    --jobs) jobs=$2; shift 2 ;;
    --no-install) install=0; shift ;;
    -h | --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

start=$SECONDS
phase() { printf '\n== %s (%d s so far)\n' "$1" $((SECONDS - start)); }

if ((install)); then
  phase "packages"
  "$root/deploy/install-packages.sh" test
fi

phase "build in $build"
cmake -S "$root" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DDIMWATCH_TESTS=ON \
  -DDIMWATCH_BENCHMARKS=ON > /dev/null
cmake --build "$build" -j "$jobs"

results=$build/test-results
rm -rf "$results"
mkdir -p "$results"

phase "C++ tests"
# One at a time: several start servers and measure nothing, but two cores are soon full.
(cd "$build" && ctest --output-on-failure --output-junit "$results/ctest.xml" | grep -v -E '^ +Start') || true

export DIMWATCH_BUILD=$build OPENBLAS_NUM_THREADS=1
cd "$root"
while IFS= read -r folder; do
  phase "Python tests in $folder"
  report=$results/${folder//\//_}
  status=0
  /usr/bin/python3 -m pytest -q -p no:cacheprovider --junitxml "$report.xml" "$folder" || status=$?
  # 1: tests failed, as the report says. Anything else: not all of them ran.
  if ((status > 1)); then
    printf '<testsuite><testcase classname="%s" name="pytest ended with status %d"><failure/>%s' \
      "$folder" "$status" "</testcase></testsuite>" > "$report-ended.xml"
  fi
done < <(find tests client/python \( -name '*_test.py' -o -name 'test_*.py' \) -printf '%h\n' | sort -u)

phase "all together"
/usr/bin/python3 "$root/tests/summarize.py" "$results"
