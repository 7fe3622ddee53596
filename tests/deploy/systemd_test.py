"""The unit of deploy/systemd: understood by systemd, closed to what the server does not need, and
naming options that the server has."""

import re
import shutil
import subprocess

import pytest
from testing_support.processes import BUILD, ROOT

UNIT = ROOT / "deploy/systemd/dimwatch-server.service"
# Of 10; systemd calls up to 2.0 "OK". What is left is the network, the host's file system to read,
# and memory that is written and then executed, which oneDNN needs.
MOST_EXPOSURE = 1.1

needs_systemd = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")


@pytest.fixture()
def unit(tmp_path):
    """The unit with the server that was built here."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/usr/local/bin/", f"{BUILD}/bin/"))
    return path


@needs_systemd
def test_systemd_understands_the_unit(unit):
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60)
    # Only what concerns this unit; the machine's others may have troubles of their own.
    said = [line for line in done.stderr.splitlines() if unit.name in line]
    assert said == [] or all("man" in line for line in said), said


@needs_systemd
def test_the_unit_is_exposed_as_little_as_is_said(unit):
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    exposure = float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)[1])
    assert exposure <= MOST_EXPOSURE, done.stdout


def test_the_server_has_the_options_that_the_unit_gives(unit, tmp_path):
    words = re.search(r"^ExecStart=(.*)$", unit.read_text(), re.M)[1].split()
    (tmp_path / "server.toml").write_text("max_rums = 3\n")
    words = [word.replace("/etc/dimwatch/server.toml", str(tmp_path / "server.toml")) for word in words]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "max_rums is not an option" in done.stderr
