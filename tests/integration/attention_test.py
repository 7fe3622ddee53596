"""Attention maps as a client of any language sends them: raw, counted by the server."""

import json
import urllib.request

import numpy
import pytest

from client import SECONDS, Client
from dimwatch.v1 import config_pb2, ingest_pb2, query_pb2
from testing_support.processes import Server

PROBE = "train/attention"


def maps(step, prompts=20, heads=3, positions=8):
    """Post-softmax rows that grow sharper with the step."""
    weights = numpy.random.default_rng(step).normal(size=(prompts, heads, positions))
    weights = numpy.exp(weights * (1 + step / 50))
    return (weights / weights.sum(-1, keepdims=True)).astype("<f4")


def counted(rows):
    return (rows > numpy.float32(0.1)).sum((1, 2))


def batch(seq, step, rows=None, **fields):
    rows = maps(step) if rows is None else rows
    values = dict(
        seq=seq,
        probe=PROBE,
        step=step,
        dtype=ingest_pb2.DTYPE_F32,
        prompts=rows.shape[0],
        heads=rows.shape[1],
        positions=rows.shape[2],
        data=rows.tobytes(),
        prompt_ids=range(len(rows)),
        snapshot_end=True,
    )
    return ingest_pb2.AttentionBatch(**{**values, **fields})


def declare(stream, seq, **attention):
    config = config_pb2.ProbeConfig(
        probe=PROBE, attention=config_pb2.AttentionConfig(**attention)
    )
    stream.send(declaration=ingest_pb2.ProbeDeclaration(seq=seq, config=config))


def estimates(client):
    request = query_pb2.ListAttentionEstimatesRequest(run_id="r")
    return list(client.queries.ListAttentionEstimates(request, timeout=SECONDS).estimates)


def test_maps_become_estimates_beside_those_of_samples(client, server):
    client.create()
    stream = client.open()
    declare(stream, 1)
    for i, step in enumerate((0, 10, 20)):
        stream.send(attention=batch(2 * i + 2, step))
        stream.samples(2 * i + 3, step)
    stream.estimate(20)
    told = stream.wait("attention", lambda: len(stream.all("attention")) == 3 and stream.all("attention"))
    kept = estimates(client)
    assert kept == told
    for step, estimate in zip((0, 10, 20), kept):
        each = counted(maps(step))
        assert estimate.mean == pytest.approx(each.mean())
        assert estimate.standard_error == pytest.approx(each.std(ddof=1) / 20**0.5)
        assert (estimate.step, estimate.prompts, estimate.complete) == (step, 20, True)
        assert (estimate.config.epsilon, estimate.config.heads) == (0.1, 3)
    change = counted(maps(20)) - counted(maps(0))
    assert kept[2].baseline_change == pytest.approx(change.mean())
    assert kept[2].baseline_change_standard_error == pytest.approx(change.std(ddof=1) / 20**0.5)
    assert [e.probe for e in client.estimates()] == ["train/last"] * 3, "no LID of attention maps"
    run = client.finish()
    assert [e.step for e in run.latest_attention] == [20]
    assert {signal.probe for signal in run.signals} <= {"train/last"}
    with urllib.request.urlopen(f"http://{server.http}/api/v1/runs/r/attention?probe={PROBE}") as page:
        assert len(json.load(page)["estimates"]) == 3


@pytest.mark.parametrize(
    "fields, field, message",
    [
        (dict(rows=maps(0) * 2), "data", "prompt 0, head 0: the weights sum to 2;"),
        (dict(query_positions=[6] * 20), "data", "lies behind the query at position 6"),
        (dict(data=b"1234"), "data", "4 bytes got; 20 prompts x 3 heads x 8 positions of 4 bytes"),
        (dict(prompt_ids=[1, 2]), "prompt_ids", "2 got"),
        (dict(probe="train/last"), "probe", "watches samples"),
        (dict(data=b"", dimensions=[200] * 20), "dimensions", "200 got; 3 heads of 8 positions count 0 to 24"),
        (dict(dtype=ingest_pb2.DTYPE_UNSPECIFIED), "dtype", "is missing"),
    ],
)
def test_a_bad_batch_is_rejected_alone(client, fields, field, message):
    client.create()
    stream = client.open()
    declare(stream, 1)
    stream.send(attention=batch(2, 1, **fields))
    nack = stream.nack(2)
    assert nack.field == field
    assert message in nack.message
    assert nack.rejected_rows == 20
    stream.send(attention=batch(3, 1))
    stream.wait("the next", lambda: stream.all("attention"))


def test_a_job_that_goes_back_replaces_what_came_later(client):
    client.create()
    stream = client.open()
    declare(stream, 1)
    for seq, step in enumerate((0, 10, 20, 10), 2):
        stream.send(attention=batch(seq, step, maps(step + seq)))
    stream.durable(5)
    client.finish()
    kept = estimates(client)
    assert [e.step for e in kept] == [0, 10]
    assert kept[1].mean == pytest.approx(counted(maps(15)).mean())
    events = client.queries.WatchRun(query_pb2.WatchRunRequest(run_id="r"), timeout=SECONDS)
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds == ["state", "attention", "rewind", "attention", "state"]


def test_a_killed_server_goes_on_where_it_stood(tmp_path):
    def course(folder, kill_at):
        folder.mkdir()
        with Server(folder) as server, Client(server.grpc) as client:
            client.create()
            stream = client.open()
            declare(stream, 1, relative=True)
            for seq in range(2, kill_at):
                stream.send(attention=batch(seq, seq // 2, snapshot_end=False, prompt_ids=ids(seq)))
            stream.durable(kill_at - 1)
            server.process.kill()
            server.process.wait()
        with Server(folder) as server, Client(server.grpc) as client:
            stream = client.open(epoch=2)
            assert stream.welcome().resume_seq == kill_at - 1
            for seq in range(kill_at, 12):
                stream.send(attention=batch(seq, seq // 2, snapshot_end=False, prompt_ids=ids(seq)))
            stream.durable(11)
            client.finish()
            kept = estimates(client)
        for estimate in kept:
            estimate.ClearField("create_time")
        return kept

    def ids(seq):
        return range(20 * (seq % 2), 20 * (seq % 2) + 20)

    early, late = course(tmp_path / "early", 4), course(tmp_path / "late", 9)
    assert early == late
    assert [e.step for e in early] == [1, 2, 3, 4, 5]
    assert [e.prompts for e in early] == [40] * 5
    assert {e.baseline_step for e in early} == {1}
