"""Jobs, as programs, whose server is in trouble: they end in time, stay small, and say little."""

import concurrent.futures
import json
import re
import subprocess
import sys
import time

import pytest

from conftest import BUILD, ROOT
from testing_support import hostile, network
from testing_support.processes import wait_until

FLUSH_SECONDS, EXIT_SECONDS = 2, 5  # of finish(timeout=2), and the client's own at exit
SLACK_SECONDS = 8  # to end a program on a busy machine
QUEUE_BYTES = 32 << 20
OVERHEAD_BYTES = 64 << 20  # gRPC's threads and buffers; 30 clouds would need three times as much
KINDS = {kind.__name__: kind for kind in
         [*hostile.TROUBLES, *([] if network.why_not() else [network.Cut, network.CutForGood])]}


class Job:
    """A running job.py."""

    def __init__(self, trouble, *options):
        self.trouble = trouble
        self._process = subprocess.Popen(
            [*trouble.prefix, sys.executable, ROOT / "tests/python/job.py", trouble.address,
             *options],
            env={"PYTHONPATH": str(BUILD / "python"), "PATH": "/usr/bin:/bin"},
            text=True, errors="backslashreplace", stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)

    def pass_third(self):
        """Waits until a third of the steps is done."""
        assert self._process.stdout.readline() == "third\n", self._process.communicate()

    def go_on(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def end(self):
        """Waits for the end. Sets `told`, `warnings` and `seconds`, from the end of the loop."""
        start = time.monotonic()
        output, errors = self._process.communicate(timeout=120)
        self.seconds = time.monotonic() - start
        assert self._process.returncode == 0, errors
        self.told = json.loads(output.splitlines()[-1])
        self.warnings = errors.splitlines()
        return self


@pytest.fixture(scope="module")
def jobs(tmp_path_factory):
    """Jobs with every kind of server, with and without finish(), side by side."""
    troubles = {name: kind(tmp_path_factory.mktemp(name)) for name, kind in KINDS.items()}
    running = {}
    for name, trouble in troubles.items():
        size = ["--queue-bytes", str(QUEUE_BYTES)]
        running[name, "finish"] = Job(trouble, *size, "--finish", str(FLUSH_SECONDS))
        running[name, "exit"] = Job(trouble, *size)
    for act in ("worsen", "mend", None):
        for job in running.values():
            job.pass_third()
        for trouble in troubles.values() if act else ():
            getattr(trouble, act)()
        for job in running.values():
            job.go_on()
    with concurrent.futures.ThreadPoolExecutor(len(running)) as waiting:
        yield dict(zip(running, waiting.map(Job.end, running.values())))
    for trouble in troubles.values():
        trouble.close()


each_job = pytest.mark.parametrize("kind", KINDS)
each_end = pytest.mark.parametrize("end", ["finish", "exit"])


@each_job
@each_end
def test_memory_stays_within_the_queue_s_limit(jobs, kind, end):
    told = jobs[kind, end].told
    assert told["most_queued"] <= QUEUE_BYTES
    assert told["grown"] < QUEUE_BYTES + OVERHEAD_BYTES


@each_job
@each_end
def test_the_program_ends_within_its_limit(jobs, kind, end):
    limit = FLUSH_SECONDS if end == "finish" else EXIT_SECONDS
    assert jobs[kind, end].seconds < limit + SLACK_SECONDS


@pytest.mark.skipif(network.why_not(), reason=str(network.why_not()))
def test_what_a_network_that_is_cut_and_mended_held_back_is_delivered(tmp_path):
    with network.Cut(tmp_path) as trouble:
        job = Job(trouble, "--steps", "12", "--queue-bytes", str(256 << 20), "--finish", "60")
        job.pass_third()
        trouble.worsen()
        job.go_on()
        job.pass_third()
        wait_until("packets vanish", lambda: trouble.resent() > 0)
        trouble.mend()
        job.go_on()
        job.pass_third()
        job.go_on()
        told = job.end().told
    assert told["durable_rows"] == told["rows"]
    assert told["dropped_rows"] == told["queued_bytes"] == 0


@each_job
def test_every_row_is_durable_or_counted_as_dropped(jobs, kind):
    told = jobs[kind, "finish"].told
    assert told["durable_rows"] + told["dropped_rows"] == told["rows"]
    assert told["rejected_calls"] == told["nacked_items"] == told["queued_bytes"] == 0


@each_job
@each_end
def test_each_trouble_is_told_once_and_nothing_else_is(jobs, kind, end):
    warnings = jobs[kind, end].warnings
    assert all(line.startswith("dimwatch: ") for line in warnings), warnings
    troubles = [re.search("could not be reached|lost \\(|is full|not finished|is lost", line)[0]
                for line in warnings]
    assert len(troubles) == len(set(troubles))
