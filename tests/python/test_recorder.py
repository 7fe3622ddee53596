"""Traces: what is logged comes back from the folder."""

import contextlib
import json
import resource

import numpy as np
import pytest
import torch

import dimwatch


def lines(folder):
    return [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]


def recording(folder):
    return dimwatch.init(server=False, record=folder, strict=True)


def test_each_step_is_a_line_with_its_scalars_and_clouds(tmp_path):
    clouds = np.random.default_rng(1).normal(size=(2, 20, 4)).astype(np.float32)
    with recording(tmp_path / "trace") as run:
        train = run.probe("train/last")
        for step, cloud in enumerate(clouds):
            run.log({"train/loss": 1.5 - step}, step=step)
            train.log(cloud[:12], step=step, end=False)
            train.log(cloud[12:], step=step)
            run.log({"train/accuracy": 0.25}, step=step)
    read = lines(tmp_path / "trace")
    assert [line["step"] for line in read] == [0, 1]
    assert read[1]["scalars"] == {"train/loss": 0.5, "train/accuracy": 0.25}
    for line, cloud in zip(read, clouds):
        (sample,) = line["samples"]
        assert sample["probe"] == "train/last"
        assert np.array_equal(np.load(tmp_path / "trace" / sample["file"]), cloud)


@pytest.mark.parametrize("tensor, dtype", [
    (torch.tensor([[1.5, 2.0]], dtype=torch.bfloat16), np.float32),
    (torch.tensor([[1.5, 2.0]], dtype=torch.float16), np.float16),
    (torch.tensor([[1.5, 2.0]], dtype=torch.float64), np.float32)])
def test_types_that_npy_or_replay_lack_become_float32(tmp_path, tensor, dtype):
    with recording(tmp_path) as run:
        run.probe("train/last").log(tensor, step=1)
    cloud = np.load(tmp_path / lines(tmp_path)[0]["samples"][0]["file"])
    assert cloud.dtype == dtype
    assert cloud.tolist() == [[1.5, 2.0]]


def test_a_job_that_goes_back_keeps_both_clouds_of_a_step(tmp_path):
    for value in (1, 2):
        with recording(tmp_path) as run:
            run.probe("train/last").log(np.full((2, 2), value, np.float32), step=5)
    files = [line["samples"][0]["file"] for line in lines(tmp_path)]
    assert [np.load(tmp_path / file)[0, 0] for file in files] == [1, 2]


def test_numbers_that_json_lacks_are_left_out(tmp_path):
    with recording(tmp_path) as run:
        run.log({"loss": float("nan"), "accuracy": 1}, step=1)
    assert lines(tmp_path) == [{"step": 1, "scalars": {"accuracy": 1.0}}]


def test_a_disk_that_fails_is_warned_about_and_training_goes_on(tmp_path, caplog):
    run = recording(tmp_path / "trace")
    train = run.probe("train/a")
    train.log(np.ones((2, 2)), step=1)
    train.log(np.ones((2, 3)), step=1)  # cannot be one cloud
    run.finish()
    (record,) = caplog.records
    assert "recording to" in record.message
    assert "stopped" in record.message


@contextlib.contextmanager
def full_disk():
    """No file grows beyond 100 000 bytes, also none that pytest reports to."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("log", [
    lambda run, step: run.probe("train/a").log(np.ones((10 ** step, 8), np.float32), step=step),
    lambda run, step: run.log({f"{i}/{'x' * 95}": step for i in range(240)}, step=step)], ids=["samples", "scalars"])
def test_a_disk_that_is_full_ends_the_recording_alone(tmp_path, caplog, server, log):
    run = dimwatch.init(server=server.grpc, record=tmp_path / "trace", strict=True)
    with full_disk():
        for step in [*range(1, 5), *range(1, 4)]:  # the fourth does not fit; nor would it later
            log(run, step)
            run.log({"loss": 1.0}, step=step)
        run.finish()
    (record,) = caplog.records
    assert "recording" in record.message
    assert dimwatch.query.history(server.grpc, run.id).scalars["loss"] == [(1, 1), (2, 1), (3, 1)]
    whole = lines(tmp_path / "trace")
    assert [line["step"] for line in whole] == [1, 2, 3]
    told = {sample["file"] for line in whole for sample in line.get("samples", ())}
    assert {path.name for path in (tmp_path / "trace").glob("*.npy")} == told


def test_a_trace_whose_last_line_was_torn_is_continued(tmp_path):
    for step in (1, 2):
        with recording(tmp_path) as run:
            run.log({"loss": 1.0}, step=step)
        with (tmp_path / "trace.jsonl").open("a") as trace:
            trace.write('{"step": 7, "scal' if step == 1 else "")
    assert [line["step"] for line in lines(tmp_path)] == [1, 2]


def test_a_folder_that_cannot_be_made_disables_the_run(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    run = dimwatch.init(server=False, record=tmp_path / "file" / "trace")
    run.log({"loss": 1.0}, step=1)
    assert "Not a directory" in caplog.text
