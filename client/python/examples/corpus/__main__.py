"""Makes the corpus: one process and one core per run; what is there already is not made again.

    PYTHONPATH=build/python:client/python/examples \\
        python3 -m corpus --out FOLDER --data FOLDER --jobs 2

FOLDER/NAME becomes the trace of a run; outcomes.md beside them says what became of each.
"""

import argparse
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time

from corpus import truth
from corpus.runs import RUNS

ONE_THREAD = {name: "1" for name in
              ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


MADE_WITH = "run.txt"  # in a run's folder: the settings that it was made with


class Job:
    """A run under way in a process of its own, in a folder that is renamed when it is done."""

    def __init__(self, run, out, data):
        self.run = run
        self._out, self._data = out, data
        self._part = os.path.join(out, run.name + ".part")
        shutil.rmtree(self._part, ignore_errors=True)
        os.makedirs(self._part)
        with open(os.path.join(self._part, MADE_WITH), "w", encoding="utf-8") as file:
            file.write(settings_of(run))
        self._started = time.monotonic()
        self._start()

    def poll(self):
        """None while it runs; then the Outcome. A job that a SIGINT ended is started again.

        Raises RuntimeError with the end of its output if it failed."""
        status = self._process.poll()
        if status is None:
            return None
        if status == -signal.SIGINT:
            self._start()
            return None
        if status != 0:
            with open(os.path.join(self._part, "log.txt"), encoding="utf-8") as log:
                raise RuntimeError(f"{self.run.name} failed: {log.read()[-2000:]}")
        folder = os.path.join(self._out, self.run.name)
        shutil.rmtree(folder, ignore_errors=True)  # made with other settings
        os.rename(self._part, folder)
        return truth.judge(truth.read(folder))

    @property
    def seconds(self):
        return time.monotonic() - self._started

    def stop(self):
        self._process.terminate()
        self._process.wait()

    def _start(self):
        with open(os.path.join(self._part, "log.txt"), "a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "corpus.worker", self.run.name, self._part, self._data],
                env={**os.environ, **ONE_THREAD}, stdout=log, stderr=log)


class Schedule:
    """Which run is next: those whose weights others start from come before these."""

    def __init__(self, runs, out):
        self._done = {run.name for run in RUNS.values() if is_made(run, out)}
        self.waiting = [run for run in runs if run.name not in self._done]

    def next(self):
        """Takes the next run that can start; None if there is none now."""
        ready = [run for run in self.waiting if not run.after or run.after in self._done]
        if not ready:
            return None
        self.waiting.remove(ready[0])
        return ready[0]

    def finished(self, run):
        self._done.add(run.name)


def settings_of(run):
    return f"{run.task}\n{run.training}\nseed {run.seed}\n"


def is_made(run, out):
    """Whether its trace is there, made with the settings of today."""
    file = os.path.join(out, run.name, MADE_WITH)
    if not os.path.exists(file):
        return False
    with open(file, encoding="utf-8") as made_with:
        return made_with.read() == settings_of(run)


def chosen(names, data):
    """The runs to make, with those that they start from; without data those that need no text."""
    wanted = {name: RUNS[name] for name in names or RUNS}
    for run in list(wanted.values()):
        if run.after:
            wanted[run.after] = RUNS[run.after]
    return [run for run in RUNS.values() if run.name in wanted and (data or not run.needs_text)]


def make(runs, out, data, jobs):
    schedule, running = Schedule(runs, out), []
    total, count = len(schedule.waiting), 0
    print(f"{len(runs) - total} of {len(runs)} runs are there", flush=True)
    try:
        while schedule.waiting or running:
            while len(running) < jobs and (run := schedule.next()):
                running.append(Job(run, out, data))
            for job in list(running):
                if outcome := job.poll():
                    running.remove(job)
                    schedule.finished(job.run)
                    count += 1
                    print(f"[{count}/{total}] {describe(job.run, outcome)}, "
                          f"{job.seconds:.0f} s", flush=True)
            time.sleep(0.1)
    finally:
        for job in running:
            job.stop()


def describe(run, outcome):
    since = "" if outcome.onset is None else f" from step {outcome.onset}"
    meant = "" if outcome.label == run.meant else f" (meant: {run.meant})"
    return (f"{run.name:<28} {outcome.label}{since}{meant}: validation accuracy "
            f"{outcome.best:.3f} at {outcome.best_step}, {outcome.final:.3f} at the end")


def write_table(out):
    """out/outcomes.md: what became of all runs that are done, as docs/corpus.md has it."""
    with open(os.path.join(out, "outcomes.md"), "w", encoding="utf-8") as file:
        file.write("| run | family | task | seed | outcome | since step | best step | best | last |"
                   "\n|---|---|---|---|---|---|---|---|---|\n")
        for run in RUNS.values():
            if is_made(run, out):
                file.write(row(run, truth.judge(truth.read(os.path.join(out, run.name)))))


def row(run, outcome):
    meant = "" if outcome.label == run.meant else f" (meant: {run.meant})"
    onset = "" if outcome.onset is None else outcome.onset
    return (f"| {run.name} | {run.family} | {changed(run.task)}, {run.training.steps} steps "
            f"| {run.seed} | {outcome.label}{meant} | {onset} | {outcome.best_step} "
            f"| {outcome.best:.3f} | {outcome.final:.3f} |\n")


def changed(task):
    """A task with those of its settings that are not the defaults."""
    settings = [f"{field.name}={getattr(task, field.name)!r}" for field in dataclasses.fields(task)
                if getattr(task, field.name) != field.default]
    return f"{type(task).__name__}({', '.join(settings)})"


def main():
    parser = argparse.ArgumentParser(prog="python3 -m corpus", description=__doc__.split("\n")[0])
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where the traces go")
    parser.add_argument("--data", metavar="FOLDER",
                        help="holds goemotions-ekman and woz2; without it there are no text runs")
    parser.add_argument("--only", nargs="+", choices=RUNS, metavar="NAME", default=[],
                        help="these runs, and those that they start from")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time (default 2)")
    options = parser.parse_args()
    os.makedirs(options.out, exist_ok=True)
    if not options.data:
        print("no --data: runs on text are left out")
    runs = chosen(options.only, options.data)
    try:
        make(runs, options.out, options.data or "", options.jobs)
    except RuntimeError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on from here")
    write_table(options.out)


if __name__ == "__main__":
    main()
