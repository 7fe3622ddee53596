"""From a training job to the pager: a run overfits, the alert arrives, the run ends, it resolves.
Everything real; only intervals are shorter than in deploy/."""

import contextlib
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
    with contextlib.ExitStack() as stack:
        webhook = stack.enter_context(Webhook())
        server = stack.enter_context(Server(tmp_path))
        alertmanager = stack.enter_context(Alertmanager(tmp_path, quick_alertmanager(webhook.url)))
        stack.enter_context(Prometheus(tmp_path, server.http, alertmanager.address, quick_rules))
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

        jobs[1].finish()
        wait_until("the alert resolves", lambda: webhook.find("resolved", **labels))
        fired = {(alert["labels"]["alertname"], alert["labels"].get("run")) for alert in webhook.alerts}
        assert ("DimwatchOverfitting", healthy) not in fired
        assert {name for name, run in fired if run is None} == set(), "alerts of the server itself"
