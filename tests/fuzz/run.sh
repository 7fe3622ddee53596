#!/usr/bin/env bash
# Builds the fuzz targets with clang, AddressSanitizer and UndefinedBehaviorSanitizer, and runs each.
# usage: tests/fuzz/run.sh [SECONDS [TARGET...]]; 60 seconds each of all by default.
# New inputs gather in build-fuzz/inputs; one that breaks a target is kept beside them, and said.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if [[ ${1:-} == --help ]]; then
  sed -n '2,5s/^# //p' "${BASH_SOURCE[0]}"
  exit 0
fi
seconds=${1:-60}
targets=("${@:2}")
if [[ ${#targets[@]} == 0 ]]; then
  mapfile -t targets < <(sed -n 's/^ *dimwatch_fuzz(\([a-z_]*\) .*/\1/p' tests/fuzz/CMakeLists.txt)
fi
deploy/install-packages.sh build fuzz
cmake -S . -B build-fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++-14 -DCMAKE_C_COMPILER=clang-14 \
  -DCMAKE_BUILD_TYPE=RelWithDebInfo \
  -DDIMWATCH_SANITIZE=address,undefined,fuzzer-no-link > /dev/null
cmake --build build-fuzz --target "${targets[@]/#/fuzz_}"
for target in "${targets[@]}"; do
  found=build-fuzz/inputs/$target
  mkdir -p "$found"
  echo "== $target, $seconds s"
  "build-fuzz/bin/fuzz_$target" -max_total_time="$seconds" -max_len=4096 -timeout=10 \
    -rss_limit_mb=4096 -keep_seed=1 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="$found-broken-" \
    "$found" "tests/fuzz/inputs/$target" 2>&1 | grep -v -E "^(INFO|stat::(slowest|new|average))" || exit 1
done
