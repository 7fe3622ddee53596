"""Runs and probes: what a training job holds. No call blocks it or raises into it."""

import atexit
import functools
import getpass
import logging
import os
import re
import secrets
import threading
import time
import weakref

from dimwatch import _arrays, _attention, _channel, _config
from dimwatch._channel import Credentials
from dimwatch._outbox import Attention, Declaration, Outbox, Samples, Scalars
from dimwatch._recorder import Recorder
from dimwatch._sender import Sender
from dimwatch.results import AttentionEstimate, Decision, Estimate, Signal
from dimwatch.v1 import run_pb2

DEFAULT_SERVER = "127.0.0.1:50051"

_log = logging.getLogger("dimwatch")
_MOST_WARNINGS = 50
_EXIT_SECONDS = 5
_CLOSE_SECONDS = 10
_live_runs = weakref.WeakSet()


def init(project="default", name=None, config=None, *, server=None, run_id=None, labels=None,
         user=None, signals=None, policy=None, record=None, enabled=True, strict=False,
         max_queue_bytes=256 << 20, token=None, tls_roots=None, tls_client_certificate=None,
         tls_client_key=None):
    """Starts watching a training job and returns its Run at once.

    The connection is made in the background: a server that is absent, slow or lost later costs the
    training nothing, and what was logged meanwhile is sent when it is back, up to
    `max_queue_bytes`; beyond that the oldest samples are dropped, and the server is told.

    project, name: where the run belongs and what people call it. config: hyperparameters, a dict.
    server: "host:port"; default DIMWATCH_SERVER or 127.0.0.1:50051; False for none (with `record`).
    run_id: to continue a run after a restart of the job; default: a new one. labels: a dict.
    signals, policy: parameters of the detectors and of the decision by their names in
    dimwatch/v1/config.proto, for example signals={"patience": 5}, policy={"mode": "enforced",
    "stop_on": ["overfitting"]}. record: a folder to also write a trace to, for `dimwatch replay`.
    enabled: False makes every call do nothing, for example on all ranks but one. strict: raise
    TypeError or ValueError for bad arguments, here and in every later call; otherwise they are
    warned about once, through the logger "dimwatch", counted in `Run.stats`, and have no effect.
    token: what lets the job into a server that uses tokens; default DIMWATCH_TOKEN. tls_roots: a
    PEM file with the authorities that may have signed the server's certificate; the connection then
    is encrypted, as it is to a server given as "https://host:port", by default with the system's
    authorities. tls_client_certificate, tls_client_key: PEM files, for a server that wants to know
    its clients. Their environment: DIMWATCH_TLS_ROOTS, DIMWATCH_TLS_CLIENT_CERTIFICATE,
    DIMWATCH_TLS_CLIENT_KEY.
    """
    run = Run(strict, max_queue_bytes)
    if not enabled:
        run._disable()
        return run
    try:
        message = _config.run_message(
            run_id=run_id or _new_id(name), project=project, name=name, config=config,
            labels=labels, user=user or _user(), signals=signals, policy=policy)
        credentials = Credentials(token, tls_roots, tls_client_certificate, tls_client_key)
        run._start(message, _address(server), credentials, record)
    except Exception as error:
        run._disable()
        run._reject("init", error)
    return run


def _never_raises(method):
    """Bad arguments are warned about and counted, not raised, unless the run is strict."""

    @functools.wraps(method)
    def guarded(self, *args, **kwargs):
        if self._run._disabled:
            return
        try:
            method(self, *args, **kwargs)
        except Exception as error:
            self._run._reject(method.__qualname__, error)

    return guarded


class Probe:
    """One layer and split of a model, watched in one run. Made by Run.probe. Thread-safe."""

    def __init__(self, run, name):
        self._run, self.name = run, name

    @_never_raises
    def log(self, array, *, step, mask=None, sample_ids=None, end=True):
        """Logs embedding vectors of this probe at a step; copies them and returns.

        array: (N, D), or (B, T, D) of which `mask` (B, T) picks the rows that count; a torch
        tensor (on a GPU too: the copy is queued behind its computation), numpy, DLPack or
        __array__; float16, bfloat16, float32 or float64, sent as it is. sample_ids: an integer
        per row, the input that it embeds. end: this completes the cloud of this step; pass False
        for all but the last of several calls. A step below the last one is a job that went back to
        a checkpoint: it replaces what was logged from there on.
        """
        cloud = _arrays.read(array, mask, sample_ids)
        self._run._put(Samples(self.name, _arrays.read_step(step), cloud, bool(end)))


class AttentionProbe:
    """The attention maps of one layer and split. Made by Run.attention_probe. Thread-safe."""

    def __init__(self, run, name, epsilon, relative):
        self._run, self.name = run, name
        self.epsilon, self.relative = epsilon, relative

    @_never_raises
    def log(self, maps, *, step, lengths=None, mask=None, positions=None, prompt_ids=None,
            end=True):
        """Counts the attention of each prompt at a step, and sends the counts alone.

        maps: post-softmax weights, (prompts, heads, T, T) or the rows of one token per prompt,
        (prompts, heads, T); a torch tensor, numpy, DLPack or __array__; float16, bfloat16, float32
        or float64, as the model computes them: the checks allow for the rounding of the type. Only
        the rows of the counted tokens are copied. A tensor on a GPU is counted later, off this
        thread, and what is wrong with it is warned about then.
        lengths: tokens of each prompt, padding behind them; or mask: (prompts, T), nonzero where
        there is a token. positions: the token of each prompt whose row counts; default: its last.
        prompt_ids: an integer per prompt that stays the same from step to step; default: its place
        in this call, as of a fixed set of prompts. end: this completes the step; False for all but
        the last of several calls, which then need prompt_ids.
        """
        if not end and prompt_ids is None:
            raise ValueError("several calls for one step need prompt_ids")
        dimensions = _attention.read(maps, self.epsilon, self.relative, lengths, mask, positions,
                                     prompt_ids)
        self._run._put(Attention(self.name, _arrays.read_step(step), dimensions, bool(end),
                                 self._run._bad_maps))


class Run:
    """One execution of a training job. Made by init(). Thread-safe.

    Also a context manager: leaving it finishes the run, as failed if by an exception.
    """

    def __init__(self, strict, max_queue_bytes):
        self._run = self  # what _never_raises asks
        self._strict = strict
        self._disabled = False
        self._lock = threading.Lock()
        self._warned, self._rejected, self._nacked = set(), 0, 0
        self._probes = {}
        self._outbox = Outbox(max_queue_bytes)
        self._sender = self._recorder = None
        self._reported_drop = self._was_connected = False
        self._step = -1  # as far as the job has come, since it last went back
        self._last_steps = {}  # of each probe and scalar
        self.id = ""
        self.server = None
        self.decision = Decision()
        self.estimates = {}
        self.attention = {}
        self.signals = {}

    def probe(self, name, *, split=None, layer=None, window=None, window_points=None,
              estimate_every=None, aligned=False, estimator=None, neighbors=None, cdf=None,
              fit=None, index=None, max_points=None, queries=None,
              target_standard_error=None, seed=None, duplicate_tolerance=None, scale_every=None):
        """Declares a probe, and returns it. What is None is the server's default.

        split: train, validation or other; default from the name ("train/...", "validation/...").
        layer: pairs the splits; default: the name behind its first "/". window: snapshot (all
        samples of a step) or rolling (the last `window_points`, estimated every `estimate_every`).
        aligned: row i of every snapshot embeds the same input. estimator: twonn, twonn-global,
        mle, mom or gride; neighbors: L; cdf: paper or upper; fit: ols or ml; index: auto, exact or
        hnsw; max_points, queries, target_standard_error, seed, duplicate_tolerance: as in
        dimwatch/v1/config.proto. scale_every: the first of every so many estimates carries a scale
        profile.
        """
        probe = Probe(self, name)
        if self._disabled:
            return probe
        try:
            config = _config.probe_config(
                name, split=split, layer=layer, window=window, window_points=window_points,
                estimate_every=estimate_every, aligned=aligned, estimator=estimator,
                neighbors=neighbors, cdf=cdf, fit=fit, index=index, max_points=max_points,
                queries=queries, target_standard_error=target_standard_error, seed=seed,
                duplicate_tolerance=duplicate_tolerance, scale_every=scale_every)
        except Exception as error:
            self._reject("Run.probe", error)
            return Probe(_DISABLED, name)
        self._declare(config)
        return probe

    def attention_probe(self, name, *, split=None, layer=None, epsilon=None, relative=False):
        """Declares a probe of attention maps, and returns it.

        split, layer: as for probe(). epsilon: weights above it count; default 0.1. relative: the
        threshold is epsilon times the largest weight of each row. Estimates come as
        `run.attention`, a dict of AttentionEstimate by probe; they feed no signal.
        """
        if self._disabled:
            return AttentionProbe(self, name, _config.DEFAULT_EPSILON, relative)
        try:
            config = _config.attention_config(name, split=split, layer=layer, epsilon=epsilon,
                                              relative=relative)
        except Exception as error:
            self._reject("Run.attention_probe", error)
            return AttentionProbe(_DISABLED, name, _config.DEFAULT_EPSILON, relative)
        self._declare(config)
        return AttentionProbe(self, name, config.attention.epsilon, config.attention.relative)

    @_never_raises
    def log(self, values, *, step):
        """Logs numbers by name at a step: loss, accuracy, learning rate."""
        step, numbers = _arrays.read_step(step), {}
        for name, value in values.items():
            try:
                numbers[_config.check_name("a scalar's name", name)] = _arrays.read_number(value)
            except Exception as error:
                self._reject(f"Run.log of {name!r}", error)
        if numbers:
            self._put(Scalars(step, numbers))

    def should_stop(self):
        """Whether the policy says STOP, in any mode but shadow. Reads local values: never waits.

        A STOP of a step that this job has not reached, or not again since it went back to a
        checkpoint, is that of a course it has given up, and does not count.
        """
        decision = self.decision
        return (decision.verdict == "STOP" and decision.mode != "shadow"
                and decision.step <= self._step)

    def steps(self, steps, agree=bool):
        """The training loop's steps, until the policy enforces a STOP:

            for step in run.steps(range(10_001)):

        Yields what `steps` yields. Where the policy's mode is "enforced" it ends after the step in
        which should_stop() became true, and says why through the logger "dimwatch"; in the other
        modes it yields all, and whether to follow should_stop() is up to the loop.
        agree: is called after each step with whether this process would end; what it returns
        counts. Where several ranks train together, dimwatch.torch.any_rank, on each of them.
        """
        for step in steps:
            yield step
            decision = self.decision
            stops = decision.mode == "enforced" and self.should_stop()
            if stops:
                self._warn("enforced", f"run {self.id} stops here, as its policy enforces: "
                                       f"{decision.reason} (best step {decision.best_step})")
            if agree(stops):
                return

    def finish(self, failed=False, timeout=30.0):
        """Sends what is left, ends the run, and returns the final Decision.

        Waits at most `timeout` seconds; what the server has not taken by then is lost to it, with a
        warning. Further calls return the same. The only call of a run that waits.
        """
        if self._disabled:
            return self.decision
        self._disabled = True
        _live_runs.discard(self)
        deadline = time.monotonic() + timeout
        if self._recorder:
            self._recorder.close(min(timeout, _CLOSE_SECONDS))
        if self._sender and not self._sender.finish(failed, max(0, deadline - time.monotonic())):
            self._warn("finish", f"run {self.id} was not finished on {self.server} "
                                 f"within {timeout:g} s: {self._sender.describe_error()}")
        return self.decision

    @property
    def stats(self):
        """Counters of this run: a dict of numbers.

        durable_rows: held by the server for good; dropped_rows, dropped_scalars: given up for want
        of room, or because the run ended, or was refused, before the server held them;
        queued_bytes: not durable yet; rejected_calls: calls with bad arguments; nacked_items: what
        the server rejected; connected: 1 while a stream is open.
        """
        outbox = self._outbox
        return {
            "durable_rows": outbox.durable_rows, "dropped_rows": outbox.dropped_rows,
            "dropped_scalars": outbox.dropped_scalars, "queued_bytes": outbox.bytes,
            "rejected_calls": self._rejected, "nacked_items": self._nacked,
            "connected": int(bool(self._sender and self._sender.connected))}

    def flush(self, timeout=30.0):
        """Waits until the server holds everything for good. False if not within `timeout` seconds.

        For the end of a phase; training does not need it.
        """
        return self._disabled or not self._sender or self._outbox.wait_empty(timeout)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback):
        if kind is None:
            self.finish()
        else:
            self.finish(failed=True, timeout=_EXIT_SECONDS)

    def _start(self, message, server, credentials, record):
        self.id, self.server = message.run_id, server
        if record:
            self._recorder = Recorder(record, self._outbox.max_bytes, self._warn)
        if server:
            request = run_pb2.CreateRunRequest(run=message)
            self._sender = Sender(functools.partial(credentials.open_channel, server), request,
                                  self._outbox, self)
        _live_runs.add(self)

    def _disable(self):
        self._disabled = True

    def _reached(self, item):
        """The job goes back where a probe, or a scalar, goes back; others may count otherwise."""
        for series in [item.probe] if item.probe else item.values:
            key = (item.probe, series)
            went_back = item.step < self._last_steps.get(key, item.step)
            self._last_steps[key] = item.step
            self._step = item.step if went_back else max(self._step, item.step)

    def _put(self, item):
        self._reached(item)
        if self._recorder and not self._recorder.put(item):
            self._warn("trace", "the disk is too slow for record=: the trace is incomplete")
        if self._sender and self._outbox.put(item) and not self._reported_drop:
            self._reported_drop = True
            self._warn("dropped", f"the queue to {self.server} is full ({self._outbox.max_bytes} "
                                  "bytes): the oldest samples are dropped")

    def _declare(self, config):
        with self._lock:
            if self._probes.get(config.probe) == config:
                return  # a loop may ask for its probe at every step
            self._probes[config.probe] = config
        if self._sender:
            self._outbox.put(Declaration(config))

    def _bad_maps(self, problem):
        """What is wrong with attention maps, found after they were logged."""
        self._rejected += 1
        self._warn("maps" + re.sub(r"\d+", "", problem), problem)

    def _declared(self):
        with self._lock:
            return list(self._probes.values())

    def _reject(self, where, error):
        self._rejected += 1
        if self._strict:
            raise error
        self._warn(where + re.sub(r"\d+", "", str(error)), f"{where}: {error}; ignored")

    def _warn(self, key, message):
        """Says each thing once."""
        with self._lock:
            if key in self._warned or len(self._warned) >= _MOST_WARNINGS:
                return
            self._warned.add(key)
        _log.warning("dimwatch: %s", message)

    # What the sender tells, on its thread. The published dicts are replaced, never changed.

    def _on_run(self, run):
        for estimate in run.latest_estimates:
            self._on_estimate(estimate)
        for estimate in run.latest_attention:
            self._on_attention(estimate)
        for signal in run.signals:
            self._on_signal(signal)
        self._on_decision(run.decision)

    def _on_estimate(self, message):
        self.estimates = {**self.estimates, message.probe: Estimate._from_proto(message)}

    def _on_attention(self, message):
        self.attention = {
            **self.attention, message.probe: AttentionEstimate._from_proto(message)}

    def _on_signal(self, message):
        signal = Signal._from_proto(message)
        self.signals = {**self.signals, (signal.probe, signal.signal): signal}

    def _on_decision(self, message):
        if message.verdict:
            self.decision = Decision._from_proto(message)

    def _on_nack(self, nack):
        self._nacked += 1
        self._warn(f"nack {nack.code} {nack.field}", f"the server rejected an item: {nack.message}")

    def _on_connected(self):
        self._was_connected = True

    def _on_disconnected(self, reason):
        state = "lost" if self._was_connected else "could not be reached"
        self._warn(f"disconnected {state}",
                   f"{self.server} {state} ({reason}); training goes on, and so do the attempts")

    def _on_refused(self, reason):
        self._warn("refused", f"{reason}; run {self.id} is not watched any more")


_DISABLED = Run(strict=False, max_queue_bytes=0)
_DISABLED._disable()


def _address(server):
    if server is None:
        return os.environ.get("DIMWATCH_SERVER") or DEFAULT_SERVER
    if server is False:
        return None
    if not isinstance(server, str):
        raise TypeError(f"server must be host:port or False, got {server!r}")
    return server


def _new_id(name):
    slug = re.sub(r"[^A-Za-z0-9._-]+", "-", str(name or "run"))[:80]
    return f"{slug}-{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


def _user():
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def _flush_at_exit():
    """The run goes on on the server: the job may come back. finish() ends it."""
    deadline = time.monotonic() + _EXIT_SECONDS
    for run in list(_live_runs):
        run._disabled = True
        if run._recorder:
            run._recorder.close(deadline - time.monotonic())
        if run._sender:
            if not run._outbox.wait_empty(max(0, deadline - time.monotonic())):
                _log.warning("dimwatch: run %s: what %s did not take in time is lost",
                             run.id, run.server)
            run._sender.stop()


def _disable_in_child():
    """A forked child has none of our threads: the parent alone reports."""
    for run in list(_live_runs):
        run._disabled = True
        _channel.leave_alone(run)
    _live_runs.clear()


atexit.register(_flush_at_exit)
os.register_at_fork(after_in_child=_disable_in_child)
