"""From training jobs to the pager: each alert of deploy/prometheus is provoked for real, arrives at a
receiver through Prometheus and Alertmanager, and resolves. Everything is the real program with the
project's own configuration; only times are shorter (`quicken`, `quick_alertmanager`)."""

import contextlib
import datetime
import json
import re
import resource
import shutil
import signal
import subprocess

import numpy
import pytest
from observability import (
    Alertmanager,
    Prometheus,
    Training,
    Webhook,
    get_json,
    quicken,
    rules,
    write_trace,
)
from testing_support.certificates import Authority
from testing_support.damage import spoil_database
from testing_support.processes import BUILD, Server, wait_until

SECONDS = 120  # in which whatever must happen happens, on a busy machine too
RULES = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def quick_alertmanager(url):
    def edit(settings):
        settings["route"].update(group_wait="1s", group_interval="1s")
        settings["receivers"][0]["webhook_configs"][0]["url"] = url

    return edit


def port(address):
    return int(address.rsplit(":", 1)[1])


def cloud(rows, components, seed=0):
    """Rows of the normal distribution: as many dimensions as components."""
    return numpy.random.default_rng(seed).normal(size=(rows, components))


def traces(folder):
    """Recordings that no training gives in seconds."""
    sound, dead = cloud(300, 8), numpy.ones((300, 8))
    hard = cloud(3000, 200)  # for a graph of neighbors
    easy = numpy.pad(cloud(1500, 8), ((0, 0), (0, 192)))
    with_nan = sound.copy()
    with_nan[:90, 0] = numpy.nan
    one = [{"train/last": sound}]
    return {
        "collapsing": write_trace(
            folder / "collapsing",
            [{"train/last": rows} for rows in [sound] * 8 + [dead] * 4 + [sound] * 4],
        ),
        "hard to search": write_trace(
            folder / "hard", [{"train/last": hard}, {"train/last": easy}]
        ),
        "hard, half a window": write_trace(folder / "half", [{"train/last": hard}]),
        "not finite": write_trace(folder / "nan", [{"train/last": with_nan}]),
        "sound": write_trace(folder / "sound", one + one),
        "much": write_trace(folder / "much", [{"train/last": cloud(10_000, 16)}] * 20),
    }


QUOTAS = """
[projects.cramped.quota]
max_runs = 1
compute_per_minute = 1000000
"""


class Stage:
    """One receiver, one Alertmanager, one Prometheus, and four servers: `runs`, which many jobs
    use; `small`, whose metrics page holds 40 series; `slow`, which estimates on one thread;
    `secured`, with TLS and tokens."""

    def __init__(self, folder, stack):
        self.folder, self._enter = folder, stack.enter_context
        self.webhook = self._enter(Webhook())
        edit = quick_alertmanager(self.webhook.url)
        self.alertmanager = self._enter(Alertmanager(folder, edit))
        self.authority = Authority(folder)
        certificate, key = self.authority.sign("server")  # for a day
        self.tokens = folder / "tokens.json"
        self.token("--scope", "admin", "--all-projects")
        scraping = self.token("--scope", "read", "--all-projects", "--expires", "never")
        quotas = folder / "quotas.toml"
        quotas.write_text(QUOTAS)
        self._options = {
            "runs": ["--config", quotas],
            "small": ["--max-series", "40"],
            "slow": ["--threads", "1"],
            "secured": ["--tokens", self.tokens, "--tls-certificate", certificate, "--tls-key", key],
        }
        self.servers = {name: self._serve(name) for name in self._options}
        targets = [server.http for server in self.servers.values()]
        self.prometheus = self._enter(
            Prometheus(folder, targets, self.alertmanager.address, quicken, scraping)
        )
        self.traces = traces(folder)
        self.jobs = {}

    def token(self, *words):
        """Makes one."""
        command = [BUILD / "bin/dimwatch", "token", "make", "--tokens", self.tokens, *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
        return done.stdout.strip()

    def reload(self, name):
        self.servers[name].process.send_signal(signal.SIGHUP)

    def _serve(self, name, **ports):
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        return self._enter(Server(folder, *self._options[name], **ports))

    def start_again(self, name):
        """A stopped server, at its old addresses."""
        old = self.servers[name]
        ports = {"grpc_port": port(old.grpc), "http_port": port(old.http)}
        self.servers[name] = self._serve(name, **ports)

    def job(self, name, trace, server="runs", project="vision", **options):
        """Starts a job without waiting for it."""
        trace = self.traces.get(trace, trace)
        job = Training(self.servers[server], trace, project, name, **options)
        self.jobs[name] = self._enter(job)

    def run(self, name):
        """The id of a job's run, once the server has all that the job sends before it holds."""
        job = self.jobs[name]
        if not hasattr(job, "id"):
            job.id = job.sent()
        return job.id

    def delete(self, name, server):
        """Deletes a job's run with the command line, as the runbooks say."""
        command = [BUILD / "bin/dimwatch", "delete", self.run(name), "--yes"]
        subprocess.run([*command, "--server", self.servers[server].grpc], check=True, timeout=60)

    def instance(self, name):
        return {"instance": self.servers[name].http}

    def arrives(self, alert, **labels):
        """The alert as received, checked for what every alert must carry."""
        labels["alertname"] = alert
        what = f"{alert} arrives"
        [found, *_] = wait_until(what, lambda: self.webhook.find("firing", **labels), SECONDS)
        assert found["labels"]["severity"] == RULES[alert]["labels"]["severity"]
        assert found["annotations"]["runbook_url"] == f"docs/runbooks/{alert}.md#what-to-do"
        return found

    def resolves(self, found):
        """The same alert ends: it began when it was received first."""
        what = f"{found['labels']['alertname']} resolves"
        [end, *_] = wait_until(
            what, lambda: self.webhook.find("resolved", **found["labels"]), SECONDS
        )
        assert end["startsAt"] == found["startsAt"], "one alert, from its beginning to its end"


# Per alert of a run: the job that provokes it, and what its sentence must say.
OF_RUNS = {
    "DimwatchCollapsed": ("dies", r"since step \d+: .+ copies"),
    "DimwatchOverfitting": ("noisy labels", r"since step \d+: the mean LID fell from .+"),
    "DimwatchExhausted": ("clean labels", r"since step \d+: the mean LID started at .+"),
    "DimwatchDiverging": ("groks", r"since step \d+: validation LID is \d.+ times the training"),
    "DimwatchStalled": ("hangs", r"is not finished, but nothing has come from it for \d+"),
    "DimwatchEarlyStopRecommended": ("noisy labels", r"still trains: overfitting on .+best step"),
    "DimwatchIndexRecallLow": ("hard to search", r"finds 94\.\d+% of the true neighbors"),
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        stage = Stage(tmp_path_factory.mktemp("alerts"), stack)
        stage.job("much", "much", "slow", "slow", neighbors=2048)
        stage.job("noisy labels", "overfitting-digits-noise40", project="digits")
        stage.job("clean labels", "healthy-digits", project="digits")
        stage.job("groks", "grokking-add-p113", project="arithmetic", until=1200)
        stage.job("dies", "collapsing", until=11)
        stage.job("hangs", "sound", until=0, heartbeat=1)
        stage.job("hard to search", "hard to search", index="hnsw", until=0)
        stage.job("still fills", "hard, half a window", index="hnsw", window_points=6000)
        stage.job("not finite", "not finite", "small", "small")
        yield stage


@pytest.mark.parametrize("alert", OF_RUNS)
def test_an_alert_of_a_run_arrives_with_the_sentence_that_explains(stage, alert):
    job, sentence = OF_RUNS[alert]
    found = stage.arrives(alert, run=stage.run(job))
    assert re.search(sentence, found["annotations"]["description"])
    about = {"DimwatchIndexRecallLow": found["labels"]["run"]}.get(alert, job)
    assert about in found["annotations"]["summary"]


def test_what_happens_in_one_project_comes_in_one_message_and_nothing_else_in_it(stage):
    runs = [stage.run(name) for name in ("noisy labels", "clean labels")]
    expected = {("DimwatchOverfitting", runs[0]), ("DimwatchExhausted", runs[1])}

    def together():
        for message in list(stage.webhook.messages):
            names = {(a["labels"]["alertname"], a["labels"].get("run")) for a in message["alerts"]}
            if expected <= names:
                return message["groupLabels"]

    assert wait_until("one message has both", together, SECONDS) == {"project": "digits"}
    for message in stage.webhook.messages:
        projects = {alert["labels"].get("project") for alert in message["alerts"]}
        assert projects == {message["groupLabels"].get("project")}


def test_an_alert_of_an_index_resolves_when_it_finds_the_neighbors_again(stage):
    found = stage.arrives("DimwatchIndexRecallLow", run=stage.run("hard to search"))
    stage.jobs["hard to search"].go_on()
    stage.resolves(found)


def test_an_alert_of_a_signal_outlives_a_restart_of_the_server(stage):
    signals = [alert for alert in OF_RUNS if alert != "DimwatchIndexRecallLow"]
    found = [stage.arrives(alert, run=stage.run(OF_RUNS[alert][0])) for alert in signals]
    up = f'up{{instance="{stage.servers["runs"].http}"}}'
    stage.servers["runs"].stop()
    wait_until("a scrape fails", lambda: stage.prometheus.value(up) == 0)
    stage.start_again("runs")
    active = f'dimwatch_signal_active{{run="{stage.run("noisy labels")}",signal="overfitting"}} == 1'
    wait_until("the signal is there again", lambda: stage.prometheus.value(active))
    for alert in found:
        assert stage.webhook.find("resolved", **alert["labels"]) == []


def test_alerts_of_a_run_resolve_when_their_reason_is_gone(stage):
    names = ("DimwatchDiverging", "DimwatchCollapsed")
    found = [stage.arrives(alert, run=stage.run(OF_RUNS[alert][0])) for alert in names]
    for alert in names:
        stage.jobs[OF_RUNS[alert][0]].go_on()
    for alert in found:
        stage.resolves(alert)


def test_alerts_of_a_run_resolve_with_its_end(stage):
    names = ("DimwatchOverfitting", "DimwatchExhausted", "DimwatchStalled")
    found = [stage.arrives(alert, run=stage.run(OF_RUNS[alert][0])) for alert in names]
    found.append(stage.arrives("DimwatchEarlyStopRecommended", run=stage.run("noisy labels")))
    for alert in names:
        stage.jobs[OF_RUNS[alert][0]].finish()
    for alert in found:
        stage.resolves(alert)


def test_rejected_rows_are_told_with_their_reason(stage):
    stage.run("not finite")
    found = stage.arrives("DimwatchRowsRejected", **stage.instance("small"))
    description = found["annotations"]["description"]
    assert re.search(r"^\d+\.?\d*% of the rows .+ mostly because of nonfinite\.$", description)
    stage.resolves(found)


def test_a_metrics_page_that_is_full_is_told_until_there_is_room(stage):
    stage.job("more series", "sound", "small", "small")
    stage.run("more series")
    found = stage.arrives("DimwatchSeriesNearLimit", **stage.instance("small"))
    assert "100% of the per-run series" in found["annotations"]["description"]
    for name in ("more series", "not finite"):
        stage.delete(name, "small")
    stage.resolves(found)


def test_a_full_disk_is_told_and_loses_nothing(stage):
    """A limit on the size of files stands for the disk: the same system calls fail."""
    server = stage.servers["small"]
    stage.job("full disk", "sound", "small", "small", until=0, heartbeat=3600)
    run = stage.run("full disk")
    unlimited = resource.RLIM_INFINITY
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (1, unlimited))
    stage.jobs["full disk"].go_on()
    found = stage.arrives("DimwatchStoreErrors", **stage.instance("small"))
    assert "cannot write its store" in found["annotations"]["summary"]
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
    assert stage.jobs["full disk"].sent() == run
    url = f"http://{server.http}/api/v1/runs/{run}/estimates"
    wait_until("what was held back is estimated", lambda: len(get_json(url)["estimates"]) == 2)
    stage.resolves(found)


def test_a_certificate_and_a_token_that_expire_are_told_until_they_are_renewed(stage):
    certificate = stage.arrives("DimwatchCertificateExpires", **stage.instance("secured"))
    assert re.search(r"^It expires in 23h \d+m", certificate["annotations"]["description"])
    assert stage.webhook.find("firing", alertname="DimwatchTokenExpires") == []
    kept = json.loads(stage.tokens.read_text())
    [token] = [token for token in kept["tokens"] if "expire_time" in token]
    now = datetime.datetime.now(datetime.timezone.utc)
    for name, days in (("create_time", -10), ("expire_time", 5)):
        token[name] = (now + datetime.timedelta(days)).strftime("%Y-%m-%dT%H:%M:%SZ")
    stage.tokens.write_text(json.dumps(kept))
    stage.authority.sign("server", days=30)
    stage.reload("secured")
    stage.resolves(certificate)
    found = stage.arrives("DimwatchTokenExpires", token=token["id"])
    passed = datetime.datetime.now(datetime.timezone.utc) - now
    told = re.search(r"expires in (\d+)d (\d+)h (\d+)m (\d+)s", found["annotations"]["description"])
    days, hours, minutes, seconds = map(int, told.groups())
    left = datetime.timedelta(days, hours=hours, minutes=minutes, seconds=seconds)
    # As long as when it was told; twice cut to whole seconds.
    assert datetime.timedelta(5) - passed - datetime.timedelta(seconds=2) < left <= datetime.timedelta(5)
    revoke = [BUILD / "bin/dimwatch", "token", "revoke", "--tokens", stage.tokens, token["id"]]
    subprocess.run(revoke, check=True, capture_output=True, timeout=60)
    stage.reload("secured")
    stage.resolves(found)


def test_a_project_at_its_limits_is_told(stage):
    stage.job("first of its project", "sound", project="cramped", heartbeat=3600)
    run = stage.run("first of its project")
    found = stage.arrives("DimwatchEstimatesSubsampled", **stage.instance("runs"))
    assert "fewer points than asked for" in found["annotations"]["summary"]
    url = f"http://{stage.servers['runs'].http}/api/v1/runs/{run}/estimates"
    estimate = get_json(url)["estimates"][-1]
    assert "compute_per_minute" in estimate["subsampled_reason"]
    stage.resolves(found)
    stage.job("one too many", "sound", project="cramped")
    found = stage.arrives("DimwatchQuotaReached", project="cramped", quota="max_runs")
    assert found["annotations"]["summary"] == "Project cramped is at its limit max_runs"
    stage.resolves(found)


def test_damage_found_at_a_start_is_told_until_it_is_gone(stage):
    stage.job("its log is lost", "sound", "small", "small", until=0, heartbeat=3600)
    run = stage.run("its log is lost")
    # Before its first estimate nothing but the log knows that there was anything.
    estimates = f"http://{stage.servers['small'].http}/api/v1/runs/{run}/estimates"
    wait_until("an estimate", lambda: get_json(estimates).get("estimates"), SECONDS)
    stage.servers["small"].stop()
    data = stage.folder / "small/data"
    shutil.rmtree(data / f"runs/run-{run}")
    spoil_database(data / "dimwatch.db")
    stage.start_again("small")
    store = stage.arrives("DimwatchStoreWasDamaged", **stage.instance("small"))
    runs = stage.arrives("DimwatchRunsDamaged", **stage.instance("small"))
    assert runs["annotations"]["description"].startswith("A run is set aside, read-only")
    stage.delete("its log is lost", "small")
    stage.resolves(runs)
    stage.servers["small"].stop()
    stage.start_again("small")
    stage.resolves(store)


def test_a_server_that_falls_behind_is_told_until_the_work_is_gone(stage):
    stage.run("much")
    found = stage.arrives("DimwatchEstimateBacklog", **stage.instance("slow"))
    assert re.search(r"^\d+ items wait for estimates", found["annotations"]["description"])
    stage.delete("much", "slow")
    stage.resolves(found)


def test_a_lost_server_is_told_and_mutes_the_alerts_of_its_runs(stage):
    stage.servers["slow"].process.kill()  # it may still estimate what was deleted
    stage.start_again("slow")
    stage.job("dies too", "collapsing", "slow", "slow", until=11)
    run = stage.run("dies too")
    stage.arrives("DimwatchCollapsed", run=run)
    stage.servers["slow"].process.kill()
    found = stage.arrives("DimwatchTargetDown", **stage.instance("slow"))
    assert "Runs are not judged meanwhile" in found["annotations"]["description"]

    def muted():
        for alert in stage.alertmanager.alerts():
            if alert["labels"].get("run") == run:
                return alert["status"]["inhibitedBy"]

    wait_until("the run's alert is muted", muted, SECONDS)
    stage.start_again("slow")
    stage.resolves(found)


def test_nothing_else_was_ever_told(stage):
    """Not by healthy, filling, grokking, restarted and finished runs, nor by sound servers."""
    filling = f'dimwatch_window_fill_ratio{{run="{stage.run("still fills")}"}}'
    assert stage.prometheus.value(filling) == 0.5
    expected = {(alert, stage.run(job)) for alert, (job, _) in OF_RUNS.items()}
    expected.add(("DimwatchEarlyStopRecommended", stage.run("clean labels")))
    expected.add(("DimwatchCollapsed", stage.run("dies too")))
    expected |= {
        ("DimwatchRowsRejected", stage.servers["small"].http),
        ("DimwatchSeriesNearLimit", stage.servers["small"].http),
        ("DimwatchStoreErrors", stage.servers["small"].http),
        ("DimwatchStoreWasDamaged", stage.servers["small"].http),
        ("DimwatchRunsDamaged", stage.servers["small"].http),
        ("DimwatchCertificateExpires", stage.servers["secured"].http),
        ("DimwatchTokenExpires", stage.servers["secured"].http),
        ("DimwatchQuotaReached", stage.servers["runs"].http),
        ("DimwatchEstimatesSubsampled", stage.servers["runs"].http),
        ("DimwatchEstimateBacklog", stage.servers["slow"].http),
        ("DimwatchTargetDown", stage.servers["slow"].http),
    }
    assert {alert for alert, _ in expected} == set(RULES)
    # Of a dead run the lesser alert is told where the graver one does not mute it in time.
    dead = {run for alert, run in expected if alert == "DimwatchCollapsed"}
    allowed = expected | {("DimwatchEarlyStopRecommended", run) for run in dead}
    told = set()
    for alert in stage.webhook.alerts:
        labels = alert["labels"]
        told.add((labels["alertname"], labels.get("run", labels["instance"])))
        assert told <= allowed, alert["annotations"]["description"]
    assert told >= expected
