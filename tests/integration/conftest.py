"""Tests of the real dimwatch-server over real sockets. DIMWATCH_BUILD names the build folder."""

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from testing_support.processes import BUILD, Server  # noqa: E402

sys.path.insert(0, str(BUILD / "python"))

import pytest  # noqa: E402

from client import Client  # noqa: E402


@pytest.fixture()
def server(tmp_path):
    """A server of this test alone."""
    with Server(tmp_path) as running:
        yield running


@pytest.fixture()
def client(server):
    with Client(server.grpc) as connected:
        yield connected
