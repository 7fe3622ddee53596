"""One rank of a job with two, for test_ranks.py: trains the same steps as the other, several times,
and says as one line of JSON at which step it left each loop.

    ranks.py RANK RENDEZVOUS_FILE SERVER DEAD_SERVER
"""

import json
import sys

import numpy as np
import torch
import torch.distributed as distributed

import dimwatch
import dimwatch.torch

MANY = 100_000  # a loop that is to be stopped does not come this far
FEW = 40
ONES, RANDOM = np.ones((100, 8)), np.random.default_rng(1).normal(size=(5, 100, 8))


def start(server, **arguments):
    return dimwatch.init("tests", server=server, policy={"mode": "enforced"},
                         signals={"warmup": 1, "patience": 1}, **arguments)


def train(probe, step, collapses):
    """A step as all ranks make it: a collective, for the gradients, and a cloud."""
    distributed.all_reduce(torch.ones(10))
    probe.log(ONES if collapses and step >= 5 else RANDOM[step % 5], step=step)


def loop(run, steps, collapses=True):
    """Trains until the ranks agree to stop. Returns the step, None if they never did."""
    probe = run.probe("train/last", neighbors=8)
    for step in range(steps):
        train(probe, step, collapses)
        if dimwatch.torch.any_rank(run.should_stop()):
            return step
    return None


def enforced(run):
    """The same through run.steps. Returns the last step."""
    probe = run.probe("train/last", neighbors=8)
    for step in run.steps(range(MANY), agree=dimwatch.torch.any_rank):
        train(probe, step, collapses=True)
    return step


def main():
    rank, rendezvous, server, dead = int(sys.argv[1]), *sys.argv[2:]
    distributed.init_process_group("gloo", init_method=f"file://{rendezvous}", rank=rank,
                                   world_size=2)
    first = rank == 0
    told = {
        "one run": loop(start(server, enabled=first), MANY),
        "a run each": loop(start(server), MANY),
        "steps": enforced(start(server, enabled=first)),
        "one dead client": loop(start(dead if first else server), MANY),
        "only dead clients": loop(start(dead), FEW),
        "refused": loop(start(server, labels=3), FEW),
        "healthy": loop(start(server), FEW, collapses=False)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
