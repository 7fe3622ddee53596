"""The programs around dimwatch, started for tests with the project's own configuration."""

import http.server
import json
import os
import re
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy
import yaml
from testing_support.processes import BUILD, ROOT, Program, free_port, wait_until

DEPLOY = ROOT / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
TRACES = ROOT / "tests/data/traces"
METRIC = re.compile(r"\bdimwatch_[a-z0-9_]+\b")


def get_json(url):
    """The JSON that `url` answers with, also when its status says error. HTTPError if that is none,
    as while the program starts."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        if error.headers.get_content_type() != "application/json":
            raise
        return json.load(error)


def rules():
    """Every rule of deploy/prometheus."""
    for path in sorted((DEPLOY / "prometheus/rules").glob("*.yml")):
        for group in yaml.safe_load(path.read_text())["groups"]:
            yield from group["rules"]


def quicken(groups):
    """Prometheus' rules with shorter times, for tests that cannot wait for minutes, changed in place:
    a `for` of a minute is a second (twelve for a lost server, so that a restart fits in), and a look
    back of five minutes is thirty seconds. What is looked at, and against what, stays."""
    for group in groups:
        for rule in group["rules"]:
            rule["expr"] = rule["expr"].replace("[5m]", "[30s]")
            assert not re.search(r"\[\d+[mhd]\]", rule["expr"]), "a look back not known here"
            if "alert" in rule:
                is_lost = rule["alert"] == "DimwatchTargetDown"
                rule["for"] = "12s" if is_lost else rule["for"].replace("m", "s")


class Prometheus(Program):
    """Prometheus with deploy/prometheus, scraping servers every second. `edit` changes the groups of
    rules in place; `token` is shown to the servers."""

    def __init__(
        self, folder, targets, alertmanager="127.0.0.1:9", edit=lambda groups: None, token=None
    ):
        config = Path(folder) / "prometheus"
        shutil.copytree(DEPLOY / "prometheus", config)
        settings = yaml.safe_load((config / "prometheus.yml").read_text())
        settings["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        if token:
            settings["scrape_configs"][0]["authorization"] = {"credentials": token}
        (config / "prometheus.yml").write_text(yaml.safe_dump(settings))
        for name, addresses in (("dimwatch", targets), ("alertmanager", [alertmanager])):
            (config / f"targets/{name}.yml").write_text(yaml.safe_dump([{"targets": addresses}]))
        for path in (config / "rules").glob("*.yml"):
            settings = yaml.safe_load(path.read_text())
            edit(settings["groups"])
            path.write_text(yaml.safe_dump(settings))
        self.url = f"http://127.0.0.1:{free_port()}"
        super().__init__(
            ["prometheus", f"--config.file={config / 'prometheus.yml'}"]
            + [f"--storage.tsdb.path={Path(folder) / 'tsdb'}", "--log.level=warn"]
            + [f"--web.listen-address={self.url.removeprefix('http://')}"],
            Path(folder) / "prometheus.log",
        )
        up = 'sum(up{job="dimwatch"})'
        wait_until("Prometheus scrapes", lambda: self.value(up) == len(targets))

    def api(self, path, **parameters):
        return get_json(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}")

    def query(self, expression):
        """The instant vector, or AssertionError with what Prometheus says."""
        answer = self.api("query", query=expression)
        assert answer["status"] == "success", answer
        return answer["data"]["result"]

    def value(self, expression):
        """The first value of the instant vector; None if there is none."""
        result = self.query(expression)
        return float(result[0]["value"][1]) if result else None


class Alertmanager(Program):
    """Alertmanager with deploy/alertmanager. `edit` changes the settings in place."""

    def __init__(self, folder, edit=lambda settings: None):
        settings = yaml.safe_load((DEPLOY / "alertmanager/alertmanager.yml").read_text())
        config = Path(folder) / "alertmanager.yml"
        edit(settings)
        config.write_text(yaml.safe_dump(settings))
        self.address = f"127.0.0.1:{free_port()}"
        super().__init__(
            ["prometheus-alertmanager", f"--config.file={config}", "--cluster.listen-address="]
            + [f"--web.listen-address={self.address}", f"--storage.path={Path(folder) / 'data'}"],
            Path(folder) / "alertmanager.log",
        )
        wait_until("Alertmanager answers", self.alerts_or_none)

    def alerts_or_none(self):
        return [self.alerts()]

    def alerts(self):
        return get_json(f"http://{self.address}/api/v2/alerts")

    def post(self, alerts):
        request = urllib.request.Request(
            f"http://{self.address}/api/v2/alerts",
            json.dumps(alerts).encode(),
            {"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=10).close()


class Webhook:
    """Receives what Alertmanager sends: `messages`, each with a group's alerts as they stand."""

    def __init__(self):
        messages = self.messages = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                messages.append(json.loads(body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def alerts(self):
        """Every alert of every message so far."""
        return [alert for message in list(self.messages) for alert in message["alerts"]]

    def find(self, status, **labels):
        return [
            alert
            for alert in self.alerts
            if alert["status"] == status and labels.items() <= alert["labels"].items()
        ]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def write_trace(folder, clouds):
    """A trace for Training, one step per item: {probe: array of rows x components}."""
    folder.mkdir()
    with (folder / "trace.jsonl").open("w") as lines:
        for step, of_probe in enumerate(clouds):
            samples = []
            for number, (probe, rows) in enumerate(of_probe.items()):
                samples.append({"probe": probe, "file": f"{step}-{number}.npy"})
                numpy.save(folder / samples[-1]["file"], rows.astype("float32"))
            lines.write(json.dumps({"step": step, "samples": samples}) + "\n")
    return folder


class Training:
    """A recorded run sent through the Python client, in a process of its own, as a job does it:
    send_trace.py, which has the options. It stays open after its last step until `finish`."""

    def __init__(self, server, trace, project, name, **options):
        command = ["/usr/bin/python3", Path(__file__).with_name("send_trace.py"), TRACES / trace]
        command += ["--server", server.grpc, "--project", project, "--name", name]
        for option, value in options.items():
            command += ["--" + option.replace("_", "-"), value]
        self.name = name
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(BUILD / "python"), "OPENBLAS_NUM_THREADS": "1"},
        )

    def sent(self):
        """Waits until the server has all up to where the job holds; returns the run's id."""
        line = self._process.stdout.readline()
        assert line.startswith("sent "), f"the job of {self.name} ended: {line!r}"
        return line.split()[1]

    def go_on(self):
        """Has it send what is left; `sent` waits for that."""
        self._process.stdin.write("go on\n")
        self._process.stdin.flush()

    def finish(self):
        if self._process.poll() is None:
            self._process.communicate("finish\n", timeout=60)
        assert self._process.returncode == 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
