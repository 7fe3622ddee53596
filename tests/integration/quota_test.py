"""What a project may not, it is told: by status, quota and delay; in batches, in words, on /metrics."""

import random
import urllib.request

import grpc
import pytest
from client import Client
from dimwatch.v1 import config_pb2, estimator_pb2, estimator_pb2_grpc, ingest_pb2
from testing_support.processes import Server, wait_until

FILE = """
[quota]
max_runs = 2
[projects.narrow.quota]
max_probes = 1
compute_per_minute = 1e6
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


def cloud_of(project):
    rows, dim = 1500, 3  # almost seven minutes of compute
    data = random.Random(1).randbytes(2 * rows * dim).replace(b"\x7c", b"\x3c").replace(b"\xfc", b"\xbc")
    return estimator_pb2.EstimateCloudRequest(
        dtype=ingest_pb2.DTYPE_BF16, rows=rows, dim=dim, data=data, project=project
    )


def test_a_cloud_counts_for_the_compute_of_its_project(server, client):
    stub = estimator_pb2_grpc.EstimatorServiceStub(client.channel)
    stub.EstimateCloud(iter([cloud_of("narrow")]))
    with pytest.raises(grpc.RpcError) as refused:
        stub.EstimateCloud(iter([cloud_of("narrow")]))
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    details = dict(refused.value.trailing_metadata())["grpc-status-details-bin"]
    assert b"google.rpc.RetryInfo" in details and b"compute_per_minute" in details
    for _ in range(2):
        stub.EstimateCloud(iter([cloud_of("other")]))
    page = metrics(server)
    assert 'dimwatch_quota_refusals_total{project="narrow",quota="compute_per_minute"} 1' in page
    wait_until("the clouds' memory is given back", lambda: 'dimwatch_memory_bytes{kind="clouds"} 0' in metrics(server))


def test_a_cloud_beyond_the_memory_is_refused_and_the_next_one_is_not(tmp_path):
    with Server(tmp_path, "--max-memory-bytes", "1000000") as server, Client(server.grpc) as client:
        stub = estimator_pb2_grpc.EstimatorServiceStub(client.channel)
        zeros = estimator_pb2.EstimateCloudRequest(
            dtype=ingest_pb2.DTYPE_F32, rows=100, dim=1000, data=bytes(400_000)
        )
        with pytest.raises(grpc.RpcError) as refused:
            stub.EstimateCloud(iter([zeros] * 3))
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "max_memory_bytes: windows, queues and clouds take 800000 bytes" in refused.value.details()
        wait_until("its memory is given back", lambda: 'dimwatch_memory_bytes{kind="clouds"} 0' in metrics(server))
        assert stub.EstimateCloud(iter([zeros])).estimate.points == 1
