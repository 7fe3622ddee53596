#!/usr/bin/python3
"""A transformer's depth through a server: 32 layers x 2 000 x 4 096 float16 at each step, from the
Python client over gRPC to committed estimates, against numpy's matrix products of the same rows.

    DIMWATCH_BUILD=build tests/bench/layers.py [--steps 2] [--layers 32] [--points 2000] [--dim 4096]

`ratio` is wall time from the first log() to the end of the run over that of the products of every
pair of blocks of rows, each pair once, on as many threads as the server has. `cpu_ratio` counts the
server's processor time alone; `peak_mib` is the server's peak memory.
"""

import argparse
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from testing_support.processes import BUILD, Server  # noqa: E402

sys.path.insert(0, str(BUILD / "python"))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import numpy  # noqa: E402

import dimwatch  # noqa: E402

BLOCK = 500


def products(cloud):
    """The distinct inner products of the rows, by blocks."""
    for a in range(0, len(cloud), BLOCK):
        for b in range(a, len(cloud), BLOCK):
            cloud[a : a + BLOCK] @ cloud[b : b + BLOCK].T


def cpu_seconds(pid):
    """Processor time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid):
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    for name, default in (("steps", 2), ("layers", 32), ("points", 2000), ("dim", 4096)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    random = numpy.random.default_rng(1)
    clouds = []
    for layer in range(options.layers):
        plane = random.standard_normal((8 + layer, options.dim), dtype=numpy.float32)
        points = random.standard_normal((options.points, 8 + layer), dtype=numpy.float32)
        clouds.append((points @ plane).astype(numpy.float16))

    wall, cpu = time.monotonic(), time.process_time()
    for cloud in clouds[:4]:
        products(cloud.astype(numpy.float32))
    share = options.steps * options.layers / len(clouds[:4])
    sgemm, sgemm_cpu = (time.monotonic() - wall) * share, (time.process_time() - cpu) * share

    threads = os.environ["OPENBLAS_NUM_THREADS"]
    with tempfile.TemporaryDirectory() as folder, Server(folder, "--threads", threads) as server:
        pid = server.process.pid
        run = dimwatch.init("bench", "layers", server=server.grpc, strict=True, max_queue_bytes=8 << 30)
        probes = [run.probe(f"train/layer.{i}", neighbors=128) for i in range(options.layers)]
        wall, cpu = time.monotonic(), cpu_seconds(pid)
        for step in range(options.steps):
            for probe, cloud in zip(probes, clouds):
                probe.log(cloud, step=step)
        run.finish(timeout=600)
        wall, cpu, peak = time.monotonic() - wall, cpu_seconds(pid) - cpu, peak_mib(pid)
        profile = dimwatch.query.layer_profile(server.grpc, run.id)
    assert len(profile.layers) == options.layers and not profile.missing_probes
    print(json.dumps({
        **vars(options), "threads": int(threads), "seconds": round(wall, 2),
        "server_cpu_seconds": round(cpu, 2), "sgemm_seconds": round(sgemm, 2),
        "sgemm_cpu_seconds": round(sgemm_cpu, 2), "ratio": round(wall / sgemm, 2),
        "cpu_ratio": round(cpu / sgemm_cpu, 2), "peak_mib": round(peak),
        "mean_lid_of_first_and_last_layer": [
            round(e.mean, 3) for e in list(profile.layers.values())[:: options.layers - 1]],
    }, indent=2))


if __name__ == "__main__":
    main()
