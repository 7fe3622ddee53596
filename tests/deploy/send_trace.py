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
    for line in (args.trace / "trace.jsonl").read_text().splitlines():
        record = json.loads(line)
        run.log(record["scalars"], step=record["step"])
        for sample in record["samples"]:
            name = sample["probe"]
            if name not in probes:
                probes[name] = run.probe(name, neighbors=64, cdf="upper", aligned=True)
            probes[name].log(numpy.load(args.trace / sample["file"]), step=record["step"])
        time.sleep(args.pause)
    if not run.flush(timeout=60):
        sys.exit(f"the server did not take everything: {run.stats}")
    print("sent", run.id, flush=True)
    if sys.stdin.readline():
        run.finish()


if __name__ == "__main__":
    main()
