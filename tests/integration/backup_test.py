"""A backup of a server that is under load goes on elsewhere from what was durable."""

import contextlib
import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from client import SECONDS, Client
from crash_test import JOBS, Job, create, events, undisturbed  # noqa: F401
from dimwatch.v1 import run_pb2
from testing_support.processes import BUILD, Server, wait_until


def command(folder, out):
    return [BUILD / "bin/dimwatch", "backup", out, "--data-dir", folder / "data", "--json"]


def backup(folder, out):
    return subprocess.run(command(folder, out), capture_output=True, text=True, timeout=SECONDS)


def rows(folder, select):
    database = sqlite3.connect(folder / "data/dimwatch.db")
    found = database.execute(select).fetchall()
    database.close()
    return found


def assert_prefix(copy, whole):
    """Every estimate of the copy is one of the whole series, or was voided by a later rewind."""
    estimates = "SELECT run_id, cursor, probe, step, mean, standard_error FROM estimates, runs WHERE run = id"
    rewinds = rows(whole, "SELECT run_id, cursor, probe, step FROM rewinds, runs WHERE run = id")
    kept = set(rows(whole, estimates))
    for row in rows(copy, estimates):
        run_id, cursor, probe, step = row[:4]
        assert row in kept or any(
            (run_id, probe) == (rewind[0], rewind[2]) and rewind[1] > cursor and rewind[3] <= step
            for rewind in rewinds
        ), row


def test_a_backup_under_load_is_a_prefix_that_jobs_go_on_from(tmp_path, undisturbed):  # noqa: F811
    whole = tmp_path / "whole"
    whole.mkdir()
    with Server(whole) as server:
        jobs = {kind: Job(kind, kind, lambda: server.grpc) for kind in JOBS}
        threads = [threading.Thread(target=job.train) for job in jobs.values()]
        for thread in threads:
            thread.start()
        copies = []
        while len(copies) < 3 or any(thread.is_alive() for thread in threads):
            acknowledged = {kind: job.acknowledged() for kind, job in jobs.items()}
            copy = tmp_path / f"copy{len(copies)}"
            copy.mkdir()
            done = backup(whole, copy / "data")
            assert done.returncode == 0, done.stderr
            copies.append((copy, acknowledged, json.loads(done.stdout)))
        for thread in threads:
            thread.join(SECONDS)
        with Client(server.grpc) as client:
            for kind in JOBS:
                assert events(client, kind) == undisturbed[kind], "the backups changed nothing"
    assert any(said["live_runs"] > 0 for _, _, said in copies), "no backup while jobs were running"
    for copy, acknowledged, said in copies:
        assert said["live_runs"] <= said["runs"] <= len(JOBS)
        assert_prefix(copy, whole)
        go_on(copy, acknowledged, undisturbed)


def go_on(copy, acknowledged, undisturbed):  # noqa: F811
    with Server(copy) as server, Client(server.grpc) as client:
        assert "damaged" not in server.output()
        for kind, (probes, _) in JOBS.items():
            runs = client.runs.ListRuns(run_pb2.ListRunsRequest(states=[run_pb2.RUN_STATE_FINISHED])).runs
            if kind not in {run.run_id for run in runs}:
                create(client, kind, probes)
                stream = client.open(kind)
                assert stream.welcome().resume_seq >= acknowledged[kind], "of what was durable"
                stream.cancel()
                Job(kind, kind, lambda: server.grpc).train()
            assert events(client, kind) == undisturbed[kind]


def sixths(count):
    """How many items of each job that is. The first of them ends within a snapshot of "large"; the
    log is trimmed behind the second."""
    return {kind: count * len(items) // 6 for kind, (_, items) in JOBS.items()}


def work(client, streams, done):
    """Another sixth of each job; then the store reflects all of it, and the logs are trimmed."""
    for kind, stream in streams.items():
        for item in JOBS[kind][1][sixths(done)[kind] : sixths(done + 1)[kind]]:
            stream.send(**item)
    for kind, seq in sixths(done + 1).items():
        streams[kind].durable(seq)
        renamed = run_pb2.Run(run_id=kind, display_name=f"after {seq} items")  # behind them in the queue
        client.runs.UpdateRun(
            run_pb2.UpdateRunRequest(run=renamed, update_mask={"paths": ["display_name"]}), timeout=SECONDS
        )


class Stop:
    """A file that whoever opens it waits for, until `go_on`: this process has a lease on it, which
    the system breaks no sooner than after 45 s (fcntl(2), "Leases")."""

    def __init__(self, file):
        file.touch()
        self.descriptor = os.open(file, os.O_RDONLY)
        fcntl.fcntl(self.descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)

    def reached(self):
        return fcntl.fcntl(self.descriptor, fcntl.F_GETLEASE) != fcntl.F_WRLCK

    def go_on(self):
        os.close(self.descriptor)


@pytest.fixture()
def memory_folder():
    """In memory, where a file can be leased; not every file system of a container has that."""
    told = signal.signal(signal.SIGIO, signal.SIG_IGN)  # that somebody waits for a leased file
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)
    signal.signal(signal.SIGIO, told)


def test_what_is_written_while_a_backup_is_between_two_files_is_whole_in_it(
    memory_folder, undisturbed  # noqa: F811
):
    """The backup stops before and behind the logs that are written; each time the jobs go on."""
    whole, copy = memory_folder / "whole", memory_folder / "copy"
    whole.mkdir()
    copy.mkdir()
    with contextlib.ExitStack() as left, Server(whole) as server, Client(server.grpc) as client:
        # A backup copies the logs in the order in which the runs were created.
        for run_id in ("before", *JOBS, "behind"):
            create(client, run_id, JOBS[run_id][0] if run_id in JOBS else [])
        stops = [Stop(whole / f"data/runs/run-{run_id}/stop") for run_id in ("before", "behind")]
        streams = {kind: client.open(kind) for kind in JOBS}
        work(client, streams, 0)
        copying = subprocess.Popen(command(whole, copy / "data"), stdout=subprocess.PIPE)
        left.callback(copying.kill)
        for part, stop in enumerate(stops, 1):
            wait_until("the backup is at it", lambda: stop.reached() or copying.poll() is not None)
            assert copying.poll() is None, copying.returncode
            work(client, streams, part)
            stop.go_on()
        assert copying.wait(SECONDS) == 0
    go_on(copy, sixths(1), undisturbed)


def test_a_backup_of_a_stopped_server_is_all_of_it(tmp_path, undisturbed):  # noqa: F811
    with Server(tmp_path) as server:
        Job("rolling", "rolling", lambda: server.grpc).train()
    (tmp_path / "copy").mkdir()
    assert backup(tmp_path, tmp_path / "copy/data").returncode == 0
    with Server(tmp_path / "copy") as server, Client(server.grpc) as client:
        assert events(client, "rolling") == undisturbed["rolling"]


def test_a_backup_overwrites_nothing_and_says_what_is_wrong(tmp_path):
    with Server(tmp_path) as server:
        (tmp_path / "taken").mkdir()
        done = backup(tmp_path, tmp_path / "taken")
        assert done.returncode == 1 and f"there is something at {tmp_path}/taken" in done.stderr
        done = backup(tmp_path / "nowhere", tmp_path / "copy")
        assert done.returncode == 1 and "no server keeps its data in" in done.stderr
        assert server.alive()
