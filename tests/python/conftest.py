"""What the Python tests share. DIMWATCH_BUILD names the build folder; default: build/."""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("DIMWATCH_BUILD", ROOT / "build")).resolve()
sys.path[:0] = [str(BUILD / "python"), str(pathlib.Path(__file__).parent), str(ROOT / "tests")]

from server import Server  # noqa: E402  (found through sys.path)


@pytest.fixture
def server(tmp_path):
    """A running dimwatch-server with a data folder of its own."""
    with Server(BUILD / "bin" / "dimwatch-server", tmp_path / "data") as running:
        yield running


@pytest.fixture
def stopped_server(tmp_path):
    """A server that a test starts when it wants."""
    with Server(BUILD / "bin" / "dimwatch-server", tmp_path / "data", start=False) as idle:
        yield idle
