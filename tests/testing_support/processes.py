"""Real programs for tests: started on free ports, waited for with a deadline, ended by their id."""

import os
import re
import socket
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("DIMWATCH_BUILD", ROOT / "build")).resolve()


def free_port():
    """A TCP port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(what, condition, seconds=60.0, every=0.05):
    """Calls `condition` until it returns something true, and returns that; AssertionError names
    `what` after `seconds`. Exceptions of the network count as not yet."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        try:
            last = condition()
        except OSError as error:
            last = error
        if last and not isinstance(last, Exception):
            return last
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s: {what}; last: {last!r}")


class Program:
    """A child process whose output goes to a file. Ended with the `with` block."""

    def __init__(self, command, log, cwd=None, env=None):
        self.log = Path(log)
        self._output = self.log.open("ab")
        self._from = self._output.tell()
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdout=self._output,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env={**os.environ, **(env or {})},
        )

    def output(self):
        """What this process wrote; an earlier one may have used the same file."""
        return self.log.read_bytes()[self._from :].decode(errors="replace")

    def alive(self):
        return self.process.poll() is None

    def stop(self, seconds=20):
        """SIGTERM, and SIGKILL if that takes too long. Returns the exit status."""
        if self.alive():
            self.process.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._output.close()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class Server(Program):
    """dimwatch-server on free ports. `grpc` and `http` are HOST:PORT once it is made; with
    `wait=False` once await_ready has returned. `prefix`: a command that runs the server."""

    def __init__(self, folder, *options, grpc_port=0, http_port=0, wait=True, host="127.0.0.1",
                 prefix=()):
        folder = Path(folder)
        super().__init__(
            [*prefix, BUILD / "bin/dimwatch-server", "--listen", f"{host}:{grpc_port}"]
            + ["--http", f"127.0.0.1:{http_port}", "--data-dir", folder / "data", *options],
            folder / "server.log",
        )
        if wait:
            self.await_ready()

    def await_ready(self):
        try:
            ready = wait_until("the server is ready", self._ready, 60)
        except AssertionError as error:
            self.stop()
            raise AssertionError(f"{error}\n{self.output()}") from None
        self.grpc, self.http = ready.groups()

    def _ready(self):
        assert self.alive(), "the server ended"
        return re.search(r"^dimwatch-server ready grpc=(\S+) http=(\S+)$", self.output(), re.M)
