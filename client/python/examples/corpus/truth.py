"""What became of a run, by written rules on its recorded scalars alone.

`judge` applies RULES; the first one that holds counts. `accuracy` is that of the validation split,
smoothed; what is raw is as it was recorded. docs/corpus.md has the rules in one table.
"""

import dataclasses
import json
import math
import os
import statistics

FALLEN, LEARNED, BLOWN_UP = 0.9, 0.7, 1.5  # of the first training loss
COLLAPSED_SPREAD, COLLAPSED_RANK = 0.02, 1.5
GAIN = 0.1  # of accuracy, here and below
FITTED, UNKNOWN, UNDERSTOOD, GENERALIZED = 0.99, 0.25, 0.5, 0.9
GROKKING_DELAY = 4  # evaluations
DECLINE = 0.03
FLAT = 0.01
IMPROVED = 0.002
SCALARS = ("train/loss", "train/accuracy", "validation/accuracy", "truth/spread",
           "truth/effective_rank")


@dataclasses.dataclass(frozen=True)
class Outcome:
    label: str
    onset: int | None  # the step at which it began, if the outcome has one
    best_step: int  # of the best smoothed validation accuracy; the first of equals
    best: float
    final: float


def read(folder):
    """The evaluations of a trace, [(step, {scalar: value})], steps rising: of a job that went back
    to a checkpoint, what it did again replaces what it did before."""
    evaluations = []
    with open(os.path.join(folder, "trace.jsonl"), encoding="utf-8") as lines:
        for line in map(json.loads, lines):
            evaluations = [e for e in evaluations if e[0] < line["step"]]
            evaluations.append((line["step"], line.get("scalars", {})))
    return evaluations


def judge(evaluations):
    """The Outcome of [(step, scalars)]. Raises ValueError for fewer than four evaluations."""
    if len(evaluations) < 4:
        raise ValueError(f"at least 4 evaluations are needed, got {len(evaluations)}")
    steps = [step for step, _ in evaluations]
    raw = {name: [scalars.get(name, math.nan) for _, scalars in evaluations] for name in SCALARS}
    accuracy = smooth(raw["validation/accuracy"])
    best = max(range(len(steps)), key=lambda i: (accuracy[i], -i))
    for rule in RULES:
        if found := rule(raw, accuracy):
            label, onset = found
            return Outcome(label, None if onset is None else steps[onset], steps[best],
                           accuracy[best], accuracy[-1])


def blown_up(raw, accuracy):
    """The training loss is not finite, or ends above BLOWN_UP times its first value."""
    losses = raw["train/loss"]
    return _lasting("diverged", [not loss <= BLOWN_UP * losses[0] for loss in losses])


def collapsed(raw, accuracy):
    """The embeddings' spread ends below COLLAPSED_SPREAD; or their rank below COLLAPSED_RANK, and
    training accuracy GAIN below its best. Since: from when on it is so, as in all rules."""
    train = smooth(raw["train/accuracy"])
    return _lasting("collapsed", [
        spread < COLLAPSED_SPREAD or (rank < COLLAPSED_RANK and now < max(train) - GAIN)
        for spread, rank, now in zip(raw["truth/spread"], raw["truth/effective_rank"], train)])


def fallen_back(raw, accuracy):
    """The training loss ends above FALLEN of its first value, having been below LEARNED of it."""
    losses = raw["train/loss"]
    learned = _first([-loss for loss in losses], -LEARNED * losses[0])
    return _lasting("diverged", [learned is not None and i > learned and loss > FALLEN * losses[0]
                                 for i, loss in enumerate(losses)])


def stuck(raw, accuracy):
    """Neither split's accuracy ever gets GAIN above its first value."""
    rises = [max(smooth(raw[name])) - raw[name][0]
             for name in ("train/accuracy", "validation/accuracy")]
    return ("stuck", None) if max(rises) < GAIN else None


def grokked(raw, accuracy):
    """Training accuracy passes FITTED while validation accuracy is below UNDERSTOOD, and more than
    GROKKING_DELAY evaluations later this passes GENERALIZED. "grokking" if it has not yet, but has
    risen by GAIN. Since: validation accuracy GAIN above its value at the fit."""
    fitted = _first(raw["train/accuracy"], FITTED)
    if fitted is None:
        return None
    unsmoothed = raw["validation/accuracy"]
    at_fit, soon = unsmoothed[fitted], unsmoothed[fitted:fitted + GROKKING_DELAY + 1]
    if at_fit > UNDERSTOOD or max(soon) >= GENERALIZED or accuracy[-1] < at_fit + GAIN:
        return None
    label = "grokked" if max(unsmoothed) >= GENERALIZED else "grokking"
    return _lasting(label, [value > at_fit + GAIN for value in unsmoothed])


def memorized(raw, accuracy):
    """Training accuracy passes FITTED; validation accuracy never gets above UNKNOWN, nor GAIN above
    its first value. Since: the fit."""
    fitted = _first(raw["train/accuracy"], FITTED)
    most = min(UNKNOWN, raw["validation/accuracy"][0] + GAIN)
    return ("memorized", fitted) if fitted is not None and max(accuracy) < most else None


def overfitting(raw, accuracy):
    """Accuracy ends more than DECLINE below its best. Since: more than FLAT below it."""
    best = max(accuracy)
    if accuracy[-1] >= best - DECLINE:
        return None
    return _lasting("overfitting", [value < best - FLAT for value in accuracy])


def exhausted(raw, accuracy):
    """Accuracy is within FLAT of its best during the whole second half."""
    best = max(accuracy)
    near = [value >= best - FLAT for value in accuracy]
    half = len(accuracy) // 2
    return _lasting("exhausted", near) if all(near[half:]) else None


def healthy(raw, accuracy):
    """The best of the second half is more than IMPROVED above that of the first."""
    half = len(accuracy) // 2
    improves = max(accuracy[half:]) > max(accuracy[:half]) + IMPROVED
    return ("healthy", None) if improves else None


def unclear(raw, accuracy):
    """Neither flat nor improving, and declining by less than DECLINE."""
    return "unclear", None


RULES = (blown_up, collapsed, fallen_back, stuck, grokked, memorized, overfitting, exhausted,
         healthy, unclear)


def smooth(values):
    """The medians of up to five neighbors; what is not a number is left out."""
    smoothed = []
    for i in range(len(values)):
        known = [v for v in values[max(0, i - 2):i + 3] if math.isfinite(v)]
        smoothed.append(statistics.median(known) if known else 0.0)
    return smoothed


def _first(values, threshold):
    """The first index at which a threshold is reached."""
    return next((i for i, value in enumerate(values) if value >= threshold), None)


def _lasting(label, holds):
    """(label, the index from which on it holds to the end); None if it does not hold at the end."""
    if not holds[-1]:
        return None
    return label, next(i for i in range(len(holds)) if all(holds[i:]))
