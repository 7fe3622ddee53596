"""Encryption of gRPC with real certificates: who is believed, who is let in, and what a reload does."""

import shutil
import signal
import ssl
import subprocess

import grpc
import pytest

import dimwatch.query
from client import Stream
from dimwatch._channel import Credentials
from dimwatch.v1 import query_pb2, query_pb2_grpc, run_pb2, run_pb2_grpc
from testing_support.certificates import Authority
from testing_support.processes import BUILD, Server, wait_until


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory):
    """Signs certificates that nobody here believes."""
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


class Files:
    """The server's certificate and key, at paths that stay."""

    def __init__(self, folder):
        self.certificate, self.key = folder / "server.pem", folder / "server.key"
        self.options = ["--tls-certificate", self.certificate, "--tls-key", self.key]

    def put(self, signed):
        shutil.copy(signed[0], self.certificate)
        shutil.copy(signed[1], self.key)


@pytest.fixture()
def files(tmp_path, authority):
    made = Files(tmp_path)
    made.put(authority.sign("server"))
    return made


def ask(server, seconds=10, **credentials):
    """GetServerInfo over a connection of its own."""
    with Credentials(**credentials).open_channel(server) as channel:
        stub = query_pb2_grpc.QueryServiceStub(channel)
        return stub.GetServerInfo(query_pb2.GetServerInfoRequest(), timeout=seconds)


def fails(server, **credentials):
    with pytest.raises(grpc.RpcError) as error:
        ask(server, **credentials)
    return error.value.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


def certificate_of(server):
    """What the server shows now, in PEM."""
    host, port = server.grpc.rsplit(":", 1)
    return ssl.get_server_certificate((host, int(port)))


def reload(server):
    before = server.output().count("certificates read again")
    server.process.send_signal(signal.SIGHUP)
    wait_until("it was read", lambda: server.output().count("certificates read again") > before)


def test_only_those_who_believe_the_authority_talk_to_the_server(tmp_path, files, authority, stranger):
    with Server(tmp_path, *files.options) as server:
        assert ask(server.grpc, tls_roots=authority.roots).version
        assert ask("https://" + server.grpc, tls_roots=authority.roots).version
        assert fails(server.grpc, tls_roots=stranger.roots)
        assert fails("https://" + server.grpc), "the system does not know this authority"
        assert fails(server.grpc), "plain text is not answered"
        assert 'info security tokens="not used" tls=on remote_allowed=no' in server.output()


def test_the_log_warns_of_a_server_that_anybody_may_reach(tmp_path):
    with Server(tmp_path, "--insecure-allow-remote") as server:
        assert 'warning security tokens="not used" tls=off remote_allowed=yes' in server.output()


def test_a_server_that_wants_certificates_lets_in_only_those_with_one(tmp_path, files, authority, stranger):
    ours, theirs = authority.sign("job"), stranger.sign("job")
    with Server(tmp_path, *files.options, "--tls-client-roots", authority.roots) as server:
        known = dict(tls_client_certificate=ours[0], tls_client_key=ours[1])
        assert ask(server.grpc, tls_roots=authority.roots, **known).version
        assert fails(server.grpc, tls_roots=authority.roots)
        assert fails(server.grpc, tls_roots=authority.roots,
                     tls_client_certificate=theirs[0], tls_client_key=theirs[1])
        command = [BUILD / "bin/dimwatch", "runs", "--server", server.grpc, "--tls-roots", authority.roots]
        words = ["--tls-client-certificate", ours[0], "--tls-client-key", ours[1]]
        assert subprocess.run([*command, *words], capture_output=True, timeout=60).returncode == 0
        assert subprocess.run(command, capture_output=True, timeout=60).returncode == 1


def test_a_reload_takes_new_certificates_and_keeps_open_streams(tmp_path, files, authority):
    with Server(tmp_path, *files.options) as server:
        before = certificate_of(server)
        with Credentials(tls_roots=authority.roots).open_channel(server.grpc) as channel:
            runs = run_pb2_grpc.RunServiceStub(channel)
            runs.CreateRun(run_pb2.CreateRunRequest(run=run_pb2.Run(run_id="r", project="p")))
            stream = Stream(channel, "r", 1)
            stream.welcome()
            files.put(authority.sign("server-2"))
            assert certificate_of(server) == before, "not before it is told"
            reload(server)
            assert certificate_of(server) == files.certificate.read_text() != before
            stream.scalars(1, 1, loss=1.0)
            stream.durable(1)
        assert ask(server.grpc, tls_roots=authority.roots).version


def test_a_reload_of_what_does_not_fit_changes_nothing(tmp_path, files, authority):
    with Server(tmp_path, *files.options) as server:
        before = certificate_of(server)
        good_key = files.key.read_text()
        for break_it, word in (
            (lambda: shutil.copy(authority.sign("half")[0], files.certificate), "is not the key of"),
            (lambda: files.key.write_text(""), "empty"),
            (lambda: files.key.write_text(good_key[:80]), "no private key"),
            (lambda: files.certificate.unlink(), "cannot be read"),
        ):
            break_it()
            reload(server)
            assert word in server.output()
            assert certificate_of(server) == before
        assert "PRIVATE" not in server.output() and good_key.splitlines()[1] not in server.output()
        files.put(authority.sign("mended"))
        reload(server)
        assert certificate_of(server) == files.certificate.read_text()


def test_a_server_does_not_start_with_certificates_that_cannot_work(tmp_path, files, authority):
    def error(*options):
        command = [BUILD / "bin/dimwatch-server", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0",
                   "--data-dir", tmp_path / "data", *files.options, *options]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        return done.stderr

    assert "none.pem' cannot be read" in error("--tls-client-roots", tmp_path / "none.pem")
    assert "no certificate in PEM form" in error("--tls-client-roots", files.key)
    files.put(authority.sign("expired", days=-1))
    assert "is valid from" in error()


def test_a_job_is_watched_over_mutual_tls_with_a_token(tmp_path, files, authority):
    tokens = tmp_path / "tokens.json"
    token = subprocess.run(
        [BUILD / "bin/dimwatch", "token", "make", "--tokens", tokens, "--project", "secure",
         "--scope", "ingest", "--scope", "read"],
        capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    certificate, key = authority.sign("job")
    options = [*files.options, "--tls-client-roots", authority.roots, "--tokens", tokens]
    with Server(tmp_path, *options) as server:
        credentials = dict(token=token, tls_roots=str(authority.roots),
                           tls_client_certificate=str(certificate), tls_client_key=str(key))
        run = dimwatch.init(project="secure", name="job", server=server.grpc, strict=True, **credentials)
        for step in range(3):
            run.log({"loss": 1.0 / (step + 1)}, step=step)
        assert run.flush(60)
        run.finish()
        assert len(dimwatch.query.history(server.grpc, run.id, **credentials).scalars["loss"]) == 3
        assert token not in server.output()


def test_a_job_in_cpp_is_watched_over_mutual_tls_with_a_token(tmp_path, files, authority):
    tokens = tmp_path / "tokens.json"
    token = subprocess.run(
        [BUILD / "bin/dimwatch", "token", "make", "--tokens", tokens, "--project", "examples",
         "--scope", "ingest"],
        capture_output=True, text=True, check=True, timeout=60).stdout.strip()
    certificate, key = authority.sign("job")
    options = [*files.options, "--tls-client-roots", authority.roots, "--tokens", tokens]
    with Server(tmp_path, *options) as server:
        def train(**changed):
            environment = dict(
                DIMWATCH_SERVER=server.grpc, DIMWATCH_TOKEN=token, DIMWATCH_TLS_ROOTS=authority.roots,
                DIMWATCH_TLS_CLIENT_CERTIFICATE=certificate, DIMWATCH_TLS_CLIENT_KEY=key)
            return subprocess.run(
                [BUILD / "bin/dimwatch_example_contraction"], capture_output=True, text=True, timeout=120,
                env={name: str(value) for name, value in {**environment, **changed}.items()})

        done = train()
        assert done.returncode == 0 and done.stdout.startswith("run example-cpp-"), done.stderr
        refused = train(DIMWATCH_TOKEN=token[:-1] + "g")
        assert refused.returncode == 1 and "is not recorded any more" in refused.stderr
        broken = train(DIMWATCH_TOKEN=token + "\n")
        assert broken.returncode == 1 and "characters" in broken.stderr and token not in broken.stderr
        unread = train(DIMWATCH_TLS_CLIENT_KEY=tmp_path / "none.key")
        assert unread.returncode == 1 and "none.key' cannot be read" in unread.stderr
        assert token not in server.output() + done.stderr + refused.stderr
