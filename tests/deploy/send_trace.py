"""A training job for tests: sends a recorded run through the Python client as if it trained now.
Prints "sent RUN_ID" when the server holds everything up to `--until`; then obeys the lines of its
input: "go on" sends the rest and prints "sent" again, "finish" ends the run. At the end of its input
it ends as a job that was killed."""

import argparse
import json
import sys
import time
from pathlib import Path

import dimwatch
import numpy


def maps(step, prompts):
    """Attention of prompts that grows sharper: the traces hold none."""
    weights = numpy.random.default_rng(step).normal(size=(prompts, 2, 6, 6))
    weights = numpy.tril(numpy.exp(weights * (1 + step / 1000)))
    return weights / weights.sum(-1, keepdims=True)


class Job:
    def __init__(self, args):
        self.args = args
        self.run = dimwatch.init(
            args.project,
            args.name,
            server=args.server,
            labels={"trace": args.trace.name},
            signals={"heartbeat_seconds": args.heartbeat},
            strict=True,
        )
        self.settings = {"neighbors": args.neighbors, "cdf": "upper", "index": args.index}
        if args.window_points:
            self.settings.update(window="rolling", window_points=args.window_points)
            self.settings.update(estimate_every=args.window_points // 2)
        else:
            self.settings.update(aligned=True)
        lines = (args.trace / "trace.jsonl").read_text().splitlines()
        self.left = [json.loads(line) for line in lines]
        self.probes = {}
        self.attention = self.run.attention_probe("train/attention") if args.prompts else None

    def send(self, until):
        while self.left and self.left[0]["step"] <= until:
            self.log(self.left.pop(0))
            time.sleep(self.args.pause)
        if not self.run.flush(timeout=self.args.patience):
            sys.exit(f"the server did not take everything: {self.run.stats}")
        print("sent", self.run.id, flush=True)

    def log(self, record):
        step = record["step"]
        if record.get("scalars"):
            self.run.log(record["scalars"], step=step)
        for sample in record["samples"]:
            name = sample["probe"]
            if name not in self.probes:
                self.probes[name] = self.run.probe(name, **self.settings)
            self.probes[name].log(numpy.load(self.args.trace / sample["file"]), step=step)
        if self.attention:
            self.attention.log(maps(step, self.args.prompts), step=step)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trace", type=Path)
    parser.add_argument("--server", required=True)
    parser.add_argument("--project", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--pause", type=float, default=0, help="seconds between two steps")
    parser.add_argument("--until", type=float, default=float("inf"), help="hold after this step")
    parser.add_argument("--patience", type=float, default=60, help="seconds for all to be taken")
    parser.add_argument("--neighbors", type=int, default=64)
    parser.add_argument("--index", default="auto")
    parser.add_argument("--window-points", type=int, default=0, help="rolling; estimated by halves")
    parser.add_argument("--prompts", type=int, default=0, help="with attention maps of so many")
    parser.add_argument("--heartbeat", type=float, default=600)
    args = parser.parse_args()

    job = Job(args)
    job.send(args.until)
    for line in sys.stdin:
        if line == "finish\n":
            return job.run.finish()
        job.send(float("inf"))


if __name__ == "__main__":
    main()
