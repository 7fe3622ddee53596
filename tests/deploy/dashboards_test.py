"""The Grafana dashboards as files. What their queries answer is in queries_test.py."""

import itertools
import json
import re

import pytest
import yaml
from observability import DASHBOARDS, DEPLOY

BOARDS = {path.stem: json.loads(path.read_text()) for path in DASHBOARDS}
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
every_board = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def panels(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def test_the_three_dashboards_are_there_and_told_apart():
    assert set(BOARDS) == {"run", "compare-runs", "server-health"}
    assert len({board["uid"] for board in BOARDS.values()}) == 3
    assert len({board["title"] for board in BOARDS.values()}) == 3


@every_board
def test_every_panel_says_what_it_shows_and_in_which_unit(board):
    for panel in panels(board):
        assert panel["title"], panel["id"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@every_board
def test_every_query_goes_to_the_chosen_data_source(board):
    for panel in panels(board):
        assert panel["datasource"] == DATASOURCE, panel["title"]
        assert panel["targets"], panel["title"]
        for target in panel["targets"]:
            assert target["datasource"] == DATASOURCE, panel["title"]


@every_board
def test_ids_are_unique(board):
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    for panel in panels(board):
        references = [target["refId"] for target in panel["targets"]]
        assert len(set(references)) == len(references), panel["title"]


@every_board
def test_panels_lie_side_by_side(board):
    places = [panel["gridPos"] for panel in board["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    for a, b in itertools.combinations(places, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, (a, b)


@every_board
def test_variables_are_defined_before_they_are_used_and_used_at_all(board):
    variables = board["templating"]["list"]
    names = [variable["name"] for variable in variables]
    assert names[0] == "datasource" and {"project", "run"} <= set(names)
    for place, variable in enumerate(variables[1:], 1):
        assert variable["datasource"] == DATASOURCE
        used = re.findall(r"\$(\w+)", variable["query"]["query"])
        assert set(used) <= set(names[:place]), variable["name"]
    text = json.dumps([board["panels"], variables])
    used = {a or b for a, b in re.findall(r"\$(?:\{([a-z_]\w*)\}|([a-z_]\w*))", text)} - {"__rate_interval", "__range"}
    assert used == set(names)


def test_layers_are_sorted_by_their_numbers():
    panel = next(p for p in panels(BOARDS["run"]) if p["title"] == "LID by layer")
    [pattern] = {
        pattern
        for target in panel["targets"]
        for pattern in re.findall(r'"\$\{1\}0\$2\$3", "probe", "([^"]+)"', target["expr"])
    }
    names = [f"train/layer.{i}" for i in range(12)] + ["train/h.2.attn", "train/h.10.attn", "train/last"]

    def key(name):
        found = re.fullmatch(pattern, name)
        return f"{found[1]}0{found[2]}{found[3] or ''}" if found else name

    assert sorted(names, key=key) == names[12:14] + [names[14]] + names[:12]
    sort = next(t for t in panel["transformations"] if t["id"] == "sortBy")
    assert sort["options"]["sort"] == [{"field": "layer", "desc": False}]


def test_provisioning_brings_a_prometheus_and_a_folder_of_dashboards():
    provisioning = DEPLOY / "grafana/provisioning"
    source = yaml.safe_load((provisioning / "datasources/prometheus.yml").read_text())
    assert source["apiVersion"] == 1
    assert [entry["type"] for entry in source["datasources"]] == ["prometheus"]
    provider = yaml.safe_load((provisioning / "dashboards/dimwatch.yml").read_text())
    assert provider["apiVersion"] == 1
    assert [entry["type"] for entry in provider["providers"]] == ["file"]
