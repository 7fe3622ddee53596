#!/usr/bin/python3
"""What `probe.log` of 4 096 x 768 float16 costs the thread that trains, for every state that a
server can be in, against a plain copy of the same array.

    DIMWATCH_BUILD=build tests/bench/client.py [--logs 300] [--pause 0.02] [--queue-mib 128]

Copies and logs take turns, `pause` seconds apart, during which the thread multiplies matrices as a
training would. A server that dies, or freezes, does so after a third of the logs; one that restarts
comes back after two thirds. `ratio` is over the copy of the same row, which keeps as many bytes as
the queue. Exit status 1 if a median is 1 ms or more.
"""

import argparse
import collections
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from testing_support import hostile  # noqa: E402
from testing_support.processes import BUILD, wait_until  # noqa: E402

sys.path.insert(0, str(BUILD / "python"))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy  # noqa: E402

import dimwatch  # noqa: E402

ROWS, DIM = 4096, 768
MOST_MS = 1.0


def work(seconds):
    """Keeps the thread busy as a training does: most of the time without the interpreter."""
    matrix, until = numpy.ones((200, 200), numpy.float32), time.monotonic() + seconds
    while time.monotonic() < until:
        matrix @ matrix


def timed(call):
    start = time.perf_counter()
    result = call()
    return (time.perf_counter() - start) * 1e3, result


def measure(trouble, options):
    """Milliseconds of each copy and of each log, and the run's counters."""
    cloud = numpy.random.default_rng(1).normal(size=(ROWS, DIM)).astype(numpy.float16)
    queue_bytes = options.queue_mib << 20
    kept = collections.deque(maxlen=queue_bytes // cloud.nbytes)
    run = dimwatch.init("bench", "client", server=trouble.address, max_queue_bytes=queue_bytes)
    probe = run.probe("train/last", neighbors=16, max_points=200)
    if isinstance(trouble, hostile.Healthy):
        wait_until("the run is connected", lambda: run.stats["connected"])
    copies, logs = [], []
    for step in range(options.logs):
        if step == options.logs // 3:
            trouble.worsen()
        elif step == 2 * options.logs // 3:
            trouble.mend()
        work(options.pause)
        milliseconds, copy = timed(cloud.copy)
        kept.append(copy)
        copies.append(milliseconds)
        logs.append(timed(lambda: probe.log(cloud, step=step))[0])
    stats = run.stats
    run.finish(timeout=0)
    return copies, logs, stats


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--logs", type=int, default=300)
    parser.add_argument("--pause", type=float, default=0.02)
    parser.add_argument("--queue-mib", type=int, default=128)
    options = parser.parse_args()
    slow = False
    print(f"{'server':<12} {'median ms':>9} {'p99 ms':>8} {'ratio':>6} {'p99 ratio':>9} {'dropped':>8}")
    for kind in (hostile.Healthy, *hostile.TROUBLES):
        with tempfile.TemporaryDirectory() as folder, kind(folder) as trouble:
            copies, logs, stats = measure(trouble, options)
        median, p99 = numpy.quantile(logs, (0.5, 0.99))
        copy_median, copy_p99 = numpy.quantile(copies, (0.5, 0.99))
        dropped = stats["dropped_rows"] / (options.logs * ROWS)
        print(f"{kind.__name__.lower():<12} {median:9.3f} {p99:8.3f} {median / copy_median:6.2f} "
              f"{p99 / copy_p99:9.2f} {dropped:8.0%}", flush=True)
        slow |= median >= MOST_MS
    return int(slow)


if __name__ == "__main__":
    sys.exit(main())
