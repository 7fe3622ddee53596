"""From what a framework holds to rows the wire can carry: one copy, nothing shared."""

import operator
import sys

import numpy as np

from dimwatch.v1 import ingest_pb2

_DTYPES = {
    "float32": ingest_pb2.DTYPE_F32,
    "float16": ingest_pb2.DTYPE_F16,
    "bfloat16": ingest_pb2.DTYPE_BF16,
    "float64": ingest_pb2.DTYPE_F64,
}
_DLPACK_CPU = (1, 3)  # kDLCPU, kDLCUDAHost


class Cloud:
    """Rows copied out of a caller's array.

    `values` is (rows, dim), C-ordered, little-endian, bfloat16 as uint16; `ids` is None or (rows,)
    int64. The copy of a CUDA tensor may still be under way: reading `values`, `ids` or `rows` waits
    for it.
    """

    def __init__(self, dtype, copy, mask, ids):
        self.dtype = dtype
        self.nbytes = copy.nbytes + (0 if ids is None else ids.nbytes)
        self._copy, self._mask, self._ids = copy, mask, ids
        self._done = None

    def _finish(self):
        if self._done is None:
            values = self._copy.result()
            mask = None if self._mask is None else self._mask.result() != 0
            if mask is not None:
                values = values[mask]
            self._done = _rows_of(values), select_ids(self._ids, mask, len(values))
        return self._done

    @property
    def values(self):
        return self._finish()[0]

    @property
    def ids(self):
        return self._finish()[1]

    @property
    def rows(self):
        return len(self.values)


def read(array, mask=None, sample_ids=None):
    """Copies (N, D), or (B, T, D) with an optional mask (B, T), into a Cloud.

    array: torch, numpy, DLPack or anything with __array__, of float16, bfloat16, float32 or
    float64. mask: nonzero where a row counts, of the array's shape without its last axis.
    sample_ids: one integer per row, of the mask's shape or one per selected row.
    Raises TypeError or ValueError saying what was wrong.
    """
    array = known(array)
    shape = tuple(array.shape)
    if len(shape) not in (2, 3):
        raise ValueError(f"samples must be (N, D) or (B, T, D), got shape {shape}")
    if shape[-1] == 0:
        raise ValueError(f"samples must have at least one component, got shape {shape}")
    dtype = dtype_of(array, "samples")
    if mask is not None:
        mask = known(mask)
        if tuple(mask.shape) != shape[:-1]:
            raise ValueError(f"mask must have shape {shape[:-1]}, got {tuple(mask.shape)}")
    ids = None if sample_ids is None else read_ids(sample_ids)
    if is_cuda(array) or is_cuda(mask):
        if ids is not None and len(ids) != np.prod(shape[:-1]):
            raise ValueError(f"sample_ids must have shape {shape[:-1]}, got {len(ids)} ids")
        mask = mask if mask is None else copy(mask)
        return Cloud(_DTYPES[dtype], copy(array), mask, ids)
    view, kept = _host_view(array), None if mask is None else _host_view(mask) != 0
    if kept is not None:
        view = view[kept]  # already a copy, of the kept rows alone
    rows = _HostCopy(_rows_of(view, owned=kept is not None))
    if not rows.array.size:
        raise ValueError("no rows to log: the batch is empty or its mask keeps nothing")
    return Cloud(_DTYPES[dtype], rows, None, select_ids(ids, kept, len(rows.array)))


def read_number(value):
    """A number as a float; one that may still be on its way from a GPU as something whose float()
    waits for it. Raises TypeError or ValueError."""
    if not is_cuda(value):
        return float(value)
    if value.numel() != 1:
        raise ValueError(f"a scalar must be one number, got shape {tuple(value.shape)}")
    return _CudaNumber(value)


class _CudaNumber:
    def __init__(self, value):
        self._copy = _CudaCopy(value.detach())

    def __float__(self):
        return float(self._copy.result().reshape(()))


def read_step(step):
    """A step as an int. Raises TypeError or ValueError."""
    if hasattr(step, "item"):
        step = step.item()
    step = operator.index(step)
    if not 0 <= step < 2**63:
        raise ValueError(f"step must be 0 or greater, got {step}")
    return step


def select_ids(ids, mask, rows):
    """The ids of the selected rows. Raises ValueError where they cannot be told."""
    if ids is None or len(ids) == rows:
        return ids
    if mask is not None and len(ids) == mask.size:
        return ids[mask.ravel()]
    raise ValueError(f"sample_ids must have one id per row, got {len(ids)} for {rows} rows")


def dtype_of(array, what):
    """The name of a known array's type, "bfloat16". Raises TypeError for one the wire lacks."""
    dtype = str(array.dtype).rsplit(".", 1)[-1].lstrip("<>=")
    dtype = {"f2": "float16", "f4": "float32", "f8": "float64"}.get(dtype, dtype)
    if dtype not in _DTYPES:
        raise TypeError(f"{what} must be {', '.join(_DTYPES)}, got {dtype}")
    return dtype


def known(array):
    """`array` as a torch tensor or a numpy array, sharing its memory where it can."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        return array.detach()
    if isinstance(array, np.ndarray):
        return array
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        try:
            if array.__dlpack_device__()[0] in _DLPACK_CPU:
                return np.from_dlpack(array)
            if torch is not None:
                return torch.from_dlpack(array)
        except (BufferError, RuntimeError, TypeError):
            pass  # a dtype that DLPack or numpy lacks; __array__ may do
    return np.asarray(array)


def is_cuda(array):
    """Whether it is a tensor on a GPU."""
    return getattr(array, "is_cuda", False)


def _host_view(array):
    """A numpy view of an array in host memory; bfloat16 as uint16."""
    if isinstance(array, np.ndarray):
        return array.view(np.uint16) if array.dtype.name == "bfloat16" else array
    torch = sys.modules["torch"]
    if array.dtype == torch.bfloat16:
        return array.view(torch.int16).numpy().view(np.uint16)
    return array.numpy()


def _rows_of(array, owned=True):
    """(rows, dim), C-ordered and little-endian; a copy unless `owned`."""
    dtype = array.dtype.newbyteorder("<")
    array = np.array(array, dtype=dtype, order="C", copy=not owned)
    return array.reshape(-1, array.shape[-1])


def read_ids(ids, what="sample_ids"):
    """Integers as (N,) int64. Raises TypeError."""
    ids = np.array(_host_view(known(to_host(ids))))
    if ids.dtype.kind not in "iu":
        raise TypeError(f"{what} must be integers, got {ids.dtype}")
    return ids.astype(np.int64, copy=False).ravel()


def to_host(array):
    """A CUDA tensor copied to the host, which waits for it; anything else as it is."""
    return array.cpu() if is_cuda(array) else array


def copy(array):
    """Starts the copy of a tensor on any device, or of an array, to host memory."""
    if is_cuda(array):
        return _CudaCopy(array)
    return _HostCopy(np.array(_host_view(array), order="C", copy=True))


class _HostCopy:
    def __init__(self, array):
        self.array, self.nbytes = array, array.nbytes

    def result(self):
        return self.array


class _CudaCopy:
    """A copy to pinned memory, queued behind the work that computes the tensor."""

    def __init__(self, tensor):
        torch = sys.modules["torch"]
        self._host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
        self._host.copy_(tensor, non_blocking=True)
        self._event = torch.cuda.Event()
        self._event.record(torch.cuda.current_stream(tensor.device))
        self.nbytes = tensor.element_size() * tensor.nelement()

    def result(self):
        self._event.synchronize()
        return _host_view(self._host)
