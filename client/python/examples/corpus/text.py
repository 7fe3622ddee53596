"""Reading GoEmotions (seven classes) and WOZ 2.0, and one vocabulary for both."""

import collections
import functools
import json
import pathlib
import re

import torch

PADDING, UNKNOWN, END, SYSTEM, USER = range(5)  # the first ids of the vocabulary
EMOTIONS = 7
EMOTION_WORDS, WOZ_LEAST = 2000, 2  # most frequent ones; least count
_WORD = re.compile(r"[a-z']+|[0-9]+|[^\sa-z0-9]")


class Sources:
    """The data folder: holds goemotions-ekman and woz2. Reads a file when it is first needed."""

    def __init__(self, data, weights=None):
        self._data = pathlib.Path(data)
        self.weights = weights  # folder of finished runs, whose checkpoints a fine-tuning reads

    @functools.cached_property
    def emotions(self):
        """{split: [(words, label)]}: the sentences that have one label."""
        folder = self._data / "goemotions-ekman"
        return {split: list(_sentences(folder / f"{name}.tsv"))
                for split, name in (("train", "train"), ("validation", "dev"))}

    @functools.cached_property
    def dialogues(self):
        """{split: [[(system's words, user's words, {slot: value})]]}: the turns of dialogues."""
        folder = self._data / "woz2"
        return {split: [list(_turns(dialogue)) for dialogue in json.loads(
                    (folder / f"woz_{name}_en.json").read_text(encoding="utf-8"))]
                for split, name in (("train", "train"), ("validation", "validate"))}

    @functools.cached_property
    def vocabulary(self):
        """{word: id}, from the training splits; what it lacks is UNKNOWN."""
        emotion = collections.Counter(w for words, _ in self.emotions["train"] for w in words)
        woz = collections.Counter(w for dialogue in self.dialogues["train"]
                                  for system, user, _ in dialogue for w in system + user)
        words = {word for word, _ in emotion.most_common(EMOTION_WORDS)}
        words |= {word for word, count in woz.items() if count >= WOZ_LEAST}
        return {word: USER + 1 + i for i, word in enumerate(sorted(words))}

    @property
    def vocabulary_size(self):
        return USER + 1 + len(self.vocabulary)

    def ids(self, words):
        return [self.vocabulary.get(word, UNKNOWN) for word in words]


def padded(rows, length):
    """(N, length) ids; of a longer row the last ones are kept."""
    tokens = torch.full((len(rows), length), PADDING)
    for line, row in zip(tokens, rows):
        kept = torch.tensor(row[-length:])
        line[:len(kept)] = kept
    return tokens


def mean_of_words(hidden, tokens):
    """(B, T, D), (B, T) -> (B, D): the mean over the positions that hold a word."""
    mask = (tokens != PADDING).unsqueeze(-1)
    return (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)


def _words(text):
    return _WORD.findall(text.lower())


def _sentences(file):
    for line in file.read_text(encoding="utf-8").splitlines():
        text, labels, _ = line.split("\t")
        if "," not in labels:
            yield _words(text), int(labels)


def _turns(dialogue):
    for turn in dialogue["dialogue"]:
        belief = {slot: value for entry in turn["belief_state"] if entry["act"] == "inform"
                  for slot, value in entry["slots"]}
        yield _words(turn["system_transcript"]), _words(turn["transcript"]), belief
