"""A training job for tests: sends a recorded run through the Python client as if it trained now.
Prints "sent RUN_ID" when the server holds everything, and finishes the run when its input has a
line; without one it ends as a job that was killed."""

import argparse
import json
import sys
import time
from pathlib import Path

import dimwatch
import numpy


def maps(step):
    """Attention of 8 prompts that grows sharper: the traces hold none."""
    weights = numpy.random.default_rng(step).normal(size=(8, 2, 6, 6))
    weights = numpy.tril(numpy.exp(weights * (1 + step / 1000)))
    return weights / weights.sum(-1, keepdims=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--server", required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pause", type=float, default=0, help="seconds between two steps")
    args = parser.parse_args()

    run = dimwatch.init(
        args.project, args.name, server=args.server, labels={"trace": args.trace.name}, strict=True
    )
    probes = {}
    attention = run.attention_probe("train/attention")
    for line in (args.trace / "trace.jsonl").read_text().splitlines():
        record = json.loads(line)
        run.log(record["scalars"], step=record["step"])
        for sample in record["samples"]:
            name = sample["probe"]
            if name not in probes:
                probes[name] = run.probe(name, neighbors=64, cdf="upper", aligned=True)
            probes[name].log(numpy.load(args.trace / sample["file"]), step=record["step"])
        attention.log(maps(record["step"]), step=record["step"])
        time.sleep(args.pause)
    if not run.flush(timeout=60):
        sys.exit(f"the server did not take everything: {run.stats}")
    print("sent", run.id, flush=True)
    if sys.stdin.readline():
        run.finish()


if __name__ == "__main__":
    main()
