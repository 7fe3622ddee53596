"""Queueing, splitting, dropping, sending again."""

import threading
import tracemalloc

import numpy as np
import pytest

from dimwatch import _arrays
from dimwatch._outbox import Declaration, Outbox, Samples, Scalars
from dimwatch.v1 import config_pb2

ROW_BYTES = 1000 * 4


class Session:
    ended = False


def samples(rows, step=1, probe="train/last", end=True):
    return Samples(probe, step, _arrays.read(np.ones((rows, 1000), np.float32)), end)


def take(outbox, count):
    return [outbox.take(Session()) for _ in range(count)]


def test_batch_beyond_the_limit_is_split_and_only_its_last_part_ends_the_snapshot():
    outbox = Outbox(1 << 30)
    array = np.arange(40, dtype=np.float32).reshape(10, 4)
    outbox.put(Samples("train/last", 7, _arrays.read(array, sample_ids=range(10)), True))
    outbox.open(resume_seq=0, max_batch_bytes=3 * 16 + 15)
    parts = [message.samples for message in take(outbox, 4)]
    assert [part.rows for part in parts] == [3, 3, 3, 1]
    assert [part.seq for part in parts] == [1, 2, 3, 4]
    assert [part.snapshot_end for part in parts] == [False, False, False, True]
    assert b"".join(part.data for part in parts) == array.tobytes()
    assert [i for part in parts for i in part.sample_ids] == list(range(10))


def test_numbering_goes_on_where_the_server_s_run_stands():
    outbox = Outbox(1 << 20)
    outbox.put(Scalars(1, {"loss": 1.0}))
    outbox.open(resume_seq=41, max_batch_bytes=0)
    assert outbox.take(Session()).scalars.seq == 42


def test_what_is_not_durable_is_sent_again_and_nothing_else():
    outbox = Outbox(1 << 20)
    for step in range(4):
        outbox.put(Scalars(step, {"loss": 1.0}))
    outbox.open(0, 0)
    take(outbox, 3)
    outbox.release(1)
    outbox.pause()
    outbox.open(resume_seq=2, max_batch_bytes=0)
    assert [message.scalars.seq for message in take(outbox, 2)] == [3, 4]
    outbox.release(4)
    assert outbox.wait_empty(0)
    assert outbox.bytes == 0


def test_a_server_that_lost_its_data_is_sent_what_is_left_under_the_same_numbers():
    outbox = Outbox(1 << 20)
    for step in range(3):
        outbox.put(Scalars(step, {"loss": 1.0}))
    outbox.open(10, 0)
    take(outbox, 3)
    outbox.release(11)
    outbox.open(resume_seq=0, max_batch_bytes=0)
    assert [message.scalars.seq for message in take(outbox, 2)] == [12, 13]


def test_the_oldest_samples_are_dropped_and_declarations_and_scalars_stay():
    outbox = Outbox(12 * ROW_BYTES)
    outbox.put(Declaration(config_pb2.ProbeConfig(probe="train/last")))
    outbox.put(Scalars(1, {"loss": 1.0}))
    for step in range(1, 6):
        outbox.put(samples(4, step))
    assert outbox.bytes <= 12 * ROW_BYTES
    assert outbox.dropped_rows == 12
    outbox.open(0, 0)
    messages = take(outbox, 4)
    assert [m.WhichOneof("item") for m in messages] == [
        "declaration", "scalars", "samples", "samples"]
    assert [m.samples.step for m in messages[2:]] == [4, 5]
    assert [m.samples.dropped_rows for m in messages[2:]] == [0, 0]


def test_dropped_rows_are_reported_by_the_next_samples_of_their_step():
    outbox = Outbox(10 * ROW_BYTES)
    outbox.put(samples(4, step=1, end=False))
    outbox.put(samples(4, step=1, end=False))
    outbox.put(samples(4, step=1, end=False))
    outbox.put(samples(4, step=1))
    outbox.open(0, 0)
    first, last = [message.samples for message in take(outbox, 2)]
    assert (first.rows, first.dropped_rows, first.snapshot_end) == (4, 8, False)
    assert (last.rows, last.dropped_rows, last.snapshot_end) == (4, 0, True)


def test_dropped_rows_are_reported_even_if_the_rest_of_the_step_comes_later():
    outbox = Outbox(10 * ROW_BYTES)
    outbox.put(samples(20, step=1, end=False))
    outbox.put(samples(2, step=1))
    outbox.open(0, 0)
    assert outbox.take(Session()).samples.dropped_rows == 20


def test_a_step_of_which_a_part_was_sent_is_completed_by_one_row_that_tells_the_loss():
    outbox = Outbox(10 * ROW_BYTES)
    outbox.put(samples(3, step=1, end=False))
    outbox.open(0, 0)
    take(outbox, 1)
    outbox.put(samples(4, step=1))
    outbox.put(samples(4, step=2))
    rest, following = [message.samples for message in take(outbox, 2)]
    assert (rest.step, rest.rows, rest.dropped_rows, rest.snapshot_end) == (1, 1, 3, True)
    assert (following.step, following.rows, following.dropped_rows) == (2, 4, 0)


def test_scalars_are_dropped_when_no_samples_are_left():
    outbox = Outbox(4000)
    for step in range(100):
        outbox.put(Scalars(step, {"loss": 1.0}))
    assert outbox.bytes <= 4000
    assert outbox.dropped_scalars > 90
    outbox.open(0, 0)
    assert outbox.take(Session()).scalars.step == outbox.dropped_scalars


@pytest.mark.parametrize("put", [
    lambda outbox, step: outbox.put(Samples("train/last", step, _arrays.read(
        np.ones((10, 4), np.float32), sample_ids=range(10)), True)),
    lambda outbox, step: outbox.put(Scalars(step, {
        f"train/loss.{i}": _arrays.read_number(step + i / 3) for i in range(20)}))])
def test_small_items_take_no_more_memory_than_is_counted(put):
    outbox = Outbox(1 << 30)
    tracemalloc.start()
    try:
        for step in range(2000):
            put(outbox, step)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert taken <= outbox.bytes


def test_what_is_given_up_is_counted_as_dropped():
    outbox = Outbox(1 << 30)
    outbox.put(Scalars(1, {"loss": 1.0, "accuracy": 0.5}))
    outbox.put(samples(4, step=1))
    outbox.put(samples(3, step=2))
    outbox.open(0, 0)
    take(outbox, 2)
    outbox.clear()
    outbox.put(samples(2, step=3))
    assert (outbox.dropped_rows, outbox.dropped_scalars, outbox.bytes) == (9, 2, 0)


def test_what_is_given_up_while_it_is_being_sent_is_counted_as_dropped():
    outbox = Outbox(1 << 30)
    item = samples(4, step=1)
    pieces = item.pieces
    item.pieces = lambda max_bytes: outbox.clear() or pieces(max_bytes)
    outbox.put(item)
    outbox.open(0, 0)
    session = Session()
    session.ended = False
    taking = threading.Thread(target=outbox.take, args=(session,), daemon=True)
    taking.start()
    while taking.is_alive():
        session.ended = outbox.dropped_rows > 0
        outbox.wake()
        taking.join(0.01)
    assert (outbox.dropped_rows, outbox.bytes) == (4, 0)


def test_at_most_half_of_the_queue_is_sent_without_being_durable():
    outbox = Outbox(10 * ROW_BYTES)
    for step in range(1, 4):
        outbox.put(samples(2, step))
    outbox.put(samples(2, 4))
    outbox.open(0, 0)
    take(outbox, 3)
    waiting = threading.Thread(target=take, args=(outbox, 1), daemon=True)
    waiting.start()
    waiting.join(0.1)
    assert waiting.is_alive()
    outbox.release(1)
    waiting.join(5)
    assert not waiting.is_alive()


def test_take_ends_when_the_outbox_is_closed_and_all_is_durable():
    outbox = Outbox(1 << 20)
    outbox.put(Scalars(1, {"loss": 1.0}))
    outbox.open(0, 0)
    take(outbox, 1)
    outbox.close()
    ended = []
    waiting = threading.Thread(target=lambda: ended.append(outbox.take(Session())), daemon=True)
    waiting.start()
    outbox.release(1)
    waiting.join(5)
    assert ended == [None]


@pytest.mark.parametrize("seed", range(20))
def test_rows_sent_and_rows_reported_add_up_whatever_happens(seed):
    random = np.random.default_rng(seed)
    outbox, session = Outbox(12 * ROW_BYTES), Session()
    logged, sent, reported, newest = 0, 0, 0, 0
    outbox.open(0, 2 * ROW_BYTES)
    for step in range(1, 30):
        parts = int(random.integers(1, 4))
        for part in range(parts):
            rows = int(random.integers(1, 6))
            logged += rows
            outbox.put(samples(rows, step, end=part == parts - 1))
            while random.random() < 0.5 and outbox._ready():
                message = outbox.take(session).samples
                sent += message.rows
                reported += message.dropped_rows
                newest = message.seq
                if random.random() < 0.7:
                    outbox.release(message.seq)
    outbox.release(newest)
    while outbox._ready():
        message = outbox.take(session).samples
        sent += message.rows
        reported += message.dropped_rows
        outbox.release(message.seq)
    assert logged == sent + outbox.dropped_rows
    assert reported <= outbox.dropped_rows  # steps that were lost whole are not reported
    assert outbox.bytes == 0
