"""A client that speaks the contract directly, so that tests can also break it."""

import queue
import threading
import time

import grpc
import numpy

from dimwatch.v1 import (
    config_pb2,
    ingest_pb2,
    ingest_pb2_grpc,
    query_pb2,
    query_pb2_grpc,
    run_pb2,
    run_pb2_grpc,
)

SECONDS = 60


def sample_batch(probe, step, rows, **fields):
    """Float32 rows, unless `fields` say otherwise."""
    values = dict(
        probe=probe,
        step=step,
        dtype=ingest_pb2.DTYPE_F32,
        rows=rows.shape[0],
        dim=rows.shape[1],
        data=rows.astype("<f4").tobytes(),
    )
    return ingest_pb2.SampleBatch(**{**values, **fields})


class Client:
    """The services of one server."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(
            address, options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        )
        self.runs = run_pb2_grpc.RunServiceStub(self.channel)
        self.queries = query_pb2_grpc.QueryServiceStub(self.channel)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def create(self, run_id="r", probes=("train/last",), scale_every=0, project="tests", **config):
        """A run with small probes."""
        small = config_pb2.EstimatorConfig(neighbors=16)
        probes = [
            config_pb2.ProbeConfig(probe=name, estimator=small, scale_every=scale_every)
            for name in probes
        ]
        run = run_pb2.Run(
            run_id=run_id,
            project=project,
            config=config_pb2.RunConfig(probes=probes, **config),
        )
        return self.runs.CreateRun(run_pb2.CreateRunRequest(run=run), timeout=SECONDS)

    def open(self, run_id="r", epoch=1):
        return Stream(self.channel, run_id, epoch)

    def finish(self, run_id="r"):
        return self.runs.FinishRun(run_pb2.FinishRunRequest(run_id=run_id), timeout=SECONDS).run

    def estimates(self, run_id="r"):
        request = query_pb2.ListEstimatesRequest(run_id=run_id, page_size=10000)
        return list(self.queries.ListEstimates(request, timeout=SECONDS).estimates)

    def history(self, run_id="r"):
        """All that a run became, without what depends on the machine: times and durations."""
        lists = [
            self.estimates(run_id),
            self.queries.ListScalars(query_pb2.ListScalarsRequest(run_id=run_id)).scalars,
            self.queries.ListSignals(query_pb2.ListSignalsRequest(run_id=run_id)).signals,
            self.queries.ListDecisions(query_pb2.ListDecisionsRequest(run_id=run_id)).decisions,
        ]
        lines = []
        for message in (message for one in lists for message in one):
            for field in ("create_time", "seconds"):
                if field in message.DESCRIPTOR.fields_by_name:
                    message.ClearField(field)
            lines.append(message.SerializeToString(deterministic=True))
        return lines


class Stream:
    """One Ingest stream. Everything the server says is kept in `events`."""

    def __init__(self, channel, run_id, epoch, hello=True):
        self._requests = queue.Queue()
        self._changed = threading.Condition()
        self.events = []
        self.status = None  # grpc.RpcError or "OK", once it has ended
        self._call = ingest_pb2_grpc.IngestServiceStub(channel).Ingest(iter(self._requests.get, None))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if hello:
            self.send(hello=ingest_pb2.Hello(run_id=run_id, session_epoch=epoch))

    def _read(self):
        status = "OK"
        try:
            for event in self._call:
                with self._changed:
                    self.events.append(event)
                    self._changed.notify_all()
        except grpc.RpcError as error:
            status = error
        with self._changed:
            self.status = status
            self._changed.notify_all()

    def send(self, **item):
        self._requests.put(ingest_pb2.IngestRequest(**item))

    def samples(self, seq, step, rows=None, probe="train/last", **fields):
        """Float32 rows of one snapshot, unless `fields` say otherwise."""
        rows = cloud(step) if rows is None else rows
        fields = {"seq": seq, "snapshot_end": True, **fields}
        self.send(samples=sample_batch(probe, step, rows, **fields))

    def scalars(self, seq, step, **values):
        self.send(scalars=ingest_pb2.ScalarBatch(seq=seq, step=step, values=values))

    def half_close(self):
        self._requests.put(None)

    def wait(self, what, found):
        """Returns what `found` returns once that is true; called whenever something arrives."""
        with self._changed:
            deadline = time.monotonic() + SECONDS
            while not (result := found()):
                left = deadline - time.monotonic()
                assert left > 0, f"not within {SECONDS} s: {what}; {self.events}"
                assert not self.status, f"ended before {what}: {self.status}; {self.events}"
                self._changed.wait(left)
            return result

    def all(self, kind):
        return [getattr(event, kind) for event in self.events if event.WhichOneof("event") == kind]

    def welcome(self):
        return self.wait("welcome", lambda: self.all("welcome") or self.status) and self.all("welcome")[0]

    def nack(self, seq):
        return self.wait(f"nack of {seq}", lambda: [n for n in self.all("nack") if n.seq == seq])[0]

    def durable(self, seq):
        self.wait(f"{seq} durable", lambda: any(ack.durable_seq >= seq for ack in self.all("ack")))

    def estimate(self, step):
        return self.wait(
            f"estimate of step {step}", lambda: [e for e in self.all("estimate") if e.step == step]
        )[0]

    def end(self):
        """The status code and details with which the stream ended."""
        self.wait("the end of the stream", lambda: self.status)
        return (grpc.StatusCode.OK, "") if self.status == "OK" else (self.status.code(), self.status.details())

    def cancel(self):
        self._call.cancel()
        self._requests.put(None)
        self._reader.join(SECONDS)


def cloud(step, rows=200):
    """Rows whose intrinsic dimension falls, then rises with the step: a course with signals."""
    source = numpy.random.default_rng(step)
    dimension = 3 + abs(12 - step // 10)
    plane = source.standard_normal((dimension, 16))
    return (source.standard_normal((rows, dimension)) @ plane).astype(numpy.float32)
