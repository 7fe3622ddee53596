"""Several ranks leave their loops at the same step, whatever their clients know."""

import json
import os
import subprocess
import sys

import pytest

from conftest import BUILD, ROOT
from testing_support import hostile


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What both ranks say."""
    folder = tmp_path_factory.mktemp("ranks")
    with hostile.Healthy(folder) as server, hostile.Dead(folder) as dead:
        ranks = [subprocess.Popen(
            [sys.executable, ROOT / "tests/python/ranks.py", str(rank), folder / "rendezvous",
             server.address, dead.address],
            env={**os.environ, "PYTHONPATH": str(BUILD / "python"), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for rank in range(2)]
        try:
            ends = [rank.communicate(timeout=100) for rank in ranks]
        finally:
            for rank in ranks:
                rank.kill()
    for rank, (_, errors) in zip(ranks, ends):
        assert rank.returncode == 0, errors
    return [json.loads(output.splitlines()[-1]) for output, _ in ends]


@pytest.mark.parametrize("case", ["one run", "a run each", "steps", "one dead client"])
def test_all_ranks_stop_at_one_step(told, case):
    assert told[0][case] == told[1][case] is not None


@pytest.mark.parametrize("case", ["healthy", "only dead clients", "refused"])
def test_ranks_that_hear_of_no_stop_train_to_the_end(told, case):
    assert told[0][case] is told[1][case] is None
