"""From Python arguments to the contract's configuration. Raises TypeError or ValueError."""

import json
import re

from dimwatch.v1 import config_pb2, run_pb2

_NAME = re.compile(r"[A-Za-z0-9._/-]{1,128}")
_HYPERPARAMETERS_BYTES = 64 << 10
DEFAULT_EPSILON = 0.1


def check_name(what, name):
    """Returns `name` if it may name a project, run, probe or scalar."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"{what} must be 1 to 128 of A-Z a-z 0-9 . _ / -, got {name!r}")
    return name


def probe_config(name, *, split, layer, window, window_points, estimate_every, aligned,
                 scale_every, **estimator):
    """A ProbeConfig; None stands for the server's default."""
    config = config_pb2.ProbeConfig(probe=check_name("a probe's name", name), aligned=bool(aligned))
    _set(config, split=split, layer=layer, window=window, window_points=window_points,
         estimate_every=estimate_every, scale_every=scale_every)
    _set(config.estimator, **estimator)
    return config


def attention_config(name, *, split, layer, epsilon, relative):
    """The ProbeConfig of a probe of attention maps; None stands for the default."""
    config = config_pb2.ProbeConfig(probe=check_name("a probe's name", name))
    _set(config, split=split, layer=layer)
    epsilon = DEFAULT_EPSILON if epsilon is None else float(epsilon)
    if not 0 < epsilon < 1:
        raise ValueError(f"epsilon must be above 0 and below 1, got {epsilon}")
    config.attention.epsilon, config.attention.relative = epsilon, bool(relative)
    return config


def run_message(*, run_id, project, name, config, labels, user, signals, policy):
    """A Run to create."""
    run = run_pb2.Run(run_id=check_name("a run's id", run_id),
                      project=check_name("a project's name", project))
    _set(run, display_name=name, user=user)
    for key, value in (labels or {}).items():
        run.labels[str(key)] = str(value)
    if config is not None:
        run.hyperparameters_json = _to_json(config)
    _set(run.config.signals, **(signals or {}))
    _set(run.config.policy, **(policy or {}))
    return run


def _to_json(config):
    text = json.dumps(config, default=str)
    if not isinstance(json.loads(text), dict):
        raise TypeError(f"config must be a dict, got {type(config).__name__}")
    if len(text.encode()) > _HYPERPARAMETERS_BYTES:
        raise ValueError(f"config must be at most {_HYPERPARAMETERS_BYTES} bytes as JSON, "
                         f"got {len(text.encode())}")
    return text


def _set(message, **values):
    """Sets the fields that are not None; enums by their lower-case names ("twonn-global")."""
    fields = message.DESCRIPTOR.fields_by_name
    for name, value in values.items():
        if name not in fields:
            raise TypeError(f"unknown setting {name!r}; there are {', '.join(sorted(fields))}")
        if value is None:
            continue
        if fields[name].enum_type is not None:
            value = _enum(name, fields[name].enum_type, value)
        try:
            if fields[name].label == fields[name].LABEL_REPEATED:
                getattr(message, name).extend([value] if isinstance(value, str) else value)
            else:
                setattr(message, name, value)
        except (TypeError, ValueError) as error:
            raise type(error)(f"{name}: {error}") from error


def _enum(field, enum, value):
    """The number of an enum's value, from "twonn-global" for ESTIMATOR_TWONN_GLOBAL."""
    prefix = enum.values_by_number[0].name[:-len("UNSPECIFIED")]
    names = {v.name[len(prefix):].lower().replace("_", "-"): v.number for v in enum.values[1:]}
    if value not in names:
        raise ValueError(f"{field} must be one of {', '.join(names)}, got {value!r}")
    return names[value]
