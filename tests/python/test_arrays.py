"""From arrays to rows on the wire."""

import numpy as np
import pytest
import torch

from dimwatch import _arrays
from dimwatch.v1 import ingest_pb2

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("dtype, wire", [
    (np.float16, ingest_pb2.DTYPE_F16), (np.float32, ingest_pb2.DTYPE_F32),
    (np.float64, ingest_pb2.DTYPE_F64)])
def test_numpy_types_are_kept_on_the_wire(dtype, wire):
    array = RANDOM.normal(size=(5, 3)).astype(dtype)
    cloud = _arrays.read(array)
    assert cloud.dtype == wire
    assert cloud.values.tobytes() == array.tobytes()


def test_bfloat16_is_kept_bit_by_bit():
    tensor = torch.tensor([[1.0, -2.5], [3.1415926, 65280.0]], dtype=torch.bfloat16)
    cloud = _arrays.read(tensor)
    assert cloud.dtype == ingest_pb2.DTYPE_BF16
    assert cloud.values.tolist() == [[0x3F80, 0xC020], [0x4049, 0x477F]]


@pytest.mark.parametrize("array", [
    np.asfortranarray(RANDOM.normal(size=(6, 4))), RANDOM.normal(size=(6, 8))[:, ::2],
    RANDOM.normal(size=(12, 4))[::-2], RANDOM.normal(size=(6, 4)).astype(">f8"),
    torch.arange(24.0, dtype=torch.float64).reshape(4, 6).T,
    torch.arange(24.0, dtype=torch.float64).reshape(6, 4).requires_grad_()])
def test_any_memory_layout_arrives_row_by_row(array):
    expected = np.ascontiguousarray(
        array.detach().numpy() if isinstance(array, torch.Tensor) else array, dtype="<f8")
    cloud = _arrays.read(array)
    assert cloud.dtype == ingest_pb2.DTYPE_F64
    assert cloud.values.tobytes() == expected.tobytes()


def test_strided_bfloat16_arrives_row_by_row():
    tensor = torch.arange(12.0).reshape(3, 4).to(torch.bfloat16).T
    assert (_arrays.read(tensor).values == _arrays.read(tensor.contiguous()).values).all()


def test_rows_do_not_change_with_the_caller_s_array():
    for array in (np.ones((2, 2)), torch.ones(2, 2), np.ones((1, 2, 2))):
        cloud = _arrays.read(array)
        array *= 5
        assert (cloud.values == 1).all()


@pytest.mark.parametrize("mask", [
    np.array([[1, 1, 0], [0, 1, 0]]), np.array([[True, True, False], [False, True, False]]),
    torch.tensor([[1, 1, 0], [0, 1, 0]])])
def test_mask_picks_tokens_in_order(mask):
    array = np.arange(12, dtype=np.float32).reshape(2, 3, 2)
    cloud = _arrays.read(torch.from_numpy(array), mask)
    assert cloud.values.tolist() == [[0, 1], [2, 3], [8, 9]]


def test_sample_ids_follow_the_mask():
    array, mask = np.ones((2, 2, 3)), np.array([[1, 0], [0, 1]])
    assert _arrays.read(array, mask, [[10, 11], [12, 13]]).ids.tolist() == [10, 13]
    assert _arrays.read(array, mask, torch.tensor([7, 8])).ids.tolist() == [7, 8]


def test_anything_with_array_or_dlpack_is_read():
    class Array:
        def __array__(self, dtype=None):
            return np.ones((2, 3), np.float16)

    class DLPack:
        def __dlpack_device__(self):
            return 1, 0

        def __dlpack__(self):
            return torch.ones(2, 3).__dlpack__()

    assert _arrays.read(Array()).dtype == ingest_pb2.DTYPE_F16
    assert _arrays.read(DLPack()).dtype == ingest_pb2.DTYPE_F32
    assert _arrays.read([[1.0, 2.0], [3.0, 4.0]]).values.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("arguments, message", [
    ((np.ones(3),), r"\(N, D\) or \(B, T, D\), got shape \(3,\)"),
    ((np.ones((2, 2, 2, 2)),), "got shape"),
    ((np.ones((2, 0)),), "at least one component"),
    ((np.ones((0, 2)),), "no rows to log"),
    ((np.ones((2, 2)), [0, 0]), "its mask keeps nothing"),
    ((np.ones((2, 2), int),), "got int64"),
    ((np.array([["a"]]),), "samples must be float32"),
    ((None,), "got shape"),
    ((np.ones((2, 3, 4)), np.ones((2, 4))), r"mask must have shape \(2, 3\), got \(2, 4\)"),
    ((np.ones((2, 3)), None, [1]), "one id per row, got 1 for 2 rows"),
    ((np.ones((2, 3)), None, [1.5, 2.0]), "sample_ids must be integers"),
    ((torch.ones(2, 2).to_sparse(),), "")])
def test_bad_arrays_are_refused_with_the_reason(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        _arrays.read(*arguments)


@pytest.mark.parametrize("step", [3, np.int64(3), torch.tensor(3)])
def test_steps_of_any_integer_type_are_read(step):
    assert _arrays.read_step(step) == 3


@pytest.mark.parametrize("step", [-1, 1.5, None, "3", 2**63])
def test_bad_steps_are_refused(step):
    with pytest.raises((TypeError, ValueError)):
        _arrays.read_step(step)
