"""The loop that all runs of the corpus share: train, evaluate, record, checkpoint, resume."""

import dataclasses
import math
import os
import signal

import torch

import dimwatch

SPLITS = ("train", "validation")
PROBE_ROWS = 1000


@dataclasses.dataclass(frozen=True)
class Measurement:
    """One split at one evaluation, on its fixed probe set."""

    embeddings: torch.Tensor  # (N, D), N <= PROBE_ROWS, the same inputs in the same order
    loss: float  # mean over the probe set
    accuracy: float  # share correct


class Task:
    """What a family's tasks offer to the loop. Randomness comes from torch's global generator."""

    model: torch.nn.Module

    def loss(self):
        """The loss of a new batch, a scalar tensor with its graph."""
        raise NotImplementedError

    def measure(self, split):
        """The Measurement of "train" or "validation"; the model is in evaluation mode."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Training:
    """How long and with what optimizer a task is trained."""

    steps: int
    every: int  # steps between evaluations
    lr: float = 1e-3
    weight_decay: float = 0.01
    betas: tuple = (0.9, 0.999)
    optimizer: str = "adamw"  # or "sgd", with momentum 0.9
    warmup: int = 0  # steps of a linear rise of the learning rate
    schedule: str = "constant"  # or "cosine" to 0, or "exponential": ten-fold every `decade` steps
    decade: int = 0
    clip: float = math.inf  # of the gradient's norm
    interrupts: tuple = ()  # steps at which the process gets a SIGINT
    checkpoint_every: int = 0  # steps; 0: at the end only
    silent: tuple = (0, 0)  # trains from the first to before the second step without a report

    def make_optimizer(self, model):
        if self.optimizer == "sgd":
            return torch.optim.SGD(
                model.parameters(), self.lr, momentum=0.9, weight_decay=self.weight_decay)
        return torch.optim.AdamW(
            model.parameters(), self.lr, betas=self.betas, weight_decay=self.weight_decay)

    def rate(self, step):
        """The learning rate's factor at a step."""
        rise = min(1.0, (step + 1) / (self.warmup + 1))
        if self.schedule == "cosine":
            return rise * 0.5 * (1 + math.cos(math.pi * step / self.steps))
        if self.schedule == "exponential":
            return rise * 10 ** (step / self.decade)
        return rise

    def evaluates(self, step):
        return step % self.every == 0 and not self.silent[0] <= step < self.silent[1]


class Checkpoint:
    """A file from which a job goes on as if nothing had happened."""

    def __init__(self, file, model, optimizer):
        self._file, self._model, self._optimizer = file, model, optimizer

    def save(self, step):
        """Leaves the old file or the new one, whenever the process dies."""
        torch.save({"step": step, "model": self._model.state_dict(),
                    "optimizer": self._optimizer.state_dict(), "random": torch.get_rng_state()},
                   f"{self._file}.new")
        os.replace(f"{self._file}.new", self._file)

    def load(self):
        """The step to go on from; 0 if there is no file."""
        if not os.path.exists(self._file):
            return 0
        saved = torch.load(self._file)
        self._model.load_state_dict(saved["model"])
        self._optimizer.load_state_dict(saved["optimizer"])
        torch.set_rng_state(saved["random"])
        return saved["step"]


def train(task, training, folder):
    """Trains to the end, or until a SIGINT; goes on from the checkpoint that `folder` holds.

    Writes folder/trace.jsonl with its clouds (float16), and folder/checkpoint.pt.
    """
    optimizer = training.make_optimizer(task.model)
    checkpoint = Checkpoint(os.path.join(folder, "checkpoint.pt"), task.model, optimizer)
    first = checkpoint.load()
    with dimwatch.init(project="corpus", name=os.path.basename(folder), server=False,
                       record=folder, strict=True) as run:
        for step in range(first, training.steps + 1):
            if training.checkpoint_every and step and step % training.checkpoint_every == 0:
                checkpoint.save(step)
            if training.evaluates(step):
                report(task, run, step)
            if step in training.interrupts and first < step:
                interrupt_once(folder, step)
            if step < training.steps:
                update(task, training, optimizer, step)
    checkpoint.save(training.steps)


def update(task, training, optimizer, step):
    task.model.train()
    for group in optimizer.param_groups:
        group["lr"] = training.lr * training.rate(step)
    optimizer.zero_grad()
    task.loss().backward()
    if training.clip < math.inf:
        torch.nn.utils.clip_grad_norm_(task.model.parameters(), training.clip)
    optimizer.step()


@torch.no_grad()
def report(task, run, step):
    """Logs both splits of one evaluation; does not touch the generator that training draws from."""
    task.model.eval()
    state = torch.get_rng_state()
    for split in SPLITS:
        measured = task.measure(split)
        run.log({f"{split}/loss": measured.loss, f"{split}/accuracy": measured.accuracy}, step=step)
        if split == "validation":
            run.log({f"truth/{name}": value
                     for name, value in geometry(measured.embeddings).items()}, step=step)
        run.probe(f"{split}/last", aligned=True).log(measured.embeddings.half(), step=step)
    torch.set_rng_state(state)


def geometry(embeddings):
    """How much of the space the embeddings still use, as ground truth for collapse.

    spread: their root mean square distance from their mean, over their root mean square norm (0:
    all the same; 1: centered). effective_rank: the participation ratio of the covariance's
    eigenvalues, trace^2 / trace of the square. Without meaning, so left out, once they are not
    finite."""
    rows = embeddings.double()
    centered = rows - rows.mean(0)
    covariance = centered.T @ centered / len(rows)
    power, square = rows.square().sum(1).mean(), covariance.square().sum()
    return {"spread": float((covariance.trace() / power).sqrt()) if power != 0 else 0.0,
            "effective_rank": float(covariance.trace() ** 2 / square) if square != 0 else 0.0}


def interrupt_once(folder, step):
    """As a preemption does: the process gets a SIGINT, and ends. Not again after the restart."""
    marker = os.path.join(folder, f"interrupted-{step}")
    if not os.path.exists(marker):
        open(marker, "w").close()
        signal.raise_signal(signal.SIGINT)
