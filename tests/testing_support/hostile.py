"""Servers that a client has to survive, each on a free port of the loopback.

Each is a context manager made with a folder for its files. `address` is HOST:PORT. The trouble that
comes while a job trains begins with `worsen()` and ends with `mend()`; what is trouble from the
start does nothing there.
"""

import os
import random
import signal
import socket
import threading
import time

from testing_support.processes import Server

_PREFACE = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"  # an empty SETTINGS frame of HTTP/2


class Trouble:
    """A healthy address, as far as this class goes."""

    address = None
    prefix = ()  # a command that runs a program where it reaches the address

    def __init__(self, folder):
        self.folder = folder

    def worsen(self):
        pass

    def mend(self):
        pass

    def close(self):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Dead(Trouble):
    """Nothing listens; the port stays taken, so that nobody else does."""

    def __init__(self, folder):
        super().__init__(folder)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self):
        self._socket.close()


class _Listening(Trouble):
    """Accepts connections and hands each, with its number, to `serve` on a thread of its own."""

    def __init__(self, folder):
        super().__init__(folder)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections = []
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._start(self._accept)

    def serve(self, connection, number):
        raise NotImplementedError

    def close(self):
        self._listener.close()
        for connection in self._connections:
            _shut(connection)

    def _accept(self):
        try:
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                self._start(self._serve, connection, len(self._connections))
        except OSError:
            pass  # closed

    def _serve(self, connection, number):
        try:
            self.serve(connection, number)
        except OSError:
            pass  # the peer, or the end of the test, closed it
        finally:
            _shut(connection)

    @staticmethod
    def _start(work, *arguments):
        threading.Thread(target=work, args=arguments, daemon=True).start()


class Hung(_Listening):
    """Accepts, reads, and never answers."""

    def serve(self, connection, number):
        while connection.recv(1 << 16):
            pass


class Garbage(_Listening):
    """Answers with what no server says: another kind with each connection, the same ones in each
    test."""

    def serve(self, connection, number):
        random_ = random.Random(number)
        kinds = [self._noise, self._http1, self._frames, self._headers, self._endless,
                 self._nothing]
        connection.recv(24)  # the client's preface
        kind = kinds[number % len(kinds)]
        if kind == self._headers:  # as the answer to a call
            connection.sendall(_PREFACE)
            connection.recv(200, socket.MSG_WAITALL)
        for piece in kind(random_):
            connection.sendall(piece)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 16):
            pass

    @staticmethod
    def _noise(random_):
        yield random_.randbytes(1 << 16)

    @staticmethod
    def _http1(_):
        yield b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"

    @staticmethod
    def _frames(random_):
        yield _PREFACE
        for _ in range(50):
            payload = random_.randbytes(random_.randrange(200))
            yield _frame(random_.randrange(12), random_.randrange(256), random_.randrange(8),
                         payload)

    @staticmethod
    def _headers(_):
        yield _frame(type=1, flags=4, stream=1, payload=b"\x08\x01x")  # ":status: x"

    @staticmethod
    def _endless(random_):
        yield _PREFACE
        yield _frame(type=0, flags=0, stream=1, payload=b"", length=(1 << 24) - 1)
        for _ in range(64):
            yield random_.randbytes(1 << 14)

    @staticmethod
    def _nothing(_):
        return iter(())


class Healthy(Trouble):
    """A real server."""

    def __init__(self, folder):
        super().__init__(folder)
        self.server = Server(folder)
        self.address = self.server.grpc

    def close(self):
        self.server.process.kill()
        self.server.stop()


class Restarting(Healthy):
    """A real server that dies by kill -9 and comes back on the same data folder and port."""

    def worsen(self):
        self.server.process.kill()
        self.server.stop()

    def mend(self):
        port = self.address.rpartition(":")[2]
        self.server = Server(self.folder, grpc_port=port)


class Frozen(Healthy):
    """A real server that takes a run and then stands still, its connections open."""

    def worsen(self):
        os.kill(self.server.process.pid, signal.SIGSTOP)


class Slow(_Listening):
    """A real server behind a wire that carries a few bytes at a time."""

    _BYTES, _SECONDS = 64, 0.01

    def __init__(self, folder):
        self._healthy = Healthy(folder)
        super().__init__(folder)

    def serve(self, connection, number):
        host, _, port = self._healthy.address.rpartition(":")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.create_connection((host, int(port))) as upstream:
            self._connections.append(upstream)
            self._start(self._serve_back, upstream, connection)
            self._carry(connection, upstream)

    def close(self):
        super().close()
        self._healthy.close()

    def _serve_back(self, upstream, connection):
        try:
            self._carry(upstream, connection)
        except OSError:
            _shut(connection)

    def _carry(self, source, sink):
        while piece := source.recv(self._BYTES):
            sink.sendall(piece)
            time.sleep(self._SECONDS)


TROUBLES = [Dead, Hung, Slow, Garbage, Restarting, Frozen]


def _frame(type, flags, stream, payload, length=None):
    """A frame of HTTP/2, whether it makes sense or not."""
    length = len(payload) if length is None else length
    return length.to_bytes(3, "big") + bytes([type, flags]) + stream.to_bytes(4, "big") + payload


def _shut(connection):
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # not connected any more
    connection.close()
