"""Modular arithmetic, on which a small transformer groks (Power et al., 2022), or never does."""

import dataclasses

import torch
from torch import nn
from torch.nn import functional

from corpus.training import PROBE_ROWS, Measurement, Task
from corpus.transformer import Decoder

OPERATIONS = {
    "a + b": lambda a, b, p: (a + b) % p,
    "a - b": lambda a, b, p: (a - b) % p,
    "a * b": lambda a, b, p: a * b % p,
    "a / b": lambda a, b, p: a * inverse(p)[b] % p,
    "a^2 + b^2": lambda a, b, p: (a * a + b * b) % p,
    "a^3 + a b^2 + b": lambda a, b, p: (a**3 + a * b**2 + b) % p,
    "random": lambda a, b, p: torch.randint(p, a.shape),
}


@dataclasses.dataclass(frozen=True)
class Modular:
    """a (operation) b modulo a prime, read as "a b =", from a fraction of all pairs."""

    operation: str
    prime: int
    fraction: float
    ordered: bool = False  # only pairs with a <= b
    width: int = 128
    blocks: int = 1
    batch: int = 512

    def build(self, sources):
        return ModularTask(self)


class ModularTask(Task):
    def __init__(self, settings):
        inputs, targets = pairs(settings)
        cut = int(settings.fraction * len(inputs))
        self._splits = {"train": (inputs[:cut], targets[:cut]),
                        "validation": (inputs[cut:], targets[cut:])}
        self._batch = settings.batch
        self.model = nn.ModuleDict({
            "decoder": Decoder(settings.prime + 1, 3, settings.width, blocks=settings.blocks),
            "norm": nn.LayerNorm(settings.width),
            "head": nn.Linear(settings.width, settings.prime)})

    def loss(self):
        inputs, targets = self._splits["train"]
        rows = torch.randint(len(inputs), (self._batch,))
        return functional.cross_entropy(self._logits(self._hidden(inputs[rows])), targets[rows])

    def measure(self, split):
        inputs, targets = (part[:PROBE_ROWS] for part in self._splits[split])
        hidden = self._hidden(inputs)
        logits = self._logits(hidden)
        return Measurement(hidden, functional.cross_entropy(logits, targets).item(),
                           (logits.argmax(-1) == targets).float().mean().item())

    def _hidden(self, inputs):
        return self.model["decoder"](inputs, last_only=True)[:, 0]

    def _logits(self, hidden):
        return self.model["head"](self.model["norm"](hidden))


def pairs(settings):
    """All (inputs, targets) in random order; the last token of an input is "="."""
    prime = settings.prime
    a, b = torch.meshgrid(torch.arange(prime), torch.arange(prime), indexing="ij")
    a, b = a.flatten(), b.flatten()
    keep = torch.ones_like(a, dtype=torch.bool)
    if settings.ordered:
        keep &= a <= b
    if settings.operation == "a / b":
        keep &= b > 0
    a, b = a[keep], b[keep]
    inputs = torch.stack([a, b, torch.full_like(a, prime)], dim=1)
    targets = OPERATIONS[settings.operation](a, b, prime)
    order = torch.randperm(len(a))
    return inputs[order], targets[order]


def inverse(prime):
    """(prime,): the multiplicative inverses; that of 0 is not used."""
    return torch.tensor([pow(n, -1, prime) if n else 0 for n in range(prime)])
