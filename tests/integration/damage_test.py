"""What the server makes of a data folder that is damaged, full or not to be written to."""

import os
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import grpc
import pytest

from client import Client, cloud
from testing_support.damage import spoil_database
from testing_support.processes import BUILD, Server, wait_until


def metric(server, name):
    with urllib.request.urlopen(f"http://{server.http}/metrics", timeout=60) as page:
        lines = page.read().decode().splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(name + " "))


def kill(server):
    server.process.kill()
    server.process.wait()
    server.stop()


def fill(folder, run_ids):
    """Runs with an estimate and, of the open snapshot behind it, a batch; then the server is killed."""
    with Server(folder) as server, Client(server.grpc) as client:
        for run_id in run_ids:
            client.create(run_id)
            stream = client.open(run_id)
            stream.samples(1, 10)
            stream.estimate(10)
            stream.samples(2, 20, cloud(20)[:100], snapshot_end=False)
            stream.durable(2)
            stream.cancel()
        kill(server)


def go_on(client, run_id):
    """The rest of the open snapshot; the estimate is that of all of its rows."""
    stream = client.open(run_id)
    assert stream.welcome().resume_seq == 2
    stream.samples(3, 20, cloud(20)[100:])
    assert stream.estimate(20).points == 200
    stream.cancel()


def log_of(folder, run_id):
    (file,) = (folder / "data/runs" / f"run-{run_id}").glob("*.log")
    return file


def flip(file, at):
    data = bytearray(file.read_bytes())
    data[at] ^= 0x10
    file.write_bytes(data)


DAMAGES = {
    "a flipped bit in the middle of the samples": lambda file: flip(file, 5000),
    "a flipped bit in the length of the last record": lambda file: flip(
        file, file.stat().st_size - 100 * 16 * 4 - 1
    ),
    "zeroes in the place of all that it had": lambda file: file.write_bytes(bytes(file.stat().st_size)),
    "zeroes behind half a record": lambda file: file.write_bytes(file.read_bytes()[:-99] + bytes(4096)),
    "a lost segment": lambda file: file.unlink(),
    "a lost folder": lambda file: shutil.rmtree(file.parent),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_run_is_set_aside_and_told_while_the_others_go_on(tmp_path, name):
    fill(tmp_path, ["bad", "good"])
    file = log_of(tmp_path, "bad")
    sound = file.read_bytes()
    DAMAGES[name](file)
    for _ in range(2):
        with Server(tmp_path) as server, Client(server.grpc) as client:
            assert metric(server, "dimwatch_damaged_runs") == 1
            assert "a run is damaged and read-only run=bad problem=\"the log " in server.output()
            code, details = client.open("bad", epoch=2).end()
            assert code == grpc.StatusCode.FAILED_PRECONDITION and "set aside" in details
            assert [estimate.step for estimate in client.estimates("bad")] == [10], "still served"
            kill(server)
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(sound)  # it stays set aside, whatever becomes of its files
    with Server(tmp_path) as server, Client(server.grpc) as client:
        go_on(client, "good")


def test_a_log_that_ends_in_zeroes_is_cut_and_goes_on(tmp_path):
    fill(tmp_path, ["r"])
    file = log_of(tmp_path, "r")
    whole = file.read_bytes()
    file.write_bytes(whole + bytes(4096))
    with Server(tmp_path) as server, Client(server.grpc) as client:
        assert metric(server, "dimwatch_damaged_runs") == 0
        assert metric(server, "dimwatch_log_cut_bytes_total") == 4096
        assert file.read_bytes() == whole
        go_on(client, "r")


def test_a_damaged_database_is_set_aside_and_its_runs_go_on(tmp_path):
    fill(tmp_path, ["r"])
    spoil_database(tmp_path / "data/dimwatch.db")
    with Server(tmp_path) as server, Client(server.grpc) as client:
        assert metric(server, "dimwatch_store_was_damaged") == 1
        assert metric(server, "dimwatch_damaged_runs") == 0
        assert "the store was damaged" in server.output() and "rescued_runs=1" in server.output()
        assert (tmp_path / "data/dimwatch.db.damaged-1").exists()
        go_on(client, "r")
    with Server(tmp_path) as server:
        assert metric(server, "dimwatch_store_was_damaged") == 0


def test_a_file_that_cannot_grow_refuses_samples_until_it_can(tmp_path):
    with Server(tmp_path) as server, Client(server.grpc) as client:
        client.create()
        stream = client.open()
        stream.samples(1, 10)
        stream.estimate(10)
        soft, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (4096, hard))
        stream.samples(2, 20)
        code, details = stream.end()
        assert code == grpc.StatusCode.UNAVAILABLE and "cannot keep samples at present" in details
        assert metric(server, "dimwatch_store_errors_total") > 0
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        stream = client.open(epoch=2)
        assert stream.welcome().resume_seq == 1
        stream.samples(2, 20)
        stream.estimate(20)
    with Server(tmp_path) as server, Client(server.grpc) as client:
        assert [estimate.step for estimate in client.estimates()] == [10, 20]


def test_a_data_folder_that_cannot_be_written_is_a_clear_error():
    folder = Path(tempfile.mkdtemp())
    try:
        folder.chmod(0o555)
        command = [BUILD / "bin/dimwatch-server", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        if os.getuid() == 0:  # who may write everywhere
            command = ["setpriv", "--reuid", "65534", "--clear-groups", *command]
        for data, said in ((folder, "lock"), (folder / "data", "data folder")):
            done = subprocess.run(
                [*command, "--data-dir", data], capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 1
            assert str(data) in done.stderr and said in done.stderr, done.stderr
            assert "denied" in done.stderr.lower()
    finally:
        folder.rmdir()


def test_a_stop_in_the_middle_of_a_snapshot_changes_nothing_of_it(tmp_path):
    def course(folder, stops):
        folder.mkdir()
        with Server(folder) as server, Client(server.grpc) as client:
            client.create()
            stream = client.open()
            for seq in range(1, 9):
                part = cloud(10)[25 * (seq - 1) : 25 * seq]
                stream.samples(seq, 10, part, snapshot_end=seq == 8)
                if seq in stops:
                    assert server.stop() == 0
                    server = Server(folder)
                    client = Client(server.grpc)
                    stream = client.open(epoch=seq + 1)
                    for again in range(stream.welcome().resume_seq + 1, seq + 1):
                        part = cloud(10)[25 * (again - 1) : 25 * again]
                        stream.samples(again, 10, part, snapshot_end=False)
            stream.estimate(10)
            history = client.history()
            server.stop()
            client.channel.close()
            return history

    whole = course(tmp_path / "whole", ())
    assert course(tmp_path / "stopped", (3, 4, 7)) == whole


def change(folder, statement, *values):
    """In the database of a server that is stopped."""
    database = sqlite3.connect(folder / "data/dimwatch.db")
    database.execute(statement, values)
    database.commit()
    database.close()


def kept_runs(folder):
    """Of which the database still has something."""
    database = sqlite3.connect(folder / "data/dimwatch.db")
    (found,) = database.execute("SELECT group_concat(run_id, ' ') FROM (SELECT * FROM runs ORDER BY id)")
    database.close()
    return found[0]


def test_an_ended_run_is_deleted_when_it_is_older_than_its_retention(tmp_path):
    with Server(tmp_path) as server, Client(server.grpc) as client:
        for run_id in ("old", "new", "running"):
            client.create(run_id)
        client.create("brief", project="brief")
        for run_id in ("old", "new", "brief"):
            client.finish(run_id)
    aged = "UPDATE runs SET end_time = end_time - ? WHERE run_id = ?"
    change(tmp_path, aged, 31 * 86400 * 10**9, "old")
    change(tmp_path, aged, 2 * 86400 * 10**9, "brief")
    config = tmp_path / "dimwatch.toml"
    config.write_text("retention_days = 30\n[projects.brief]\nretention_days = 1\n")
    with Server(tmp_path, "--config", config) as server, Client(server.grpc) as client:
        wait_until("they are deleted", lambda: metric(server, "dimwatch_expired_runs_total") == 2)
        for run_id, project in (("old", "tests"), ("brief", "brief")):
            said = f"a run was older than its retention and is deleted run={run_id} project={project} ended="
            wait_until("it is said", lambda: said in server.output())
            with pytest.raises(grpc.RpcError) as error:
                client.finish(run_id)
            assert error.value.code() == grpc.StatusCode.NOT_FOUND
        wait_until("their records are removed", lambda: kept_runs(tmp_path) == "new running")
        client.finish("running")


def test_a_removal_that_was_interrupted_is_ended_at_the_next_start(tmp_path):
    with Server(tmp_path) as server, Client(server.grpc) as client:
        for run_id in ("gone", "here"):
            client.create(run_id)
            client.finish(run_id)
    change(tmp_path, "UPDATE runs SET run_id = 'deleted ' || id WHERE run_id = 'gone'")
    with Server(tmp_path):
        wait_until("its records are removed", lambda: kept_runs(tmp_path) == "here")
