"""A training with dimwatch, whatever becomes of its server, is the same training as one without."""

import hashlib
import random

import numpy as np
import pytest
import torch
from torch import nn

import dimwatch
import dimwatch.torch
from testing_support import hostile

STEPS = 45
QUEUE_BYTES = 1 << 20


class Model(nn.Module):
    """Everything that a careless observer would disturb: dropout, running means, two blocks."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.ReLU())
            for _ in range(2))
        self.head = nn.Linear(16, 3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def digest(*arrays):
    hashed = hashlib.sha256()
    for array in arrays:
        hashed.update(np.ascontiguousarray(array).tobytes())
    return hashed.hexdigest()


def train(observe=lambda model, hidden, loss, step: None, prepare=lambda model: None):
    """Trains a small model from a fixed seed. Returns digests of what it ended with: parameters and
    buffers, and the random states of torch, numpy and Python."""
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    inputs, targets = torch.randn(300, 16), torch.randint(3, (300,))
    model = Model()
    optimizer = torch.optim.Adam(model.parameters())
    prepare(model)
    for step in range(STEPS):
        chosen = random.sample(range(300), 40) + np.random.randint(300, size=20).tolist()
        hidden = model.blocks[0](inputs[chosen])
        loss = nn.functional.cross_entropy(
            model.head(model.blocks[1](hidden)), targets[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        observe(model, hidden, loss, step)
    return {
        "weights": digest(*(value.numpy() for value in model.state_dict().values())),
        "torch": digest(torch.get_rng_state().numpy()),
        "numpy": digest(np.random.get_state()[1], np.random.get_state()[2]),
        "python": digest(random.getstate()[1])}


@pytest.fixture(scope="module")
def alone():
    """The same training without dimwatch."""
    return train()


class Watching:
    """Observes a training in every way that there is."""

    def __init__(self, trouble, **arguments):
        self._trouble = trouble
        self.run = dimwatch.init("tests", "training", server=trouble.address,
                                 max_queue_bytes=QUEUE_BYTES, **arguments)
        self._probe = self.run.probe("train/hidden", neighbors=8)
        self.rows, self.most_queued = 0, 0

    def prepare(self, model):
        inputs = torch.linspace(-1, 1, 64 * 16).reshape(64, 16)
        self._watch = dimwatch.torch.watch(self.run, model, ["blocks.0", "blocks.1"], [inputs],
                                           every=3, neighbors=8)

    def observe(self, model, hidden, loss, step):
        if step == STEPS // 3:
            self._trouble.worsen()
        elif step == 2 * STEPS // 3:
            self._trouble.mend()
        self._probe.log(hidden, step=step)
        self._watch.step(step)
        self.run.log({"train/loss": loss}, step=step)
        self.run.should_stop()
        self.rows += len(hidden) + (2 * 64 if step % 3 == 0 else 0)
        self.most_queued = max(self.most_queued, self.run.stats["queued_bytes"])


def test_the_training_alone_repeats_itself(alone):
    assert train() == alone


@pytest.mark.parametrize("kind", [hostile.Healthy, *hostile.TROUBLES],
                         ids=lambda kind: kind.__name__)
def test_training_is_the_same_to_the_last_bit_whatever_becomes_of_the_server(kind, alone, tmp_path):
    with kind(tmp_path) as trouble:
        watching = Watching(trouble)
        assert train(watching.observe, watching.prepare) == alone
        delivers = kind in (hostile.Healthy, hostile.Restarting)
        watching.run.finish(timeout=60 if delivers else 0.5)
    stats = watching.run.stats
    assert watching.most_queued <= QUEUE_BYTES
    assert stats["rejected_calls"] == stats["nacked_items"] == 0
    assert stats["durable_rows"] + stats["dropped_rows"] == watching.rows
    if delivers:
        assert stats["dropped_rows"] == 0
