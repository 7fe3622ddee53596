"""docker/ as far as it can be checked without an engine; dockerfile_check.sh runs its steps."""

import os
import re
import socket
import subprocess
import threading

import pytest
import yaml
from dockerfile import parse
from testing_support.processes import BUILD, ROOT

DOCKER = ROOT / "docker"
STAGES = parse((DOCKER / "Dockerfile").read_text())
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text())
SERVER = COMPOSE["services"]["dimwatch"]


def copies(stage):
    return [arguments for instruction, arguments in stage.steps if instruction == "COPY"]


def test_what_the_dockerfile_copies_is_there_and_not_ignored():
    ignored = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    sources = [
        source
        for stage in STAGES
        for copy in copies(stage)
        if not copy.stage
        for source in copy.sources
    ]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignored, source


def test_the_image_takes_binaries_that_its_build_stage_makes():
    build, final = STAGES
    [binaries] = [copy for copy in copies(final) if copy.stage == build.name]
    made = " ".join(arguments for instruction, arguments in build.steps if instruction == "RUN")
    for source in binaries.sources:
        assert re.search(rf"--target[^&]* {source.rsplit('/', 1)[1]}\b", made), source


def test_the_server_runs_without_privileges_and_on_loopback_unless_told_otherwise():
    steps = dict(STAGES[-1].steps)
    assert steps["USER"] == "dimwatch"
    assert steps["ENTRYPOINT"] == ["dimwatch-server"]
    assert steps["VOLUME"] == "/var/lib/dimwatch"


def packages(group):
    """As deploy/install-packages.sh names them on this architecture."""
    text = (ROOT / "deploy/install-packages.sh").read_text().replace('main "$@"', f"packages_of {group}")
    return output("bash", "-c", text).split()


def output(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout


@pytest.mark.parametrize("group", ["build", "runtime"])
def test_packages_that_the_image_installs_are_known_to_debian(group):
    policy = output("apt-cache", "policy", *packages(group))
    known = set(re.findall(r"^(\S+):\n  Installed: .+\n  Candidate: \d", policy, re.M))
    assert set(packages(group)) - known == set()


@pytest.mark.parametrize("binary", ["dimwatch-server", "dimwatch"])
def test_the_runtime_packages_bring_every_library_that_a_binary_needs(binary):
    libraries = re.findall(r"=> (/\S+)", output("ldd", str(BUILD / "bin" / binary)))
    # The C library, which everything brings, is not found by its real path.
    owners = output("dpkg", "-S", *(os.path.realpath(library) for library in libraries))
    needed = set(re.findall(r"^([^:]+)(?::\w+)?: /", owners, re.M))
    only = [f"--no-{kind}" for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces")]
    tree = output("apt-cache", "depends", "--recurse", *only, "--no-enhances", *packages("runtime"))
    brought = set(re.findall(r"^(\S+?)(?::\w+)?$", tree, re.M))
    assert needed and needed - brought == set()


def test_compose_publishes_on_the_loopback_only():
    for name, service in COMPOSE["services"].items():
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:"), (name, port)


def test_compose_names_the_addresses_that_prometheus_and_grafana_are_given():
    def targets(name):
        [entry] = yaml.safe_load((DOCKER / f"targets/{name}.yml").read_text())
        return [target.partition(":") for target in entry["targets"]]

    [(host, _, port)] = targets("dimwatch")
    assert host in COMPOSE["services"] and f"0.0.0.0:{port}" in SERVER["command"]
    [(host, _, _)] = targets("alertmanager")
    assert host in COMPOSE["services"]
    [source] = yaml.safe_load((DOCKER / "grafana-datasource.yml").read_text())["datasources"]
    assert re.fullmatch(r"http://(\w+):9090", source["url"])[1] in COMPOSE["services"]


def test_the_data_source_of_compose_differs_from_the_provisioned_one_by_its_address_only():
    provisioned = ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml"
    [own] = yaml.safe_load((DOCKER / "grafana-datasource.yml").read_text())["datasources"]
    [other] = yaml.safe_load(provisioned.read_text())["datasources"]
    assert {**own, "url": ""} == {**other, "url": ""}


def test_what_compose_mounts_is_there_or_a_volume():
    for service in COMPOSE["services"].values():
        for mount in service["volumes"]:
            source = mount.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).exists(), mount
            else:
                assert source in COMPOSE["volumes"], mount


@pytest.mark.parametrize("status, healthy", [("200 OK", True), ("503 Service Unavailable", False)])
def test_the_health_check_asks_for_readiness(status, healthy):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked = []

        def answer():
            connection, _ = listener.accept()
            with connection:
                asked.append(connection.recv(1000))
                connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())

        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        done = subprocess.run([DOCKER / "healthcheck", str(port)], timeout=20)
        thread.join()
    assert (done.returncode == 0) == healthy
    assert asked[0].startswith(b"GET /readyz ")


def test_the_health_check_fails_where_nothing_listens():
    done = subprocess.run([DOCKER / "healthcheck", "1"], capture_output=True, timeout=20)
    assert done.returncode != 0
