"""WOZ 2.0 belief tracking: what the user wants so far, after each turn of a dialogue."""

import dataclasses

import torch
from torch import nn
from torch.nn import functional

from corpus import text
from corpus.emotion import load_decoder
from corpus.language import LENGTH, WIDTH, said
from corpus.training import PROBE_ROWS, Measurement, Task
from corpus.transformer import Decoder

SLOTS = ("food", "area", "price range")


@dataclasses.dataclass(frozen=True)
class Belief:
    """A decoder reads the last LENGTH words; one classifier per slot. Watched: the last state.

    Accuracy is that of the joint goal: all three slots right."""

    dialogues: int = 1_000_000  # the first ones of the training split
    pretrained: str = ""  # the language run whose weights it starts from
    blocks: int = 2
    dropout: float = 0.0
    batch: int = 32

    def build(self, sources):
        return BeliefTask(self, sources)


class BeliefTask(Task):
    def __init__(self, settings, sources):
        self._settings = settings
        self._values = {slot: values_of(slot, sources.dialogues["train"]) for slot in SLOTS}
        limits = {"train": settings.dialogues, "validation": None}
        self._splits = {split: self._examples(sources, sources.dialogues[split][:limit])
                        for split, limit in limits.items()}
        self.model = nn.ModuleDict({
            "decoder": Decoder(sources.vocabulary_size, LENGTH, WIDTH, blocks=settings.blocks,
                               dropout=settings.dropout),
            "norm": nn.LayerNorm(WIDTH),
            "classifiers": nn.ModuleList(
                [nn.Linear(WIDTH, len(self._values[slot]) + 1) for slot in SLOTS])})
        load_decoder(self.model["decoder"], sources, settings.pretrained)

    def loss(self):
        tokens, targets = self._splits["train"]
        rows = torch.randint(len(tokens), (self._settings.batch,))
        return self._loss_of(self._logits(self._hidden(tokens[rows])), targets[rows])

    def measure(self, split):
        tokens, targets = (part[:PROBE_ROWS] for part in self._splits[split])
        hidden = torch.cat([self._hidden(part) for part in tokens.split(250)])
        logits = self._logits(hidden)
        right = torch.stack([part.argmax(-1) for part in logits], dim=1) == targets
        return Measurement(hidden, self._loss_of(logits, targets).item(),
                           right.all(1).float().mean().item())

    def _hidden(self, tokens):
        return text.mean_of_words(self.model["decoder"](tokens), tokens)

    def _logits(self, hidden):
        normal = self.model["norm"](hidden)
        return [classifier(normal) for classifier in self.model["classifiers"]]

    def _loss_of(self, logits, targets):
        return sum(functional.cross_entropy(part, targets[:, i]) for i, part in enumerate(logits))

    def _examples(self, sources, dialogues):
        """(N, LENGTH) tokens and (N, slots) classes, in random order; class 0: not said."""
        tokens, targets = [], []
        for dialogue in dialogues:
            for turn, (_, _, belief) in enumerate(dialogue):
                tokens.append(said(sources, dialogue[:turn + 1]))
                targets.append([self._class_of(slot, belief.get(slot)) for slot in SLOTS])
        order = torch.randperm(len(tokens))
        return text.padded(tokens, LENGTH)[order], torch.tensor(targets)[order]

    def _class_of(self, slot, value):
        """A value that training never saw counts as not said, and so as wrong if predicted."""
        return self._values[slot].get(value, 0)


def values_of(slot, dialogues):
    """{value: class}, classes from 1."""
    seen = sorted({belief[slot] for dialogue in dialogues for _, _, belief in dialogue
                   if slot in belief})
    return {value: i + 1 for i, value in enumerate(seen)}
