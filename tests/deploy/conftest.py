"""Everything under deploy/ and docker/ against the real programs: promtool, Prometheus,
Alertmanager, dimwatch-server. Needs a build: DIMWATCH_BUILD, default build/."""

import contextlib
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from observability import Prometheus, Training  # noqa: E402
from testing_support.processes import Server, wait_until  # noqa: E402

LAST_STEP = 1520  # of both traces


class Observed:
    """A server that watches two real runs, still open, and the Prometheus that scraped it from
    before they began."""

    PROJECT = "digits"
    PROBE = "train/last"
    ATTENTION_PROBE = "train/attention"
    SCALAR = "validation/accuracy"

    def __init__(self, server, prometheus):
        self.start = time.time()
        self.server, self.prometheus = server, prometheus
        self.runs = {}

    @property
    def choices(self):
        """What each variable of the dashboards must at least offer."""
        return {
            "project": {self.PROJECT},
            "run": set(self.runs.values()),
            "probe": {self.PROBE, "validation/last"},
            "attention_probe": {self.ATTENTION_PROBE},
            "scalar": {self.SCALAR},
            "instance": {self.server.http},
        }

    def chosen(self, run):
        """A choice for each variable, the run by its display name."""
        return {
            "project": self.PROJECT,
            "run": self.runs[run],
            "probe": self.PROBE,
            "attention_probe": self.ATTENTION_PROBE,
            "scalar": self.SCALAR,
            "instance": self.server.http,
        }


@pytest.fixture(scope="session")
def observed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("observed")
    with contextlib.ExitStack() as stack:
        file = folder / "server.toml"
        file.write_text("[quota]\nmax_runs = 100\n[projects.full.quota]\nmax_probes = 1\n")
        server = stack.enter_context(Server(folder, "--config", file))
        prometheus = stack.enter_context(Prometheus(folder, [server.http]))
        observed = Observed(server, prometheus)
        traces = {"healthy": "healthy-digits", "overfitting": "overfitting-digits-noise40"}
        jobs = {
            name: stack.enter_context(
                Training(server, trace, Observed.PROJECT, name, pause=0.2, prompts=8)
            )
            for name, trace in traces.items()
        }
        observed.runs = {name: job.sent() for name, job in jobs.items()}
        estimated = f"count(dimwatch_lid_step == {LAST_STEP})"
        wait_until("all was estimated and scraped", lambda: prometheus.value(estimated) == 4, 120)
        yield observed
