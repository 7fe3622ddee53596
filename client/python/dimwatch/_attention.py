"""From attention maps to the attention-graph dimension of each prompt, as src/attention does."""

import math

import numpy as np

from dimwatch import _arrays

_MOST_OUTSIDE = 1e-6  # what a mask of finite size leaves
_FORMATS = {"float16": (11, -24), "bfloat16": (8, -133)}  # significant bits, least exponent


class Dimensions:
    """The attention-graph dimension of each prompt: `values` (prompts,) and `ids` (prompts,), both
    int64, without the `invalid` prompts, which had a weight that was not finite.

    The copy of a CUDA tensor may still be under way: the first use waits for it and counts, and
    raises ValueError for rows that are no attention.
    """

    def __init__(self, rows, spans, ids, settings):
        self.heads, self.positions = rows.shape[1:]
        self.nbytes = rows.nbytes + ids.nbytes
        self.epsilon, self.relative = settings
        self._rows, self._spans, self._ids = rows, spans, ids
        self._counted = None

    def _count(self):
        rows, counted = self._rows, self._counted  # in this order: two threads may come
        if counted is None:
            values, valid = count(rows.result(), rows.dtype, *self._spans, self.epsilon,
                                  self.relative)
            self._counted = counted = values[valid], self._ids[valid]
            self._rows = None
        return counted

    @property
    def values(self):
        return self._count()[0]

    @property
    def ids(self):
        return self._count()[1]

    @property
    def invalid(self):
        return self.rows - len(self.values)

    @property
    def rows(self):
        """Prompts that arrived; needs no counting."""
        return len(self._ids)


class _Rows:
    """Rows (B, H, T) on their way to the host."""

    def __init__(self, array, dtype):
        self.shape, self.dtype = tuple(array.shape), dtype
        self._copy = _arrays.copy(array)
        self.nbytes = self._copy.nbytes

    def result(self):
        return self._copy.result()


def read(maps, epsilon, relative, lengths=None, mask=None, positions=None, prompt_ids=None):
    """Reads maps (B, H, T, T), or the rows of one token per prompt (B, H, T), into Dimensions.

    Raises TypeError or ValueError saying what was wrong; what is wrong with the weights of a CUDA
    tensor is found later, when it has been copied.
    """
    maps = _arrays.known(maps)
    shape = tuple(maps.shape)
    if len(shape) not in (3, 4) or 0 in shape or (len(shape) == 4 and shape[2] != shape[3]):
        raise ValueError("attention must be (prompts, heads, positions) or (prompts, heads, "
                         f"positions, positions), got shape {shape}")
    dtype = _arrays.dtype_of(maps, "attention")
    first, query = _spans(shape, lengths, mask, positions)
    ids = np.arange(shape[0]) if prompt_ids is None else _arrays.read_ids(prompt_ids, "prompt_ids")
    if len(ids) != shape[0] or len(np.unique(ids)) != len(ids):
        raise ValueError(f"prompt_ids must be {shape[0]} different integers, got {ids.tolist()}")
    if len(shape) == 4:
        maps = maps[np.arange(shape[0]), :, query]
    dimensions = Dimensions(_Rows(maps, dtype), (first, query), ids, (epsilon, relative))
    if not _arrays.is_cuda(maps):
        dimensions.values  # raises now
    return dimensions


def _spans(shape, lengths, mask, positions):
    """The positions of the first token and of the query of each prompt."""
    prompts, last = shape[0], shape[-1] - 1
    if lengths is not None and mask is not None:
        raise ValueError("lengths and mask were both given; either says where the padding is")
    first, query = np.zeros(prompts, np.int64), np.full(prompts, last)
    if lengths is not None:
        query = _arrays.read_ids(lengths, "lengths") - 1
    elif mask is not None:
        mask = np.asarray(_arrays.to_host(_arrays.known(mask))) != 0
        if mask.shape != (prompts, last + 1) or not mask.any(1).all():
            raise ValueError(f"mask must have shape {(prompts, last + 1)} and a token in each row, "
                             f"got shape {mask.shape}")
        first, query = mask.argmax(1), last - mask[:, ::-1].argmax(1)
    end = query
    if positions is not None:
        query = _arrays.read_ids(positions, "positions")
    if not len(first) == len(query) == len(end) == prompts:
        raise ValueError(f"lengths and positions must have one entry for each of {prompts} prompts")
    if ((first < 0) | (query < first) | (query > end) | (end > last)).any():
        raise ValueError(f"lengths must be 1 to {last + 1} and positions within the prompts, got "
                         f"queries at {query.tolist()} of prompts {first.tolist()} to "
                         f"{end.tolist()}")
    return first, query


def count(rows, dtype, first, query, epsilon, relative):
    """(dimensions, valid) of each prompt, from its rows (B, H, T).

    bfloat16 rows are uint16. The same numbers as CountAttended in src/attention/attended.h, and the
    same errors, as ValueError.
    """
    weights = _weights(rows, dtype)
    valid = np.isfinite(weights).all((1, 2))
    at = np.arange(weights.shape[2])
    inside = ((at >= first[:, None]) & (at <= query[:, None]))[:, None, :]
    weights = np.where(valid[:, None, None], weights, 0)
    _check(weights, inside, valid, dtype)
    scale = weights.max(-1, keepdims=True, where=inside, initial=0) if relative else np.ones(1)
    above = (weights > _rounded(epsilon * scale, dtype)) & inside
    most = query - first + 1
    if not relative:
        most = np.minimum(most, math.floor(1 / epsilon - 1e-9))
    return np.minimum(above.sum(-1), most[:, None]).sum(-1), valid


def _check(weights, inside, valid, dtype):
    def fail(bad, problem):
        bad = bad & valid[:, None]
        if bad.any():
            prompt, head = np.argwhere(bad)[0]
            raise ValueError(f"prompt {prompt}, head {head}: {problem(prompt, head)}")

    fail((weights < 0).any(-1), lambda p, h: f"weight {weights[p, h].min():.6g}; post-softmax "
         "weights are 0 and greater")
    outside = weights.sum(-1, where=~inside)
    fail(outside > _MOST_OUTSIDE, lambda p, h: f"weight {outside[p, h]:.6g} lies behind the query "
         "or on padding; a causal map without its padding has 0 there")
    sums, tolerance = weights.sum(-1, where=inside), _tolerance(dtype, weights.shape[-1])
    fail(np.abs(outside + sums - 1) > tolerance, lambda p, h: f"the weights sum to "
         f"{sums[p, h]:.6g}; 1 within {tolerance:.3g} is allowed: post-softmax weights, before any "
         "dropout")


def _weights(rows, dtype):
    """As float64, which holds every other type."""
    if dtype == "bfloat16":
        rows = (rows.astype(np.uint32) << 16).view(np.float32)
    elif dtype == "float64":
        rows = rows.astype(np.float32)
    return rows.astype(np.float64)


def _rounded(threshold, dtype):
    """To the type of the weights, so that one that equals it is not above it."""
    if dtype == "bfloat16":
        bits = np.asarray(threshold, np.float32).view(np.uint32).astype(np.uint64)
        bits = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 << 16).astype(np.uint32)
        return bits.view(np.float32).astype(np.float64)
    return np.asarray(threshold).astype(np.float16 if dtype == "float16" else np.float32).astype(
        np.float64)


def _tolerance(dtype, positions):
    if dtype not in _FORMATS:
        return 1e-3
    bits, least = _FORMATS[dtype]
    return 4 * 2.0**-bits + positions * 2.0 ** (least - 1)
