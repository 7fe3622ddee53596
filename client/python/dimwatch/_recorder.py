"""Writes a run as a trace that `dimwatch replay` reads."""

import collections
import contextlib
import json
import math
import os
import re
import threading

import numpy as np

from dimwatch._outbox import Attention, Samples
from dimwatch.v1 import ingest_pb2


class Recorder:
    """A folder with trace.jsonl, one line per step, and .npy clouds beside it. What was counted of
    attention maps is in the line.

    Writes on a thread of its own; what waits for the disk is bounded in bytes, and what does not
    fit is left out of the trace. A disk that fails, or is full, ends the recording with a warning;
    what was written before stays a trace. A folder that holds one is continued. float16 is kept,
    other types become float32. Raises OSError if the folder cannot be made.
    """

    def __init__(self, folder, max_bytes, warn):
        os.makedirs(folder, exist_ok=True)
        self._folder, self._max_bytes, self._warn = folder, max_bytes, warn
        self._items = collections.deque()
        self._bytes = 0
        self._closing = False
        self._changed = threading.Condition(threading.Lock())
        self._step, self._scalars, self._clouds, self._maps = None, {}, {}, {}
        self._trace = _open_trace(os.path.join(folder, "trace.jsonl"))
        self._thread = threading.Thread(target=self._loop, name="dimwatch-recorder", daemon=True)
        self._thread.start()

    def put(self, item):
        """Takes Samples, Attention or Scalars. False if there is no room for them; what comes after
        the end of the recording is nobody's."""
        with self._changed:
            if self._closing:
                return True
            if self._bytes + item.nbytes > self._max_bytes:
                return False
            self._items.append(item)
            self._bytes += item.nbytes
            self._changed.notify()
        return True

    def close(self, timeout):
        """Writes what is left, for at most `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)

    def _loop(self):
        try:
            while (item := self._next()) is not None:
                self._add(item)
            self._write_step()
        except Exception as error:  # whatever it is, the training goes on
            self._warn("record", f"recording to {self._folder} stopped: {error}")
        finally:
            with self._changed:
                self._closing = True
                self._items.clear()
                self._bytes = 0
            self._trace.close()

    def _next(self):
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closing)
            if not self._items:
                return None
            item = self._items.popleft()
            self._bytes -= item.nbytes
            return item

    def _add(self, item):
        if item.step != self._step:
            self._write_step()
            self._step = item.step
        if isinstance(item, Attention):
            if item.counted():
                self._maps.setdefault(item.probe, []).append(item.cloud)
        elif isinstance(item, Samples):
            self._clouds.setdefault(item.probe, []).append(_to_float(item.cloud))
        else:
            self._scalars.update(item.numbers())

    def _write_step(self):
        if self._step is None:
            return
        line = {"step": self._step}
        scalars = {name: value for name, value in self._scalars.items() if math.isfinite(value)}
        if scalars:
            line["scalars"] = scalars
        samples = [{"probe": probe, "file": self._save(probe, np.concatenate(clouds))}
                   for probe, clouds in self._clouds.items()]
        if samples:
            line["samples"] = samples
        if self._maps:
            line["attention"] = [_attention_entry(probe, parts)
                                 for probe, parts in self._maps.items()]
        self._append(json.dumps(line).encode() + b"\n")
        self._scalars, self._clouds, self._maps = {}, {}, {}

    def _append(self, line):
        """Writes a line, or nothing of it."""
        size = os.fstat(self._trace.fileno()).st_size
        try:
            while line:
                line = line[self._trace.write(line):]
        except OSError:
            self._trace.truncate(size)
            raise

    def _save(self, probe, rows):
        name = f"{re.sub('[^A-Za-z0-9_-]', '_', probe)}_{self._step:06d}"
        file, again = f"{name}.npy", 1
        while os.path.exists(os.path.join(self._folder, file)):  # the job went back to this step
            again += 1
            file = f"{name}-{again}.npy"
        path = os.path.join(self._folder, file)
        try:
            np.save(path, rows)
        except OSError:
            with contextlib.suppress(OSError):
                os.remove(path)
            raise
        return file


def _open_trace(path):
    """Opens a trace to append to it, without the half line that a killed job may have left."""
    trace = open(path, "a+b", buffering=0)
    trace.seek(0)
    trace.truncate(trace.read().rfind(b"\n") + 1)
    return trace


def _attention_entry(probe, parts):
    return {
        "probe": probe, "epsilon": parts[0].epsilon, "relative": parts[0].relative,
        "heads": parts[0].heads, "positions": max(part.positions for part in parts),
        "dimensions": np.concatenate([part.values for part in parts]).tolist(),
        "ids": np.concatenate([part.ids for part in parts]).tolist(),
        "invalid": sum(part.invalid for part in parts)}


def _to_float(cloud):
    values = cloud.values
    if cloud.dtype == ingest_pb2.DTYPE_BF16:
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values if cloud.dtype == ingest_pb2.DTYPE_F16 else values.astype(np.float32, copy=False)
