"""However a job ends, it ends in time, with its own exit status, and the server knows of it."""

import signal
import subprocess
import sys

import grpc
import pytest

import dimwatch
from conftest import BUILD
from dimwatch.v1 import run_pb2, run_pb2_grpc
from testing_support import hostile

START = """
import os, sys, threading, time
import numpy as np, dimwatch
run = dimwatch.init("tests", server=sys.argv[1], run_id=sys.argv[2])
probe = run.probe("train/last", neighbors=8)
cloud = np.random.default_rng(1).normal(size=(100, 8))
def log(step):
    probe.log(cloud, step=step)
    run.log({"train/loss": 1.0}, step=step)
log(0)
"""
QUICK = "sys.modules['dimwatch.run']._EXIT_SECONDS = 0.5\n"  # for many tests; the limit has its own
RUNNING, FINISHED, FAILED = "RUNNING", "FINISHED", "FAILED"


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    with hostile.Healthy(tmp_path_factory.mktemp("healthy")) as server:
        yield server


@pytest.fixture(scope="module")
def hung(tmp_path_factory):
    with hostile.Hung(tmp_path_factory.mktemp("hung")) as server:
        yield server


def run_job(server, run_id, rest, interrupt=False):
    """Runs START and `rest`, and interrupts it when it says "up", if so wished. Returns its exit
    status and stderr."""
    if isinstance(server, hostile.Hung):
        rest = QUICK + rest
    job = subprocess.Popen(
        [sys.executable, "-c", START + rest, server.address, run_id], text=True,
        env={"PYTHONPATH": str(BUILD / "python")}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    if interrupt:
        assert job.stdout.readline() == "up\n", job.communicate()
        job.send_signal(signal.SIGINT)
    try:
        _, errors = job.communicate(timeout=60)
    finally:
        job.kill()
    return job.returncode, errors


def state(server, run_id):
    with grpc.insecure_channel(server.address) as channel:
        found = run_pb2_grpc.RunServiceStub(channel).GetRun(run_pb2.GetRunRequest(run_id=run_id))
    return run_pb2.RunState.Name(found.run.state)[len("RUN_STATE_"):]


def steps(server, run_id):
    """The steps that the server has of the loss."""
    scalars = dimwatch.query.history(server.address, run_id).scalars
    return [step for step, _ in scalars.get("train/loss", [])]


def id_of(name):
    return name.replace(" ", "-")


WAITING = "print('up', flush=True)\n{indent}while True: time.sleep(0.01)"
INTERRUPTING = "threading.Timer(0.3, os.kill, (os.getpid(), 2)).start()\n"  # in the next call


@pytest.mark.parametrize("name, rest, status, ends_as", [
    ("no finish", "log(1)", 0, RUNNING),
    ("finish", "log(1); run.finish()", 0, FINISHED),
    ("exception", "log(1); raise ArithmeticError", 1, RUNNING),
    ("exception in with", "with run:\n  log(1); raise ArithmeticError", 1, FAILED),
    ("sys.exit", "log(1); sys.exit(7)", 7, RUNNING),
    ("sys.exit in with", "with run:\n  log(1); sys.exit(7)", 7, FAILED),
    ("sys.exit in a thread",
     "t = threading.Thread(target=sys.exit, args=(7,)); t.start(); t.join()\nlog(1); run.finish()",
     0, FINISHED),
    ("logging thread goes on",
     "threading.Thread(target=lambda: [log(1) for _ in iter(int, 1)], daemon=True).start()\n"
     "log(1)", 0, RUNNING)])
def test_a_job_that_ends_by_itself_loses_nothing(healthy, name, rest, status, ends_as):
    assert run_job(healthy, id_of(name), rest)[0] == status
    assert steps(healthy, id_of(name)) == [0, 1]
    assert state(healthy, id_of(name)) == ends_as


@pytest.mark.parametrize("name, rest, ends_as", [
    ("interrupt", "log(1)\n" + WAITING.format(indent=""), RUNNING),
    ("interrupt in with", "with run:\n  log(1)\n  " + WAITING.format(indent="  "), FAILED)])
def test_an_interrupted_job_loses_nothing(healthy, name, rest, ends_as):
    status, errors = run_job(healthy, id_of(name), rest, interrupt=True)
    assert status in (-signal.SIGINT, 1)
    assert "KeyboardInterrupt" in errors
    assert steps(healthy, id_of(name)) == [0, 1]
    assert state(healthy, id_of(name)) == ends_as


def test_os_exit_ends_at_once_and_the_run_can_go_on(healthy):
    assert run_job(healthy, "os-exit", "run.flush(); log(1); os._exit(3)")[0] == 3
    assert run_job(healthy, "os-exit", "log(2); run.finish()")[0] == 0
    assert set(steps(healthy, "os-exit")) >= {0, 2}
    assert state(healthy, "os-exit") == FINISHED


@pytest.mark.parametrize("rest, status", [
    ("", 0), ("with run: sys.exit(7)", 7), ("with run: raise ArithmeticError", 1),
    ("run.finish(timeout=1)", 0), ("os._exit(3)", 3)])
def test_a_server_that_hangs_changes_no_exit_status(hung, rest, status):
    assert run_job(hung, "hung", rest)[0] == status


@pytest.mark.parametrize("rest", [
    WAITING.format(indent=""), "with run:\n  " + WAITING.format(indent="  "),
    INTERRUPTING + "run.finish(timeout=600)", INTERRUPTING + "run.flush(timeout=600)"])
def test_an_interrupt_ends_a_job_whose_server_hangs(hung, rest):
    status, errors = run_job(hung, "interrupted", rest, interrupt="up" in rest)
    assert status in (-signal.SIGINT, 1)
    assert "KeyboardInterrupt" in errors
