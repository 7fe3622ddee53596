"""A server that is killed at random moments under the load of several jobs loses and changes nothing.

DIMWATCH_KILLS says how often it is killed, DIMWATCH_KILL_SEED at which moments."""

import os
import random
import signal
import threading
import time

import grpc
import numpy
import pytest

from client import SECONDS, Client, cloud, sample_batch
from dimwatch.v1 import config_pb2, ingest_pb2, query_pb2, run_pb2
from testing_support.processes import Server

KILLS = int(os.environ.get("DIMWATCH_KILLS", 20))
SEED = int(os.environ.get("DIMWATCH_KILL_SEED", 1))
# CANCELLED: gRPC's word for a call that arrives while the server stops.
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
JUDGEMENTS = ("signal", "decision")
SMALL = config_pb2.EstimatorConfig(neighbors=16)


def samples(probe, step, rows, end):
    return dict(samples=sample_batch(probe, step, rows, snapshot_end=end))


def numbered(items):
    for seq, item in enumerate(items, 1):
        next(iter(item.values())).seq = seq
    return items


def there_and_back(steps, at, by):
    """The job restarts from an earlier checkpoint once."""
    return steps[:at] + steps[at - by :]


def of_snapshots():
    """Two probes, whose snapshots come in two batches each; signals fire, and a decision is made."""
    items = []
    for step in there_and_back([10 * i for i in range(1, 25)], 15, 4):
        items.append(dict(scalars=ingest_pb2.ScalarBatch(step=step, values={"loss": 1.0 / step})))
        for shift, probe in enumerate(("train/last", "validation/last")):
            rows = cloud(step + shift)
            items += [samples(probe, step, rows[:120], False), samples(probe, step, rows[120:], True)]
    return items


def of_large_snapshots():
    """5 MB each, in two batches: the log is trimmed behind every one."""
    items = []
    source = numpy.random.default_rng(1)
    for step in there_and_back(list(range(1, 8)), 5, 2):
        rows = source.standard_normal((10_000, 128))
        items += [samples("train/large", step, rows[at : at + 5_000], at > 0) for at in (0, 5_000)]
    return items


def of_a_rolling_window(probe):
    steps = there_and_back(list(range(1, 46)), 30, 6)
    return [samples(probe, step, cloud(1000 * i + step, 40), False) for i, step in enumerate(steps)]


def of_attention():
    probe = "train/attention"
    config = config_pb2.ProbeConfig(probe=probe, attention=config_pb2.AttentionConfig())
    items = [dict(declaration=ingest_pb2.ProbeDeclaration(config=config))]
    for step in there_and_back(list(range(1, 40)), 20, 5):
        dimensions = [1 + (7 * step + 3 * prompt) % 20 for prompt in range(8)]
        batch = ingest_pb2.AttentionBatch(
            probe=probe, step=step, prompts=8, heads=3, positions=8, dimensions=dimensions
        )
        batch.prompt_ids.extend(range(8))
        batch.snapshot_end = step % 3 > 0  # else the next step ends it
        items.append(dict(attention=batch))
    return items


def rolling(probe, index):
    return config_pb2.ProbeConfig(
        probe=probe,
        window=config_pb2.WINDOW_KIND_ROLLING,
        window_points=400,
        estimate_every=40,
        estimator=config_pb2.EstimatorConfig(neighbors=16, index=index),
    )


def late(config, items):
    """The probe is declared on the stream, behind a scalar."""
    scalar = dict(scalars=ingest_pb2.ScalarBatch(step=0, values={"loss": 1.0}))
    return [scalar, dict(declaration=ingest_pb2.ProbeDeclaration(config=config))] + items


SIGNALS = config_pb2.SignalConfig(warmup=3, patience=2, min_delta=0.02, z_score=1.0)
EXACT = rolling("train/last", config_pb2.INDEX_KIND_EXACT)
GRAPHS = rolling("train/last", config_pb2.INDEX_KIND_HNSW)
# Of each kind of job what its run is created with, and what it sends.
JOBS = {
    "snapshots": (
        [
            config_pb2.ProbeConfig(probe=probe, estimator=SMALL)
            for probe in ("train/last", "validation/last")
        ],
        numbered(of_snapshots()),
    ),
    "large": (
        [
            config_pb2.ProbeConfig(
                probe="train/large", estimator=config_pb2.EstimatorConfig(neighbors=16, queries=32)
            )
        ],
        numbered(of_large_snapshots()),
    ),
    "rolling": ([EXACT], numbered(of_a_rolling_window("train/last"))),
    "graphs": ([], numbered(late(GRAPHS, of_a_rolling_window("train/last")))),
    "attention": ([], numbered(of_attention())),
}


def create(client, run_id, probes):
    config = config_pb2.RunConfig(probes=probes, signals=SIGNALS)
    run = run_pb2.Run(run_id=run_id, project="tests", config=config)
    client.runs.CreateRun(run_pb2.CreateRunRequest(run=run), timeout=SECONDS)


def plain(message):
    """Without what depends on the machine: times and durations."""
    for field, value in message.ListFields():
        if field.name in ("create_time", "seconds"):
            message.ClearField(field.name)
        elif field.message_type and field.label != field.LABEL_REPEATED:
            plain(value)
    return message.SerializeToString(deterministic=True)


def events(client, run_id):
    """Everything that became of an ended run, in order, with cursors, rewinds and states."""
    return [
        plain(event)
        for event in client.queries.WatchRun(query_pb2.WatchRunRequest(run_id=run_id), timeout=SECONDS)
    ]


def judgements(got):
    messages = map(query_pb2.WatchRunResponse.FromString, got)
    kinds = [(message, message.WhichOneof("event")) for message in messages]
    return {plain(getattr(message, kind)) for message, kind in kinds if kind in JUDGEMENTS}


class Job:
    """One run on a server that may go away at any time."""

    def __init__(self, kind, run_id, address):
        self.probes, self.items = JOBS[kind]
        self.run_id = run_id
        self.address = address  # called whenever the job connects
        self.durable = 0
        self.told = set()  # signals and decisions
        self.sent_all = False
        self.stream = None

    def acknowledged(self):
        """The newest durable_seq so far."""
        acks = self.stream.all("ack") if self.stream else []
        return max([self.durable] + [ack.durable_seq for ack in acks])

    def train(self):
        while True:
            try:
                with Client(self.address()) as client:
                    if self.sent_all or self.send(client):
                        client.finish(self.run_id)
                        return
            except grpc.RpcError as error:
                assert error.code() in GONE, error

    def send(self, client):
        """Returns whether the server took everything."""
        create(client, self.run_id, self.probes)
        stream = self.stream = client.open(self.run_id)
        stream.wait("welcome", lambda: stream.all("welcome") or stream.status)
        for welcome in stream.all("welcome"):
            assert welcome.resume_seq >= self.durable, "acknowledged items are lost"
            for item in self.items[welcome.resume_seq :]:
                stream.send(**item)
        stream.half_close()
        code = stream.end()[0]
        assert code == grpc.StatusCode.OK or code in GONE, stream.status
        assert not stream.all("nack"), stream.all("nack")
        self.durable = self.acknowledged()
        self.told |= {plain(message) for kind in JUDGEMENTS for message in stream.all(kind)}
        self.sent_all = code == grpc.StatusCode.OK
        return self.sent_all


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The events of each kind of job on a server that stays alive."""
    with Server(tmp_path_factory.mktemp("undisturbed")) as server, Client(server.grpc) as client:
        for kind in JOBS:
            Job(kind, kind, lambda: server.grpc).train()
        kept = {kind: events(client, kind) for kind in JOBS}
    told = map(query_pb2.WatchRunResponse.FromString, kept["snapshots"])
    seen = {event.WhichOneof("event") for event in told}
    assert seen >= {"estimate", "scalars", "signal", "decision", "rewind", "state"}, seen
    return kept


class Killer:
    """Starts a server on the same folder again and again, and kills it at random moments."""

    def __init__(self, folder, kills):
        self.folder = folder
        self.random = random.Random(SEED)
        self.left = kills
        self.killed = {"starting": 0, "serving": 0, "stopping": 0}
        self.start_seconds = 0.5
        self.ready = threading.Condition()
        self.server = None

    def address(self):
        with self.ready:
            self.ready.wait_for(lambda: self.server is not None, SECONDS)
            return self.server.grpc

    def kill_all(self):
        while self.left:
            self.left -= 1
            self.kill_one()
        self.set(Server(self.folder))

    def kill_one(self):
        started = time.monotonic()
        server = Server(self.folder, wait=False)
        when = self.random.choices(list(self.killed), weights=(3, 10, 2))[0]
        if when == "starting":
            time.sleep(self.random.uniform(0, self.start_seconds))
        else:
            server.await_ready()
            self.start_seconds = time.monotonic() - started
            self.set(server)
            time.sleep(self.random.uniform(0, 1.5))
        if when == "stopping":
            server.process.send_signal(signal.SIGTERM)
            time.sleep(self.random.uniform(0, 0.05))
        self.set(None)
        server.process.kill()
        server.process.wait()
        assert server.process.returncode in (-signal.SIGKILL, 0), server.output()
        server.stop()
        self.killed[when] += 1

    def set(self, server):
        with self.ready:
            self.server = server
            self.ready.notify_all()


def test_kills_at_random_moments_change_nothing_of_runs_that_are_written_together(tmp_path, undisturbed):
    killer = Killer(tmp_path, KILLS)
    jobs = {kind: [] for kind in JOBS}
    failures = []

    def load(kind):
        try:
            while killer.left or not jobs[kind]:
                job = Job(kind, f"{kind}-{len(jobs[kind])}", killer.address)
                jobs[kind].append(job)
                job.train()
        except BaseException as failure:  # told by the main thread
            failures.append((kind, repr(failure)))

    threads = [threading.Thread(target=load, args=(kind,), daemon=True) for kind in JOBS]
    for thread in threads:
        thread.start()
    killer.kill_all()
    with killer.server as server:
        deadline = time.monotonic() + 2 * SECONDS
        for thread in threads:
            thread.join(max(0, deadline - time.monotonic()))
        assert not failures, failures
        assert not any(thread.is_alive() for thread in threads), "a job comes to no end"
        log = server.log.read_text()
        assert "damaged" not in log and "error" not in log, log
        with Client(server.grpc) as client:
            for kind, runs in jobs.items():
                for job in runs:
                    got = events(client, job.run_id)
                    assert got == undisturbed[kind], f"{job.run_id} of seed {SEED}"
                    assert job.told <= judgements(got), "what was told was kept before"
    made = {kind: len(runs) for kind, runs in jobs.items()}
    print(f"{sum(killer.killed.values())} kills {killer.killed}, runs compared {made}")
    assert sum(killer.killed.values()) == KILLS
