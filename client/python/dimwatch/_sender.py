"""The thread that talks to the server: creates the run, streams, reconnects, finishes."""

import random
import threading
import time

import grpc

from dimwatch.v1 import ingest_pb2, ingest_pb2_grpc, run_pb2, run_pb2_grpc

_CALL_SECONDS = 10
# Sent items without any answer for this long: the server hangs, or the network lost us.
_SILENCE_SECONDS = 60
_FIRST_BACKOFF, _LAST_BACKOFF, _FINISH_BACKOFF = 0.1, 15.0, 0.5
_random = random.Random()  # the global generator is the training's
_Code = grpc.StatusCode
_PERMANENT = {
    _Code.INVALID_ARGUMENT, _Code.ALREADY_EXISTS, _Code.FAILED_PRECONDITION, _Code.ABORTED,
    _Code.UNAUTHENTICATED, _Code.PERMISSION_DENIED, _Code.UNIMPLEMENTED}


class Refused(Exception):
    """The server will not take this run, now or later."""


class Sender:
    """Owns the connection of one run; `open_channel` makes one. `run` is told what arrives through
    its _on_... methods, on the sender's thread."""

    def __init__(self, open_channel, create_request, outbox, run):
        self._open_channel, self._outbox, self._run = open_channel, outbox, run
        self._create_request = create_request
        self._epoch = time.time_ns()
        self._session = None
        self._deadline = None  # of finishing, on the monotonic clock
        self._finish_request = None
        self._stopped = threading.Event()
        self._wake = threading.Event()
        self._connected = False
        self.error = None  # why nothing is sent any more, or what the last attempt met
        self._thread = threading.Thread(target=self._loop, name="dimwatch-sender", daemon=True)
        self._thread.start()

    @property
    def connected(self):
        return self._connected

    def finish(self, failed, timeout):
        """Sends what is left, then ends the run. True if the server confirmed within `timeout`."""
        self._finish_request = run_pb2.FinishRunRequest(
            run_id=self._create_request.run.run_id, failed=failed)
        self._deadline = time.monotonic() + timeout
        self._outbox.close()
        self._wake.set()
        try:
            self._stopped.wait(timeout)
        finally:
            self.stop()
        return self._finish_request is None

    def describe_error(self):
        """What the last attempt met, in words."""
        return _describe(self.error)

    def stop(self):
        """Gives up what was not sent. The thread ends by itself."""
        self._stopped.set()
        self._wake.set()
        session = self._session
        if session is not None:
            session.end()
        self._outbox.clear()

    def _loop(self):
        backoff = _FIRST_BACKOFF
        while not self._stopped.is_set():
            try:
                with self._open_channel() as channel:
                    if self._serve(channel):
                        break
            except Refused as error:
                self.error = error
                self._run._on_refused(str(error))
                self._outbox.clear()
                break
            except Exception as error:  # no connection, a bad certificate, an answer without sense
                self.error = error
            if self._stopped.is_set():
                break
            if self._connected:
                self._connected, backoff = False, _FIRST_BACKOFF
            self._run._on_disconnected(_describe(self.error))
            most = _LAST_BACKOFF if self._deadline is None else _FINISH_BACKOFF
            self._pause(min(backoff, most) * _random.uniform(0.5, 1))
            backoff = min(backoff * 2, _LAST_BACKOFF)
        self._stopped.set()

    def _pause(self, seconds):
        """Waits before the next attempt; finishing the run cuts this short once."""
        self._wake.wait(seconds)
        self._wake.clear()

    def _serve(self, channel):
        """One connection, to its end. True when the run is finished."""
        runs = run_pb2_grpc.RunServiceStub(channel)
        self._create(runs)
        self._stream(ingest_pb2_grpc.IngestServiceStub(channel))
        if self._finish_request is None or not self._outbox.wait_empty(0):
            return False
        seconds = max(0.1, self._deadline - time.monotonic())
        self._run._on_run(_call(runs.FinishRun, self._finish_request, seconds).run)
        self._finish_request = None
        return True

    def _create(self, runs):
        request = run_pb2.CreateRunRequest()
        request.CopyFrom(self._create_request)
        request.run.config.probes.extend(self._run._declared())
        self._run._on_run(_call(runs.CreateRun, request, _CALL_SECONDS).run)

    def _stream(self, ingest):
        session = _Session(self._outbox, self._create_request.run.run_id, self._epoch)
        self._session = session
        try:
            session.start(ingest)
            watchdog = threading.Thread(target=self._watch, args=(session,), daemon=True)
            watchdog.start()
            for response in session.call:
                session.heard = time.monotonic()
                self._handle(response)
        except grpc.RpcError as error:
            # NOT_FOUND: the server lost the run; the next connection creates it again.
            if error.code() in _PERMANENT and not self._stopped.is_set():
                raise Refused(f"the server ended the run's stream: {error.details()}") from error
            raise
        finally:
            self._session = None
            session.end()

    def _watch(self, session):
        """Ends a session in which nothing comes back for what was sent."""
        while not session.over.wait(1):
            silence = time.monotonic() - session.heard
            if session.welcomed and not self._outbox.in_flight:
                session.heard = time.monotonic()
            elif silence > (_SILENCE_SECONDS if session.welcomed else _CALL_SECONDS):
                session.end()

    def _handle(self, response):
        kind = response.WhichOneof("event")
        if kind == "welcome":
            self._connected = self._session.welcomed = True
            self._run._on_connected()
            self._run._on_decision(response.welcome.decision)
            self._outbox.open(response.welcome.resume_seq, response.welcome.max_batch_bytes)
        elif kind == "ack":
            self._outbox.release(response.ack.durable_seq)
        elif kind == "draining":
            self._outbox.pause()
        elif kind is not None:
            getattr(self._run, f"_on_{kind}")(getattr(response, kind))


class _Session:
    """One ingest stream."""

    def __init__(self, outbox, run_id, epoch):
        self._outbox = outbox
        self._hello = ingest_pb2.Hello(run_id=run_id, session_epoch=epoch)
        self._run_id = run_id
        self.over = threading.Event()
        self.heard = time.monotonic()
        self.call = None
        self.welcomed = False

    @property
    def ended(self):
        return self.over.is_set()

    def start(self, ingest):
        # Load balancers send all of a run to one server by this key.
        self.call = ingest.Ingest(self._messages(), metadata=(("dimwatch-run", self._run_id),))

    def end(self):
        self.over.set()
        self._outbox.pause()
        if self.call is not None:
            self.call.cancel()

    def _messages(self):
        yield ingest_pb2.IngestRequest(hello=self._hello)
        while (message := self._outbox.take(self)) is not None:
            yield message


def _call(method, request, seconds):
    try:
        return method(request, timeout=seconds)
    except grpc.RpcError as error:
        if error.code() in _PERMANENT:
            raise Refused(f"the server refused the run: {error.details()}") from error
        raise


def _describe(error):
    if isinstance(error, grpc.RpcError):
        return f"{error.code().name}: {error.details()}"
    return str(error or "no answer in time")
