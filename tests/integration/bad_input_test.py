"""What is wrong is said clearly, costs nothing but itself, and nothing accepted is lost."""

import grpc
import numpy
import pytest

from client import Stream, cloud
from dimwatch.v1 import config_pb2, ingest_pb2, query_pb2, run_pb2

BAD_ITEMS = {
    "wrong dimension": (
        dict(rows=numpy.ones((3, 7), numpy.float32)),
        (3, "dim", ["16", "7"]),
    ),
    "truncated bytes": (dict(data=b"12345"), (3, "data", ["5 bytes", "200 rows"])),
    "unknown dtype": (dict(dtype=77), (3, "dtype", ["77"])),
    "missing dtype": (dict(dtype=0), (3, "dtype", ["missing"])),
    "empty batch": (
        dict(rows=numpy.ones((0, 16), numpy.float32)),
        (3, "rows", ["0", "at least 1"]),
    ),
    "control characters": (dict(probe="train/\x01\n"), (5, "probe", ["not declared", r"\x01"])),
    "unknown probe": (dict(probe="train/other"), (5, "probe", ["train/other", "train/last"])),
    "oversized batch": (
        dict(rows=numpy.ones((300_000, 16), numpy.float32)),
        (8, "data", ["19200000", "16777216"]),
    ),
    "negative step": (dict(step=-1, rows=cloud(20)), (3, "step", ["-1"])),
    "sample ids of another number": (dict(sample_ids=[1, 2]), (3, "sample_ids", ["2", "200"])),
}


@pytest.mark.parametrize("name", BAD_ITEMS)
def test_bad_item_is_rejected_by_itself_and_the_stream_goes_on(client, name):
    fields, (code, field, words) = BAD_ITEMS[name]
    client.create()
    stream = client.open()
    stream.samples(1, 10)
    stream.estimate(10)
    stream.samples(2, **{"step": 20, **fields})
    nack = stream.nack(2)
    assert (nack.code, nack.field) == (code, field), nack
    for word in words:
        assert word in nack.message
    stream.samples(3, 30)
    stream.estimate(30)
    stream.durable(3)
    stream.half_close()
    assert stream.end()[0] == grpc.StatusCode.OK
    assert [estimate.step for estimate in client.estimates()] == [10, 30]


def test_rows_that_are_not_finite_are_dropped_and_counted(client):
    client.create()
    stream = client.open()
    rows = cloud(10)
    rows[5, 3] = numpy.nan
    rows[7, 0] = numpy.inf
    stream.samples(1, 10, rows)
    estimate = stream.estimate(10)
    assert (estimate.rows, estimate.nonfinite_rows, estimate.points) == (200, 2, 198)
    assert estimate.HasField("mean")


def test_scalars_that_are_not_finite_are_named_while_the_others_are_taken(client):
    client.create()
    stream = client.open()
    stream.scalars(1, 10, loss=float("nan"), accuracy=0.5)
    nack = stream.nack(1)
    assert (nack.code, nack.field) == (3, "values")
    assert "'loss'" in nack.message and "taken" in nack.message
    stream.scalars(2, 11, loss=float("inf"))
    assert "'loss'" in stream.nack(2).message
    stream.half_close()
    assert stream.end()[0] == grpc.StatusCode.OK
    client.finish()  # behind all that is queued
    scalars = client.queries.ListScalars(query_pb2.ListScalarsRequest(run_id="r")).scalars
    assert [(scalar.name, scalar.step, scalar.value) for scalar in scalars] == [("accuracy", 10, 0.5)]


def test_declaring_a_probe_with_other_settings_is_rejected(client):
    client.create()
    stream = client.open()
    config = config_pb2.ProbeConfig(
        probe="train/last", estimator=config_pb2.EstimatorConfig(neighbors=32)
    )
    stream.send(declaration=ingest_pb2.ProbeDeclaration(seq=1, config=config))
    nack = stream.nack(1)
    assert nack.code == 6 and "train/last" in nack.message


def test_unknown_enum_in_a_declaration_names_the_field(client):
    client.create()
    stream = client.open()
    config = config_pb2.ProbeConfig(probe="p", estimator=config_pb2.EstimatorConfig(cdf=9))
    stream.send(declaration=ingest_pb2.ProbeDeclaration(seq=1, config=config))
    nack = stream.nack(1)
    assert (nack.code, nack.field) == (3, "config.estimator.cdf")
    assert "9" in nack.message


def test_step_that_goes_back_replaces_what_came_after_it(client):
    client.create()
    stream = client.open()
    for seq, step in enumerate([10, 20, 30, 20], 1):
        stream.samples(seq, step)
    stream.wait("second estimate of step 20", lambda: len(stream.all("estimate")) == 4)
    assert [estimate.step for estimate in client.estimates()] == [10, 20]


def test_repeated_items_are_acknowledged_and_ignored(client):
    client.create()
    stream = client.open()
    stream.samples(1, 10)
    stream.estimate(10)
    stream.samples(1, 10)
    stream.samples(2, 20)
    stream.estimate(20)
    stream.durable(2)
    assert len(stream.all("estimate")) == 2 and not stream.all("nack")


def test_stream_to_an_unknown_run_ends_with_not_found(client):
    code, details = client.open("nobody").end()
    assert code == grpc.StatusCode.NOT_FOUND and "nobody" in details


def test_stream_to_a_finished_run_ends_with_failed_precondition(client):
    client.create()
    client.finish()
    code, details = client.open().end()
    assert code == grpc.StatusCode.FAILED_PRECONDITION and "'r'" in details


def test_finishing_a_run_ends_its_open_stream_after_everything_was_said(client):
    client.create()
    stream = client.open()
    stream.samples(1, 10, snapshot_end=False)
    stream.durable(1)
    run = client.finish()
    assert run.state == run_pb2.RUN_STATE_FINISHED
    assert stream.end()[0] == grpc.StatusCode.FAILED_PRECONDITION
    assert [estimate.step for estimate in stream.all("estimate")] == [10]
    assert [estimate.step for estimate in client.estimates()] == [10]


def test_newer_session_fences_the_older(client):
    client.create()
    older = client.open(epoch=1)
    older.welcome()
    newer = client.open(epoch=2)
    newer.welcome()
    assert older.end()[0] == grpc.StatusCode.ABORTED
    assert client.open(epoch=1).end()[0] == grpc.StatusCode.ABORTED
    newer.samples(1, 10)
    newer.estimate(10)


def test_stream_that_does_not_begin_with_hello_ends_with_invalid_argument(client):
    client.create()
    stream = Stream(client.channel, "r", 1, hello=False)
    stream.scalars(1, 1, loss=1.0)
    code, details = stream.end()
    assert code == grpc.StatusCode.INVALID_ARGUMENT and "Hello" in details


@pytest.mark.parametrize("epoch", [0, -5])
def test_epoch_that_is_not_positive_is_refused(client, epoch):
    client.create()
    code, details = client.open(epoch=epoch).end()
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert "session_epoch" in details and str(epoch) in details


def test_bytes_that_are_no_message_end_the_stream_with_invalid_argument(client):
    client.create()
    hello = ingest_pb2.IngestRequest(hello=ingest_pb2.Hello(run_id="r", session_epoch=1))
    ingest = client.channel.stream_stream("/dimwatch.v1.IngestService/Ingest")
    good = ingest_pb2.IngestRequest(
        scalars=ingest_pb2.ScalarBatch(seq=1, step=1, values={"loss": 1.0})
    )
    with pytest.raises(grpc.RpcError) as error:
        list(ingest(iter([hello.SerializeToString(), good.SerializeToString(), b"\xff\xff"])))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    scalars = client.queries.ListScalars(query_pb2.ListScalarsRequest(run_id="r")).scalars
    assert len(scalars) == 1


def test_message_beyond_the_transport_limit_ends_the_stream_and_loses_nothing_before(client):
    client.create()
    stream = client.open()
    stream.samples(1, 10)
    stream.durable(1)
    stream.samples(2, 20, data=b"x" * (40 << 20))
    assert stream.end()[0] == grpc.StatusCode.RESOURCE_EXHAUSTED
    again = client.open()
    assert again.welcome().resume_seq == 1
    again.samples(2, 20)
    again.estimate(20)
    assert [estimate.step for estimate in client.estimates()] == [10, 20]


BAD_RUNS = {
    "control characters in the id": (dict(run_id="a\x07"), "run.run_id"),
    "empty id": (dict(run_id=""), "run.run_id"),
    "long project": (dict(run_id="a", project="x" * 129), "run.project"),
    "control characters in the name": (dict(run_id="a", display_name="x\ny"), "run.display_name"),
    "bad label key": (dict(run_id="a", labels={"1x": "v"}), "run.labels"),
    "hyperparameters that are no object": (
        dict(run_id="a", hyperparameters_json="[1]"),
        "run.hyperparameters_json",
    ),
    "unknown window": (
        dict(run_id="a", config={"probes": [{"probe": "p", "window": 9}]}),
        "run.config.probes[0].window",
    ),
    "too few neighbors": (
        dict(run_id="a", config={"probes": [{"probe": "p", "estimator": {"neighbors": 2}}]}),
        "run.config.probes[0].estimator",
    ),
    "unknown signal": (
        dict(run_id="a", config={"policy": {"stop_on": ["nonsense"]}}),
        "run.config.policy.stop_on[0]",
    ),
    "negative patience": (
        dict(run_id="a", config={"signals": {"patience": -1}}),
        "run.config.signals",
    ),
}


@pytest.mark.parametrize("name", BAD_RUNS)
def test_bad_run_is_refused_with_the_field_that_is_wrong(client, name):
    fields, blamed = BAD_RUNS[name]
    request = run_pb2.CreateRunRequest(run=run_pb2.Run(**{"project": "tests", **fields}))
    with pytest.raises(grpc.RpcError) as error:
        client.runs.CreateRun(request)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert error.value.details().startswith(blamed), error.value.details()
    details = dict(error.value.trailing_metadata())["grpc-status-details-bin"]
    assert b"google.rpc.BadRequest" in details and blamed.encode() in details
    assert not client.runs.ListRuns(run_pb2.ListRunsRequest()).runs
