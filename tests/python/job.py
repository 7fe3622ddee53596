"""A job for the tests, as a program: it logs large clouds to a server that may be in any state, and
says as one line of JSON how that went.

    job.py ADDRESS [--steps N] [--queue-bytes B] [--finish SECONDS]

It says "third" after each third of its steps and waits for a line. Without --finish it just ends.
"""

import argparse
import json
import sys

import numpy as np

import dimwatch
from dimwatch import _sender

ROWS, DIM = 4096, 768


def resident_bytes():
    with open("/proc/self/status") as status:
        kib = next(line for line in status if line.startswith("VmRSS:")).split()[1]
    return int(kib) * 1024


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--steps", type=int, default=90)
    parser.add_argument("--queue-bytes", type=int, default=32 << 20)
    parser.add_argument("--finish", type=float)
    options = parser.parse_args()
    # More attempts, and so more kinds of trouble, in the time of a test.
    _sender._FIRST_BACKOFF, _sender._LAST_BACKOFF = 0.02, 0.2

    cloud = np.random.default_rng(1).normal(size=(ROWS, DIM)).astype(np.float16)
    run = dimwatch.init("tests", "job", server=options.address, max_queue_bytes=options.queue_bytes)
    probe = run.probe("train/last", neighbors=16, max_points=200)
    before, peak, most_queued = resident_bytes(), 0, 0
    for step in range(options.steps):
        probe.log(cloud, step=step)
        run.log({"train/loss": 1.0}, step=step)
        peak = max(peak, resident_bytes())
        most_queued = max(most_queued, run.stats["queued_bytes"])
        if (step + 1) % (options.steps // 3) == 0:
            print("third", flush=True)
            sys.stdin.readline()
    if options.finish is not None:
        run.finish(timeout=options.finish)
    print(json.dumps({"rows": options.steps * ROWS, "grown": peak - before,
                      "most_queued": most_queued, **run.stats}))


if __name__ == "__main__":
    main()
