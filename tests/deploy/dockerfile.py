"""Reads a Dockerfile: the part of its language that docker/Dockerfile uses."""

import dataclasses
import json
import shlex


@dataclasses.dataclass
class Stage:
    """What one FROM begins. `steps` are (instruction, arguments), in order; a RUN's arguments are
    one shell command, those of a COPY its sources and its destination."""

    base: str
    name: str
    steps: list


@dataclasses.dataclass
class Copy:
    sources: list
    destination: str
    stage: str  # of --from; empty: the build's context


def parse(text):
    """The stages of a Dockerfile. ValueError for an instruction that is not known here."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    stages = []
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        if not line.strip():
            continue
        instruction, _, rest = line.strip().partition(" ")
        rest = rest.strip()
        if instruction == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name, []))
        elif instruction == "COPY":
            stages[-1].steps.append((instruction, _copy(shlex.split(rest))))
        elif instruction == "ENTRYPOINT":
            stages[-1].steps.append((instruction, json.loads(rest)))
        elif instruction in {"RUN", "WORKDIR", "USER", "ENV", "VOLUME", "EXPOSE", "HEALTHCHECK"}:
            stages[-1].steps.append((instruction, rest))
        else:
            raise ValueError(f"unknown instruction: {line}")
    return stages


def _copy(words):
    stage = ""
    if words[0].startswith("--from="):
        stage = words.pop(0).removeprefix("--from=")
    return Copy(words[:-1], words[-1], stage)
