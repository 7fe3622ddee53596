"""Runs without a server: nothing raises, blocks or grows."""

import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

import dimwatch
from server import free_port

CLOUD = np.ones((10, 4), np.float32)
QUICK_SECONDS = 0.5  # for calls of microseconds, on a busy machine


@pytest.fixture
def offline():
    run = dimwatch.init(server=f"127.0.0.1:{free_port()}", max_queue_bytes=20_000)
    yield run
    run.finish(timeout=0)


@pytest.fixture
def hanging_address():
    """A server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("arguments", [
    {"project": "bad name"}, {"run_id": "a b"}, {"labels": 3}, {"config": [1]},
    {"config": {"x": "y" * 70_000}}, {"signals": {"patience": "x"}}, {"signals": {"nosuch": 1}},
    {"policy": {"mode": "nosuch"}}, {"server": 50051}])
def test_bad_arguments_of_init_disable_the_run_with_one_warning(arguments, caplog):
    run = dimwatch.init(**{"server": False, **arguments})
    run.probe("train/last").log(CLOUD, step=1)
    assert len(caplog.records) == 1
    assert not run.should_stop()
    assert run.finish().verdict == "CONTINUE"
    with pytest.raises((TypeError, ValueError, AttributeError)):
        dimwatch.init(strict=True, **{"server": False, **arguments})


def test_bad_arguments_are_counted_and_warned_about_once(offline, caplog):
    train = offline.probe("train/last")
    for step in range(5):
        train.log(np.ones((3, 3), int), step=step)
        train.log(CLOUD, step=-1 - step)
        train.log(None, step=step, mask="x")
        offline.log({"bad name": 1, "text": "x", "list": [1, 2], "good": 1}, step=step)
        offline.log(3, step=step)
    offline.probe("bad name", neighbors=3).log(CLOUD, step=1)
    offline.probe("train/other", estimator="nosuch").log(CLOUD, step=1)
    mine = [record for record in caplog.records if "ignored" in record.message]
    assert offline.stats["rejected_calls"] == 5 * 7 + 2
    assert len(mine) == 7 + 2


def test_strict_raises_instead(tmp_path):
    with dimwatch.init(server=False, record=tmp_path, strict=True) as run:
        with pytest.raises(ValueError, match="step must be 0 or greater, got -1"):
            run.probe("train/last").log(CLOUD, step=-1)
        with pytest.raises(ValueError, match="a probe's name"):
            run.probe("bad name")


def test_wrong_settings_name_what_is_allowed():
    with pytest.raises(ValueError, match="mode must be one of advisory, shadow, enforced, got 'x'"):
        dimwatch.init(server=False, strict=True, policy={"mode": "x"})


def test_the_queue_stays_within_its_bound_and_calls_stay_quick(offline):
    train, slowest = offline.probe("train/last"), 0.0
    for step in range(500):
        start = time.monotonic()
        train.log(CLOUD, step=step)
        offline.log({"loss": 1.0}, step=step)
        slowest = max(slowest, time.monotonic() - start)
        assert offline.stats["queued_bytes"] <= 20_000
    assert offline.stats["dropped_rows"] > 4000
    assert slowest < QUICK_SECONDS


def test_a_loop_that_asks_for_its_probe_at_every_step_declares_it_once(offline):
    offline.probe("train/last", neighbors=8)
    queued = offline.stats["queued_bytes"]
    for _ in range(100):
        offline.probe("train/last", neighbors=8)
    assert offline.stats["queued_bytes"] == queued
    offline.probe("train/last", neighbors=16)
    assert offline.stats["queued_bytes"] > queued


def test_a_server_that_hangs_costs_nothing_but_the_timeout_of_finish(hanging_address):
    start = time.monotonic()
    run = dimwatch.init(server=hanging_address)
    run.probe("train/last").log(CLOUD, step=1)
    assert not run.should_stop()
    assert time.monotonic() - start < QUICK_SECONDS
    assert run.finish(timeout=0.2).verdict == "CONTINUE"
    assert time.monotonic() - start < 5


def test_finish_without_a_server_warns_and_returns(offline, caplog):
    offline.log({"loss": 1}, step=1)
    offline.finish(timeout=0.1)
    assert "was not finished" in caplog.text
    offline.log({"loss": 1}, step=2)
    assert offline.finish().verdict == "CONTINUE"


def test_a_disabled_run_does_nothing(tmp_path):
    run = dimwatch.init(enabled=False, record=tmp_path / "trace", server=f"127.0.0.1:{free_port()}")
    run.probe("bad name").log("nonsense", step="x")
    run.finish()
    assert not (tmp_path / "trace").exists()


def test_a_scalar_on_any_device_or_of_any_type_is_a_number(tmp_path):
    with dimwatch.init(server=False, record=tmp_path, strict=True) as run:
        run.log({"a": torch.tensor(0.5, requires_grad=True), "b": np.float16(0.5), "c": 1,
                 "d": torch.tensor([0.5])}, step=torch.tensor(3))
    assert '"a": 0.5, "b": 0.5, "c": 1.0, "d": 0.5' in (tmp_path / "trace.jsonl").read_text()


def test_a_forked_child_reports_nothing_and_exits_cleanly(offline):
    train = offline.probe("train/last")
    child = os.fork()
    if child == 0:
        try:
            train.log(CLOUD, step=1)
            offline.log({"loss": 1}, step=1)
            os._exit(int(offline.finish().verdict != "CONTINUE"))
        finally:
            os._exit(99)
    deadline = time.monotonic() + 20
    while (result := os.waitpid(child, os.WNOHANG))[0] == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    if result[0] == 0:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert result == (child, 0)


SCRIPT = """
import sys, time
sys.path.insert(0, sys.argv[1])
import numpy as np, dimwatch
run = dimwatch.init(server=sys.argv[2])
run.probe("train/last").log(np.ones((100, 8)), step=1)
"""


def start_script(tail, address):
    package = os.path.dirname(os.path.dirname(dimwatch.__file__))
    return subprocess.Popen([sys.executable, "-c", SCRIPT + tail, package, address],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=heed_interrupts)


def heed_interrupts():
    """Tests may run in the background, where a shell has interrupts ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_program_that_ends_without_finish_exits_in_bounded_time():
    script = start_script("", f"127.0.0.1:{free_port()}")
    _, errors = script.communicate(timeout=60)
    assert script.returncode == 0
    assert "is lost" in errors


def test_ctrl_c_ends_the_program(hanging_address):
    loop = "with run:\n print('up', flush=True)\n while True: time.sleep(0.05)"
    script = start_script(loop, hanging_address)
    assert script.stdout.readline() == "up\n"
    script.send_signal(signal.SIGINT)
    _, errors = script.communicate(timeout=60)
    assert "KeyboardInterrupt" in errors
