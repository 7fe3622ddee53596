"""Workers of a DataLoader are forked from a process that reports: they neither hang nor report."""

import os
import subprocess
import sys

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

import dimwatch
from testing_support import hostile

ROWS = 40


class Reporting(Dataset):
    """A careless one: its items report to the run of the training, in whatever process."""

    def __init__(self, run, probe):
        self._run, self._probe = run, probe

    def __len__(self):
        return ROWS

    def __getitem__(self, index):
        self._probe.log(torch.ones(9, 4), step=1000 + index)
        self._run.probe("worker/probe").log(torch.ones(9, 4), step=index)
        self._run.log({"worker": 1.0}, step=index)
        assert not self._run.should_stop()
        assert self._run.flush(timeout=0)
        assert self._run.finish().verdict == "CONTINUE"
        return torch.full((4,), float(index))


@pytest.mark.parametrize("kind", [hostile.Healthy, hostile.Dead, hostile.Garbage, hostile.Frozen],
                         ids=lambda kind: kind.__name__)
def test_workers_neither_hang_nor_report(kind, tmp_path, capfd):
    with kind(tmp_path) as server:
        run = dimwatch.init("tests", server=server.address)
        probe = run.probe("train/last", neighbors=8)
        epochs = 4
        for epoch in range(epochs):
            probe.log(torch.randn(50, 8, generator=torch.Generator().manual_seed(epoch)),
                      step=epoch)
            server.worsen()
            loader = DataLoader(Reporting(run, probe), batch_size=5, num_workers=2, timeout=60)
            assert torch.cat(list(loader))[:, 0].tolist() == list(range(ROWS))
        assert run.stats["rejected_calls"] == 0
        healthy = kind is hostile.Healthy
        run.finish(timeout=60 if healthy else 0.2)
        assert run.stats["durable_rows"] + run.stats["dropped_rows"] == 50 * epochs
        if healthy:
            history = dimwatch.query.history(server.address, run.id)
            assert [e.step for e in history.estimates] == list(range(epochs))
            assert history.scalars == {}
    assert capfd.readouterr().err.count("\n") <= 1  # logging's own handler for warnings


FORKING = """
import os, sys, dimwatch
run = dimwatch.init("tests", server=sys.argv[1])
for step in range(100):
    run.log({"loss": 1.0}, step=step)
    child = os.fork()
    if child == 0:
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
run.finish(timeout=0.2)
"""


@pytest.mark.parametrize("kind", [hostile.Healthy, hostile.Dead], ids=lambda kind: kind.__name__)
def test_children_that_exit_by_themselves_exit_as_they_say(kind, tmp_path):
    """gRPC's own handlers of forks may hang the parent, and its end may abort the child."""
    with kind(tmp_path) as server:
        server.worsen()
        command = [sys.executable, "-c", FORKING, server.address]
        path = os.pathsep.join([path for path in sys.path if path])
        done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True,
                              text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "mutex" not in done.stderr
