"""docs/metrics.md, the rules and the dashboards name exactly what the server exports."""

import os
import re
import subprocess
import urllib.request

import pytest
from observability import DASHBOARDS, DEPLOY, METRIC
from testing_support.certificates import Authority
from testing_support.processes import BUILD, ROOT, Server, wait_until

DOCUMENT = ROOT / "docs/metrics.md"
# Labels of all metrics of a section, which its tables do not repeat.
SECTION_LABELS = {
    "A probe": {"project", "run", "probe"},
    "A probe of attention maps": {"project", "run", "probe"},
    "A signal": {"project", "run", "probe", "signal"},
    "A run": {"project", "run"},
    "The server": set(),
}
# Suffixes of a histogram's series.
PARTS = re.compile(r"_(bucket|sum|count)$")


def documented():
    """{name: (type, labels, meaning)} of all tables."""
    metrics, labels = {}, set()
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            labels = SECTION_LABELS[line[3:]]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        name = re.fullmatch(r"`(dimwatch_\w+)`", cells[0])
        if name:
            own = set(re.findall(r"`([\w*]+)`", cells[2]))
            metrics[name[1]] = (cells[1], labels | own, cells[4])
    return metrics


def exported(page):
    """{name: (type, labels over all its series, help)} of a metrics page."""
    metrics = {}
    for line in page.splitlines():
        if line.startswith("# HELP "):
            name, help_text = line[7:].split(" ", 1)
            metrics[name] = ["", set(), help_text]
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split()
            metrics[name][0] = kind
        elif line:
            name = re.match(r"\w+", line)[0]
            name = name if name in metrics else PARTS.sub("", name)
            metrics[name][1] |= set(re.findall(r'(\w+)="', line)) - {"le"}
    return metrics


# What only some probes have: a harmonic mean, a scale profile. And a project that is full.
PROFILED_JOB = """
import sys, dimwatch, numpy
run = dimwatch.init("metrics", "profiled", server=sys.argv[1], strict=True)
probe = run.probe("train/mle", estimator="mle", neighbors=16, scale_every=1)
probe.log(numpy.random.default_rng(1).normal(size=(300, 5)).astype("float32"), step=1)
run.finish()
full = dimwatch.init("full", "full", server=sys.argv[1])
for name in ("train/taken", "train/refused"):
    full.probe(name, neighbors=16).log(numpy.ones((40, 5), "float32"), step=1)
full.finish()
"""


def secured_page(folder):
    """What a server with TLS and a token that expires exports besides."""
    certificate, key = Authority(folder).sign("server")
    make = [BUILD / "bin/dimwatch", "token", "make", "--tokens", folder / "tokens.json"]
    made = subprocess.run(
        [*make, "--project", "p", "--scope", "read"], check=True, capture_output=True, text=True
    )
    options = ["--tokens", folder / "tokens.json", "--tls-certificate", certificate, "--tls-key", key]
    with Server(folder, *options) as server:
        bearer = {"Authorization": f"Bearer {made.stdout.strip()}"}
        request = urllib.request.Request(f"http://{server.http}/metrics", headers=bearer)
        with urllib.request.urlopen(request) as response:
            return exported(response.read().decode())


@pytest.fixture(scope="module")
def page(observed, tmp_path_factory):
    subprocess.run(
        ["/usr/bin/python3", "-c", PROFILED_JOB, observed.server.grpc],
        env={**os.environ, "PYTHONPATH": str(BUILD / "python")},
        check=True,
        timeout=60,
    )
    pages = []

    def profiled():
        with urllib.request.urlopen(f"http://{observed.server.http}/metrics") as response:
            pages.append(exported(response.read().decode()))
        return "dimwatch_lid_scale" in pages[-1]

    wait_until("the profile is exported", profiled, 30)
    return {**secured_page(tmp_path_factory.mktemp("secured")), **pages[-1]}


def test_the_document_lists_exactly_what_is_exported(page):
    own = {name for name in page if name.startswith("dimwatch_")}
    assert set(documented()) == own


def test_types_are_as_documented(page):
    assert {name: kind for name, (kind, _, _) in documented().items()} == {
        name: kind for name, (kind, _, _) in page.items() if name in documented()
    }


def test_labels_are_as_documented(page):
    for name, (_, labels, _) in documented().items():
        expected = {label for label in labels if not label.endswith("*")}
        free = tuple(label[:-1] for label in labels if label.endswith("*"))
        actual = {label for label in page[name][1] if not (free and label.startswith(free))}
        assert actual == expected, name
        assert free == () or actual != page[name][1], f"{name}: no label {free}"


def test_every_metric_has_a_help_text(page):
    assert [name for name, (_, _, text) in page.items() if len(text) < 10] == []


@pytest.mark.parametrize(
    "path",
    [
        *DASHBOARDS,
        *(DEPLOY / "prometheus/rules").glob("*.yml"),
        *(ROOT / "docs").rglob("*.md"),
        *ROOT.glob("*.md"),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_name_in_use_is_exported(path, page):
    text = re.sub(r"\w+:dimwatch_\w+:\w+", "", path.read_text())  # recording rules
    names = {PARTS.sub("", name) for name in METRIC.findall(text)}
    programs = ("_", "_bench", "_calibration")
    unknown = {name for name in names if name not in page and not name.endswith(programs)}
    assert unknown == set()
