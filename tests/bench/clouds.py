#!/usr/bin/python3
"""How long a run waits for the estimate of a snapshot beside callers who have clouds of the same size
estimated without a pause (`EstimateCloud`): milliseconds, and their ratio to those without callers,
in turns.

    DIMWATCH_BUILD=build tests/bench/clouds.py [--callers 4] [--estimates 10] [--rounds 3]
"""

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "integration")]

from testing_support.processes import BUILD, Server  # noqa: E402

sys.path.insert(0, str(BUILD / "python"))

from client import Client  # noqa: E402
from dimwatch.v1 import config_pb2, estimator_pb2, estimator_pb2_grpc, ingest_pb2  # noqa: E402

ROWS, DIM, PARTS = 5000, 768, 5
SETTINGS = config_pb2.EstimatorConfig(neighbors=128)


def parts():
    """A cloud in messages, as fields that samples and clouds have in common."""
    cloud = numpy.random.default_rng(0).normal(size=(ROWS, DIM)).astype("<f2")
    for some in numpy.split(cloud, PARTS):
        yield dict(dtype=ingest_pb2.DTYPE_F16, rows=len(some), dim=DIM, data=some.tobytes())


@contextlib.contextmanager
def callers(server, count, cloud):
    """Callers who ask again as soon as they are answered; yields what counts their clouds."""
    stop, estimated = threading.Event(), []
    first, *others = cloud
    messages = [estimator_pb2.EstimateCloudRequest(config=SETTINGS, **first)]
    messages += [estimator_pb2.EstimateCloudRequest(**one) for one in others]

    def ask():
        with Client(server.grpc) as client:
            stub = estimator_pb2_grpc.EstimatorServiceStub(client.channel)
            while not stop.is_set():
                try:
                    stub.EstimateCloud(iter(messages))
                    estimated.append(1)
                except grpc.RpcError as error:  # all places were taken
                    if error.code() != grpc.StatusCode.RESOURCE_EXHAUSTED:
                        raise
                    time.sleep(0.01)

    with ThreadPoolExecutor(max(count, 1)) as threads:
        asked = [threads.submit(ask) for _ in range(count)]
        try:
            yield estimated
        finally:
            stop.set()
        for one in asked:
            one.result()


def waits(client, run_id, estimates, cloud):
    """Seconds from the first row of each snapshot to its estimate."""
    client.create(run_id, probes=())
    stream = client.open(run_id)
    config = config_pb2.ProbeConfig(probe="train/last", estimator=SETTINGS)
    stream.send(declaration=ingest_pb2.ProbeDeclaration(seq=1, config=config))
    seq, took = 1, []
    for step in range(estimates):
        began = time.monotonic()
        for part, fields in enumerate(cloud, 1):
            seq += 1
            batch = ingest_pb2.SampleBatch(
                seq=seq, probe="train/last", step=step, snapshot_end=part == PARTS, **fields
            )
            stream.send(samples=batch)
        stream.estimate(step)
        took.append(time.monotonic() - began)
    stream.cancel()
    return took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--estimates", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cloud = list(parts())
    took, clouds = {"alone": [], "beside": []}, 0
    with tempfile.TemporaryDirectory() as folder, Server(folder) as server, Client(server.grpc) as client:
        for turn in range(options.rounds):
            took["alone"] += waits(client, f"alone-{turn}", options.estimates, cloud)
            with callers(server, options.callers, cloud) as estimated:
                took["beside"] += waits(client, f"beside-{turn}", options.estimates, cloud)
            clouds += len(estimated)
            print(f"round {turn + 1} of {options.rounds}", file=sys.stderr)
    result = {}
    for name, seconds in took.items():
        result[f"{name}_median_ms"] = round(1e3 * statistics.median(seconds))
        result[f"{name}_max_ms"] = round(1e3 * max(seconds))
    result["ratio"] = round(statistics.median(took["beside"]) / statistics.median(took["alone"]), 2)
    print(json.dumps({"callers": options.callers, "clouds": clouds, **result}))


if __name__ == "__main__":
    main()
