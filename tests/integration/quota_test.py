"""What a project may not, it is told: by status, quota and delay; in batches, in words, on /metrics."""

import urllib.request

import grpc
import pytest
from client import Client
from dimwatch.v1 import config_pb2, ingest_pb2
from testing_support.processes import Server

FILE = """
[quota]
max_runs = 2
[projects.narrow.quota]
max_probes = 1
"""


@pytest.fixture()
def server(tmp_path):
    file = tmp_path / "server.toml"
    file.write_text(FILE)
    with Server(tmp_path, "--config", file) as server:
        yield server


@pytest.fixture()
def client(server):
    with Client(server.grpc) as client:
        yield client


def metrics(server):
    with urllib.request.urlopen(f"http://{server.http}/metrics") as response:
        return response.read().decode()


def test_a_run_beyond_the_quota_is_refused_with_its_name_and_a_delay(server, client):
    client.create("one")
    client.create("two")
    with pytest.raises(grpc.RpcError) as refused:
        client.create("three")
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "allowed are 2" in refused.value.details()
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    assert b"google.rpc.RetryInfo" in details
    assert b"google.rpc.QuotaFailure" in details and b"max_runs" in details
    assert 'dimwatch_quota_refusals_total{project="tests",quota="max_runs"} 1' in metrics(server)
    assert 'dimwatch_project_usage{project="tests",resource="runs"} 2' in metrics(server)
    assert 'dimwatch_project_quota{project="tests",resource="runs"} 2' in metrics(server)


def test_a_probe_beyond_the_quota_is_rejected_on_its_stream(server, client):
    client.create("r", project="narrow")
    stream = client.open("r")
    for seq, probe in ((1, "train/last"), (2, "train/first")):
        small = config_pb2.EstimatorConfig(neighbors=16)
        config = config_pb2.ProbeConfig(probe=probe, estimator=small)
        stream.send(declaration=ingest_pb2.ProbeDeclaration(seq=seq, config=config))
    nack = stream.nack(2)
    assert (nack.code, nack.quota) == (grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], "max_probes")
    assert nack.retry_delay.seconds == 60
    stream.samples(3, 10)
    assert stream.estimate(10).complete
