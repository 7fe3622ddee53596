"""A backup of a server that is under load goes on elsewhere from what was durable."""

import json
import sqlite3
import subprocess
import threading

from client import SECONDS, Client
from crash_test import JOBS, Job, create, events, undisturbed  # noqa: F401
from dimwatch.v1 import run_pb2
from testing_support.processes import BUILD, Server


def backup(folder, out):
    command = [BUILD / "bin/dimwatch", "backup", out, "--data-dir", folder / "data", "--json"]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)


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
