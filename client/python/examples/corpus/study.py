"""Judges dimwatch's signals and decisions on a folder of courses, and writes docs/study.md.

    PYTHONPATH=client/python/examples \
        python3 -m corpus.study --dimwatch build/bin/dimwatch --courses FOLDER --out docs/study.md
"""

import argparse
import collections
import os
import statistics

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  (after the backend was chosen)

from corpus import judging  # noqa: E402

COMMAND = ("PYTHONPATH=client/python/examples python3 -m corpus.study "
           "--dimwatch build/bin/dimwatch --courses courses --out docs/study.md")
SAID = {"estimates": "LID alone", "loss": "and training loss", "all": "everything reported"}
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999")
SHOWN = ("overfitting", "exhausted", "healthy", "grokked")  # outcomes of the first picture
TARGET_RECALL = 0.95


def write_report(study, out):
    images = os.path.join(os.path.dirname(os.path.abspath(out)), "images")
    os.makedirs(images, exist_ok=True)
    draw_courses(study, os.path.join(images, "study-courses.png"))
    draw_policies(study, os.path.join(images, "study-regret.png"))
    sections = (head, targets, signals, decisions, by_outcome, cross_validation, misses)
    with open(out, "w", encoding="utf-8") as page:
        page.write("\n\n".join(section(study) for section in sections) + "\n")


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def head(study):
    labels = collections.Counter(course.outcome.label for course in study.courses)
    tasks = {course.task for course in study.courses}
    runs = ", ".join(f"{count} {label}" for label, count in labels.most_common())
    return f"""# What the signals are worth
Made by one command from the [corpus](corpus.md), whose runs it replays:

    {COMMAND}

{len(study.courses)} runs on {len(tasks)} tasks: {runs}.

What became of a run is known from its recorded validation accuracy (smoothed), never from its LID. All settings are the defaults. A run
is judged with three sorts of evidence: the LID estimates alone, with the training loss, and with
everything the job reported, validation loss and accuracy among it. A false STOP is one after which
the best accuracy still rose by more than {judging.truth.FLAT}.

![Courses with their signals](images/study-courses.png)"""


def median(values):
    return f"{statistics.median(values):.4f}" if values else "-"


def share(part, whole):
    return f"{part / whole:.2f} ({part} of {whole})" if whole else "-"


def score(study, signal, evidence):
    return judging.score_signal(signal, study.courses, study.judged[evidence, 0])


def regrets(study, policy):
    return [study.policies[policy][c.name].regret for c in study.courses if judging.learns(c)]


def stopped_falsely(study, policy, labels=None):
    return [c for c in study.courses if study.policies[policy][c.name].false
            and judging.learns(c) and (labels is None or c.outcome.label in labels)]


def targets(study):
    rows = []
    keras = "EarlyStopping(val accuracy, 10)", "EarlyStopping(val accuracy, 3)"
    for evidence, said in SAID.items():
        policy = f"dimwatch, {evidence}"
        counts = score(study, "overfitting", evidence)
        found, missed = len(counts["true"]), len(counts["missed"])
        false = stopped_falsely(study, policy, {"healthy", "grokked", "grokking"})
        reached = found >= TARGET_RECALL * (found + missed)
        mine = statistics.median(regrets(study, policy))
        theirs = [statistics.median(regrets(study, name)) for name in keras]
        against = ", ".join(
            f"{value:.4f} with patience {p}: {'yes' if mine <= value else 'NO'}"
            for value, p in zip(theirs, (10, 3)))
        rows.append([said, f"{len(false)}: {'yes' if not false else 'NO'}",
                     f"{share(found, found + missed)}: {'yes' if reached else 'NO'}",
                     f"{mine:.4f} against {against}"])
    return """## Targets
False alarms on stationary noise are measured by `tests/signal/false_alarms_test.cc`, and told in
[signals](signals.md#false-alarms).

""" + table(
        ["evidence", "false STOPs on healthy and grokking runs: none",
         "overfitting found: 95 %",
         "median regret: no worse than EarlyStopping on validation accuracy"], rows)


def signals(study):
    rows = []
    for signal in judging.TRUE_ON:
        for evidence, said in SAID.items():
            counts = score(study, signal, evidence)
            true, false, missed = (len(counts[key]) for key in ("true", "false", "missed"))
            delays = counts["delays"]
            delay = (f"{statistics.median(delays):g} ({min(delays)} to {max(delays)})"
                     if delays else "-")
            rows.append([f"`{signal}`", said, share(true, true + false),
                         share(true, true + missed), delay])
    return """## Signals
A signal is right on a run of its outcome: `memorizing` on grokking and memorizing ones,
`collapsed` on collapse and divergence. `exhausted` counts as right on any run on which no more
accuracy was to come. The delay is counted in evaluations from the step from which on the outcome
held (for `generalizing`: from the step at which validation accuracy began to lift); below 0 it came
before. `diverging` stops nothing and has no outcome to be judged by.

""" + table(["signal", "evidence", "precision", "recall", "delay: median (range)"], rows)


def decisions(study):
    rows = []
    for policy, choices in study.policies.items():
        mine = [choices[c.name] for c in study.courses if judging.learns(c)]
        values = [choice.regret for choice in mine]
        rows.append([policy, sum(choice.false for choice in mine),
                     sum(choice.stop is not None for choice in mine), median(values),
                     f"{statistics.fmean(values):.4f}", f"{max(values):.3f}",
                     f"{100 * statistics.fmean(choice.saved for choice in mine):.0f} %"])
    return """## Decisions
Regret is the best validation accuracy of a run minus that of the checkpoint chosen: `best_step` of
the first STOP, or the last checkpoint. Runs that collapsed, diverged or never learned are left out.
EarlyStopping is Keras' rule with restore_best_weights: it needs labels at every evaluation.

""" + table(["policy", "false STOPs", "stopped", "median regret", "mean", "worst",
             "compute saved"], rows) + "\n\n![Regret and compute](images/study-regret.png)"


def by_outcome(study):
    policies = [name for name in study.policies if "cross-validated" not in name]
    rows = []
    labels = sorted({c.outcome.label for c in study.courses if judging.learns(c)})
    for label in labels:
        courses = [c for c in study.courses if c.outcome.label == label]
        rows.append([f"{label} ({len(courses)})", *(
            f"{statistics.fmean(study.policies[name][c.name].regret for c in courses):.3f}"
            for name in policies)])
    return "### Mean regret by outcome\n" + table(["outcome", *policies], rows)


def settings_text(settings):
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "defaults"


def cross_validation(study):
    rows = []
    for evidence, said in SAID.items():
        picked = collections.Counter(
            settings_text(study.grid[number]) for _, number in study.chosen[evidence])
        held_out = study.held_out[evidence]
        counts = judging.score_signal("overfitting", study.courses, held_out)
        true, false, missed = (len(counts[key]) for key in ("true", "false", "missed"))
        rows.append([said, "; ".join(f"{text} ({n})" for text, n in picked.most_common()),
                     share(true, true + missed), share(true, true + false)])
    return f"""## Cross-validation over tasks
For every task the rules are chosen on all other tasks, from the defaults and {len(study.grid) - 1}
others ({"; ".join(settings_text(s) for s in study.grid[1:])}): fewest false STOPs, then most
overfitting found, then least regret. The task is judged with the rules that were chosen without it.
What comes of the decisions is in the table above. The constants in the rules themselves were set
while looking at this corpus, digits and grokking above all; that part is not cross-validated.

""" + table(["evidence", "chosen (for so many tasks)", "overfitting: recall", "precision"], rows)


def misses(study):
    rows = []
    for evidence, said in SAID.items():
        false = stopped_falsely(study, f"dimwatch, {evidence}")
        rows.append([said, "false STOP", names(c.name for c in false)])
        for signal in judging.TRUE_ON:
            counts = score(study, signal, evidence)
            rows.append([said, f"`{signal}` false", names(counts["false"])])
            rows.append([said, f"`{signal}` missed", names(counts["missed"])])
    return """## Misses
By name. Without a validation metric the courses of some healthy runs and of some that overfit are
the same, on both splits, so that no rule on the LID can tell them apart; more caution would miss the
latter, less would stop the former.

""" + table(["evidence", "what", "runs"], [row for row in rows if row[2] != "none"])


def names(found):
    return ", ".join(sorted(found)) or "none"


def draw_courses(study, file):
    """One run of each of the main outcomes, with its signals when everything is known."""
    judged = study.judged["all", 0]
    alike = [[c for c in study.courses if c.outcome.label == label] for label in SHOWN]
    chosen = [max(courses, key=lambda c: len(judged[c.name].fired)) for courses in alike if courses]
    figure, axes = pyplot.subplots(1, len(chosen), figsize=(4.2 * len(chosen), 3.6), squeeze=False,
                                   constrained_layout=True)
    for axis, course in zip(axes[0], chosen):
        for split, color in zip(("train", "validation"), COLORS):
            points = [(line["step"], line["mean"], line.get("standard_error") or 0)
                      for line in course.lines if line["type"] == "estimate"
                      and line["probe"].startswith(f"{split}/") and line["mean"] is not None]
            steps, means, errors = zip(*points)
            axis.errorbar(steps, means, errors, color=color, linewidth=1.2, elinewidth=0.6,
                          label=f"LID, {split}")
        accuracy = axis.twinx()
        accuracy.plot(course.steps, course.accuracy, color="black", linewidth=1, linestyle=":")
        accuracy.set_ylim(0, 1.02)
        for number, (signal, step) in enumerate(sorted(judged[course.name].fired.items())):
            axis.axvline(step, color=COLORS[2 + number % 5], linestyle="--", label=signal)
        axis.set_title(f"{course.name}: {course.outcome.label}", fontsize=9)
        axis.set_xlabel("optimizer step")
        axis.legend(fontsize=7)
    axes[0][0].set_ylabel("mean LID; dotted: validation accuracy")
    figure.savefig(file, dpi=100)
    pyplot.close(figure)


def draw_policies(study, file):
    figure, axis = pyplot.subplots(figsize=(7, 4.2), constrained_layout=True)
    policies = [name for name in study.policies if "cross-validated" not in name]
    for number, name in enumerate(policies):
        mine = [study.policies[name][c.name] for c in study.courses if judging.learns(c)]
        axis.scatter(100 * statistics.fmean(choice.saved for choice in mine),
                     statistics.fmean(choice.regret for choice in mine), s=70,
                     marker="o" if name.startswith("dimwatch") else "s",
                     color=COLORS[number % len(COLORS)], label=name)
    axis.set_xlabel("compute saved (% of the steps, mean over runs)")
    axis.set_ylabel("mean regret (validation accuracy)")
    axis.legend(fontsize=8)
    figure.savefig(file, dpi=100)
    pyplot.close(figure)


def main():
    parser = argparse.ArgumentParser(
        prog="python3 -m corpus.study", description=__doc__.split("\n")[0])
    parser.add_argument("--dimwatch", required=True, metavar="PROGRAM", help="the command")
    parser.add_argument("--courses", required=True, metavar="FOLDER", help="what course.py wrote")
    parser.add_argument("--out", required=True, metavar="FILE",
                        help="the page; its pictures go to images/ beside it")
    options = parser.parse_args()
    files = sorted(name for name in os.listdir(options.courses) if name.endswith(".jsonl"))
    courses = [judging.read_course(os.path.join(options.courses, name)) for name in files]
    write_report(judging.study(courses, options.dimwatch), options.out)
    print(f"{options.out}: {len(courses)} runs")


if __name__ == "__main__":
    main()
