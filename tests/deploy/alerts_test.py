"""From a training job to the pager: a run overfits, the alert arrives, the run ends, it resolves.
Everything real; only intervals are shorter than in deploy/."""

import re

from observability import Alertmanager, Prometheus, Training, Webhook
from testing_support.processes import Server, wait_until


def quick_rules(text):
    return re.sub(r"\bfor: 1m\b", "for: 1s", text)


def quick_alertmanager(url):
    def edit(settings):
        settings["route"].update(group_wait="1s", group_interval="1s")
        settings["receivers"][0]["webhook_configs"][0]["url"] = url
        return settings

    return edit


def test_an_overfitting_run_raises_its_alert_which_resolves_when_the_run_ends(tmp_path):
    with Webhook() as webhook, Server(tmp_path) as server, Alertmanager(
        tmp_path, quick_alertmanager(webhook.url)
    ) as alertmanager, Prometheus(
        tmp_path, server.http, alertmanager.address, quick_rules
    ), Training(
        server, "overfitting-digits-noise40", "digits", "overfitting"
    ) as training:
        run = training.sent()
        labels = {"alertname": "DimwatchOverfitting", "project": "digits", "run": run}
        [alert, *_] = wait_until(
            "the alert arrives", lambda: webhook.find("firing", **labels), seconds=60
        )
        assert alert["labels"]["severity"] == "warning"
        assert "overfitting" in alert["annotations"]["summary"]
        assert re.search(r"since step \d+; mean LID \d", alert["annotations"]["description"])

        training.finish()
        wait_until("the alert resolves", lambda: webhook.find("resolved", **labels), seconds=60)
        fired = {alert["labels"]["alertname"] for alert in webhook.alerts}
        assert not fired & {"DimwatchTargetDown", "DimwatchStoreErrors", "DimwatchRowsRejected"}
