"""Small language models: the next word of GoEmotions' sentences or of WOZ 2.0's dialogues."""

import dataclasses
import itertools

import torch
from torch import nn
from torch.nn import functional

from corpus import text
from corpus.training import PROBE_ROWS, Measurement, Task
from corpus.transformer import Decoder

WIDTH, LENGTH = 96, 48  # of all text models, so that one can start from another's weights


@dataclasses.dataclass(frozen=True)
class Language:
    """Next-word prediction. Watched: the residual stream at the windows' last position."""

    source: str  # "emotions" or "dialogues"
    documents: int = 1_000_000  # the first ones of the training split
    window: int = 24
    blocks: int = 2
    dropout: float = 0.0
    batch: int = 32

    def build(self, sources):
        return LanguageTask(self, sources)


class LanguageTask(Task):
    def __init__(self, settings, sources):
        self._settings = settings
        documents = {"emotions": sentences, "dialogues": conversations}[settings.source](sources)
        self._streams = {
            "train": stream_of(documents["train"][:settings.documents]),
            "validation": stream_of(documents["validation"])}
        self._probe_starts = {split: self._starts(stream, PROBE_ROWS)
                              for split, stream in self._streams.items()}
        self.model = nn.ModuleDict({
            "decoder": Decoder(sources.vocabulary_size, LENGTH, WIDTH, blocks=settings.blocks,
                               dropout=settings.dropout),
            "norm": nn.LayerNorm(WIDTH)})

    def loss(self):
        stream = self._streams["train"]
        inputs, targets = self._windows(stream, self._starts(stream, self._settings.batch))
        return functional.cross_entropy(
            self._logits(self.model["decoder"](inputs)).flatten(0, 1), targets.flatten())

    def measure(self, split):
        inputs, targets = self._windows(self._streams[split], self._probe_starts[split])
        hidden = torch.cat([self.model["decoder"](part, last_only=True)[:, 0]
                            for part in inputs.split(250)])
        logits, targets = self._logits(hidden), targets[:, -1]
        return Measurement(hidden, functional.cross_entropy(logits, targets).item(),
                           (logits.argmax(-1) == targets).float().mean().item())

    def _logits(self, hidden):
        return self.model["norm"](hidden) @ self.model["decoder"].tokens.weight.T

    def _starts(self, stream, count):
        return torch.randint(len(stream) - self._settings.window, (count,))

    def _windows(self, stream, starts):
        positions = starts.unsqueeze(1) + torch.arange(self._settings.window + 1)
        words = stream[positions]
        return words[:, :-1], words[:, 1:]


def stream_of(documents):
    """One long row of ids."""
    return torch.tensor(list(itertools.chain.from_iterable(documents)))


def sentences(sources):
    return {split: [sources.ids(words) + [text.END] for words, _ in examples]
            for split, examples in sources.emotions.items()}


def conversations(sources):
    """One list of ids per dialogue."""
    return {split: [said(sources, dialogue) + [text.END] for dialogue in dialogues]
            for split, dialogues in sources.dialogues.items()}


def said(sources, turns):
    """The ids of what system and user said in these turns."""
    return [i for system, user, _ in turns
            for i in (text.SYSTEM, *sources.ids(system), text.USER, *sources.ids(user))]
