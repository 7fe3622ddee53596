"""HTTP/2 by hand, as RFC 9113 has it, for clients that no library lets one be."""

import socket
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0x0, 0x1, 0x3, 0x4, 0x6, 0x7, 0x8, 0x9,
)  # fmt: skip
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
INITIAL_WINDOW_SIZE = 0x4
CANCEL = 0x8


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _text(text, prefix_bits=7):
    """A string of RFC 7541, section 5.2, without Huffman's code."""
    text = text.encode() if isinstance(text, str) else text
    most = (1 << prefix_bits) - 1
    if len(text) < most:
        return bytes([len(text)]) + text
    out, left = bytearray([most]), len(text) - most
    while left >= 128:
        out.append(left % 128 + 128)
        left //= 128
    return bytes(out) + bytes([left]) + text


def fields(pairs):
    """Header fields that no table is to hold (RFC 7541, section 6.2.2)."""
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in pairs)


def request(method, more=()):
    """The header block of a call of `method` ("dimwatch.v1.RunService/ListRuns")."""
    usual = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", f"/{method}"),
        (":authority", "localhost"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
    return fields([*usual, *more])


def message(payload, declared=None):
    """A gRPC message, or the beginning of one that is declared to be longer."""
    return struct.pack(">BI", 0, len(payload) if declared is None else declared) + payload


class Connection:
    """One connection. Streams of a client are odd and grow."""

    def __init__(self, address, settings=b"", greet=True):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        self.stream = -1
        self._received = b""
        if greet:
            self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, payload=settings))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def next_stream(self):
        self.stream += 2
        return self.stream

    def call(self, method, payload=None, more=(), end=True):
        """Begins a call and returns its stream; with a payload, also sends that as one message."""
        stream = self.next_stream()
        data = frame(HEADERS, END_HEADERS, stream, request(method, more))
        if payload is not None:
            data += frame(DATA, END_STREAM if end else 0, stream, payload)
        self.send(data)
        return stream

    def frames(self, seconds=0.0):
        """What has come, as (kind, flags, stream, payload), waiting at most so long for some;
        None once the server has closed the connection."""
        self.socket.settimeout(max(seconds, 1e-9))
        try:
            data = self.socket.recv(1 << 20)
            if not data:
                return None
            self._received += data
        except (TimeoutError, BlockingIOError):
            pass
        except ConnectionError:
            return None
        finally:
            self.socket.settimeout(30)
        whole = []
        while len(self._received) >= 9:
            size = int.from_bytes(self._received[:3], "big")
            if len(self._received) < 9 + size:
                break
            kind, flags, stream = struct.unpack(">BBI", self._received[3:9])
            whole.append((kind, flags, stream, self._received[9 : 9 + size]))
            self._received = self._received[9 + size :]
        return whole


def setting(name, value):
    return struct.pack(">HI", name, value)
