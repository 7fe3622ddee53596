"""The study: ways of stopping on made-up runs, and the page from courses that `dimwatch` judges."""

import json
import sys

import pytest

from conftest import BUILD, ROOT

sys.path.insert(0, str(ROOT / "client" / "python" / "examples"))

from corpus import judging, study, truth  # noqa: E402  (found through sys.path)


def course(accuracy, label="healthy", onset=None, task="digits", name="run", loss=None, lid=None):
    """Evaluations every 10 steps."""
    steps = [10 * i for i in range(len(accuracy))]
    scalars = [{"validation/accuracy": value} for value in accuracy]
    for values, value in zip(scalars, loss or []):
        values["validation/loss"] = value
    lines = [{"type": "run", "task": f"Vectors(source='{task}', x=1)",
              "outcome": truth.Outcome(label, onset, 0, max(accuracy), accuracy[-1]).__dict__}]
    for i, (step, values) in enumerate(zip(steps, scalars)):
        lines += [{"type": "scalar", "step": step, "name": key, "value": value}
                  for key, value in values.items()]
        lines += [{"type": "estimate", "step": step, "probe": f"{split}/last", "mean": lid[i],
                   "standard_error": 0.05} for split in ("train", "validation") if lid]
    return judging.Course(name, task, truth.Outcome(label, onset, 0, max(accuracy), accuracy[-1]),
                          steps, scalars, lines)


RISES = [0.1 * i for i in range(10)]
PEAKS = [0.5, 0.6, 0.7, 0.8, 0.8, 0.8, 0.7, 0.6, 0.5, 0.4]


def test_early_stopping_takes_the_record_and_stops_after_patience():
    assert judging.early_stopping(course(PEAKS), "validation/accuracy", 3) == (60, 30)
    assert judging.early_stopping(course(PEAKS), "validation/accuracy", 10) == (None, 30)
    losses = course(PEAKS, loss=[3, 2, 1, 2, 3, 4, 5, 6, 7, 8])
    assert judging.early_stopping(losses, "validation/loss", 3) == (50, 20)


def test_a_stop_is_false_where_accuracy_was_to_come():
    assert judging.choice(course(RISES), 40, 40).false
    late = judging.choice(course(PEAKS), 70, 30)
    assert not late.false and late.regret == 0 and late.saved == pytest.approx(1 - 70 / 90)
    assert judging.choice(course(PEAKS), None, 90).regret == pytest.approx(0.8 - 0.5)


def test_a_signal_is_scored_by_the_outcome_of_the_run():
    courses = [course(PEAKS, "overfitting", 60, name="found"),
               course(PEAKS, "overfitting", 60, name="missed"), course(RISES, name="false")]
    judged = {"found": judging.Judged({"overfitting": 80}, None, None),
              "missed": judging.Judged({}, None, None),
              "false": judging.Judged({"overfitting": 10, "exhausted": 10}, None, None)}
    assert judging.score_signal("overfitting", courses, judged) == {
        "true": ["found"], "false": ["false"], "missed": ["missed"], "delays": [2]}
    assert judging.score_signal("exhausted", courses, judged)["false"] == ["false"]
    judged["false"] = judging.Judged({"exhausted": 90}, None, None)
    assert not judging.score_signal("exhausted", courses, judged)["false"], "none was to come"


def test_cross_validation_judges_a_task_by_rules_chosen_without_it():
    courses = [course(RISES, task="a", name="a"), course(RISES, task="b", name="b")]
    right, wrong = judging.Judged({}, None, None), judging.Judged({}, 10, 10)
    judged = {("all", 0): {"a": wrong, "b": right}, ("all", 1): {"a": right, "b": wrong}}
    chosen, held_out = judging.cross_validate(courses, judged, "all", [{}, {}])
    assert chosen == [("a", 0), ("b", 1)]
    assert held_out == {"a": wrong, "b": wrong}, "each rule is right only where it was chosen"


def test_the_page_is_made_by_one_command(tmp_path, monkeypatch, capsys):
    folder = tmp_path / "courses"
    folder.mkdir()
    falls_and_rises = [9, 6, *(5 + 0.1 * i for i in range(28))]
    falls = [9 - 0.2 * i for i in range(30)]
    worse = [0.5, 0.7, 0.9, *(0.9 - 0.01 * i for i in range(27))]
    better = [0.3 + 0.02 * i for i in range(30)]
    made = [course(worse, "overfitting", 60, "digits", "noisy", lid=falls_and_rises),
            course(better, "healthy", None, "clusters", "clean", lid=falls)]
    for each in made:
        text = "".join(json.dumps(line) + "\n" for line in each.lines)
        (folder / f"{each.name}.jsonl").write_text(text)
    page = tmp_path / "study.md"
    monkeypatch.setattr(sys, "argv", ["study", "--dimwatch", str(BUILD / "bin/dimwatch"),
                                      "--courses", str(folder), "--out", str(page)])
    study.main()
    assert "2 runs" in capsys.readouterr().out
    text = page.read_text()
    assert "2 runs on 2 tasks" in text
    assert "| everything reported | 0: yes | 1.00 (1 of 1): yes |" in text
    assert "| `overfitting` | everything reported | 1.00 (1 of 1) | 1.00 (1 of 1) |" in text
    assert (tmp_path / "images/study-courses.png").stat().st_size > 10_000
    assert (tmp_path / "images/study-regret.png").stat().st_size > 10_000
