"""deploy/haproxy in front of a real server: TLS for HTTP and gRPC, and the id of a request."""

import json
import os
import re
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request

import pytest
from testing_support.certificates import Authority
from testing_support.processes import BUILD, ROOT, Program, Server, free_port, wait_until

CONFIG = ROOT / "deploy/haproxy/haproxy.cfg"

pytestmark = pytest.mark.skipif(not shutil.which("haproxy"), reason="haproxy is not installed")


class Proxy(Program):
    """HAProxy with the project's configuration, on ports and with a certificate of this test."""

    def __init__(self, folder, server):
        self.authority = Authority(folder)
        certificate, key = self.authority.sign("proxy")
        both = folder / "both.pem"
        both.write_text(certificate.read_text() + key.read_text())
        self.https, self.grpc = free_port(), free_port()
        text = CONFIG.read_text().replace("/etc/haproxy/dimwatch.pem", str(both))
        text = re.sub(r"^    (user|group) haproxy\n", "", text, flags=re.M)
        for old, new in (
            ("bind :443 ", f"bind 127.0.0.1:{self.https} "),
            ("bind :50052 ", f"bind 127.0.0.1:{self.grpc} "),
            ("server dimwatch 127.0.0.1:9464 ", f"server dimwatch {server.http} "),
            ("server dimwatch 127.0.0.1:50051 ", f"server dimwatch {server.grpc} "),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        self.config = folder / "haproxy.cfg"
        self.config.write_text(text)
        super().__init__(["haproxy", "-db", "-f", self.config], folder / "haproxy.log")
        self.context = ssl.create_default_context(cafile=self.authority.roots)
        wait_until("the proxy serves", lambda: self.get("/healthz").status == 200)

    def get(self, path, method="GET", **headers):
        request = urllib.request.Request(
            f"https://localhost:{self.https}{path}", headers=headers, method=method
        )
        return urllib.request.urlopen(request, context=self.context, timeout=10)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("proxy")
    with Server(folder, "--log-level", "debug", "--log-format", "json") as server:
        with Proxy(folder, server) as proxy:
            yield server, proxy


def test_haproxy_accepts_the_configuration_without_a_warning(site):
    done = subprocess.run(["haproxy", "-c", "-f", site[1].config], capture_output=True, text=True)
    assert done.returncode == 0 and "WARNING" not in done.stderr + done.stdout, done.stderr


def test_http_is_encrypted_and_what_only_reads_goes_through(site):
    server, proxy = site
    response = proxy.get("/api/v1/server")
    assert json.load(response)["version"]
    assert response.headers["strict-transport-security"]
    assert "dimwatch_build_info" in proxy.get("/metrics").read().decode()
    with pytest.raises(urllib.error.HTTPError) as error:
        proxy.get("/api/v1/runs", method="POST")
    assert error.value.code == 405


def test_the_id_of_a_request_is_in_both_logs_and_in_the_answer(site):
    server, proxy = site
    made = proxy.get("/api/v1/runs").headers["x-request-id"]
    kept = proxy.get("/api/v1/runs", **{"x-request-id": "mine-1"}).headers["x-request-id"]
    assert kept == "mine-1" and re.fullmatch("[0-9a-f-]{36}", made)
    for request in (made, kept):
        wait_until("the proxy logs it", lambda: request in proxy.output())
        wait_until("the server logs it", lambda: f'"request":"{request}"' in server.output())


JOB = """
import sys, dimwatch, numpy
run = dimwatch.init("p", "proxied", server=sys.argv[1], tls_roots=sys.argv[2], strict=True)
probe = run.probe("train/x", neighbors=16)
for step in (1, 2):
    probe.log(numpy.random.default_rng(step).normal(size=(300, 5)).astype("float32"), step=step)
assert run.flush(30)
run.finish()
print(run.id)
"""


def test_a_job_trains_through_the_proxy(site):
    server, proxy = site
    done = subprocess.run(
        ["/usr/bin/python3", "-c", JOB, f"https://localhost:{proxy.grpc}", proxy.authority.roots],
        env={**os.environ, "PYTHONPATH": str(BUILD / "python")},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    path = f"/api/v1/runs/{done.stdout.strip()}/estimates"
    estimates = wait_until("both are estimated", lambda: both(proxy, path))
    assert [e["step"] for e in estimates] == ["1", "2"]


def both(proxy, path):
    estimates = json.load(proxy.get(path))["estimates"]
    return estimates if len(estimates) == 2 else None
