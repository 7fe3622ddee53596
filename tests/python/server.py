"""A real dimwatch-server for a test."""

import re
import select
import socket
import subprocess
import time

_READY = re.compile(r"dimwatch-server ready grpc=(\S+) http=(\S+)")
_START_SECONDS = 30


class Server:
    """Starts, kills and restarts a server on the same address and data folder."""

    def __init__(self, binary, data_folder, start=True):
        self._binary, self._data_folder = str(binary), str(data_folder)
        self._process = None
        self.grpc, self.http = f"127.0.0.1:{free_port()}", None
        if start:
            self.start()

    def start(self):
        """Returns when the server says that it is ready."""
        self._process = subprocess.Popen(
            [self._binary, "--listen", self.grpc, "--http", "127.0.0.1:0",
             "--data-dir", self._data_folder],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0)
        output, deadline = "", time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not select.select([self._process.stdout], [], [], 0.1)[0]:
                continue
            # Unbuffered: select knows nothing of lines that Python has read ahead.
            line = self._process.stdout.readline().decode()
            output += line
            if ready := _READY.search(line):
                self.grpc, self.http = ready.groups()
                return
            if not line:
                break
        self.kill()
        raise RuntimeError(f"{self._binary} did not become ready:\n{output}")

    def kill(self):
        """kill -9."""
        self._process.kill()
        self._process.communicate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process is not None and self._process.poll() is None:
            self.kill()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
