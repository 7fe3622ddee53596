"""A disk of its own for the data folder: full for real, or read-only. Needs root, who may mount."""

import contextlib
import os
import subprocess

import grpc
import pytest

from client import Client, cloud
from damage_test import kill, metric
from testing_support.processes import Server

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root may mount a file system")


@contextlib.contextmanager
def mounted(folder, *mount):
    folder.mkdir(exist_ok=True)
    done = subprocess.run(["mount", *mount, folder], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"this machine lets not even root mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def small_disk(tmp_path):
    return mounted(tmp_path / "data", "-t", "tmpfs", "-o", "size=4m", "tmpfs")


def fill(folder):
    """Leaves no byte."""
    file = folder / "filler"
    with file.open("ab", buffering=0) as filler:
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while filler.write(bytes(size)):
                    pass
    return file


def start_and_fail(folder):
    """What a server that does not start says."""
    server = Server(folder, wait=False)
    with server:
        assert server.process.wait(60) == 1
        return server.output()


def train(stream, first, last):
    """Three batches for each estimate."""
    for i in range(first, last):
        for part in range(3):
            step = 10 * (i + 1)
            rows = cloud(step)[70 * part : 70 * (part + 1)]
            stream.samples(3 * i + part + 1, step, rows, snapshot_end=part == 2)


def refused(client, epoch, seq):
    stream = client.open(epoch=epoch)
    assert stream.welcome().resume_seq == seq - 1
    stream.samples(seq, 10 * seq, cloud(1, 2000), snapshot_end=False)
    code, details = stream.end()
    assert code == grpc.StatusCode.UNAVAILABLE
    assert "cannot keep samples at present: " in details and "No space left" in details


def undisturbed(folder):
    folder.mkdir()
    with Server(folder) as server, Client(server.grpc) as client:
        client.create()
        stream = client.open()
        train(stream, 0, 6)
        stream.estimate(60)
        return client.history()


def test_a_full_disk_loses_nothing_and_serves_reads_until_there_is_room(tmp_path):
    expected = undisturbed(tmp_path / "whole")
    with small_disk(tmp_path) as disk:
        with Server(tmp_path) as server, Client(server.grpc) as client:
            client.create()
            stream = client.open()
            train(stream, 0, 3)
            stream.estimate(30)
            filler = fill(disk)
            stream.cancel()
            for epoch in (2, 3):
                refused(client, epoch, seq=10)
                assert [estimate.step for estimate in client.estimates()] == [10, 20, 30]
            with pytest.raises(grpc.RpcError) as error:
                client.create("another")
            assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "disk is full" in error.value.details()
            assert metric(server, "dimwatch_store_errors_total") > 0
            filler.unlink()
            stream = client.open(epoch=4)
            assert stream.welcome().resume_seq == 9
            train(stream, 3, 5)
            stream.estimate(50)
            kill(server)
        filler = fill(disk)
        with Server(tmp_path) as server, Client(server.grpc) as client:
            assert [estimate.step for estimate in client.estimates()][:3] == [10, 20, 30]
            refused(client, epoch=5, seq=16)
            filler.unlink()
            stream = client.open(epoch=6)
            assert stream.welcome().resume_seq == 15
            train(stream, 5, 6)
            stream.estimate(60)
            assert client.history() == expected


def test_a_disk_that_is_read_only_is_said_with_the_file(tmp_path):
    with Server(tmp_path) as server, Client(server.grpc) as client:
        client.create()
    with mounted(tmp_path / "data", "--bind", tmp_path / "data"):
        subprocess.run(["mount", "-o", "remount,bind,ro", tmp_path / "data"], check=True)
        said = start_and_fail(tmp_path)
        assert f"{tmp_path}/data/lock" in said and "Read-only file system" in said
    with Server(tmp_path) as server, Client(server.grpc) as client:
        assert client.finish().run_id == "r"
