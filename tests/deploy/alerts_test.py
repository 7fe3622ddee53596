"""From a training job to the pager: a run overfits, the alert arrives, the server is restarted, the
run ends, the alert resolves. Everything real; only intervals are shorter than in deploy/."""

import contextlib
import re

from observability import Alertmanager, Prometheus, Training, Webhook
from testing_support.processes import Server, wait_until


def quick_rules(groups):
    """A minute is a second for runs. Not for the server: on a busy machine a scrape may be late."""
    for group in groups:
        for rule in group["rules"]:
            if group["name"] == "dimwatch-runs" and rule["for"] == "1m":
                rule["for"] = "1s"


def quick_alertmanager(url):
    def edit(settings):
        settings["route"].update(group_wait="1s", group_interval="1s")
        settings["receivers"][0]["webhook_configs"][0]["url"] = url

    return edit


def port(address):
    return int(address.rsplit(":", 1)[1])


def test_an_alert_arrives_outlives_a_restart_of_the_server_and_resolves_with_its_run(tmp_path):
    with contextlib.ExitStack() as stack:
        webhook = stack.enter_context(Webhook())
        server = stack.enter_context(Server(tmp_path))
        alertmanager = stack.enter_context(Alertmanager(tmp_path, quick_alertmanager(webhook.url)))
        prometheus = stack.enter_context(
            Prometheus(tmp_path, server.http, alertmanager.address, quick_rules)
        )
        jobs = [
            stack.enter_context(Training(server, trace, "digits", trace))
            for trace in ("healthy-digits", "overfitting-digits-noise40")
        ]
        healthy, overfitting = [job.sent() for job in jobs]

        labels = {"alertname": "DimwatchOverfitting", "project": "digits", "run": overfitting}
        [alert, *_] = wait_until("the alert arrives", lambda: webhook.find("firing", **labels))
        assert alert["labels"]["severity"] == "warning"
        assert "overfitting-digits-noise40" in alert["annotations"]["summary"]
        assert re.search(r"since step \d+; mean LID \d", alert["annotations"]["description"])

        server.stop()
        wait_until("a scrape fails", lambda: prometheus.value('up{job="dimwatch"}') == 0)
        ports = {"grpc_port": port(server.grpc), "http_port": port(server.http)}
        stack.enter_context(Server(tmp_path, **ports))
        active = f'dimwatch_signal_active{{run="{overfitting}",signal="overfitting"}} == 1'
        wait_until("the signal is there again", lambda: prometheus.value(active))
        assert webhook.find("resolved", **labels) == []

        jobs[1].finish()
        labels["probe"] = alert["labels"]["probe"]
        [end, *_] = wait_until("the alert resolves", lambda: webhook.find("resolved", **labels))
        assert end["startsAt"] == alert["startsAt"], "one alert, from its beginning to its end"
        fired = {(alert["labels"]["alertname"], alert["labels"].get("run")) for alert in webhook.alerts}
        assert ("DimwatchOverfitting", healthy) not in fired
        assert {name for name, run in fired if run is None} == set(), "alerts of the server itself"
