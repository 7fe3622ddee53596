"""Tests of the command `dimwatch` as its users run it. DIMWATCH_BUILD names the build folder."""

import json
import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
sys.path.insert(0, str(TESTS / "integration"))

from testing_support.processes import BUILD, Server  # noqa: E402

sys.path.insert(0, str(BUILD / "python/dimwatch/_proto"))

import pytest  # noqa: E402

from client import Client, cloud  # noqa: E402

COMMAND = BUILD / "bin/dimwatch"


class Result:
    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def lines(self):
        """The JSON lines on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture()
def dimwatch():
    """Runs the command: dimwatch("estimate", file).code, .out, .err, .lines."""

    def run(*words, server=None):
        env = {name: value for name, value in os.environ.items() if name != "DIMWATCH_SERVER"}
        if server:
            env["DIMWATCH_SERVER"] = server
        command = [str(word) for word in (COMMAND, *words)]
        return Result(subprocess.run(command, capture_output=True, text=True, timeout=120, env=env))

    return run


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def client(server):
    with Client(server.grpc) as connected:
        yield connected


@pytest.fixture(scope="session")
def finished(client):
    """The id of a run with 25 estimates, scalars, signals and a decision, which has ended."""
    client.create("finished/1")
    stream = client.open("finished/1")
    for i in range(25):
        stream.scalars(2 * i + 1, step=10 * i, **{"train/loss": 1.0 / (i + 1)})
        stream.samples(2 * i + 2, step=10 * i, rows=cloud(10 * i))
    stream.durable(50)
    client.finish("finished/1")
    return "finished/1"
