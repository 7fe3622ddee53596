"""Two views of a digit shall have one embedding: without negatives, all digits get the same one."""

import dataclasses

import torch
from torch import nn
from torch.nn import functional

from corpus import vectors
from corpus.training import PROBE_ROWS, Measurement, Task


@dataclasses.dataclass(frozen=True)
class Contrastive:
    """An encoder of digits from pairs of noisy, shifted views.

    Accuracy: the share of inputs whose other view is the nearest of all inputs' other views."""

    negatives: bool  # InfoNCE over the batch, or the mean square distance of the views alone
    noise: float = 0.1
    temperature: float = 0.2
    batch: int = 128

    def build(self, sources):
        return ContrastiveTask(self)


class ContrastiveTask(Task):
    def __init__(self, settings):
        self._settings = settings
        self._splits, _ = vectors.load("digits")
        probes = {split: inputs[:PROBE_ROWS] for split, (inputs, _) in self._splits.items()}
        self._views = {split: (inputs, self._view(inputs)) for split, inputs in probes.items()}
        self.model = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 256), nn.GELU(),
                                   nn.Linear(256, 64))

    def loss(self):
        inputs, _ = self._splits["train"]
        batch = inputs[torch.randint(len(inputs), (self._settings.batch,))]
        return self._loss_of(self.model(self._view(batch)), self.model(self._view(batch)))

    def _view(self, inputs):
        return vectors.augment(inputs, self._settings.noise, shift=True)

    def _loss_of(self, one, other):
        if not self._settings.negatives:
            return functional.mse_loss(one, other)
        likeness = functional.normalize(one) @ functional.normalize(other).T
        return functional.cross_entropy(
            likeness / self._settings.temperature, torch.arange(len(one)))

    def measure(self, split):
        inputs, other = self._views[split]
        hidden, others = self.model(inputs), self.model(other)
        nearest = torch.cdist(hidden, others).argmin(-1)
        return Measurement(hidden, self._loss_of(hidden, others).item(),
                           (nearest == torch.arange(len(inputs))).float().mean().item())
