"""A rolling window whose graphs are kept gives the same estimates live, after kills, and replayed."""

import json
import subprocess

import grpc
import numpy
import pytest

from client import SECONDS, Client, cloud
from dimwatch.v1 import config_pb2, run_pb2
from testing_support.processes import BUILD, Server

ROWS = 40  # of a batch
WINDOW = 400
BACK_AT, BACK_BY = 30, 6  # after so many batches the job goes back by so many steps
CONFIG = f"""
[[probes]]
probe = 'train/last'
window = 'rolling'
window_points = {WINDOW}
estimate_every = {ROWS}
estimator.neighbors = 16
estimator.index = 'hnsw'
"""


def steps():
    steps = list(range(1, 46))
    return steps[:BACK_AT] + steps[BACK_AT - BACK_BY :]


def rows_of(seq, step):
    """The job computes other rows after it went back."""
    return cloud(1000 * seq + step, ROWS)


def create(client):
    probe = config_pb2.ProbeConfig(
        probe="train/last",
        window=config_pb2.WINDOW_KIND_ROLLING,
        window_points=WINDOW,
        estimate_every=ROWS,
        estimator=config_pb2.EstimatorConfig(neighbors=16, index=config_pb2.INDEX_KIND_HNSW),
    )
    run = run_pb2.Run(run_id="r", project="tests", config=config_pb2.RunConfig(probes=[probe]))
    client.runs.CreateRun(run_pb2.CreateRunRequest(run=run), timeout=SECONDS)


def send(stream, after_seq, until=None):
    last = after_seq
    for seq, step in list(enumerate(steps(), 1))[:until]:
        if seq > after_seq:
            stream.samples(seq, step, rows_of(seq, step), snapshot_end=False)
            last = seq
    return last


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Estimates and history of a run on a server that stays alive."""
    with Server(tmp_path_factory.mktemp("undisturbed")) as server, Client(server.grpc) as client:
        create(client)
        stream = client.open()
        send(stream, 0)
        stream.half_close()
        assert stream.end()[0] == grpc.StatusCode.OK
        client.finish()
        return client.estimates(), client.history()


def test_graphs_are_kept_and_their_recall_is_told(undisturbed):
    estimates, _ = undisturbed
    full = [estimate for estimate in estimates if estimate.complete]
    kept = [estimate for estimate in full if estimate.engine_reason.startswith("hnsw with graphs kept")]
    assert len(kept) > 20, [estimate.engine_reason for estimate in full]
    for estimate in kept:
        assert estimate.config.index == config_pb2.INDEX_KIND_HNSW
        assert 0.9 < estimate.recall <= 1
        assert 0 < estimate.bias_bound < 0.1


def test_kills_change_nothing(tmp_path, undisturbed):
    sent = 0
    for until in (13, 14, 27, 31, 33, 40):
        with Server(tmp_path) as server, Client(server.grpc) as client:
            create(client)
            stream = client.open()
            sent = send(stream, stream.welcome().resume_seq, until)
            stream.durable(sent)
            server.process.kill()
            server.process.wait()
    with Server(tmp_path) as server, Client(server.grpc) as client:
        stream = client.open()
        send(stream, stream.welcome().resume_seq)
        stream.half_close()
        assert stream.end()[0] == grpc.StatusCode.OK
        client.finish()
        assert client.history() == undisturbed[1]


def test_a_replay_gives_the_same_estimates(tmp_path, undisturbed):
    lines = []
    for seq, step in enumerate(steps(), 1):
        numpy.save(tmp_path / f"{seq}.npy", rows_of(seq, step))
        sample = {"probe": "train/last", "file": f"{seq}.npy"}
        # The scalars give the batches other numbers than they had on the stream.
        lines.append(json.dumps({"step": step, "scalars": {"loss": 1.0}, "samples": [sample]}))
    (tmp_path / "trace.jsonl").write_text("\n".join(lines))
    (tmp_path / "config.toml").write_text(CONFIG)
    command = [BUILD / "bin/dimwatch", "replay", tmp_path, "--config", tmp_path / "config.toml", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    series = {}
    for line in map(json.loads, done.stdout.splitlines()):
        if line["type"] == "estimate":
            series = {step: mean for step, mean in series.items() if step < line["step"]}
            series[line["step"]] = line["mean"]
    assert series == {estimate.step: estimate.mean for estimate in undisturbed[0]}
