"""Carries out docker/Dockerfile in plain root folders: dockerfile_steps.py BASE WORK. Each stage is a
copy of BASE below WORK; RUN becomes chroot. Ends by running the image's server as its user.

What this does not check: the layers, ENV beyond the server's start, VOLUME, EXPOSE, and that
debian:12-slim holds no less than BASE."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from dockerfile import parse

ROOT = Path(__file__).resolve().parents[2]


def say(text):
    print(f"dockerfile: {text}", flush=True)


def run(*command):
    subprocess.run([str(part) for part in command], check=True)


class Root:
    """One stage's file system."""

    def __init__(self, base, folder):
        self.path, self.workdir, self.user, self.environment = folder, "/", "root", {}
        run("cp", "-a", base, folder)
        shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
        run("mount", "-t", "proc", "proc", folder / "proc")

    def inside(self, path):
        return self.path / str(Path(self.workdir, path)).lstrip("/")

    def chroot(self, *command):
        user = [] if self.user == "root" else [f"--userspec={self.user}:{self.user}"]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = [path, *(f"{name}={value}" for name, value in self.environment.items())]
        return ["chroot", *user, self.path, "env", "-i", *environment, *command]

    def copy(self, copy, stages):
        origin = stages[copy.stage].path if copy.stage else ROOT
        target = self.inside(copy.destination)
        if copy.destination.endswith("/"):
            target.mkdir(parents=True, exist_ok=True)
        for source in copy.sources:
            path = origin / source.lstrip("/")
            if path.is_dir():
                shutil.copytree(path, target, dirs_exist_ok=True, symlinks=True)
            else:
                shutil.copy2(path, target)


def build(stage, base, folder, stages):
    root = Root(base, folder)
    for instruction, arguments in stage.steps:
        started = time.monotonic()
        if instruction == "WORKDIR":
            root.workdir = arguments
            root.inside("").mkdir(parents=True, exist_ok=True)
        elif instruction == "RUN":
            run(*root.chroot("/bin/sh", "-c", f"cd {root.workdir} && {arguments}"))
        elif instruction == "COPY":
            root.copy(arguments, stages)
        elif instruction == "USER":
            root.user = arguments
        elif instruction == "ENV":
            name, _, value = arguments.partition("=")
            root.environment[name] = value
        say(f"{instruction} {arguments} ({time.monotonic() - started:.0f} s)")
    return root


def check(root, entrypoint):
    """The server is ready, healthy, not root, and ends on SIGTERM."""
    command = root.chroot(*entrypoint, "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0")
    server = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()
        ready = re.fullmatch(r"dimwatch-server ready grpc=\S+ http=\S+:(\d+)\n", line)
        assert ready, f"not the line of a server that is ready: {line!r}"
        assert os.stat(f"/proc/{server.pid}").st_uid == 10001
        run(*root.chroot("dimwatch-healthcheck", ready[1]))
        run(*root.chroot("dimwatch", "--help"))
    finally:
        server.terminate()
    assert server.wait(60) == 0
    assert list((root.path / "var/lib/dimwatch").iterdir()), "nothing was written to the volume"


def main(base, work):
    stages = {}
    parsed = parse((ROOT / "docker/Dockerfile").read_text())
    for number, stage in enumerate(parsed):
        root = build(stage, base, work / f"stage{number}", stages)
        stages[stage.name] = root
    check(root, dict(parsed[-1].steps)["ENTRYPOINT"])
    size = subprocess.check_output(["du", "-xsm", root.path], text=True).split()[0]
    say(f"every step ran, and the server runs as the image's user; root of {size} MiB")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
