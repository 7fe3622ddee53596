"""What waits to be sent, and what was sent but is not yet durable: bounded in bytes."""

import collections
import itertools
import threading

from dimwatch.v1 import ingest_pb2

# What the interpreter takes for an item beside its array, and for a number with its name.
_ITEM_BYTES, _NUMBER_BYTES = 1536, 128
# Larger samples go in pieces of at most this many bytes, or less if the server says so: making a
# message of one holds the interpreter, and with it the training, for a millisecond at most.
_PIECE_BYTES = 1 << 20


class Declaration:
    """A probe's configuration. Never dropped."""

    nbytes = _ITEM_BYTES
    rows = 0
    probe = None

    def __init__(self, config):
        self.config = config

    def pieces(self, max_bytes):
        return [self]

    def message(self, seq):
        return ingest_pb2.IngestRequest(
            declaration=ingest_pb2.ProbeDeclaration(seq=seq, config=self.config))


class Scalars:
    """Numbers of one step, by name: anything float() takes."""

    rows = 0
    probe = None

    def __init__(self, step, values):
        self.step, self.values = step, values
        self.nbytes = _ITEM_BYTES + _NUMBER_BYTES * len(values)

    def numbers(self):
        """The values as floats; waits for those that a GPU still has to deliver."""
        return {name: float(value) for name, value in self.values.items()}

    def pieces(self, max_bytes):
        return [self]

    def message(self, seq):
        return ingest_pb2.IngestRequest(
            scalars=ingest_pb2.ScalarBatch(seq=seq, step=self.step, values=self.numbers()))


class Samples:
    """Rows of one probe at one step. `dropped`: rows of the same step that were given up before."""

    def __init__(self, probe, step, cloud, end):
        self.probe, self.step, self.cloud, self.end = probe, step, cloud, end
        self.dropped = 0
        self.following = None  # the next samples of the same step that are not sent yet
        self.nbytes = _ITEM_BYTES + cloud.nbytes

    @property
    def rows(self):
        return self.cloud.rows

    def pieces(self, max_bytes):
        """The same rows in batches of at most `max_bytes`; the last one carries `end`."""
        values, ids = self.cloud.values, self.cloud.ids
        count = max(1, max_bytes // (values.itemsize * values.shape[1]))
        batches = [
            _Batch(self, values[at:at + count], None if ids is None else ids[at:at + count])
            for at in range(0, len(values), count)]
        if batches:
            batches[0].dropped = self.dropped
            batches[-1].end = self.end
        return batches

    def remnant(self):
        """What is left when this is dropped after a part of its step was sent: one row, so that the
        server learns what is missing."""
        values, ids = self.cloud.values, self.cloud.ids
        batch = _Batch(self, values[:1].copy(), None if ids is None else ids[:1].copy())
        batch.dropped = self.dropped + len(values) - 1
        batch.end = self.end
        return batch


class _Batch:
    """A part of Samples, as it goes over the wire."""

    def __init__(self, samples, values, ids):
        self.probe, self.step, self.dtype = samples.probe, samples.step, samples.cloud.dtype
        self.values, self.ids = values, ids
        self.dropped, self.end = 0, False
        self.rows = len(values)
        self.nbytes = _ITEM_BYTES + values.nbytes + (0 if ids is None else ids.nbytes)

    def pieces(self, max_bytes):
        return [self]

    def message(self, seq):
        return ingest_pb2.IngestRequest(samples=ingest_pb2.SampleBatch(
            seq=seq, probe=self.probe, step=self.step, dtype=self.dtype,
            rows=self.rows, dim=self.values.shape[1], data=self.values.tobytes(),
            sample_ids=() if self.ids is None else self.ids.tolist(),
            snapshot_end=self.end, dropped_rows=self.dropped))


class Attention(Samples):
    """The dimensions of prompts of one probe at one step (`cloud` is _attention.Dimensions), few
    enough for one message; dropped like samples."""

    def __init__(self, probe, step, cloud, end, problem):
        super().__init__(probe, step, cloud, end)
        self.problem = problem  # is called with what is wrong

    def counted(self):
        """Waits for the maps. False, with `problem` told, if they are no attention."""
        try:
            self.cloud.values
        except ValueError as error:
            self.problem(f"attention of {self.probe} at step {self.step}: {error}; ignored")
            return False
        return True

    def pieces(self, max_bytes):
        return [self] if self.counted() else []

    def remnant(self):
        return _LostAttention(self)

    def message(self, seq):
        dimensions = self.cloud
        return ingest_pb2.IngestRequest(attention=ingest_pb2.AttentionBatch(
            seq=seq, probe=self.probe, step=self.step, prompts=len(dimensions.values),
            heads=dimensions.heads, positions=dimensions.positions,
            dimensions=dimensions.values.tolist(), prompt_ids=dimensions.ids.tolist(),
            invalid_prompts=dimensions.invalid, snapshot_end=self.end,
            dropped_prompts=self.dropped))


class _LostAttention:
    """What is left of Attention that is dropped after a part of its step was sent: their number."""

    rows = 0
    nbytes = _ITEM_BYTES

    def __init__(self, lost):
        self.probe, self.step, self.end = lost.probe, lost.step, lost.end
        self.dropped = lost.dropped + lost.rows
        self._shape = lost.cloud.heads, lost.cloud.positions

    def pieces(self, max_bytes):
        return [self]

    def message(self, seq):
        heads, positions = self._shape
        return ingest_pb2.IngestRequest(attention=ingest_pb2.AttentionBatch(
            seq=seq, probe=self.probe, step=self.step, heads=heads, positions=positions,
            snapshot_end=self.end, dropped_prompts=self.dropped))


class _Unsent:
    """Items in the order in which they were put, by kind: the oldest of a kind is at hand."""

    def __init__(self):
        self._order = 0
        self.samples = collections.deque()
        self.scalars = collections.deque()
        self._rest = collections.deque()
        self._newest = {}  # probe: its newest samples here

    def __len__(self):
        return len(self.samples) + len(self.scalars) + len(self._rest)

    def __iter__(self):
        return (item for queue in (self.samples, self.scalars, self._rest) for _, item in queue)

    def put(self, item):
        kinds = {Samples: self.samples, Attention: self.samples, Scalars: self.scalars}
        self._order += 1
        queue = kinds.get(type(item), self._rest)
        queue.append((self._order, item))
        if queue is self.samples:
            before = self._newest.get(item.probe)
            if before is not None and before.step == item.step:
                before.following = item
            self._newest[item.probe] = item

    def put_back(self, order, item):
        """Puts a remnant where its samples were, which were the oldest samples."""
        self._rest.append((order, item))
        if len(self._rest) > 1:
            self._rest = collections.deque(sorted(self._rest, key=lambda entry: entry[0]))

    def take(self):
        queues = [q for q in (self.samples, self.scalars, self._rest) if q]
        oldest = min(queues, key=lambda queue: queue[0][0])
        return (self.take_samples() if oldest is self.samples else oldest.popleft())[1]

    def take_samples(self):
        """The oldest samples, with their place in the order."""
        order, item = self.samples.popleft()
        if self._newest[item.probe] is item:
            del self._newest[item.probe]
        return order, item


class Outbox:
    """A queue of items in the order in which they were logged. Thread-safe.

    What was sent stays until the server holds it durably, and is sent again on a new stream. When
    `max_bytes` are reached, the oldest samples that were not sent yet are dropped, and if there are
    none the oldest scalars; at most half of `max_bytes` is sent without being durable.
    """

    def __init__(self, max_bytes):
        self.max_bytes = max_bytes
        self.bytes = 0
        self.dropped_rows = self.dropped_scalars = self.durable_rows = 0
        self._changed = threading.Condition(threading.Lock())
        self._unsent = _Unsent()
        self._staging = False  # an item is between _unsent and _flight
        self._flight = collections.deque()  # (seq, item), ascending
        self._flight_bytes = 0
        self._cursor = 0  # of the next item in flight to send
        self._next_seq = 1
        self._max_piece = _PIECE_BYTES
        self._lost = {}  # probe: (step, rows dropped of it that nothing reports yet)
        self._partly_sent = {}  # probe: the step of which a part was sent last
        self._open = False  # a stream is ready to take items
        self._closing = self._cleared = False

    def put(self, item):
        """Appends an item, dropping older ones if it must. Returns the items dropped."""
        with self._changed:
            if self._closing:
                self._count_dropped(item)
                return 0
            if isinstance(item, Samples):
                step, rows = self._lost.pop(item.probe, (None, 0))
                item.dropped = rows if step == item.step else 0
            self._unsent.put(item)
            self.bytes += item.nbytes
            count = 0
            while self.bytes > self.max_bytes and self._drop_one():
                count += 1
            self._changed.notify_all()
            return count

    def take(self, session):
        """The next message for `session` to send; waits for one. None when there is no more."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: session.ended or self._ready() or self._finished())
                if session.ended or not self._ready():
                    return None
                if self._cursor < len(self._flight):
                    seq, item = self._flight[self._cursor]
                    self._cursor += 1
                    return item.message(seq)
                item = self._unsent.take()
                self._staging = True
            self._stage(item)

    def open(self, resume_seq, max_batch_bytes):
        """A stream is ready. The server holds everything up to `resume_seq`."""
        with self._changed:
            self._max_piece = min(_PIECE_BYTES, max_batch_bytes or _PIECE_BYTES)
            self._release(resume_seq)
            if not self._flight:
                self._next_seq = max(self._next_seq, resume_seq + 1)
            self._cursor = 0
            self._open = True
            self._changed.notify_all()

    def pause(self):
        """The stream is gone, or takes nothing more."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def release(self, durable_seq):
        """The server holds everything up to `durable_seq` for good."""
        with self._changed:
            self._release(durable_seq)
            self._changed.notify_all()

    def close(self):
        """Nothing more will be put; `take` ends when all is durable."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def clear(self):
        """Gives everything up, now and later."""
        with self._changed:
            for item in itertools.chain(self._unsent, (item for _, item in self._flight)):
                self._count_dropped(item)
            self._unsent = _Unsent()
            self._flight.clear()
            self.bytes = self._flight_bytes = self._cursor = 0
            self._closing = self._cleared = True
            self._changed.notify_all()

    def wake(self):
        """Lets `take` see that its session has ended."""
        with self._changed:
            self._changed.notify_all()

    def wait_empty(self, timeout):
        """Waits until everything is durable. False if it is not after `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(self._empty, timeout=timeout)

    @property
    def in_flight(self):
        """How many items were sent and are not durable yet."""
        with self._changed:
            return self._cursor

    def _empty(self):
        return not (self._unsent or self._flight or self._staging)

    def _finished(self):
        return self._open and self._closing and self._empty()

    def _ready(self):
        if not self._open:
            return False
        room = self._flight_bytes < self.max_bytes // 2 or not self._flight
        return self._cursor < len(self._flight) or (len(self._unsent) > 0 and room)

    def _stage(self, item):
        """Makes messages of an item. Unlocked at first: a copy from a GPU may be under way."""
        pieces = item.pieces(self._max_piece)
        with self._changed:
            self._staging = False
            if self._cleared:
                self._count_dropped(item)
                return
            self.bytes -= item.nbytes
            for piece in pieces:
                self._flight.append((self._next_seq, piece))
                self._next_seq += 1
                self.bytes += piece.nbytes
                self._flight_bytes += piece.nbytes
            if item.probe is not None:
                self._partly_sent[item.probe] = None if item.end else item.step

    def _release(self, seq):
        while self._flight and self._flight[0][0] <= seq:
            _, item = self._flight.popleft()
            self.bytes -= item.nbytes
            self._flight_bytes -= item.nbytes
            self.durable_rows += item.rows
            self._cursor = max(0, self._cursor - 1)

    def _drop_one(self):
        if self._unsent.samples:
            self._drop(*self._unsent.take_samples())
        elif self._unsent.scalars:
            _, item = self._unsent.scalars.popleft()
            self.bytes -= item.nbytes
            self._count_dropped(item)
        else:
            return False
        return True

    def _drop(self, order, item):
        self.bytes -= item.nbytes
        self.dropped_rows += item.rows
        if item.rows and self._partly_sent.get(item.probe) == item.step:
            remnant = item.remnant()
            self.dropped_rows -= remnant.rows
            self.bytes += remnant.nbytes
            self._unsent.put_back(order, remnant)
        else:
            self._report(item, item.dropped + item.rows)

    def _count_dropped(self, item):
        self.dropped_rows += item.rows
        if isinstance(item, Scalars):
            self.dropped_scalars += len(item.values)

    def _report(self, lost, rows):
        """Tells the next samples of the same step that `rows` are missing."""
        if lost.following is None:
            self._lost[lost.probe] = (lost.step, rows)
        else:
            lost.following.dropped += rows
