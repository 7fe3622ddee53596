"""A server that is stopped or killed in the middle of a run changes nothing about the run."""

import grpc
import pytest

from client import Client
from dimwatch.v1 import query_pb2
from testing_support.processes import Server

STEPS = [10 * i for i in range(1, 25)]
BACK_AT = 15  # after so many items the job restarts from an earlier checkpoint
POLICY = dict(
    signals=dict(warmup=3, patience=2, min_delta=0.02, z_score=1.0),
)


def items():
    """What the job sends: (seq, step), with a rewind in the middle."""
    steps = STEPS[:BACK_AT] + STEPS[BACK_AT - 4 :]
    return [(2 * i + 1, step) for i, step in enumerate(steps)]


def send(stream, after_seq, until=None):
    last = after_seq
    for seq, step in items()[:until]:
        if seq > after_seq:
            stream.scalars(seq, step, loss=1.0 / step)
        if seq + 1 > after_seq:
            stream.samples(seq + 1, step)
        last = seq + 1
    return last


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("undisturbed")) as server, Client(server.grpc) as client:
        client.create(**POLICY)
        stream = client.open()
        send(stream, 0)
        stream.half_close()
        assert stream.end()[0] == grpc.StatusCode.OK
        client.finish()
        history = client.history()
    assert len(history) > 2 * len(STEPS), "the course must hold signals and decisions, too"
    return history


def end(server, how):
    if how == "SIGTERM":
        assert server.stop() == 0
    else:
        server.process.kill()
        server.process.wait()
        server.stop()


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
@pytest.mark.parametrize("after", [1, 9, 17])
def test_interrupted_run_ends_like_an_undisturbed_one(tmp_path, undisturbed, how, after):
    with Server(tmp_path) as server, Client(server.grpc) as client:
        client.create(**POLICY)
        stream = client.open()
        sent = send(stream, 0, until=after)
        stream.durable(sent)  # acknowledged, but not all of it estimated
        stream.samples(1000, 5, probe="train/nobody")  # rejected: not kept, not in the way
        end(server, how)
        code = stream.end()[0]
        assert code == grpc.StatusCode.UNAVAILABLE, code
        assert bool(stream.all("draining")) == (how == "SIGTERM")
    with Server(tmp_path) as server, Client(server.grpc) as client:
        assert not client.create(**POLICY).created
        stream = client.open()
        resume = stream.welcome().resume_seq
        assert resume >= sent
        send(stream, resume)
        stream.half_close()
        assert stream.end()[0] == grpc.StatusCode.OK
        client.finish()
        assert client.history() == undisturbed


def test_many_kills_change_nothing(tmp_path, undisturbed):
    for _ in range(5):
        with Server(tmp_path) as server, Client(server.grpc) as client:
            client.create(**POLICY)
            stream = client.open()
            resume = stream.welcome().resume_seq
            sent = send(stream, resume, until=resume // 2 + 4)
            if sent > resume:
                stream.durable(sent)
            end(server, "SIGKILL")
    with Server(tmp_path) as server, Client(server.grpc) as client:
        stream = client.open()
        send(stream, stream.welcome().resume_seq)
        stream.half_close()
        assert stream.end()[0] == grpc.StatusCode.OK
        client.finish()
        assert client.history() == undisturbed


def test_finished_run_is_served_after_a_restart(tmp_path, undisturbed):
    with Server(tmp_path) as server, Client(server.grpc) as client:
        client.create(**POLICY)
        stream = client.open()
        send(stream, 0)
        stream.half_close()
        stream.end()
        before = client.finish()
        end(server, "SIGKILL")
    with Server(tmp_path) as server, Client(server.grpc) as client:
        assert client.history() == undisturbed
        decision = client.queries.GetDecision(query_pb2.GetDecisionRequest(run_id="r")).decision
        assert decision == before.decision
        kept = client.queries.ListDecisions(query_pb2.ListDecisionsRequest(run_id="r")).decisions
        assert decision == kept[-1]


def test_watch_that_goes_on_behind_its_cursor_sees_everything_once(tmp_path):
    with Server(tmp_path) as server, Client(server.grpc) as client:
        client.create(**POLICY)
        stream = client.open()
        send(stream, 0, until=8)
        stream.estimate(80)
        seen = []
        for event in client.queries.WatchRun(query_pb2.WatchRunRequest(run_id="r")):
            seen.append(event)
            if event.estimate.step == 50:
                break
        end(server, "SIGKILL")
    with Server(tmp_path) as server, Client(server.grpc) as client:
        watch = client.queries.WatchRun(
            query_pb2.WatchRunRequest(run_id="r", after_cursor=seen[-1].cursor)
        )
        stream = client.open()
        resume = stream.welcome().resume_seq
        send(stream, resume)
        stream.half_close()
        stream.end()
        client.finish()
        seen += list(watch)  # ends by itself: the run has ended
        cursors = [event.cursor for event in seen]
        assert cursors == sorted(set(cursors))
        shown = series(seen)
        assert shown == [(e.step, e.mean) for e in client.estimates()]
        assert seen[-1].state != 0
        whole = client.queries.WatchRun(query_pb2.WatchRunRequest(run_id="r"))
        assert series(whole) == shown


def series(events):
    """The series that a watcher ends up with."""
    points = []
    for event in events:
        kind = event.WhichOneof("event")
        if kind == "rewind" and event.rewind.probe:
            points = [point for point in points if point[0] < event.rewind.step]
        elif kind == "estimate":
            points.append((event.estimate.step, event.estimate.mean))
    return points
