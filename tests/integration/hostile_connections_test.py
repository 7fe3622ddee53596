"""Clients that abuse HTTP/2 at the gRPC port, or HTTP: others are served to the end meanwhile, the
server's memory stays within bounds and comes back, as do its descriptors, and it stops when told."""

import http.client
import itertools
import os
import re
import threading
import time
from pathlib import Path

import grpc
import pytest

from client import Client
from dimwatch.v1 import ingest_pb2, query_pb2, run_pb2
from testing_support import http2
from testing_support.http2 import Connection, fields, frame, message, setting
from testing_support.processes import BUILD, Program, Server, wait_until

BATCHES = 12
LIST = "dimwatch.v1.RunService/ListRuns"
INGEST = "dimwatch.v1.IngestService/Ingest"
HEALTH = "grpc.health.v1.Health/Check"
WATCH = "dimwatch.v1.QueryService/WatchRun"
LIST_ESTIMATES = "dimwatch.v1.QueryService/ListEstimates"
NO_WINDOW = setting(http2.INITIAL_WINDOW_SIZE, 0)
MIB = 1 << 20
CLOSED = "a connection that abandons calls by the thousand is closed"


class Usage:
    """What a process holds now, and at most since its last mark."""

    def __init__(self, pid):
        self._folder = Path(f"/proc/{pid}")

    def _status(self, name):
        return int(re.search(rf"^{name}:\s+(\d+) kB$", (self._folder / "status").read_text(), re.M)[1]) * 1024

    def bytes(self):
        return self._status("VmRSS")

    def peak(self):
        return self._status("VmHWM")

    def mark(self):
        (self._folder / "clear_refs").write_text("5")

    def sockets(self):
        return sum(self._is_socket(one) for one in (self._folder / "fd").iterdir())

    @staticmethod
    def _is_socket(one):
        try:
            return os.readlink(one).startswith("socket:")
        except FileNotFoundError:
            return False  # closed in the meantime


def serve(address, run_id):
    """A job that does everything right, from its creation to its last estimate."""
    with Client(address) as client:
        client.create(run_id)
        stream = client.open(run_id)
        for seq in range(1, BATCHES + 1):
            stream.samples(seq, 10 * seq)
            assert stream.estimate(10 * seq).HasField("mean")
        stream.durable(BATCHES)
        stream.half_close()
        assert stream.end()[0] == grpc.StatusCode.OK
        assert len(client.estimates(run_id)) == BATCHES


class Siege:
    """Runs `attack(address, underway, stop)` beside a job, and compares what the server holds."""

    def __init__(self, server):
        self.server = server
        self.usage = Usage(server.process.pid)
        serve(server.grpc, "before")

    def run(self, name, attack, peak_mib, address=None, threads=1, after_mib=700):
        underway, stop, failures = threading.Barrier(threads + 1), threading.Event(), []

        def work():
            try:
                attack(address or self.server.grpc, lambda: underway.wait(60), stop)
            except BaseException as error:
                failures.append(error)
                underway.abort()
                raise

        held, sockets = self.usage.bytes(), self.usage.sockets()
        self.usage.mark()
        attackers = [threading.Thread(target=work) for _ in range(threads)]
        for attacker in attackers:
            attacker.start()
        try:
            underway.wait(60)
            during = self.usage.sockets()
            serve(self.server.grpc, "during")
        finally:
            stop.set()
            for attacker in attackers:
                attacker.join()
        assert not failures
        peak = self.usage.peak()
        wait_until("the connections are closed", lambda: self.usage.sockets() <= sockets, 60)
        serve(self.server.grpc, "after")
        wait_until("memory comes back", lambda: self.usage.bytes() - held < after_mib * MIB, 60)
        print(
            f"{name}: {held / MIB:.0f} MiB and {sockets} sockets before, at most {peak / MIB:.0f} MiB "
            f"and {during} under way, {self.usage.bytes() / MIB:.0f} MiB and {self.usage.sockets()} after"
        )
        assert peak - held < peak_mib * MIB
        assert self.server.alive() and self.server.stop() == 0


class LimitedServer(Server):
    """One that may open only so many descriptors."""

    def __init__(self, folder, descriptors):
        shell = ["bash", "-c", f'ulimit -n {descriptors}; exec "$@"', "bash"]
        addresses = ["--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"]
        Program.__init__(
            self,
            [*shell, BUILD / "bin/dimwatch-server", *addresses, "--data-dir", folder / "data"],
            folder / "server.log",
        )
        self.await_ready()


@pytest.fixture()
def siege(server):
    return Siege(server)


def call(stream, method, payload=None):
    """The frames of one call; without a payload its end never comes."""
    block = http2.request(method)
    head = frame(http2.HEADERS, http2.END_HEADERS, stream, block)
    return head if payload is None else head + frame(http2.DATA, http2.END_STREAM, stream, payload)


@pytest.mark.parametrize("payload", [None, message(b"")], ids=["begun", "whole"])
def test_calls_that_are_reset_at_once(siege, payload):
    """CVE-2023-44487: they count as no stream of the connection's limit. As fast as they can be sent,
    over connections that are opened again whenever they are closed."""
    reset = (http2.CANCEL).to_bytes(4, "big")

    def attack(address, underway, stop):
        underway()
        closed = 0
        deadline = time.monotonic() + 60

        def over():  # every one of them is closed sooner or later, a first job may be quicker than that
            return (stop.is_set() and closed > 0) or time.monotonic() > deadline

        while not over():
            try:
                with Connection(address) as connection:
                    connection.send(frame(http2.SETTINGS, http2.ACK))
                    while not over():
                        streams = [connection.next_stream() for _ in range(500)]
                        connection.send(
                            b"".join(
                                call(s, LIST, payload) + frame(http2.RST_STREAM, 0, s, reset) for s in streams
                            )
                        )
            except OSError:
                closed += 1
        assert closed > 0
        assert CLOSED in siege.server.output()

    siege.run("reset flood", attack, peak_mib=2000, threads=4, after_mib=100)


def test_calls_that_are_answered_close_no_connection(server):
    """However many they are, nor those that are given up as a job's may be."""
    with Client(server.grpc) as client:
        client.create()
        for _ in range(30):
            asked = [client.runs.ListRuns.future(run_pb2.ListRunsRequest()) for _ in range(200)]
            cancelled = [client.queries.WatchRun(query_pb2.WatchRunRequest(run_id="r")) for _ in range(20)]
            for one in cancelled:
                one.cancel()
            assert all(len(one.result().runs) == 1 for one in asked)
    assert CLOSED not in server.output()


def test_streams_that_say_nothing(siege):
    """gRPC holds only those to its limit who acknowledge its settings, and these do not."""

    def attack(address, underway, stop):
        connections = [Connection(address) for _ in range(20)]
        for connection in connections:
            connection.send(b"".join(call(connection.next_stream(), INGEST) for _ in range(1000)))
        underway()
        stop.wait()
        for connection in connections:
            connection.close()

    siege.run("idle streams", attack, peak_mib=700)


@pytest.mark.parametrize("greet", [True, False], ids=["greeting", "silent"])
def test_connections_that_say_nothing(siege, greet):
    def attack(address, underway, stop):
        connections = [Connection(address, greet=greet) for _ in range(2000)]
        underway()
        stop.wait()
        for connection in connections:
            connection.close()

    siege.run("idle connections", attack, peak_mib=200)


def test_more_connections_than_the_server_has_descriptors(tmp_path):
    """CVE-2023-4785: gRPC by itself never accepts again after this."""
    with LimitedServer(tmp_path, 256) as server:
        siege = Siege(server)
        with Client(server.grpc) as client:  # connected before
            client.create("earlier")

            def attack(address, underway, stop):
                connections = [Connection(address) for _ in range(400)]
                closed = wait_until("some are refused", lambda: sum(c.frames() is None for c in connections))
                assert 100 < closed < 300
                assert len(client.runs.ListRuns(run_pb2.ListRunsRequest()).runs) == 2
                for connection in connections:
                    connection.close()
                underway()

            siege.run("too many connections", attack, peak_mib=200)
        assert "connections are refused" in server.output()


def test_messages_that_never_end(siege):
    """gRPC reads a message before the token can be looked at."""
    begun = message(b"x" * (4 * MIB - 70_000), declared=30 * MIB)

    def attack(address, underway, stop):
        connections = [Connection(address) for _ in range(160)]
        frames = [begun[i : i + 16_384] for i in range(0, len(begun), 16_384)]
        data = call(1, HEALTH) + b"".join(frame(http2.DATA, 0, 1, part) for part in frames)
        for connection in connections:
            connection.frames(0.1)  # the server's settings: windows of 4 MiB
            connection.send(frame(http2.SETTINGS, http2.ACK))
            connection.socket.settimeout(0.5)
            try:
                connection.send(data)
            except OSError:
                pass  # the server reads no further, or has had enough
        underway()
        stop.wait()
        for connection in connections:
            connection.close()

    siege.run("endless messages", attack, peak_mib=580)


def test_a_message_of_4_gib_is_refused_at_its_head(siege):
    def attack(address, underway, stop):
        with Connection(address) as connection:
            connection.send(call(1, LIST, message(b"", declared=0xFFFFFFFF)))
            wait_until("it is refused", lambda: answered(connection, 1))
            underway()

    siege.run("4 GiB", attack, peak_mib=100)


def answered(connection, stream):
    """Whether the stream, or the connection, has an end by now."""
    frames = connection.frames(0.1)
    return frames is None or any(
        one == stream and (kind == http2.RST_STREAM or (kind == http2.HEADERS and flags & http2.END_STREAM))
        for kind, flags, one, _ in frames
    )


def test_headers_that_go_on_and_on(siege):
    """CVE-2024-27316 and its like: CONTINUATION upon CONTINUATION. gRPC 1.51 bounds a frame of
    headers and not their sum: what they take is the connection's, and goes with it."""
    many = 16 * frame(http2.CONTINUATION, 0, 1, fields((f"x-{i}", "y" * 100) for i in range(120)))

    def attack(address, underway, stop):
        connections = [Connection(address) for _ in range(4)]
        for connection in connections:
            connection.send(frame(http2.HEADERS, 0, 1, http2.request(LIST)))
            for _ in range(16):
                connection.send(many)
        underway()
        stop.wait()
        for connection in connections:
            connection.close()

    siege.run("headers", attack, peak_mib=200)


def test_a_frame_of_headers_beyond_the_limit_costs_its_stream_or_connection(siege):
    large = fields([("x", "y" * 5000)])  # entered in the table, then named again and again
    entered = b"\x40" + large[1:]

    def attack(address, underway, stop):
        for _ in range(20):
            with Connection(address) as connection:
                connection.frames(1)
                connection.send(frame(http2.SETTINGS, http2.ACK))
                block = http2.request(LIST) + entered + b"\xbe" * 8000
                connection.send(frame(http2.HEADERS, http2.END_HEADERS, 1, block))
                wait_until("it is refused", lambda: answered(connection, 1))
        underway()

    siege.run("one frame of 40 MB of headers", attack, peak_mib=200)


def test_settings_and_pings_that_nobody_asked_for(siege):
    """CVE-2019-9512 and 9515: every one wants an answer, and no answer is read."""
    flood = 2000 * (frame(http2.SETTINGS) + frame(http2.PING, 0, 0, bytes(8)))

    def attack(address, underway, stop):
        for _ in range(10):
            with Connection(address) as connection:
                connection.socket.settimeout(2)
                try:
                    for _ in range(50):
                        connection.socket.sendall(flood)
                except OSError:
                    pass
        underway()

    siege.run("settings and pings", attack, peak_mib=200)


@pytest.mark.parametrize("method", [WATCH, LIST_ESTIMATES, INGEST])
def test_readers_that_never_read(siege, method):
    """With a window of 0 an answer stays with the server."""
    asked = {
        WATCH: query_pb2.WatchRunRequest(run_id="before"),
        LIST_ESTIMATES: query_pb2.ListEstimatesRequest(run_id="before"),
        INGEST: ingest_pb2.IngestRequest(hello=ingest_pb2.Hello(run_id="idle", session_epoch=1)),
    }[method]

    def attack(address, underway, stop):
        with Client(address) as client:
            client.create("idle")
        connections = [Connection(address, settings=NO_WINDOW) for _ in range(4)]
        payload = message(asked.SerializeToString())
        for connection in connections:
            connection.send(b"".join(call(connection.next_stream(), method, payload) for _ in range(200)))
        underway()
        stop.wait()
        for connection in connections:
            connection.close()

    siege.run("readers", attack, peak_mib=300)


def test_senders_that_take_their_time(siege):
    """A byte at a time, of the greeting and of the headers."""

    def attack(address, underway, stop):
        connections = [Connection(address, greet=False) for _ in range(50)]
        greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(http2.SETTINGS) + call(1, LIST)
        for i in range(len(greeting) - 1):
            for connection in connections[: 1 + 49 * (i < 40)]:
                connection.send(greeting[i : i + 1])
        underway()
        stop.wait()
        for connection in connections:
            connection.close()

    siege.run("slow senders", attack, peak_mib=100)


def ready(server):
    """What /readyz answers over a connection of its own."""
    host, port = server.http.rsplit(":", 1)
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().read()
    finally:
        connection.close()


def test_http_requests_that_come_byte_by_byte(siege):
    """More of them than threads; each is given up, however it is spread."""

    def attack(address, underway, stop):
        connections = [Connection(address, greet=False) for _ in range(60)]
        underway()
        for letter in itertools.cycle(b"GET /metrics HTTP/1.1\r\nX: " + 1000 * b"y"):
            for connection in connections:
                try:
                    connection.send(bytes([letter]))
                except OSError:
                    return  # given up
            if stop.wait(0.1):
                break
        assert ready(siege.server) == b"ready\n"

    siege.run("slow HTTP requests", attack, peak_mib=100, address=siege.server.http)


def test_http_connections_that_say_nothing(siege):
    def attack(address, underway, stop):
        connections = [Connection(address, greet=False) for _ in range(500)]
        underway()
        assert ready(siege.server) == b"ready\n"
        stop.wait()
        for connection in connections:
            connection.close()

    siege.run("idle HTTP connections", attack, peak_mib=100, address=siege.server.http)


def test_http_headers_that_are_too_large_are_refused(siege):
    def attack(address, underway, stop):
        for header in (b"X: " + 20_000 * b"y", b"\r\n".join(b"X-%d: y" % i for i in range(100_000))):
            with Connection(address, greet=False) as connection:
                try:
                    connection.send(b"GET / HTTP/1.1\r\n" + header + b"\r\n\r\n")
                except OSError:
                    pass
                try:
                    reply = connection.socket.recv(100)
                except ConnectionError:
                    reply = b""
                assert not reply or reply.split()[1] in (b"400", b"414", b"431"), reply
        underway()

    siege.run("large HTTP headers", attack, peak_mib=100, address=siege.server.http)
