#!/usr/bin/python3
"""Weeks of a server in minutes: rounds of jobs that come, send and go, beside one that stays.

    DIMWATCH_BUILD=build tests/bench/soak.py [--rounds 60] [--runs 50] [--seconds 3]

Each round is `dimwatch bench` with small batches: its runs are created, sent to as fast as the server
takes them, and deleted. Every tenth round a run is finished and kept. After each round, when the
server rests, a line says what it holds: resident memory, open files, threads, series on /metrics,
and bytes on disk. At the end: how each of these changed from the second quarter of the rounds to the
last one; 1.00 is flat.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from testing_support.processes import BUILD, Server  # noqa: E402

sys.path.insert(0, str(BUILD / "python"))

import numpy  # noqa: E402

import dimwatch  # noqa: E402

COLUMNS = ("rss_mib", "files", "threads", "series", "disk_mib")


def metric(page, name):
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", page, re.M))


def scrape(server):
    with urllib.request.urlopen(f"http://{server.http}/metrics", timeout=60) as response:
        return response.read().decode()


def held(server, folder):
    process = Path(f"/proc/{server.process.pid}")
    status = (process / "status").read_text()
    page = scrape(server)
    files = [path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file()]
    return {
        "batches": int(metric(page, "dimwatch_ingest_batches_total")),
        "rss_mib": int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024,
        "files": len(list((process / "fd").iterdir())),
        "threads": int(re.search(r"Threads:\s+(\d+)", status)[1]),
        "series": int(metric(page, "dimwatch_series")),
        "disk_mib": sum(files) / 2**20,
    }


def send(server, options):
    command = [BUILD / "bin/dimwatch", "bench", "--server", server.grpc, "--json", "--probes", "2"]
    command += ["--rows", "16", "--dim", "16", "--window", "200", "--in-flight", "64"]
    command += ["--runs", str(options.runs), "--seconds", str(options.seconds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def keep(server, number):
    run = dimwatch.init("kept", f"run-{number}", server=server.grpc, strict=True)
    probe = run.probe("train/last", neighbors=16)
    for step in range(20):
        probe.log(numpy.random.default_rng(step).normal(size=(200, 16)).astype("float32"), step=step)
        run.log({"loss": 1 / (1 + step)}, step=step)
    run.finish()


def rest(server):
    """Deleted runs are purged a piece at a time; the page does not count them any more."""
    while metric(scrape(server), "dimwatch_estimate_backlog") > 0:
        time.sleep(0.2)
    time.sleep(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("rounds", 60), ("runs", 50), ("seconds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        with Server(folder) as server:
            stays = dimwatch.init("stays", server=server.grpc)
            probe = stays.probe("train/last", neighbors=16)
            print(f"{'round':>5} {'runs':>6} {'batches':>9} " + " ".join(f"{c:>9}" for c in COLUMNS))
            for number in range(1, options.rounds + 1):
                send(server, options)
                probe.log(numpy.random.default_rng(number).normal(size=(200, 16)), step=number)
                if number % 10 == 0:
                    keep(server, number)
                rest(server)
                now = held(server, folder)
                rounds.append(now)
                values = " ".join(f"{now[column]:9.0f}" for column in COLUMNS)
                print(f"{number:5} {number * options.runs:6} {now['batches']:9} {values}", flush=True)
            stays.finish()
    quarter = max(1, options.rounds // 4)
    for column in COLUMNS:
        early, late = (
            sum(one[column] for one in part) / len(part)
            for part in (rounds[quarter : 2 * quarter], rounds[-quarter:])
        )
        print(f"{column}: {early:.1f} in the second quarter, {late:.1f} in the last: {late / early:.2f}")


if __name__ == "__main__":
    main()
