"""The table of runs: each with its family, task, training, seed, and what it was meant to become.

What it became is judged from its scalars by truth.py; docs/corpus.md has both.
"""

import dataclasses

from corpus.belief import Belief
from corpus.contrastive import Contrastive
from corpus.emotion import Emotion
from corpus.language import Language
from corpus.modular import Modular
from corpus.training import Training
from corpus.vectors import Vectors


@dataclasses.dataclass(frozen=True)
class Run:
    name: str
    meant: str  # an outcome of truth.py
    task: object
    training: Training
    seed: int
    family: str = ""  # a key of FAMILIES

    @property
    def needs_text(self):
        return isinstance(self.task, (Language, Emotion, Belief))

    @property
    def after(self):
        """The name of the run whose weights this one starts from, or ""."""
        return getattr(self.task, "pretrained", "")


def grok(name, meant, task, steps, seed=1, **changes):
    settings = dict(lr=1e-3, weight_decay=1.0, betas=(0.9, 0.98), warmup=10, clip=1.0)
    return Run(name, meant, task, Training(steps, steps // 50, **{**settings, **changes}), seed)


def vectors(name, meant, task, steps, evaluations=40, seed=1, **changes):
    return Run(name, meant, task, Training(steps, steps // evaluations, **changes), seed)


def text(name, meant, task, steps, evaluations=25, seed=1, **changes):
    settings = dict(lr=1e-3, weight_decay=0.01, warmup=20, clip=1.0)
    return Run(name, meant, task,
               Training(steps, steps // evaluations, **{**settings, **changes}), seed)


GROKKING = [
    grok("grok-add-p97", "grokked", Modular("a + b", 97, 0.4), 1500),
    grok("grok-add-p67-wide", "grokked", Modular("a + b", 67, 0.5, blocks=2), 1500, seed=2),
    grok("grok-add-p113", "grokked", Modular("a + b", 113, 0.3), 2500, seed=3),
    grok("grok-add-ordered", "grokked", Modular("a + b", 97, 0.6, ordered=True), 2000),
    grok("grok-subtract-p97", "grokked", Modular("a - b", 97, 0.35), 1500),
    grok("grok-multiply-p97", "grokked", Modular("a * b", 97, 0.3), 1500),
    grok("grok-divide-p59", "grokked", Modular("a / b", 59, 0.5), 1500),
    grok("grok-squares-p97", "grokked", Modular("a^2 + b^2", 97, 0.25), 1500),
    grok("grok-add-batch256", "grokked", Modular("a + b", 83, 0.3, batch=256), 2000),
    grok("never-add-no-decay", "memorized", Modular("a + b", 97, 0.2), 1000, weight_decay=0.0),
    grok("never-subtract-p59", "memorized", Modular("a - b", 59, 0.3), 1000),
    grok("never-add-few", "memorized", Modular("a + b", 97, 0.1), 1000),
    grok("never-random-table", "memorized", Modular("random", 59, 0.5), 1000),
    grok("never-cubic", "memorized", Modular("a^3 + a b^2 + b", 97, 0.3), 1000),
]

WRONG_LABELS = [
    vectors("noisy-digits-10", "overfitting", Vectors("digits", 0.1), 3000),
    vectors("noisy-digits-20", "overfitting", Vectors("digits", 0.2), 2000),
    vectors("noisy-digits-40", "overfitting", Vectors("digits", 0.4), 1600, seed=2),
    vectors("noisy-digits-60", "overfitting", Vectors("digits", 0.6), 1600),
    vectors("noisy-digits-40-narrow", "overfitting",
            Vectors("digits", 0.4, widths=(64, 64)), 6000),
    vectors("noisy-digits-40-relu-wide", "overfitting",
            Vectors("digits", 0.4, widths=(512, 512, 128), activation="relu"), 1600),
    vectors("noisy-digits-40-dropout", "overfitting",
            Vectors("digits", 0.4, dropout=0.1), 3000),
    vectors("noisy-digits-50-tanh", "overfitting",
            Vectors("digits", 0.5, activation="tanh"), 2400, seed=5),
    vectors("noisy-clusters-30", "overfitting", Vectors("clusters", 0.3, widths=(256, 128)), 2000),
    vectors("noisy-clusters-50", "overfitting",
            Vectors("clusters", 0.5, widths=(256, 128)), 2400),
    vectors("noisy-clusters-60-relu", "overfitting",
            Vectors("clusters", 0.6, widths=(512, 128), activation="relu"), 2400, seed=3),
    vectors("noisy-digits-50-decay", "overfitting",
            Vectors("digits", 0.5, widths=(512, 256, 128)), 2000, seed=4, weight_decay=0.5),
]

HEALTHY = [
    vectors("healthy-digits-dropout", "healthy",
            Vectors("digits", dropout=0.3), 1200, lr=2e-4, weight_decay=0.05),
    vectors("healthy-digits-shift", "healthy", Vectors("digits", shift=True), 2400,
            lr=3e-4),
    vectors("healthy-digits-sgd", "healthy",
            Vectors("digits", activation="relu", dropout=0.1), 3000, optimizer="sgd", lr=0.002),
    vectors("healthy-clusters-noise", "healthy",
            Vectors("clusters", noise=0.3), 2400, lr=2e-4),
    vectors("healthy-clusters-dropout", "healthy",
            Vectors("clusters", dropout=0.4), 3200, lr=2e-4, weight_decay=0.05),
    vectors("healthy-patches-sgd", "healthy", Vectors("patches", dropout=0.2), 2400,
            optimizer="sgd", lr=0.003),
    vectors("healthy-patches-cosine", "healthy",
            Vectors("patches", widths=(64, 64), noise=0.2), 6000, schedule="cosine"),
    vectors("healthy-contrastive", "healthy", Contrastive(negatives=True), 1600,
            lr=2e-4),
    vectors("healthy-contrastive-fast", "healthy", Contrastive(negatives=True), 3000,
            lr=2e-3),
]

EXHAUSTED = [
    vectors("exhausted-digits", "exhausted",
            Vectors("digits", dropout=0.1), 5000, weight_decay=0.01),
    vectors("exhausted-digits-cosine", "exhausted",
            Vectors("digits", shift=True), 5000, schedule="cosine"),
    vectors("exhausted-clusters", "exhausted",
            Vectors("clusters", widths=(64, 64), noise=0.5), 6000, lr=2e-3, schedule="cosine"),
    vectors("exhausted-noisy-digits-20", "exhausted",
            Vectors("digits", 0.2, widths=(256, 128), dropout=0.3, noise=0.1), 1600, lr=2e-4,
            weight_decay=0.05),
    vectors("exhausted-digits-relu", "exhausted",
            Vectors("digits", widths=(128, 128), activation="relu", dropout=0.2), 5000, seed=3,
            weight_decay=0.1),
]

LANGUAGE = [
    text("lm-emotions", "healthy", Language("emotions"), 800, 40),
    text("lm-emotions-few", "overfitting",
         Language("emotions", documents=1500), 1000, 40),
    text("lm-dialogues", "healthy", Language("dialogues", dropout=0.1), 1200),
    text("lm-dialogues-few", "overfitting",
         Language("dialogues", documents=20, blocks=1), 1000),
]

FINE_TUNING = [
    text("emotion-finetuned", "healthy",
         Emotion(pretrained="lm-emotions", dropout=0.1), 800, lr=2e-4),
    text("emotion-finetuned-few", "overfitting",
         Emotion(sentences=1000, pretrained="lm-emotions"), 800),
    text("emotion-scratch-few", "overfitting", Emotion(sentences=3000), 800),
    text("emotion-noisy-40", "overfitting",
         Emotion(sentences=3000, wrong_labels=0.4, pretrained="lm-emotions"), 800, lr=5e-4),
    text("belief-finetuned", "healthy",
         Belief(pretrained="lm-dialogues", dropout=0.1), 800),
    text("belief-scratch", "healthy", Belief(blocks=1, dropout=0.2), 1000,
         lr=5e-4),
    text("belief-few", "exhausted", Belief(dialogues=100, blocks=1), 800),
]

COLLAPSE = [
    vectors("collapse-contrastive", "collapsed", Contrastive(negatives=False), 1600,
            weight_decay=1.0),
    vectors("collapse-dead-relu", "collapsed",
            Vectors("digits", activation="relu"), 1200, lr=1e-3, schedule="exponential",
            decade=400),
    vectors("collapse-weight-decay", "collapsed", Vectors("digits"), 800,
            weight_decay=30.0),
    vectors("collapse-weight-decay-strong", "collapsed", Vectors("clusters"), 800,
            weight_decay=200.0),
    grok("collapse-decay-modular", "collapsed", Modular("a + b", 59, 0.5), 500, weight_decay=100.0),
]

DIVERGENCE = [
    vectors("diverge-sgd", "diverged", Vectors("digits"), 400, 20,
            optimizer="sgd", lr=3.0),
    vectors("diverge-rate-rises", "diverged", Vectors("clusters"), 1600, lr=1e-5,
            schedule="exponential", decade=250),
    grok("diverge-modular", "diverged", Modular("a + b", 59, 0.5), 500,
         schedule="exponential", decade=125),
    text("diverge-language", "diverged", Language("emotions", blocks=1), 400,
         lr=1e-3, schedule="exponential", decade=120, clip=1e9),
]

INTERRUPTED = [
    vectors("interrupted-noisy-digits", "overfitting", Vectors("digits", 0.4), 1600,
            seed=3, interrupts=(640,), checkpoint_every=250),
    vectors("interrupted-healthy-clusters", "healthy",
            Vectors("clusters", dropout=0.4), 3200, lr=2e-4, weight_decay=0.05, seed=2,
            interrupts=(960, 2080), checkpoint_every=600),
    grok("interrupted-grokking", "grokked", Modular("a + b", 97, 0.4), 1000, seed=4,
         interrupts=(420,), checkpoint_every=200),
    vectors("gap-exhausted-digits", "exhausted", Vectors("digits", dropout=0.1),
            5000, seed=4, silent=(1500, 2500)),
    text("interrupted-belief", "healthy",
         Belief(pretrained="lm-dialogues", dropout=0.1), 500, seed=2, interrupts=(220,),
         checkpoint_every=70, silent=(300, 380)),
]

FAMILIES = {
    "grokking": GROKKING, "wrong labels": WRONG_LABELS, "healthy": HEALTHY, "exhausted": EXHAUSTED,
    "language": LANGUAGE, "fine-tuning": FINE_TUNING, "collapse": COLLAPSE,
    "divergence": DIVERGENCE, "interrupted": INTERRUPTED}
RUNS = {run.name: dataclasses.replace(run, family=family)
        for family, runs in FAMILIES.items() for run in runs}
