"""Classification of vectors by small networks: digits, image patches, clusters; wrong labels."""

import dataclasses

import numpy as np
import torch
from sklearn import datasets
from torch import nn
from torch.nn import functional

from corpus.training import PROBE_ROWS, Measurement, Task

ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU, "tanh": nn.Tanh}
PATCH = 5  # pixels a side


@dataclasses.dataclass(frozen=True)
class Vectors:
    """An MLP on one of SOURCES, with a share of wrong training labels."""

    source: str  # a name in SOURCES
    wrong_labels: float = 0.0
    widths: tuple = (256, 256, 128)  # the last one is watched
    activation: str = "gelu"
    dropout: float = 0.0
    noise: float = 0.0  # augmentation: standard deviation added to every training input
    shift: bool = False  # augmentation: images moved by up to one pixel
    batch: int = 64

    def build(self, sources):
        return VectorsTask(self)


class VectorsTask(Task):
    def __init__(self, settings):
        self._settings = settings
        self._splits, classes = load(settings.source)
        inputs, labels = self._splits["train"]
        self._splits["train"] = inputs, with_wrong(labels, settings.wrong_labels, classes)
        widths = (inputs.shape[1], *settings.widths)
        self._hidden = nn.Sequential(*[
            layer for before, after in zip(widths, widths[1:])
            for layer in (nn.Linear(before, after), ACTIVATIONS[settings.activation](),
                          nn.Dropout(settings.dropout))][:-1])
        self._classifier = nn.Linear(widths[-1], classes)
        self.model = nn.Sequential(self._hidden, self._classifier)

    def loss(self):
        inputs, labels = self._splits["train"]
        rows = torch.randint(len(inputs), (self._settings.batch,))
        batch = augment(inputs[rows], self._settings.noise, self._settings.shift)
        return functional.cross_entropy(self.model(batch), labels[rows])

    def measure(self, split):
        inputs, labels = (part[:PROBE_ROWS] for part in self._splits[split])
        hidden = self._hidden(inputs)
        logits = self._classifier(hidden)
        return Measurement(hidden, functional.cross_entropy(logits, labels).item(),
                           (logits.argmax(-1) == labels).float().mean().item())


def augment(inputs, noise, shift):
    if shift:
        images = functional.pad(inputs.view(-1, 8, 8), (1, 1, 1, 1))
        x, y = torch.randint(3, (2,)).tolist()
        inputs = images[:, y:y + 8, x:x + 8].reshape(len(inputs), 64)
    return inputs + noise * torch.randn_like(inputs) if noise else inputs


def with_wrong(labels, share, classes):
    """A copy of which a share has random labels (by chance, some of these are right)."""
    labels = labels.clone()
    wrong = torch.randperm(len(labels))[:int(share * len(labels))]
    labels[wrong] = torch.randint(classes, (len(wrong),))
    return labels


def load(source):
    """({split: (inputs (N, D) float32, labels (N,))}, number of classes)."""
    inputs, labels, train_rows = SOURCES[source]()
    inputs = torch.tensor(np.asarray(inputs), dtype=torch.float32)
    labels = torch.tensor(np.asarray(labels))
    order = torch.randperm(len(inputs))
    train, validation = order[:train_rows], order[train_rows:]
    return ({"train": (inputs[train], labels[train]),
             "validation": (inputs[validation], labels[validation])}, int(labels.max()) + 1)


def digits():
    """8 x 8 images of ten digits."""
    data = datasets.load_digits()
    return data.data / 16, data.target, 1200


def clusters():
    """Ten classes of four Gaussian clusters each, in 16 of 64 dimensions."""
    inputs, labels = datasets.make_classification(
        n_samples=3000, n_features=64, n_informative=16, n_redundant=16, n_classes=10,
        n_clusters_per_class=4, class_sep=2.0, flip_y=0.0, random_state=0)
    return inputs / inputs.std(0), labels, 2000


def patches():
    """Color patches of scikit-learn's two photographs: which photograph, and which third of it."""
    rng = np.random.default_rng(0)
    images = [image / 255 for image in datasets.load_sample_images().images]
    inputs, labels = [], rng.integers(6, size=3000)
    for label in labels:
        image = images[label // 3]
        rows, columns = image.shape[0] // 3, image.shape[1]
        y = rows * (label % 3) + rng.integers(rows - PATCH + 1)
        x = rng.integers(columns - PATCH + 1)
        inputs.append(image[y:y + PATCH, x:x + PATCH].flatten())
    return (inputs - np.mean(inputs)) / np.std(inputs), labels, 2000


SOURCES = {"digits": digits, "clusters": clusters, "patches": patches}
