"""Who may do what, over real sockets: every RPC of the contract and every path over HTTP, with no
token, a wrong one, the wrong project, the wrong scope, an expired one, and the right one."""

import http.client
import json
import queue
import re
import signal
import subprocess

import grpc
import numpy
import pytest
from google.protobuf import descriptor_pool, message_factory, symbol_database

import dimwatch.query
from client import Client, Stream, cloud
from dimwatch.v1 import (
    access_pb2,
    admin_pb2,
    config_pb2,
    estimator_pb2,
    estimator_pb2_grpc,
    ingest_pb2,
    query_pb2,
    query_pb2_grpc,
    run_pb2,
)
from testing_support.processes import BUILD, Server, wait_until

CODE = grpc.StatusCode
CONTRACT = [run_pb2, ingest_pb2, query_pb2, estimator_pb2, admin_pb2]
# What answers without a token: is it alive, and what does it speak.
OPEN_SERVICES = {"grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"}
OPEN_PATHS = ["/", "/healthz", "/readyz"]
# Requests that name no run and no project; every other RPC must be refused for a wrong project.
NAMELESS = {"GetServerInfo", "SetLogLevel"}
# What concerns every project needs a token for every project.
SERVER_WIDE = {"SetLogLevel"}
SCOPES = {access_pb2.SCOPE_INGEST: "ingest", access_pb2.SCOPE_READ: "read", access_pb2.SCOPE_ADMIN: "admin"}
MESSAGES = message_factory.MessageFactory(symbol_database.Default().pool)


def methods():
    return [
        method
        for module in CONTRACT
        for service in module.DESCRIPTOR.services_by_name.values()
        for method in service.methods
    ]


def scope_of(method):
    return SCOPES[method.GetOptions().Extensions[access_pb2.scope]]


def token_command(file, *words):
    """`dimwatch token`, to the end. Its standard output."""
    command = [BUILD / "bin/dimwatch", "token", words[0], "--tokens", file, *words[1:]]
    done = subprocess.run([str(w) for w in command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Site:
    """A server with tokens, of each kind one, and a run named "mine/1" in the project "mine"."""

    def __init__(self, folder):
        self.file = folder / "tokens.json"
        self.tokens = {}
        for scope in SCOPES.values():
            for project in ("mine", "other"):
                self.make(f"{project}-{scope}", "--project", project, "--scope", scope)
            self.make(f"expired-{scope}", "--project", "mine", "--scope", scope, "--expires", "1ms")
        self.make("root", "--all-projects", "--scope", "admin")
        self.server = Server(folder, "--tokens", self.file, "--log-level", "debug")
        self.make_run("mine/1", "mine")

    def make(self, name, *words):
        self.tokens[name] = token_command(self.file, "make", *words)

    def id_of(self, name):
        return self.tokens[name].split("_")[1]

    def reload(self):
        before = self.server.output().count("tokens read again")
        self.server.process.send_signal(signal.SIGHUP)
        wait_until("tokens are read", lambda: self.server.output().count("tokens read again") > before)

    def channel(self, name):
        return grpc.intercept_channel(
            grpc.insecure_channel(self.server.grpc), Bearer(self.tokens.get(name, name))
        )

    def make_run(self, run_id, project):
        with self.channel("root") as channel:
            probe = config_pb2.ProbeConfig(probe="train/last")
            probe.estimator.neighbors = 16
            run = run_pb2.Run(run_id=run_id, project=project, config=dict(probes=[probe]))
            call(channel, method_named("CreateRun"), [run_pb2.CreateRunRequest(run=run)])

    def get(self, path, name=None, header=None):
        """Status and body."""
        connection = http.client.HTTPConnection(self.server.http, timeout=30)
        try:
            authorization = header or (name and f"Bearer {self.tokens.get(name, name)}")
            connection.request("GET", path, headers={"Authorization": authorization} if authorization else {})
            response = connection.getresponse()
            assert (response.status == 401) == (response.getheader("WWW-Authenticate") == "Bearer")
            return response.status, response.read().decode()
        finally:
            connection.close()


class Bearer(grpc.UnaryUnaryClientInterceptor, grpc.UnaryStreamClientInterceptor,
             grpc.StreamUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Shows a token with every call; an empty one shows none."""

    def __init__(self, token):
        self.metadata = [("authorization", f"Bearer {token}")] if token else []

    def _intercept(self, proceed, details, request):
        return proceed(details._replace(metadata=self.metadata), request)

    intercept_unary_unary = intercept_unary_stream = _intercept
    intercept_stream_unary = intercept_stream_stream = _intercept


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("site"))
    with made.server:
        yield made


def method_named(name):
    return next(method for method in methods() if method.name == name)


def call(channel, method, requests):
    """The first response; grpc.RpcError if there is none."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    response = MESSAGES.GetPrototype(method.output_type)
    serialize, parse = type(requests[0]).SerializeToString, response.FromString
    kind = {(False, False): channel.unary_unary, (False, True): channel.unary_stream,
            (True, False): channel.stream_unary, (True, True): channel.stream_stream}
    client_streams, server_streams = method.client_streaming, method.server_streaming
    made = kind[client_streams, server_streams](path, serialize, parse)
    answer = made(iter(requests) if client_streams else requests[0], timeout=60)
    if not server_streams:
        return answer
    first = next(answer)
    answer.cancel()
    return first


def name_in(message, run_id, project):
    """Fills the fields that name runs and projects, as deep as they lie. Returns how many."""
    found = 0
    for field in message.DESCRIPTOR.fields:
        if field.name == "run_id":
            message.run_id, found = run_id, found + 1
        elif field.name == "run_ids":
            message.run_ids.append(run_id)
            found += 1
        elif field.name == "project":
            message.project, found = project, found + 1
        elif field.message_type and field.label != field.LABEL_REPEATED and field.name in ("run", "hello"):
            found += name_in(getattr(message, field.name), run_id, project)
    return found


def requests_for(method, run_id="mine/1", project="mine"):
    """What a good caller sends: generic for every RPC, with what some need besides."""
    request = MESSAGES.GetPrototype(method.input_type)()
    named = name_in(request, run_id, project)
    assert (named == 0) == (method.name in NAMELESS), f"{method.full_name} names {named} resources"
    if method.name == "Ingest":
        request.hello.session_epoch = 1
    if method.name == "UpdateRun":
        request.run.display_name = "renamed"
        request.update_mask.paths.append("display_name")
    if method.name == "CompareRuns":
        request.probe = "train/last"
    if method.name == "SetLogLevel":
        request.level = admin_pb2.LOG_LEVEL_DEBUG
    if method.name == "EstimateCloud":
        rows = cloud(1)
        request.config.neighbors, request.dtype = 16, ingest_pb2.DTYPE_F32
        request.rows, request.dim = rows.shape
        request.data = rows.tobytes()
    return [request]


def refusal(site, name, method, **names):
    with site.channel(name) as channel, pytest.raises(grpc.RpcError) as error:
        call(channel, method, requests_for(method, **names))
    assert "dimwatch_" not in error.value.details() and "sha256" not in error.value.details()
    return error.value.code()


@pytest.mark.parametrize("method", methods(), ids=lambda method: method.name)
class TestEveryRpc:
    def test_without_a_token_nobody_gets_in(self, site, method):
        assert refusal(site, "", method) == CODE.UNAUTHENTICATED

    def test_a_token_that_is_none_does_not_get_in(self, site, method):
        good = site.tokens["root"]
        wrong_secret = good[:-1] + ("0" if good[-1] != "0" else "1")
        for text in ("nonsense", wrong_secret, good.replace(site.id_of("root"), "0" * 12), good + "0"):
            assert refusal(site, text, method) == CODE.UNAUTHENTICATED

    def test_an_expired_token_does_not_get_in(self, site, method):
        assert refusal(site, f"expired-{scope_of(method)}", method) == CODE.UNAUTHENTICATED

    def test_another_scope_is_refused(self, site, method):
        for scope in set(SCOPES.values()) - {scope_of(method), "admin"}:
            assert refusal(site, f"mine-{scope}", method) == CODE.PERMISSION_DENIED

    def test_another_project_is_refused(self, site, method):
        if method.name not in NAMELESS - SERVER_WIDE:
            assert refusal(site, f"other-{scope_of(method)}", method) == CODE.PERMISSION_DENIED

    def test_the_right_token_gets_in(self, site, method):
        run_id = f"mine/{method.name}"
        if method.name != "CreateRun":
            site.make_run(run_id, "mine")
        if method.name == "WatchRun":  # something to see
            with site.channel("root") as channel:
                call(channel, method_named("FinishRun"), [run_pb2.FinishRunRequest(run_id=run_id)])
        of_project = (f"mine-{scope_of(method)}", "mine-admin")
        for name in ("root",) if method.name in SERVER_WIDE else (*of_project, "root"):
            with site.channel(name) as channel:
                call(channel, method, requests_for(method, run_id=run_id))
            if method.name == "DeleteRun":
                site.make_run(run_id, "mine")


@pytest.mark.parametrize("name", ["CreateRun", "UpdateRun"])
def test_a_run_stays_in_its_project_whatever_a_request_says(site, name):
    method = method_named(name)
    assert refusal(site, f"other-{scope_of(method)}", method, project="other") == CODE.PERMISSION_DENIED


def test_every_service_that_is_served_is_in_the_contract_or_open(site):
    with grpc.insecure_channel(site.server.grpc) as channel:
        reflect = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        answer = b"".join(reflect(iter([b"\x3a\x00"])))  # list_services
    served = {name.decode() for name in re.findall(rb"[a-z][a-z0-9]*(?:\.[A-Za-z0-9]+)+", answer)}
    contract = {service.full_name for module in CONTRACT for service in module.DESCRIPTOR.services_by_name.values()}
    assert served == contract | OPEN_SERVICES


def test_every_rpc_has_a_scope_and_a_request_type_of_its_own():
    inputs = [method.input_type.full_name for method in methods()]
    assert len(inputs) == len(set(inputs)) > 15
    assert all(method.GetOptions().Extensions[access_pb2.scope] in SCOPES for method in methods())


def test_nobody_changes_or_removes_with_less_than_is_meant():
    """The matrix takes the scopes from the contract; here is what they are to be."""
    more_than_reading = {
        "CreateRun": "ingest", "FinishRun": "ingest", "Ingest": "ingest", "EstimateCloud": "ingest",
        "UpdateRun": "admin", "DeleteRun": "admin", "SetLogLevel": "admin",
    }
    scopes = {method.name: scope_of(method) for method in methods()}
    assert {name: scope for name, scope in scopes.items() if scope != "read"} == more_than_reading


def test_one_run_of_another_project_among_several_is_refused(site):
    site.make_run("other/1", "other")
    with site.channel("mine-read") as channel, pytest.raises(grpc.RpcError) as error:
        request = query_pb2.CompareRunsRequest(run_ids=["mine/1", "other/1"], probe="train/last")
        call(channel, method_named("CompareRuns"), [request])
    assert error.value.code() == CODE.PERMISSION_DENIED and "'other/1'" in error.value.details()


def test_an_id_of_another_project_cannot_be_taken_and_its_project_is_not_told(site):
    site.make_run("secret-plan/1", "secret-plan")
    with site.channel("mine-ingest") as channel, pytest.raises(grpc.RpcError) as error:
        run = run_pb2.Run(run_id="secret-plan/1", project="mine")
        call(channel, method_named("CreateRun"), [run_pb2.CreateRunRequest(run=run)])
    assert error.value.code() == CODE.PERMISSION_DENIED
    assert "project 'secret" not in error.value.details()
    with site.channel("mine-ingest") as channel, pytest.raises(grpc.RpcError) as error:
        call(channel, method_named("CreateRun"), [run_pb2.CreateRunRequest(run=run_pb2.Run(run_id="nowhere"))])
    assert error.value.code() == CODE.INVALID_ARGUMENT, "no run without a project"


def test_lists_show_the_runs_of_the_tokens_projects_page_by_page(site):
    for i in range(3):
        site.make_run(f"shelf/{i}", "other")
    listed, token = [], ""
    with site.channel("other-read") as channel:
        while True:
            request = run_pb2.ListRunsRequest(page_size=2, page_token=token)
            page = call(channel, method_named("ListRuns"), [request])
            listed += page.runs
            token = page.next_page_token
            if not token:
                break
    assert {run.project for run in listed} == {"other"}
    assert {"shelf/0", "shelf/1", "shelf/2"} <= {run.run_id for run in listed}
    with site.channel("root") as channel:
        everything = call(channel, method_named("ListRuns"), [run_pb2.ListRunsRequest(page_size=1000)])
    assert {"mine", "other"} <= {run.project for run in everything.runs}


def test_a_change_of_parameters_is_kept_with_the_token_that_made_it(site):
    site.make_run("mine/set", "mine")
    request = run_pb2.UpdateRunRequest(update_mask={"paths": ["config.signals.patience"]})
    request.run.run_id, request.run.config.signals.patience = "mine/set", 7
    listing = query_pb2.ListSettingsChangesRequest(run_id="mine/set")
    with site.channel("mine-admin") as channel:
        call(channel, method_named("UpdateRun"), [request])
        [change] = call(channel, method_named("ListSettingsChanges"), [listing]).changes
    assert change.author.startswith(f"token {site.id_of('mine-admin')} at ipv4:127.0.0.1:")


API_PATHS = [
    "/api/v1/runs", "/api/v1/runs?project=mine", "/api/v1/server",
    "/api/v1/compare?run_ids=mine/1&probe=train/last", "/api/v1/runs/mine%2F1",
] + [f"/api/v1/runs/mine%2F1/{part}" for part in (
    "estimates", "attention", "scalars", "signals", "decisions", "settings-changes", "decision",
    "layers")]


def test_every_documented_path_is_in_the_matrix(site):
    page = site.get("/")[1]
    documented = set(re.findall(r"<code>(/[^<?]+)", page)) | {
        f"/api/v1/runs/{{id}}/{part}" for part in re.findall(r"<code>([a-z-]+)</code>", page)}
    tested = {path.split("?")[0].replace("mine%2F1", "{id}") for path in API_PATHS}
    assert documented == tested | set(OPEN_PATHS) - {"/"} | {"/metrics"}


@pytest.mark.parametrize("path", API_PATHS + ["/metrics"])
def test_every_path_wants_a_token_for_reading(site, path):
    assert site.get(path)[0] == 401
    for wrong in ("nonsense", "expired-read", site.tokens["root"][:-1]):
        assert site.get(path, wrong)[0] == 401
    for header in ("Basic cm9vdDo=", "Bearer", site.tokens["root"]):
        assert site.get(path, header=header)[0] == 401
    status, body = site.get(path, "mine-ingest")
    assert status == 403 and json.loads(body)["code"] == "PERMISSION_DENIED"
    for right in ("mine-read", "mine-admin", "root"):
        assert site.get(path, right)[0] == 200
    if "mine" in path:
        assert site.get(path, "other-read")[0] == 403


def test_what_is_not_served_is_not_told_without_a_token(site):
    for path in ("/nothing", "/api/v1/nothing", "/api/v1/runs/nobody", "/api/v1/runs/mine%2F1/nothing", "/%zz"):
        assert site.get(path)[0] == 401
        assert site.get(path, "root")[0] in (400, 404)
    for path in OPEN_PATHS:
        assert site.get(path)[0] == 200


def test_metrics_show_the_runs_of_the_tokens_projects(site):
    site.make_run("shown", "other")
    mine, other = site.get("/metrics", "mine-read")[1], site.get("/metrics", "other-read")[1]
    assert 'project="mine"' in mine and 'project="other"' not in mine
    assert 'project="other"' in other and 'project="mine"' not in other
    everything = site.get("/metrics", "root")[1]
    assert 'project="mine"' in everything and 'project="other"' in everything
    assert "dimwatch_build_info" in mine and "UNAUTHENTICATED" in mine


def scalars_of(channel, run_id):
    """What WatchRun tells of them, by step."""
    request = query_pb2.WatchRunRequest(run_id=run_id)
    events = query_pb2_grpc.QueryServiceStub(channel).WatchRun(request, timeout=60)
    return (event.scalars.step for event in events if event.HasField("scalars"))




def test_streams_end_when_their_token_is_revoked_and_others_go_on(site):
    for name in ("leaver", "stayer"):
        site.make(name, "--project", "mine", "--scope", "ingest", "--scope", "read")
    site.reload()
    site.make_run("mine/leaver", "mine")
    site.make_run("mine/stayer", "mine")
    with site.channel("leaver") as leaver, site.channel("stayer") as stayer:
        ended, going = Stream(leaver, "mine/leaver", 1), Stream(stayer, "mine/stayer", 1)
        unfinished = queue.Queue()  # a cloud whose rows are still to come
        clouds = estimator_pb2_grpc.EstimatorServiceStub(leaver)
        estimate = clouds.EstimateCloud.future(iter(unfinished.get, None), timeout=60)
        unfinished.put(requests_for(method_named("EstimateCloud"))[0])
        watches = [scalars_of(leaver, "mine/stayer"), scalars_of(stayer, "mine/stayer")]
        ended.welcome(), going.welcome()
        going.scalars(1, 1, loss=1.0)
        assert [next(steps) for steps in watches] == [1, 1]
        token_command(site.file, "revoke", site.id_of("leaver"))
        site.reload()
        code, details = ended.end()
        assert code == CODE.UNAUTHENTICATED and "revoked" in details
        with pytest.raises(grpc.RpcError) as error:
            next(watches[0])
        assert error.value.code() == CODE.UNAUTHENTICATED
        assert estimate.code() == CODE.UNAUTHENTICATED
        unfinished.put(None)
        going.scalars(2, 2, loss=0.5)
        going.durable(2)
        assert next(watches[1]) == 2
        with pytest.raises(grpc.RpcError) as error:
            call(leaver, method_named("GetRun"), [run_pb2.GetRunRequest(run_id="mine/1")])
        assert error.value.code() == CODE.UNAUTHENTICATED


def test_streams_end_when_their_token_expires(site):
    site.make("brief", "--project", "mine", "--scope", "ingest", "--expires", "3s")
    site.reload()
    site.make_run("mine/brief", "mine")
    with site.channel("brief") as channel:
        stream = Stream(channel, "mine/brief", 1)
        stream.welcome()
        code, details = stream.end()
    assert code == CODE.UNAUTHENTICATED and "expired at" in details


def test_a_damaged_file_changes_nothing_and_is_said(site):
    good = site.file.read_text()
    for bad in (good[:-20], good.replace('"read"', '"reed"'), good.replace('"scopes"', '"scope"')):
        site.file.write_text(bad)
        site.reload()
        assert site.get("/api/v1/runs", "mine-read")[0] == 200
        assert site.get("/api/v1/runs")[0] == 401
    site.file.write_text(good)
    site.reload()
    assert "tokens.json" in site.server.output()
    assert re.search(r"token \d+: the scope .{1,2}reed.{1,2} is not known", site.server.output())


def test_no_secret_and_no_vector_is_in_the_log_or_kept(site):
    marked = numpy.full((40, 16), 12345.678, dtype=numpy.float32)
    site.make_run("mine/logged", "mine")
    with site.channel("mine-ingest") as channel:
        stream = Stream(channel, "mine/logged", 1)
        stream.samples(1, 1, rows=marked)
        stream.samples(2, 2, rows=marked, data=marked.tobytes()[:-1])
        stream.samples(3, 3, rows=numpy.where(numpy.eye(40, 16) > 0, numpy.nan, marked))
        stream.samples(4, 4, rows=marked, probe="train/none")
        stream.nack(4)
    with site.channel("mine-ingest") as channel, pytest.raises(grpc.RpcError):
        call(channel, method_named("Ingest"), [ingest_pb2.IngestRequest()])
    log = site.server.output()
    assert "item rejected" in log and "session opened" in log and "run=mine/logged" in log
    assert f"token={site.id_of('mine-ingest')}" in log
    kept = log + site.file.read_text()
    for text in site.tokens.values():
        assert text.split("_")[2] not in kept
    assert "12345" not in log and "1234567" not in log


def test_a_job_is_watched_with_its_token_and_goes_on_without(site, monkeypatch, caplog):
    def train(**options):
        run = dimwatch.init(project="mine", name="job", server=site.server.grpc, **options)
        run.log({"loss": 1.0}, step=1)
        done = run.flush(20)
        run.finish(timeout=20)
        return run.id if done else None

    read = site.tokens["mine-read"]
    for options in (dict(token=site.tokens["mine-ingest"]), {}):
        monkeypatch.setenv("DIMWATCH_TOKEN", site.tokens["mine-ingest"])
        run_id = train(**options)
        assert dimwatch.query.history(site.server.grpc, run_id, token=read).scalars == {"loss": [(1, 1.0)]}
    assert not caplog.records
    train(token=site.tokens["other-ingest"])
    assert "is not for the project 'mine'" in caplog.text
    assert caplog.text.count("is not watched any more") == 1
    assert all(token not in caplog.text for token in site.tokens.values())
    caplog.clear()
    dimwatch.init(project="mine", server=site.server.grpc, token="two words").log({"loss": 1.0}, step=1)
    assert "characters" in caplog.text and "two words" not in caplog.text


def test_without_the_file_the_server_does_not_start(tmp_path):
    with pytest.raises(AssertionError, match="none.json"):
        Server(tmp_path, "--tokens", tmp_path / "none.json")


def test_without_tokens_everything_is_allowed_on_loopback(tmp_path):
    with Server(tmp_path) as server, Client(server.grpc) as client:
        client.create("r")
        assert client.runs.ListRuns(run_pb2.ListRunsRequest()).runs[0].run_id == "r"
