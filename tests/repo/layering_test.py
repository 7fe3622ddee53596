"""The rules that keep the core a library: what src/ may include, and what it may not touch."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.h")) + sorted((ROOT / "src").rglob("*.cc"))

# Which parts each part may include, besides itself.
ALLOWED = {
    "base": set(),
    "access": {"base"},
    "knn": {"base"},
    "lid": {"base", "knn"},
    "attention": {"base", "lid"},
    "window": {"base", "knn", "lid", "attention"},
    "signal": {"base"},
    "store": {"base", "lid", "attention", "window", "signal"},
    "monitor": {"base", "knn", "lid", "attention", "window", "signal", "store"},
}
FOREIGN = re.compile(
    r'#include [<"](grpc|grpcpp|google/|prometheus/|spdlog/|httplib|CLI/|toml\+\+|dimwatch/|server/|client/)'
)
# A clock or a random device is passed in; `absl::Now` and friends would read one.
IMPURE = re.compile(
    r"\babsl::Now\(|\babsl::GetCurrentTimeNanos\(|system_clock|steady_clock|high_resolution_clock"
    r"|\brandom_device\b|\bgettimeofday\(|\bclock_gettime\(|\btime\((NULL|nullptr|0)\)|\bs?rand\("
)


def offenders(pattern):
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in SOURCES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if pattern.search(line)
    ]


def test_there_is_a_core_to_check():
    assert len(SOURCES) > 20


def test_the_core_includes_no_wire_metric_log_or_outer_layer():
    assert offenders(FOREIGN) == []


def test_the_core_reads_no_clock_and_no_random_device():
    assert offenders(IMPURE) == []


def test_dependencies_point_one_way():
    wrong = []
    for path in SOURCES:
        part = path.relative_to(ROOT / "src").parts[0]
        for included in re.findall(r'#include "src/([a-z]+)/', path.read_text()):
            if included != part and included not in ALLOWED[part]:
                wrong.append(f"{path.relative_to(ROOT)} includes src/{included}")
    assert wrong == []
