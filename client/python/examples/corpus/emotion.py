"""Seven-class emotion of a sentence, by fine-tuning a language model or from scratch."""

import dataclasses
import os

import torch
from torch import nn
from torch.nn import functional

from corpus import text
from corpus.language import LENGTH, WIDTH
from corpus.training import PROBE_ROWS, Measurement, Task
from corpus.transformer import Decoder
from corpus.vectors import with_wrong

WORDS = 24  # of a sentence


@dataclasses.dataclass(frozen=True)
class Emotion:
    """A decoder, the mean of its last states, and a linear classifier. Watched: the mean."""

    sentences: int = 1_000_000  # the first ones of the training split
    pretrained: str = ""  # the language run whose weights it starts from
    wrong_labels: float = 0.0
    blocks: int = 2
    dropout: float = 0.0
    batch: int = 32

    def build(self, sources):
        return EmotionTask(self, sources)


class EmotionTask(Task):
    def __init__(self, settings, sources):
        self._settings = settings
        self._splits = {
            split: (text.padded([sources.ids(words) for words, _ in examples], WORDS),
                    torch.tensor([label for _, label in examples]))
            for split, examples in sources.emotions.items()}
        tokens, labels = (part[:settings.sentences] for part in self._splits["train"])
        self._splits["train"] = tokens, with_wrong(labels, settings.wrong_labels, text.EMOTIONS)
        self.model = nn.ModuleDict({
            "decoder": Decoder(sources.vocabulary_size, LENGTH, WIDTH, blocks=settings.blocks,
                               dropout=settings.dropout),
            "classifier": nn.Linear(WIDTH, text.EMOTIONS)})
        load_decoder(self.model["decoder"], sources, settings.pretrained)

    def loss(self):
        tokens, labels = self._splits["train"]
        rows = torch.randint(len(tokens), (self._settings.batch,))
        logits = self.model["classifier"](self._hidden(tokens[rows]))
        return functional.cross_entropy(logits, labels[rows])

    def measure(self, split):
        tokens, labels = (part[:PROBE_ROWS] for part in self._splits[split])
        hidden = torch.cat([self._hidden(part) for part in tokens.split(250)])
        logits = self.model["classifier"](hidden)
        return Measurement(hidden, functional.cross_entropy(logits, labels).item(),
                           (logits.argmax(-1) == labels).float().mean().item())

    def _hidden(self, tokens):
        return text.mean_of_words(self.model["decoder"](tokens), tokens)


def load_decoder(decoder, sources, pretrained):
    """Takes over the decoder of a finished language run."""
    if pretrained:
        file = os.path.join(sources.weights, pretrained, "checkpoint.pt")
        weights, prefix = torch.load(file)["model"], "decoder."
        decoder.load_state_dict({name[len(prefix):]: value for name, value in weights.items()
                                 if name.startswith(prefix)})
