"""Every query of every dashboard, asked of a real Prometheus that scraped a real server which
watched two real runs."""

import json
import math
import re
import time

import pytest
from observability import DASHBOARDS

# Shown only where there is TLS, and where tokens expire; alerts_test.py has both.
ONLY_SECURED = ("dimwatch_tls_certificate_expiry", "dimwatch_token_expiry")
BUILTIN = {"__rate_interval": "10s", "__range": "600s"}


def queries():
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel.get("targets", []):
                name = f"{path.stem}: {panel['title']} {target['refId']}"
                yield pytest.param(target["expr"], target.get("instant", False), id=name)


def variables():
    for path in DASHBOARDS:
        for variable in json.loads(path.read_text())["templating"]["list"]:
            if variable["type"] == "query":
                yield pytest.param(variable, id=f"{path.stem}: {variable['name']}")


def substitute(text, values):
    """As Grafana does: $name, with several choices as (a|b)."""
    for name, value in {**values, **BUILTIN}.items():
        text = re.sub(rf"\${name}\b|\${{{name}}}", lambda _: value, text)
    assert not re.search(r"\$\{?[a-z_]", text), text  # $1 is a group of label_replace
    return text


@pytest.mark.parametrize("expression, instant", queries())
@pytest.mark.parametrize("run", ["healthy", "overfitting"])
def test_a_panel_shows_something(observed, run, expression, instant):
    asked = substitute(expression, observed.chosen(run))
    if instant:
        answer = observed.prometheus.api("query", query=asked)
    else:
        answer = observed.prometheus.api(
            "query_range", query=asked, start=observed.start, end=time.time(), step=1
        )
    assert answer["status"] == "success", (asked, answer)
    result = answer["data"]["result"]
    if asked.startswith(ONLY_SECURED):
        assert result == [], "then it must show something"
        return
    points = [point for series in result for point in series.get("values", [series.get("value")])]
    assert any(math.isfinite(float(value)) for _, value in points), asked


@pytest.mark.parametrize("variable", variables())
def test_a_variable_has_something_to_choose(observed, variable):
    query = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
    selector = substitute(query[1], observed.chosen("healthy"))
    answer = observed.prometheus.api(f"label/{query[2]}/values", **{"match[]": selector})
    assert answer["status"] == "success", answer
    assert answer["data"], selector
    assert observed.choices[variable["name"]] <= set(answer["data"])
