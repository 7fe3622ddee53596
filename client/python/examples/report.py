"""What the examples share: options, a live line per evaluation, and the report at the end."""

import collections
import os
import sys
import time

import grpc
import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot, transforms  # noqa: E402  (after the backend was chosen)

import dimwatch  # noqa: E402

# Okabe and Ito's palette: told apart with every common form of color blindness.
COLORS = {"train": "#0072B2", "validation": "#D55E00"}
SIGNAL_COLORS = {
    "memorizing": "#E69F00", "generalizing": "#009E73", "overfitting": "#CC79A7",
    "exhausted": "#56B4E9", "diverging": "#F0E442", "collapsed": "#000000", "stalled": "#999999"}
SPLITS = tuple(COLORS)


def add_options(parser, out):
    parser.add_argument("--server", help="host:port of dimwatch-server (default: DIMWATCH_SERVER, "
                                         f"or {dimwatch.DEFAULT_SERVER})")
    parser.add_argument("--out", default=out, metavar="PATH",
                        help="where the picture goes, without its ending (default %(default)s)")
    parser.add_argument("--record", metavar="FOLDER", help="also record a trace here")


class Progress:
    """Prints a line for every evaluation as soon as the server has estimated it."""

    def __init__(self, run):
        self._run = run
        self._waiting = {}  # step: {split: accuracy}
        self._answers = True  # until a wait was in vain
        print(f"run {run.id} on {run.server}\n")
        print(f"{'':>6}  {'accuracy':^17}  {'mean LID ± standard error':^29}")
        print(f"{'step':>6}  {'train':>7} {'validation':>10}  {'train':^14} {'validation':^14}  "
              "signals and decision", flush=True)

    def expect(self, step, split, accuracy):
        self._waiting.setdefault(step, {})[split] = accuracy

    def show(self):
        """Prints what is ready, and what waited in vain for its estimates; never waits."""
        latest = self._latest()
        ready = [step for step in self._waiting if latest and step <= latest["step"]]
        for step in ready or sorted(self._waiting)[:-2]:
            accuracy = self._waiting.pop(step)
            lids = [_lid(latest.get(split), step) for split in SPLITS]
            print(f"{step:6d}  {accuracy['train']:7.3f} {accuracy['validation']:10.3f}  "
                  f"{lids[0]:^14} {lids[1]:^14}  {self._judgement()}", flush=True)

    def wait(self, step, seconds=5.0):
        """Waits until `step` is estimated, then shows it. For examples whose whole training takes
        no longer than a few estimates; a real one has no reason to wait."""
        deadline = time.monotonic() + seconds
        while self._answers and self._latest().get("step", -1) < step:
            self._answers = time.monotonic() < deadline
            time.sleep(0.005)
        self.show()

    def _latest(self):
        """{split: newest estimate, "step": up to which both are known}; {} before the first."""
        latest = {e.probe.split("/")[0]: e for e in self._run.estimates.values()}
        if set(latest) < set(SPLITS):
            return {}
        return {**latest, "step": min(estimate.step for estimate in latest.values())}

    def _judgement(self):
        active = [f"{signal.signal}({signal.probe.split('/')[0]}) {signal.state.lower()}"
                  for signal in self._run.signals.values() if signal.state in ("PENDING", "FIRING")]
        return ", ".join([*active, self._run.decision.verdict])


def _lid(estimate, step):
    """The estimate of this step; blank if it was overtaken by a later one."""
    if estimate is None or estimate.step != step or estimate.mean is None:
        return ""
    if estimate.standard_error is None:
        return f"{estimate.mean:.2f}"
    return f"{estimate.mean:.2f} ± {estimate.standard_error:.2f}"


def write(run, out, title):
    """Fetches the run from the server, draws it to `out`.png and .svg, prints what fired when.

    Returns the history."""
    try:
        history = dimwatch.query.history(run.server, run.id)
    except grpc.RpcError as error:
        sys.exit(f"no picture: {run.server} does not answer ({error.details()}); "
                 "start dimwatch-server, or name yours with --server")
    figure = draw(history, title)
    folder = os.path.dirname(os.path.abspath(out))
    os.makedirs(folder, exist_ok=True)
    print()
    print_events(history)
    for ending in ("png", "svg"):
        figure.savefig(f"{out}.{ending}", dpi=150)
        print(f"picture: {os.path.abspath(out)}.{ending}")
    pyplot.close(figure)
    return history


def print_events(history):
    """A table of what fired when, and of the decisions."""
    print(f"{'step':>6}  {'what':<24} {'probe':<18} why")
    rows = [(s.step, f"{s.signal} {s.state}", s.probe, s.reason)
            for s in history.signals if s.state in ("FIRING", "RESOLVED")]
    rows += [(d.step, f"decision {d.verdict}", _best(d), d.reason) for d in history.decisions]
    for step, what, probe, reason in sorted(rows, key=lambda row: row[0]):
        print(f"{step:6d}  {what:<24} {probe:<18} {reason}")
    print()


def _best(decision):
    return "" if decision.best_step is None else f"best step {decision.best_step}"


def draw(history, title):
    """LID with its error band above, accuracy below, signals and the decision on both."""
    figure, (lid, accuracy) = pyplot.subplots(
        2, 1, sharex=True, figsize=(10, 6.6), height_ratios=(3, 2), constrained_layout=True)
    for split in SPLITS:
        _draw_lid(lid, history, split)
        points = history.scalars.get(f"{split}/accuracy", [])
        accuracy.plot(*zip(*points) if points else ([], []), color=COLORS[split], label=split,
                      linewidth=1.8, linestyle="-" if split == "train" else "--")
    lid.set_ylabel("mean local intrinsic dimension")
    accuracy.set_ylabel("accuracy (share correct)")
    accuracy.set_xlabel("optimizer step")
    accuracy.set_ylim(-0.03, 1.05)
    figure.suptitle(title, fontsize=13)
    _mark_events(lid, accuracy, history)
    for axes in (lid, accuracy):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.margins(x=0.01)
        axes.legend(loc="upper left", bbox_to_anchor=(1.005, 1), frameon=False, fontsize=9)
    return figure


def _draw_lid(axes, history, split):
    estimates = [e for e in history.estimates
                 if e.probe.split("/")[0] == split and e.mean is not None]
    steps = [e.step for e in estimates]
    means = [e.mean for e in estimates]
    errors = [1.96 * (e.standard_error or 0) for e in estimates]
    axes.plot(steps, means, color=COLORS[split], linewidth=1.8, label=f"{split}, 95 % band",
              linestyle="-" if split == "train" else "--")
    axes.fill_between(steps, [m - e for m, e in zip(means, errors)],
                      [m + e for m, e in zip(means, errors)],
                      color=COLORS[split], alpha=0.2, linewidth=0)


def _mark_events(lid, accuracy, history):
    """A marker where a signal fired, a line where the decision became STOP."""
    labelled, beside = set(), collections.Counter()
    for signal in history.signals:
        at = [e.mean for e in history.probe(signal.probe) if e.step == signal.step]
        if signal.state != "FIRING" or not at:
            continue
        split = signal.probe.split("/")[0]
        label = None if (signal.signal, split) in labelled else f"{signal.signal} ({split})"
        labelled.add((signal.signal, split))
        above = transforms.offset_copy(  # those of one estimate stand on each other
            lid.transData, lid.figure, y=12 * beside[signal.probe, signal.step], units="points")
        beside[signal.probe, signal.step] += 1
        lid.plot(signal.step, at[0], linestyle="", markersize=10, markeredgecolor="#333333",
                 markeredgewidth=0.6, marker="^" if split == "train" else "v", label=label,
                 color=SIGNAL_COLORS.get(signal.signal, "#999999"), zorder=5, transform=above)
    stops = [d for d in history.decisions if d.verdict == "STOP"]
    if stops:
        for axes in (lid, accuracy):
            axes.axvline(stops[-1].step, color="black", linewidth=1.2, linestyle=":",
                         label=f"STOP at {stops[-1].step}" if axes is lid else None)
            if stops[-1].best_step is not None:
                axes.axvline(stops[-1].best_step, color="#666666", linewidth=1.2,
                             linestyle="-.",
                             label=f"best step {stops[-1].best_step}" if axes is lid else None)
