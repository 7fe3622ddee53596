"""What the log says of a request, and by which id it is found there."""

import contextlib
import http.client
import json
import subprocess

import grpc
import numpy
import pytest

from client import SECONDS, Client, cloud
from dimwatch.v1 import (
    admin_pb2,
    admin_pb2_grpc,
    config_pb2,
    estimator_pb2,
    estimator_pb2_grpc,
    ingest_pb2,
    ingest_pb2_grpc,
    query_pb2,
    query_pb2_grpc,
    run_pb2,
)
from testing_support.processes import BUILD, Server, wait_until

KEY = "x-request-id"


@contextlib.contextmanager
def serving(folder, *options):
    with Server(folder, "--log-level", "debug", "--log-format", "json", *options) as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with serving(tmp_path_factory.mktemp("logs")) as running, Client(running.grpc) as client:
        client.create("team/run")
        yield running


def lines(server):
    """Every line of the log; the line that says ready is none."""
    text = server.output().splitlines()
    return [json.loads(line) for line in text if not line.startswith("dimwatch-server ready")]


def about(server, request):
    return wait_until(
        f"the log has {request}",
        lambda: [line for line in lines(server) if line.get("request") == request],
    )


def get(server, path, method="GET", **headers):
    connection = http.client.HTTPConnection(server.http, timeout=SECONDS)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def a_unary_call(channel, metadata):
    stub = channel.unary_unary(
        "/dimwatch.v1.RunService/GetRun",
        run_pb2.GetRunRequest.SerializeToString,
        run_pb2.GetRunResponse.FromString,
    )
    return stub.with_call(run_pb2.GetRunRequest(run_id="team/run"), metadata=metadata)[1]


def a_refused_call(channel, metadata):
    stub = channel.unary_unary(
        "/dimwatch.v1.RunService/GetRun",
        run_pb2.GetRunRequest.SerializeToString,
        run_pb2.GetRunResponse.FromString,
    )
    with pytest.raises(grpc.RpcError) as error:
        stub(run_pb2.GetRunRequest(run_id="nobody"), metadata=metadata)
    return error.value


def an_ingest(channel, metadata):
    hello = ingest_pb2.IngestRequest(hello=ingest_pb2.Hello(run_id="team/run", session_epoch=1))
    call = ingest_pb2_grpc.IngestServiceStub(channel).Ingest(iter([hello]), metadata=metadata)
    assert [event.WhichOneof("event") for event in call][0] == "welcome"
    return call


def a_watch(channel, metadata):
    request = query_pb2.WatchRunRequest(run_id="nobody")
    call = query_pb2_grpc.QueryServiceStub(channel).WatchRun(request, metadata=metadata)
    with pytest.raises(grpc.RpcError):
        next(call)
    return call


def a_cloud(channel, metadata):
    rows = cloud(1)
    request = estimator_pb2.EstimateCloudRequest(
        config=config_pb2.EstimatorConfig(neighbors=16),
        dtype=ingest_pb2.DTYPE_F32,
        rows=rows.shape[0],
        dim=rows.shape[1],
        data=rows.tobytes(),
    )
    stub = estimator_pb2_grpc.EstimatorServiceStub(channel)
    return stub.EstimateCloud.with_call(iter([request]), metadata=metadata)[1]


CALLS = [a_unary_call, a_refused_call, an_ingest, a_watch, a_cloud]


@pytest.mark.parametrize("make", CALLS, ids=lambda make: make.__name__)
def test_every_kind_of_rpc_is_answered_and_logged_with_its_id(server, make):
    with grpc.insecure_channel(server.grpc) as channel:
        sent = f"ci:job-7.{make.__name__}"
        assert dict(make(channel, [(KEY, sent)]).initial_metadata())[KEY] == sent
        assert about(server, sent)
        made = {dict(make(channel, None).initial_metadata())[KEY] for _ in range(2)}
        assert len(made) == 2
        for request in made:
            assert about(server, request)


def test_what_is_no_id_is_replaced(server):
    with grpc.insecure_channel(server.grpc) as channel:
        for bad in ([(KEY, "two words")], [(KEY, "x" * 65)], [(KEY, "")], [(KEY, "a"), (KEY, "b")]):
            answered = dict(a_unary_call(channel, bad).initial_metadata())[KEY]
            assert answered not in [value for _, value in bad] and len(answered) < 30
    assert get(server, "/healthz", **{KEY: 'a" code="200'}).getheader(KEY) != 'a" code="200'


def test_every_http_answer_and_its_line_have_the_id(server):
    for number, (path, method, code) in enumerate(
        [("/api/v1/runs", "GET", 200), ("/metrics", "GET", 200), ("/nowhere", "GET", 404),
         ("/api/v1/runs/team%2Frun", "GET", 200), ("/api/v1/runs", "POST", 405)]
    ):
        response = get(server, path, method, **{KEY: f"browser-{number}"})
        assert (response.status, response.getheader(KEY)) == (code, f"browser-{number}")
        [line] = about(server, f"browser-{number}")
        assert (line["path"], line["method"], line["code"]) == (path, method, code)
    made = {get(server, "/healthz").getheader(KEY) for _ in range(2)}
    assert len(made) == 2 and None not in made


def test_requests_over_http_are_counted_by_path_and_code(server):
    for path in ("/api/v1/runs/team%2Frun", "/api/v1/runs/nobody", "/api/v1/runs/nobody/estimates",
                 "/api/v1/runs/a/nothing", "/%00", "/x" * 40):
        get(server, path)
    connection = http.client.HTTPConnection(server.http, timeout=SECONDS)
    connection.request("GET", "/metrics")
    page = connection.getresponse().read().decode()
    connection.close()
    for path, code in (("/api/v1/runs/{id}", 200), ("/api/v1/runs/{id}", 404),
                       ("/api/v1/runs/{id}/estimates", 404), ("other", 404)):
        assert f'dimwatch_http_requests_total{{code="{code}",path="{path}"}}' in page or (
            f'dimwatch_http_requests_total{{path="{path}",code="{code}"}}' in page), page
    assert "nobody" not in page


def test_lines_about_a_run_have_its_id_project_and_request(server):
    with Client(server.grpc) as client:
        client.create("team/other")
        stream = client.open("team/other")
        stream.samples(1, 1, probe="none")
        stream.nack(1)
        stream.cancel()
        client.finish("team/other")
        client.runs.DeleteRun(run_pb2.DeleteRunRequest(run_id="team/other"), timeout=SECONDS)
    expected = {"run created", "session opened", "item rejected", "session closed", "run finished",
                "run deleted"}

    def said():
        of_run = [line for line in lines(server) if line.get("run") == "team/other"]
        found = [line for line in of_run if line["message"] in expected]
        return {line["message"] for line in found} == expected and found

    for line in wait_until("everything is said", said):
        assert line["project"] == "tests" and line["request"], line


def test_what_callers_send_forges_no_line(server):
    evil = 'x\n{"level":"error"}\x1b[31m"\\ run=team/run'
    with Client(server.grpc) as client, pytest.raises(grpc.RpcError):
        client.create(evil)
    found = [line for line in lines(server) if line.get("run") == evil]
    assert found and all(line["level"] == "debug" for line in found)


def test_the_level_is_changed_while_it_runs(tmp_path):
    def level(server, name):
        command = [BUILD / "bin/dimwatch", "log-level", name, "--server", server.grpc]
        return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)

    def handled(server):
        return sum(line["message"] == "request handled" for line in lines(server))

    with Server(tmp_path, "--log-format", "json") as server, Client(server.grpc) as client:
        client.runs.ListRuns(run_pb2.ListRunsRequest())
        assert handled(server) == 0
        assert level(server, "debug").stdout == "debug; it was info\n"
        client.runs.ListRuns(run_pb2.ListRunsRequest())
        wait_until("it is said", lambda: handled(server) >= 1)
        assert level(server, "warning").stdout == "warning; it was debug\n"
        before = handled(server)
        client.runs.ListRuns(run_pb2.ListRunsRequest())
        assert handled(server) == before
        assert level(server, "loud").returncode == 2
        with pytest.raises(grpc.RpcError) as error:
            admin_pb2_grpc.AdminServiceStub(client.channel).SetLogLevel(admin_pb2.SetLogLevelRequest())
        assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_no_token_and_no_vector_is_in_a_log_of_json(tmp_path):
    tokens = tmp_path / "tokens.json"
    make = [BUILD / "bin/dimwatch", "token", "make", "--tokens", tokens, "--all-projects"]
    make += ["--scope", "admin"]
    token = subprocess.run(make, capture_output=True, text=True, check=True).stdout.strip()
    marked = numpy.full((40, 16), 12345.678, dtype=numpy.float32)
    with serving(tmp_path, "--tokens", tokens) as server:
        bearer = [("authorization", f"Bearer {token}")]
        with grpc.insecure_channel(server.grpc) as channel:
            a_refused_call(channel, bearer + [(KEY, "with-token")])
            cloud_of = estimator_pb2_grpc.EstimatorServiceStub(channel)
            request = estimator_pb2.EstimateCloudRequest(
                dtype=ingest_pb2.DTYPE_F32, rows=40, dim=16, data=marked.tobytes())
            cloud_of.EstimateCloud(iter([request, request]), metadata=bearer + [(KEY, token)])
        get(server, f"/metrics?token={token}", Authorization=f"Bearer {token}", **{KEY: token})
        about(server, "with-token")
        assert server.stop() == 0
        said = server.log.read_text()
    assert "with-token" in said and token.split("_")[1] in said
    assert token.split("_")[2] not in said and "12345" not in said
