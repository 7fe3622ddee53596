"""The client against a real server: complete, interrupted, refused."""

import os
import time

import numpy as np
import pytest

import dimwatch

RANDOM = np.random.default_rng(3)
CLOUDS = [RANDOM.normal(size=(200, 8)).astype(np.float32) for _ in range(12)]
BOTH = ("train/last", "validation/last")


def start(server, **arguments):
    return dimwatch.init(project="tests", name="a run", server=server.grpc, **arguments)


def probes(run):
    return [run.probe(name, neighbors=16, aligned=True) for name in BOTH]


def log_step(run, watched, step):
    for number, probe in enumerate(watched):
        probe.log(CLOUDS[step % len(CLOUDS)] * (1 + number), step=step)
    run.log({"train/loss": 1 / (1 + step), "train/accuracy": step / 100}, step=step)


def series(server, run):
    """What the server knows, without what differs between equal runs."""
    history = dimwatch.query.history(server.grpc, run.id)
    estimates = [(e.probe, e.step, e.mean, e.std, e.standard_error, e.rows, e.complete)
                 for e in history.estimates]
    return estimates, history.scalars, history.signals, [
        (d.verdict, d.step, d.reason, d.best_step) for d in history.decisions]


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def whole(server, steps=range(12)):
    run = start(server)
    watched = probes(run)
    for step in steps:
        log_step(run, watched, step)
    run.finish()
    return run


def test_a_probe_may_ask_for_scale_profiles(server):
    run = start(server)
    probe = run.probe("train/last", neighbors=16, estimator="mle", scale_every=2,
                      duplicate_tolerance=0.01)
    for step in range(3):
        probe.log(CLOUDS[step], step=step)
    run.finish()
    estimates = dimwatch.query.history(server.grpc, run.id).estimates
    assert [e.scale_profile is not None for e in estimates] == [True, False, True]
    curve = estimates[0].scale_profile.gride
    assert [point.neighbors for point in curve] == [2, 4, 8, 16, 32, 64, 128]
    assert all(0 < point.standard_error < point.dimension for point in curve)
    assert estimates[0].near_duplicates == 0
    assert 0 < estimates[0].harmonic_mean < estimates[0].mean


def test_a_run_is_estimated_and_finished(server, caplog):
    run = whole(server)
    estimates, scalars, _, _ = series(server, run)
    assert [(e[0], e[1]) for e in estimates] == [(name, step) for step in range(12)
                                                for name in BOTH]
    assert all(e[2] > 1 and e[4] > 0 and e[5] == 200 and e[6] for e in estimates)
    assert scalars["train/loss"] == [(step, 1 / (1 + step)) for step in range(12)]
    assert run.estimates["train/last"].step == 11
    assert run.stats["durable_rows"] == 12 * 2 * 200
    assert run.stats["dropped_rows"] == run.stats["nacked_items"] == 0
    assert not caplog.records


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_type_gives_the_same_dimension(server, dtype):
    with start(server) as run:
        run.probe("train/last", neighbors=16).log(CLOUDS[0].astype(dtype), step=0)
    estimate = run.estimates["train/last"]
    assert estimate.mean == pytest.approx(6.2, abs=1.5)


def test_collapse_stops_the_job_and_finish_returns_the_decision(server):
    run = start(server, signals={"warmup": 1, "patience": 1})
    train = run.probe("train/last", neighbors=16)
    for step in range(5):
        train.log(CLOUDS[step], step=step)
    step = 5
    while not run.should_stop() and step < 2000:
        train.log(np.repeat(CLOUDS[0][:2], 100, axis=0), step=step)
        step += 1
        time.sleep(0.01)
    assert run.should_stop()
    final = run.finish()
    assert final.verdict == "STOP"
    assert "collapsed" in final.signals
    assert ("train/last", "collapsed") in run.signals


def test_shadow_decisions_do_not_stop_the_job(server):
    run = start(server, signals={"warmup": 1, "patience": 1}, policy={"mode": "shadow"})
    train = run.probe("train/last", neighbors=16)
    for step in range(10):
        cloud = CLOUDS[step] if step < 5 else np.repeat(CLOUDS[0][:2], 100, axis=0)
        train.log(cloud, step=step)
    run.finish()
    assert not run.should_stop()


def test_a_server_killed_in_the_middle_loses_nothing(server):
    expected = series(server, whole(server))
    run = start(server)
    watched = probes(run)
    for step in range(5):
        log_step(run, watched, step)
    wait_until(lambda: run.stats["durable_rows"] > 0)
    server.kill()
    for step in range(5, 9):
        log_step(run, watched, step)
    server.start()
    for step in range(9, 12):
        log_step(run, watched, step)
    run.finish()
    assert series(server, run) == expected
    assert run.stats["dropped_rows"] == 0


def test_an_answer_without_sense_costs_a_connection_and_no_more(server, caplog, monkeypatch):
    read, answers = dimwatch.Estimate._from_proto, []

    def misread(message):
        answers.append(message)
        if len(answers) == 1:
            raise ValueError("makes no sense")
        return read(message)

    monkeypatch.setattr(dimwatch.Estimate, "_from_proto", misread)
    run = whole(server)
    assert len(series(server, run)[0]) == 24
    assert run.stats["durable_rows"] == 12 * 2 * 200
    (record,) = caplog.records
    assert "lost (makes no sense)" in record.message


def test_a_server_that_comes_late_gets_everything(stopped_server):
    run = start(stopped_server)
    watched = probes(run)
    for step in range(6):
        log_step(run, watched, step)
    stopped_server.start()
    run.finish(timeout=60)
    late = series(stopped_server, run)
    assert late == series(stopped_server, whole(stopped_server, range(6)))


def test_a_job_that_restarts_goes_on_with_its_run(server):
    first = start(server, run_id="resumed")
    watched = probes(first)
    for step in range(6):
        log_step(first, watched, step)
    assert first.flush()
    second = start(server, run_id="resumed")
    watched = probes(second)
    for step in range(4, 12):  # from its checkpoint
        log_step(second, watched, step)
    second.finish()
    assert series(server, second)[:2] == series(server, whole(server))[:2]


def test_an_older_process_of_a_run_is_fenced_off(server, caplog):
    first = start(server, run_id="fenced")
    first.log({"loss": 1}, step=0)
    assert first.flush()
    second = start(server, run_id="fenced")
    second.log({"loss": 2}, step=1)
    assert second.flush()
    first.log({"loss": 3}, step=2)
    wait_until(lambda: "not watched any more" in caplog.text)
    second.finish()
    assert dimwatch.query.history(server.grpc, "fenced").scalars["loss"] == [(0, 1), (1, 2)]


def test_a_run_that_has_ended_is_not_continued(server, caplog):
    start(server, run_id="ended").finish()
    again = start(server, run_id="ended")
    wait_until(lambda: "not watched any more" in caplog.text)
    again.log({"loss": 1}, step=1)
    again.finish(timeout=5)


def test_what_the_server_rejects_is_counted_and_the_rest_is_taken(server, caplog):
    with start(server) as run:
        train = run.probe("train/last", neighbors=16)
        run.probe("train/few", neighbors=1)  # the server wants at least 4
        train.log(CLOUDS[0], step=0)
        train.log(CLOUDS[0][:, :3], step=1)  # another dim
        train.log(np.full((200, 8), np.nan, np.float32), step=2)
        run.log({"loss": float("inf"), "accuracy": 1.0}, step=2)
        train.log(CLOUDS[1], step=3)
    history = dimwatch.query.history(server.grpc, run.id)
    assert {0, 3} <= {e.step for e in history.probe("train/last")}
    assert history.scalars == {"accuracy": [(2, 1.0)]}
    assert run.stats["nacked_items"] >= 3
    assert "the server rejected an item" in caplog.text


def test_leaving_by_an_exception_marks_the_run_as_failed(server):
    import grpc
    from dimwatch.v1 import run_pb2, run_pb2_grpc
    with pytest.raises(ZeroDivisionError), start(server) as run:
        raise ZeroDivisionError
    with grpc.insecure_channel(server.grpc) as channel:
        request = run_pb2.GetRunRequest(run_id=run.id)
        found = run_pb2_grpc.RunServiceStub(channel).GetRun(request).run
    assert found.state == run_pb2.RUN_STATE_FAILED


def test_a_forked_child_of_a_connected_job_leaves_the_run_alone(server):
    run = start(server)
    train = run.probe("train/last", neighbors=16)
    train.log(CLOUDS[0], step=0)
    assert run.flush()
    child = os.fork()
    if child == 0:
        train.log(CLOUDS[0], step=99)
        run.finish(failed=True)
        os._exit(0)
    assert os.waitpid(child, 0) == (child, 0)
    train.log(CLOUDS[1], step=1)
    run.finish()
    history = dimwatch.query.history(server.grpc, run.id)
    assert [e.step for e in history.estimates] == [0, 1]


def test_a_cloud_larger_than_a_message_arrives_whole(server):
    with start(server) as run:
        probe = run.probe("train/wide", neighbors=16, max_points=100)
        probe.log(RANDOM.normal(size=(3000, 1000)), step=1)
    assert run.estimates["train/wide"].rows == 3000
    assert run.estimates["train/wide"].complete


def test_the_layers_of_a_step_are_read_back_in_their_order(server):
    run = start(server)
    layers = [f"layer.{number}" for number in range(12)]
    watched = [run.probe(f"train/{layer}", neighbors=16) for layer in reversed(layers)]
    late = run.probe("train/layer.99", neighbors=16)
    for step in range(2):
        for cloud, probe in zip(CLOUDS, watched):
            probe.log(cloud, step=step)
    late.log(CLOUDS[0], step=0)
    run.finish()
    profile = dimwatch.query.layer_profile(server.grpc, run.id)
    assert (profile.split, profile.step) == ("train", 1)
    assert list(profile.layers) == layers
    assert profile.missing_probes == ["train/layer.99"]
    assert all(e.mean > 1 and e.standard_error > 0 for e in profile.layers.values())
    first = dimwatch.query.layer_profile(server.grpc, run.id, split="train", step=0)
    assert list(first.layers) == layers + ["layer.99"] and first.missing_probes == []
    assert dimwatch.query.layer_profile(server.grpc, run.id, split="validation").layers == {}
    with pytest.raises(ValueError):
        dimwatch.query.layer_profile(server.grpc, run.id, split="nosuch")
