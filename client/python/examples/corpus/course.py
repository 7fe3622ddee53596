"""Reduces traces to courses: the estimates that `dimwatch replay` makes of them, and the scalars.

    python3 -m corpus.course --dimwatch build/bin/dimwatch --traces FOLDER --out FOLDER

FOLDER/NAME.jsonl holds what `dimwatch replay --json` prints of scalars and estimates, compacted,
and can itself be replayed; its first line says what the run is and what became of it. The scalars
below truth/ are left out: they are for the ground truth alone.
"""

import argparse
import dataclasses
import json
import os
import subprocess

from corpus import truth
from corpus.runs import RUNS

SETTINGS = ("--neighbors", "64", "--cdf", "upper")
KEPT = ("type", "step", "probe", "mean", "standard_error", "n_points", "n_rows", "n_invalid",
        "n_duplicates", "n_nonfinite", "neighbors", "cdf", "complete", "paired_change",
        "paired_change_standard_error", "variance", "name", "value", "series")
MISSING = {"complete": True, "n_invalid": 0, "n_duplicates": 0, "n_nonfinite": 0,
           "paired_change": None, "paired_change_standard_error": None}  # what is read without a key


def course(run, trace, dimwatch):
    """The lines of one run, dicts."""
    replayed = subprocess.run([dimwatch, "replay", trace, "--json", "--threads", "1", *SETTINGS],
                              check=True, capture_output=True, text=True).stdout
    yield head(run, trace)
    for line in map(json.loads, replayed.splitlines()):
        series = line.get("name", line.get("series", ""))
        if line["type"] in ("scalar", "estimate", "rewind") and not series.startswith("truth/"):
            yield compact(line)


def head(run, trace):
    outcome = truth.judge(truth.read(trace))
    return {"type": "run", "run": run.name, "family": run.family, "meant": run.meant,
            "outcome": dataclasses.asdict(outcome), "seed": run.seed,
            "task": f"{run.task}", "training": f"{run.training}"}


def compact(line):
    """The same with fewer keys and numbers of five significant digits."""
    kept = {key: line[key] for key in KEPT
            if key in line and not (key in MISSING and line[key] == MISSING[key])}
    return {key: float(f"{value:.5g}") if isinstance(value, float) else value
            for key, value in kept.items()}


def write(run, trace, file, dimwatch):
    with open(f"{file}.part", "w", encoding="utf-8") as out:
        for line in course(run, trace, dimwatch):
            out.write(json.dumps(line, separators=(",", ":")) + "\n")
    os.replace(f"{file}.part", file)


def main():
    parser = argparse.ArgumentParser(
        prog="python3 -m corpus.course", description=__doc__.split("\n")[0])
    parser.add_argument("--dimwatch", required=True, metavar="PROGRAM", help="the command")
    parser.add_argument("--traces", required=True, metavar="FOLDER", help="what corpus wrote")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    for run in RUNS.values():
        trace = os.path.join(options.traces, run.name)
        file = os.path.join(options.out, f"{run.name}.jsonl")
        if os.path.isdir(trace) and not newer(file, trace):
            write(run, trace, file, options.dimwatch)
            print(file, flush=True)


def newer(file, trace):
    return os.path.exists(file) and (
        os.path.getmtime(file) > os.path.getmtime(os.path.join(trace, "trace.jsonl")))


if __name__ == "__main__":
    main()
