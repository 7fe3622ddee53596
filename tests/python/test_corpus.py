"""The corpus of recorded runs: its table, its loop in miniature, its rules of truth, its driver."""

import dataclasses
import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch

from conftest import BUILD, ROOT

EXAMPLES = ROOT / "client" / "python" / "examples"
sys.path.insert(0, str(EXAMPLES))

from corpus import __main__ as driver  # noqa: E402  (found through sys.path)
from corpus import course, training, truth, vectors  # noqa: E402
from corpus.belief import Belief  # noqa: E402
from corpus.contrastive import Contrastive  # noqa: E402
from corpus.emotion import Emotion  # noqa: E402
from corpus.language import Language  # noqa: E402
from corpus.modular import OPERATIONS, Modular, pairs  # noqa: E402
from corpus.runs import RUNS  # noqa: E402
from corpus.text import Sources  # noqa: E402

OUTCOMES = {"diverged", "collapsed", "stuck", "grokked", "grokking", "memorized", "overfitting",
            "exhausted", "healthy", "unclear"}


@pytest.fixture
def data(tmp_path):
    """A data folder with a few made-up sentences and dialogues in the real files' forms."""
    emotions, woz = tmp_path / "data" / "goemotions-ekman", tmp_path / "data" / "woz2"
    emotions.mkdir(parents=True)
    woz.mkdir()
    words = "what a good bad day this was for you and me".split()
    rng = np.random.default_rng(1)
    for name, count in (("train", 120), ("dev", 90)):
        lines = [f"{' '.join(rng.choice(words, 8))}!\t{rng.integers(7)}\tid{i}\n"
                 for i in range(count)]
        (emotions / f"{name}.tsv").write_text("".join(lines) + "both\t1,2\tid\n", encoding="utf-8")
    for name, count in (("train", 60), ("validate", 45)):
        dialogues = [{"dialogue": [
            {"system_transcript": "", "transcript": "Some thai food, please",
             "belief_state": [{"act": "inform", "slots": [["food", "thai"]]}]},
            {"system_transcript": "Where?", "transcript": f"in the {rng.choice(words)} north",
             "belief_state": [{"act": "inform", "slots": [["food", "thai"], ["area", "north"]]},
                              {"act": "request", "slots": [["slot", "phone"]]}]},
        ]} for _ in range(count)]
        (woz / f"woz_{name}_en.json").write_text(json.dumps(dialogues), encoding="utf-8")
    return tmp_path / "data"


def test_table_has_at_least_forty_different_runs_of_every_family():
    assert len(RUNS) >= 40
    assert len({driver.settings_of(run) for run in RUNS.values()}) == len(RUNS)
    assert {run.family for run in RUNS.values()} == {
        "grokking", "wrong labels", "healthy", "exhausted", "language", "fine-tuning", "collapse",
        "divergence", "interrupted"}
    assert {run.meant for run in RUNS.values()} <= OUTCOMES


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_run_has_20_to_60_evaluations_and_starts_from_a_run_that_exists(run):
    evaluations = [step for step in range(run.training.steps + 1) if run.training.evaluates(step)]
    assert 20 <= len(evaluations) <= 61
    assert run.training.steps % run.training.every == 0
    assert not run.after or isinstance(RUNS[run.after].task, Language)


@pytest.mark.parametrize("task", [
    Modular("a + b", 31, 0.4, width=64), Modular("a / b", 31, 0.5, ordered=True, width=64),
    vectors.Vectors("digits", 0.4, shift=True), vectors.Vectors("patches"),
    vectors.Vectors("clusters", noise=0.1, dropout=0.1), Contrastive(negatives=False),
    Contrastive(negatives=True), Language("emotions", window=6), Language("dialogues", window=6),
    Emotion(), Belief()], ids=repr)
def test_every_kind_of_task_trains_and_records_aligned_finite_clouds(task, tmp_path, data):
    torch.manual_seed(1)
    folder = tmp_path / "run"
    training.train(task.build(Sources(data)), training.Training(steps=4, every=2), str(folder))
    evaluations = truth.read(folder)
    assert [step for step, _ in evaluations] == [0, 2, 4]
    assert set(evaluations[0][1]) == {
        "train/loss", "train/accuracy", "validation/loss", "validation/accuracy", "truth/spread",
        "truth/effective_rank"}
    for split in training.SPLITS:
        clouds = [np.load(folder / f"{split}_last_{step:06d}.npy") for step in (0, 2, 4)]
        assert len({cloud.shape for cloud in clouds}) == 1
        assert clouds[0].dtype == np.float16 and 64 <= clouds[0].shape[1] <= 128
        assert np.isfinite(clouds).all() and not np.array_equal(clouds[0], clouds[2])


def test_fine_tuning_starts_from_the_language_model_s_weights(tmp_path, data):
    sources = Sources(data, weights=str(tmp_path))
    language = Language("emotions", window=6).build(sources)
    training.train(language, training.Training(steps=2, every=2), str(tmp_path / "lm"))
    torch.manual_seed(9)
    started = Belief(pretrained="lm").build(sources).model["decoder"].state_dict()
    for name, value in language.model["decoder"].state_dict().items():
        assert torch.equal(started[name], value), name


def test_belief_counts_an_unseen_value_as_not_said_and_all_slots_together(data):
    task = Belief().build(Sources(data))
    assert task._class_of("food", "thai") > 0
    assert task._class_of("food", "ethiopian") == task._class_of("food", None) == 0
    targets = task._splits["train"][1]
    assert len(targets) == 120 and sorted(set(map(tuple, targets.tolist()))) == [
        (1, 0, 0), (1, 1, 0)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_operations_give_each_pair_one_residue(operation):
    inputs, targets = pairs(Modular(operation, 13, 1.0))
    assert len(set(map(tuple, inputs.tolist()))) == len(inputs) == 13 * (13 - ("/" in operation))
    assert targets.min() >= 0 and targets.max() < 13
    if operation == "a / b":
        assert ((targets * inputs[:, 1]) % 13 == inputs[:, 0]).all()


def test_wrong_labels_are_as_many_as_asked_less_those_right_by_chance():
    torch.manual_seed(1)
    labels = torch.zeros(10_000, dtype=torch.long)
    assert vectors.with_wrong(labels, 0.4, 10).count_nonzero().item() == pytest.approx(3600, abs=60)
    assert labels.count_nonzero() == 0


JOB = """
import signal, sys, torch
signal.signal(signal.SIGINT, signal.default_int_handler)
from corpus import training, vectors
folder, interrupts = sys.argv[1], tuple(map(int, sys.argv[2:]))
torch.manual_seed(1)
training.train(vectors.Vectors("digits", 0.4).build(None), training.Training(
    steps=10, every=2, interrupts=interrupts, checkpoint_every=4), folder)
"""


def run_job(folder, *interrupts):
    """The exit status of a small job in a process of its own."""
    environment = {**os.environ, **driver.ONE_THREAD,
                   "PYTHONPATH": os.pathsep.join([str(BUILD / "python"), str(EXAMPLES)])}
    return subprocess.run([sys.executable, "-c", JOB, folder, *map(str, interrupts)],
                          env=environment, stderr=subprocess.DEVNULL).returncode


def test_a_job_killed_by_sigint_goes_on_from_its_checkpoint_as_if_never_interrupted(tmp_path):
    interrupted, whole = tmp_path / "interrupted", tmp_path / "whole"
    assert run_job(interrupted, 6) == -signal.SIGINT
    assert recorded_steps(interrupted) == [0, 2, 4, 6]
    assert run_job(interrupted, 6) == 0
    assert recorded_steps(interrupted) == [0, 2, 4, 6, 4, 6, 8, 10]
    assert run_job(whole) == 0
    assert truth.read(interrupted) == truth.read(whole)
    weights = [torch.load(folder / "checkpoint.pt")["model"] for folder in (interrupted, whole)]
    assert all(torch.equal(*pair) for pair in zip(*(each.values() for each in weights)))


def recorded_steps(folder):
    return [json.loads(line)["step"] for line in (folder / "trace.jsonl").open()]


def test_a_silent_job_trains_but_reports_nothing(tmp_path):
    torch.manual_seed(1)
    training.train(vectors.Vectors("digits").build(None),
                   training.Training(steps=8, every=2, silent=(2, 6)), str(tmp_path))
    assert recorded_steps(tmp_path) == [0, 6, 8]


def test_geometry_tells_spread_and_rank():
    torch.manual_seed(1)
    ball = torch.randn(4000, 5)
    assert training.geometry(ball)["spread"] == pytest.approx(1, abs=0.01)
    assert training.geometry(ball)["effective_rank"] == pytest.approx(5, abs=0.1)
    assert training.geometry(ball + 1000)["spread"] < 0.002
    assert training.geometry(ball * torch.tensor([1.0, 0, 0, 0, 0]))["effective_rank"] == 1
    assert training.geometry(torch.zeros(9, 3)) == {"spread": 0.0, "effective_rank": 0.0}


# The rules of truth, on made-up scalars: 20 evaluations, 100 steps apart.


def scalars(validation, train=0.9, loss=1.0, spread=0.8, rank=8.0):
    """20 evaluations of numbers, or of functions of x = 0 .. 1."""
    columns = {"validation/accuracy": validation, "train/accuracy": train, "train/loss": loss,
               "truth/spread": spread, "truth/effective_rank": rank}
    evaluations = []
    for i in range(20):
        row = {name: value(i / 19) if callable(value) else value
               for name, value in columns.items()}
        evaluations.append((100 * i, {name: v for name, v in row.items() if np.isfinite(v)}))
    return evaluations


def rise(x):
    return 0.1 + 0.8 * x


@pytest.mark.parametrize("label, onset, evaluations", [
    ("healthy", None, scalars(rise, rise)),
    ("exhausted", 600, scalars(lambda x: min(0.9, 0.1 + 2.6 * x), rise)),
    ("overfitting", 900, scalars(lambda x: 0.9 - 0.5 * abs(x - 0.4), rise)),
    ("unclear", None, scalars(lambda x: 0.9 - 0.025 * (x > 0.4), rise)),
    ("memorized", 900, scalars(lambda x: 0.05, lambda x: min(1, 2.2 * x))),
    ("grokked", 1500, scalars(lambda x: 0.03 + 0.95 * (x > 0.75), lambda x: min(1, 4 * x))),
    ("grokking", 1500, scalars(lambda x: 0.03 + 0.5 * (x > 0.75), lambda x: min(1, 4 * x))),
    ("stuck", None, scalars(0.1, 0.1)),
    ("collapsed", 1000, scalars(0.5, 0.5, spread=lambda x: 0.5 * (x < 0.5))),
    ("collapsed", 1200, scalars(rise, lambda x: 0.9 - x, rank=lambda x: 8 - 11 * x)),
    ("diverged", 1000, scalars(0.5, rise, loss=lambda x: np.nan if x > 0.5 else 1 - x)),
    ("diverged", 1000, scalars(0.5, rise, loss=lambda x: 1.0 if x > 0.5 else 1 - x)),
    ("diverged", 100, scalars(0.5, rise, loss=lambda x: 2.0 if x else 1.0))])
def test_truth_judges_from_scalars(label, onset, evaluations):
    outcome = truth.judge(evaluations)
    assert outcome.label == label
    assert outcome.onset is None if onset is None else abs(outcome.onset - onset) <= 200


def test_truth_is_not_misled_by_one_bad_evaluation():
    evaluations = scalars(lambda x: min(0.9, 0.1 + 2.6 * x), rise)
    evaluations[-1][1]["validation/accuracy"] = 0.5
    evaluations[5][1]["validation/accuracy"] = 0.99
    outcome = truth.judge(evaluations)
    assert (outcome.label, round(outcome.best, 3)) == ("exhausted", 0.9)


def test_understanding_without_delay_is_not_grokking():
    evaluations = scalars(lambda x: min(0.95, 3 * x), lambda x: min(1, 4 * x))
    assert truth.judge(evaluations).label == "exhausted"


def test_best_step_is_the_first_of_the_best_and_the_rules_need_four_evaluations():
    outcome = truth.judge(scalars(lambda x: 0.9 - 0.5 * abs(x - 0.4), rise))
    assert (outcome.best_step, outcome.best > 0.85, outcome.final < 0.65) == (700, True, True)
    with pytest.raises(ValueError, match="at least 4 evaluations are needed, got 3"):
        truth.judge(scalars(0.5)[:3])


def test_what_a_resumed_job_did_again_replaces_what_it_did_before(tmp_path):
    lines = [{"step": step, "scalars": {"train/loss": loss}}
             for step, loss in ((0, 5.0), (10, 4.0), (20, 3.0), (10, 2.0), (20, 1.0))]
    (tmp_path / "trace.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [(step, values["train/loss"]) for step, values in truth.read(tmp_path)] == [
        (0, 5.0), (10, 2.0), (20, 1.0)]


# The driver


def run_driver(out, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(BUILD / "python"),
                                                                str(EXAMPLES)])}
    return subprocess.run([sys.executable, "-m", "corpus", "--out", str(out), *arguments],
                          env=environment, capture_output=True, text=True)


def test_driver_makes_a_run_and_does_not_make_it_again(tmp_path, capsys):
    (tmp_path / "diverge-sgd.part").mkdir()
    (tmp_path / "diverge-sgd.part" / "trace.jsonl").write_text("left by a driver that died")
    made = run_driver(tmp_path, "--only", "diverge-sgd")
    assert made.returncode == 0, made.stderr
    assert "[1/1] diverge-sgd" in made.stdout
    driver.make([RUNS["diverge-sgd"]], str(tmp_path), "", jobs=1)
    assert capsys.readouterr().out == "1 of 1 runs are there\n"
    assert "| diverge-sgd | divergence | Vectors(source='digits'), 400 steps | 1 | diverged | " in (
        tmp_path / "outcomes.md").read_text()
    (tmp_path / "diverge-sgd" / driver.MADE_WITH).write_text("other settings")
    assert not driver.is_made(RUNS["diverge-sgd"], tmp_path)


def test_course_holds_scalars_then_estimates_and_what_became_of_the_run(tmp_path):
    torch.manual_seed(1)
    training.train(vectors.Vectors("digits").build(None), training.Training(steps=6, every=2),
                   str(tmp_path))
    lines = list(course.course(RUNS["noisy-digits-40"], str(tmp_path),
                               str(BUILD / "bin" / "dimwatch")))
    assert lines[0]["run"] == "noisy-digits-40"
    assert lines[0]["outcome"] == dataclasses.asdict(truth.judge(truth.read(tmp_path)))
    first = [line for line in lines if line.get("step") == 0]
    assert [line["type"] for line in first] == ["scalar"] * 4 + ["estimate"] * 2
    assert [line["probe"] for line in first[-2:]] == ["train/last", "validation/last"]
    assert 5 < first[-1]["mean"] < 12 and first[-1]["neighbors"] == 64
    assert {line.get("step") for line in lines[1:]} == {0, 2, 4, 6}


def test_driver_says_what_a_failed_run_said(tmp_path):
    failed = run_driver(tmp_path, "--only", "lm-dialogues", "--data", str(tmp_path / "nowhere"))
    assert failed.returncode != 0
    assert "lm-dialogues failed" in failed.stderr and "nowhere" in failed.stderr


def test_driver_leaves_out_text_without_data_and_adds_what_a_run_starts_from():
    assert [run.name for run in driver.chosen(["belief-finetuned"], "data")] == [
        "lm-dialogues", "belief-finetuned"]
    assert driver.chosen(["belief-finetuned"], None) == []
    schedule = driver.Schedule(driver.chosen(["belief-finetuned"], "data"), "nowhere")
    first = schedule.next()
    assert (first.name, schedule.next()) == ("lm-dialogues", None)
    schedule.finished(first)
    assert schedule.next().name == "belief-finetuned"


# The courses that are kept as test data


def test_every_kept_course_is_of_a_run_with_the_settings_of_today_and_replays():
    files = sorted((ROOT / "tests" / "data" / "courses").glob("*.jsonl"))
    assert len(files) >= 48
    assert sum(file.stat().st_size for file in files) < 2 << 20
    for file in files:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        run = RUNS[file.stem]
        assert (lines[0]["task"], lines[0]["training"], lines[0]["seed"]) == (
            str(run.task), str(run.training), run.seed), file
        evaluations = {line["step"] for line in lines if line["type"] == "estimate"}
        assert evaluations == {step for step in range(run.training.steps + 1)
                               if run.training.evaluates(step)}, file
    replayed = subprocess.run([BUILD / "bin" / "dimwatch", "replay", files[0], "--json"],
                              capture_output=True, text=True)
    assert replayed.returncode == 0, replayed.stderr
