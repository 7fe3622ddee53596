"""Prometheus' rules and the configuration files, as promtool and amtool see them."""

import subprocess

import pytest
import yaml
from observability import DEPLOY, Alertmanager, rules
from testing_support.processes import ROOT, wait_until

UNIT_TESTS = ROOT / "tests/deploy/rules_test.yml"
ALERTS = {rule["alert"]: rule for rule in rules() if "alert" in rule}


def run(*command):
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout


def test_promtool_accepts_the_configuration_and_the_rules():
    run("promtool", "check", "config", DEPLOY / "prometheus/prometheus.yml")
    run("promtool", "check", "rules", *(DEPLOY / "prometheus/rules").glob("*.yml"))


def test_amtool_accepts_the_configuration():
    run("amtool", "check-config", DEPLOY / "alertmanager/alertmanager.yml")


def test_every_alert_fires_when_it_must_and_only_then():
    run("promtool", "test", "rules", UNIT_TESTS)


@pytest.mark.parametrize("name", ALERTS)
def test_unit_tests_have_each_alert_fire_and_not_fire(name):
    fires, silent = False, False
    for scenario in yaml.safe_load(UNIT_TESTS.read_text())["tests"]:
        for case in scenario.get("alert_rule_test", []):
            if case["alertname"] == name:
                fires |= bool(case["exp_alerts"])
                silent |= not case["exp_alerts"]
        for case in scenario.get("promql_expr_test", []):
            # Counts of all alerts: those that are expected, by name, or none at all.
            fires |= any(name in sample["labels"] for sample in case["exp_samples"])
            silent |= case["exp_samples"] == []
    assert fires and silent


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_happened_and_what_to_do(name):
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"info", "warning", "critical"}
    assert "for" in alert
    assert alert["annotations"]["summary"] and alert["annotations"]["description"]
    assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md#what-to-do"


@pytest.mark.parametrize("name", ALERTS)
def test_a_runbook_says_the_cause_what_to_look_at_and_what_to_do(name):
    title, *sections = (ROOT / f"docs/runbooks/{name}.md").read_text().split("\n## ")
    severity = ALERTS[name]["labels"]["severity"]
    assert title.startswith(f"# {name}\nSeverity {severity}. ")
    parts = [section.split("\n", 1) for section in sections]
    assert [heading for heading, _ in parts] == ["What it means", "What to look at", "What to do"]
    assert all(len(text.split()) >= 8 for _, text in parts)


def test_a_runbook_exists_for_alerts_only():
    assert {path.stem for path in (ROOT / "docs/runbooks").glob("*.md")} == set(ALERTS)


def states(alertmanager):
    """The state of each alert, by name and run."""
    return {
        (alert["labels"]["alertname"], alert["labels"].get("run")): alert["status"]["state"]
        for alert in alertmanager.alerts()
    }


def alert(name, severity, instance, run=None):
    labels = {"alertname": name, "severity": severity, "job": "dimwatch", "instance": instance}
    return {"labels": {**labels, **({"project": "p", "run": run} if run else {})}}


def test_inhibition_mutes_what_a_lost_server_and_a_critical_run_would_only_repeat(tmp_path):
    with Alertmanager(tmp_path) as alertmanager:
        # Sources first: an alert is muted by those that are known already.
        alertmanager.post([alert("DimwatchTargetDown", "critical", "a:1")])
        alertmanager.post([alert("DimwatchCollapsed", "critical", "b:1", "broken")])
        alertmanager.post([alert("DimwatchStoreErrors", "critical", "b:1")])
        alertmanager.post(
            [
                alert("DimwatchOverfitting", "warning", "a:1", "on-lost-server"),
                alert("DimwatchOverfitting", "warning", "b:1", "broken"),
                alert("DimwatchOverfitting", "warning", "b:1", "other"),
                alert("DimwatchRowsRejected", "warning", "b:1"),
            ]
        )
        expected = {
            ("DimwatchTargetDown", None): "active",
            ("DimwatchCollapsed", "broken"): "active",
            ("DimwatchStoreErrors", None): "active",
            ("DimwatchOverfitting", "on-lost-server"): "suppressed",
            ("DimwatchOverfitting", "broken"): "suppressed",
            ("DimwatchOverfitting", "other"): "active",
            ("DimwatchRowsRejected", None): "active",
        }
        wait_until("the states are these", lambda: states(alertmanager) == expected, 20)
