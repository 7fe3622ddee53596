"""Judges dimwatch's signals and decisions on a folder of courses, and writes docs/study.md.

    PYTHONPATH=client/python/examples \\
        python3 -m corpus.study --dimwatch build/bin/dimwatch --courses FOLDER --out docs/study.md

What became of a run is known from its recorded validation accuracy alone (truth.py); what the
signals make of it comes from `dimwatch replay`, with three sorts of evidence: nothing but the
estimates, the training loss as well, and everything that was reported.
"""

import dataclasses
import functools
import itertools
import json
import math
import os
import re
import statistics
import subprocess
import tempfile

from corpus import truth

TRUE_ON = {  # the outcomes on which a signal should fire; of `diverging` none is known
    "overfitting": {"overfitting"},
    "exhausted": {"exhausted"},
    "memorizing": {"grokked", "grokking", "memorized"},
    "generalizing": {"grokked", "grokking"},
    "collapsed": {"collapsed", "diverged"},
}
EVIDENCE = {"estimates": (), "loss": ("train/loss",), "all": None}  # None: every scalar
# Settings that cross-validation may choose from; the first are the defaults.
GRID = [{}, *({name: value} for name, value in itertools.chain(
    (("min_delta", value) for value in (0.03, 0.08, 0.12)),
    (("z_score", value) for value in (2, 4)),
    (("patience", value) for value in (2, 5))))]


@dataclasses.dataclass(frozen=True)
class Course:
    """One recorded run: its lines, and what became of it."""

    name: str
    task: str  # what cross-validation leaves out together: the data that was learned
    outcome: truth.Outcome
    steps: list  # of the evaluations, rising
    scalars: list  # {name: value} each
    lines: list  # dicts, as recorded

    @functools.cached_property
    def accuracy(self):
        """Smoothed validation accuracy at each evaluation."""
        return truth.smooth([values.get("validation/accuracy", math.nan) for values in self.scalars])

    def index(self, step):
        """Of the last evaluation at or before a step."""
        return max(0, sum(each <= step for each in self.steps) - 1)

    def gain_after(self, step):
        """By how much the best accuracy still rises after a step."""
        here = self.index(step)
        return max(self.accuracy) - max(self.accuracy[: here + 1])

    def regret(self, step):
        """Best accuracy minus that of the checkpoint at a step."""
        return max(self.accuracy) - self.accuracy[self.index(step)]


def read_course(file):
    with open(file, encoding="utf-8") as text:
        lines = [json.loads(line) for line in text]
    head = next(line for line in lines if line["type"] == "run")
    evaluations = {}
    for line in lines:
        if line["type"] != "scalar":
            continue
        if evaluations and line["step"] < max(evaluations):
            evaluations = {s: v for s, v in evaluations.items() if s < line["step"]}
        evaluations.setdefault(line["step"], {})[line["name"]] = line["value"]
    outcome = truth.Outcome(**head["outcome"])
    steps = sorted(evaluations)
    return Course(os.path.basename(file).removesuffix(".jsonl"), task_of(head["task"]), outcome,
                  steps, [evaluations[step] for step in steps], lines)


def task_of(task):
    """"digits" of "Vectors(source='digits', ...)", "a + b" of "Modular(operation='a + b', ...)"."""
    kind, _, arguments = task.partition("(")
    named = re.match(r"\w+='([^']*)'", arguments)
    return f"{kind.lower()} {named[1]}" if named else kind.lower()


@dataclasses.dataclass(frozen=True)
class Judged:
    """What the signals and the policy made of a course."""

    fired: dict  # signal: the first step at which it fired on any probe
    stop: int | None  # the step of the first STOP
    best_step: int | None  # what that STOP recommends


def compare(dimwatch, files, pair):
    """[{course name: Judged}] under each of two files of rules."""
    command = [dimwatch, "replay", *files, "--compare", *pair, "--json"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    judged = [{}, {}]
    for line in map(json.loads, lines):
        if line["type"] != "comparison":
            continue
        for each, entry in zip(judged, line["rules"]):
            fired = {name: signal["step"] for name, signal in entry["signals"].items()}
            each[line["run"]] = Judged(fired, entry["stop_step"], entry["best_step"])
    return judged


def judge_all(dimwatch, courses, grid):
    """{(evidence, number of the rules in the grid): {course name: Judged}}."""
    judged = {}
    with tempfile.TemporaryDirectory() as folder:
        rules = [os.path.join(folder, f"{number}.toml") for number in range(len(grid))]
        for file, settings in zip(rules, grid):
            with open(file, "w", encoding="utf-8") as out:
                out.write("[signals]\n" + "".join(f"{k} = {v}\n" for k, v in settings.items()))
        for evidence, names in EVIDENCE.items():
            files = [write_course(course, names, os.path.join(folder, evidence))
                     for course in courses]
            for number in range(0, len(grid), 2):
                pair = [rules[number], rules[min(number + 1, len(grid) - 1)]]
                for offset, result in enumerate(compare(dimwatch, files, pair)):
                    judged[evidence, number + offset] = result
    return judged


def write_course(course, names, folder):
    """The course with these scalars alone (None: with all), as a file."""
    os.makedirs(folder, exist_ok=True)
    file = os.path.join(folder, f"{course.name}.jsonl")
    with open(file, "w", encoding="utf-8") as out:
        for line in course.lines:
            if line["type"] != "scalar" or names is None or line["name"] in names:
                out.write(json.dumps(line) + "\n")
    return file


# How a run is stopped: (the step of the stop or None, the step of the checkpoint that is taken).


def heed(course, judged):
    """As dimwatch's policy says; the last checkpoint where it says nothing."""
    if judged.stop is None:
        return None, course.steps[-1]
    return judged.stop, judged.stop if judged.best_step is None else judged.best_step


def early_stopping(course, metric, patience):
    """Keras' EarlyStopping with restore_best_weights: stops after `patience` evaluations without a
    new record, and takes the record's checkpoint."""
    sign = -1 if metric.endswith("loss") else 1
    best, best_step, waited = -math.inf, course.steps[0], 0
    for step, values in zip(course.steps, course.scalars):
        value = sign * values.get(metric, math.nan)
        if value > best:
            best, best_step, waited = value, step, 0
        else:
            waited += 1
        if waited >= patience:
            return step, best_step
    return None, best_step


def never(course):
    return None, course.steps[-1]


BASELINES = {
    "EarlyStopping(val loss, 3)": lambda c: early_stopping(c, "validation/loss", 3),
    "EarlyStopping(val loss, 10)": lambda c: early_stopping(c, "validation/loss", 10),
    "EarlyStopping(val accuracy, 3)": lambda c: early_stopping(c, "validation/accuracy", 3),
    "EarlyStopping(val accuracy, 10)": lambda c: early_stopping(c, "validation/accuracy", 10),
    "never stopping": never,
}


@dataclasses.dataclass(frozen=True)
class Choice:
    """What a way of stopping did to one run."""

    stop: int | None
    checkpoint: int
    regret: float
    saved: float  # share of the steps not trained
    false: bool  # more than truth.FLAT of accuracy was still to come


def choice(course, stop, checkpoint):
    saved = 0.0 if stop is None else 1 - stop / course.steps[-1]
    false = stop is not None and course.gain_after(stop) > truth.FLAT
    return Choice(stop, checkpoint, course.regret(checkpoint), saved, false)


def learns(course):
    """Runs on which there is something to regret: not those that broke or never learned."""
    return course.outcome.label not in ("diverged", "collapsed", "stuck")


def score_signal(signal, courses, judged):
    """Counts of one signal: true, false and missed runs, and the delays of the true ones, in
    evaluations after the onset (negative: before)."""
    counts = dict(true=[], false=[], missed=[], delays=[])
    for course in courses:
        fired = judged[course.name].fired.get(signal)
        expected = course.outcome.label in TRUE_ON[signal]
        if fired is None:
            if expected:
                counts["missed"].append(course.name)
        elif expected:
            counts["true"].append(course.name)
            if course.outcome.onset is not None:
                counts["delays"].append(course.index(fired) - course.index(course.outcome.onset))
        elif not is_excused(signal, course, fired):
            counts["false"].append(course.name)
    return counts


def is_excused(signal, course, step):
    """Right at the time, though the run became something else: `exhausted` where no accuracy was
    to come."""
    return signal == "exhausted" and course.gain_after(step) <= truth.FLAT


def cost(courses, judged):
    """What cross-validation minimizes: false stops first, then overfitting not found, then
    regret."""
    choices = [choice(c, *heed(c, judged[c.name])) for c in courses if learns(c)]
    found = [judged[c.name].fired.get("overfitting") is not None
             for c in courses if c.outcome.label == "overfitting"]
    return (sum(c.false for c in choices), found.count(False),
            statistics.fmean(c.regret for c in choices) if choices else 0)


def cross_validate(courses, judged, evidence, grid):
    """[(task, number of the rules that are best on all other tasks)], and what these rules make of
    the tasks that they were not chosen on."""
    chosen, held_out = [], {}
    for task in sorted({course.task for course in courses}):
        others = [course for course in courses if course.task != task]
        number = min(range(len(grid)), key=lambda n: (cost(others, judged[evidence, n]), n))
        chosen.append((task, number))
        for course in courses:
            if course.task == task:
                held_out[course.name] = judged[evidence, number][course.name]
    return chosen, held_out


@dataclasses.dataclass(frozen=True)
class Study:
    """Everything that the report shows."""

    courses: list
    judged: dict
    grid: list
    chosen: dict  # evidence: [(task, number)]
    held_out: dict  # evidence: {name: Judged}
    policies: dict  # name: {course name: Choice}


def study(courses, dimwatch):
    judged = judge_all(dimwatch, courses, GRID)
    chosen, held_out, policies = {}, {}, {}
    for evidence in EVIDENCE:
        chosen[evidence], held_out[evidence] = cross_validate(courses, judged, evidence, GRID)
        policies[f"dimwatch, {evidence}"] = {
            c.name: choice(c, *heed(c, judged[evidence, 0][c.name])) for c in courses}
        policies[f"dimwatch, {evidence}, cross-validated"] = {
            c.name: choice(c, *heed(c, held_out[evidence][c.name])) for c in courses}
    for name, rule in BASELINES.items():
        policies[name] = {c.name: choice(c, *rule(c)) for c in courses}
    return Study(courses, judged, GRID, chosen, held_out, policies)
