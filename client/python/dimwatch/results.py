"""What dimwatch says about a run, as plain values."""

import dataclasses
from typing import Dict, Optional, Tuple

from dimwatch.v1 import config_pb2, result_pb2


@dataclasses.dataclass(frozen=True)
class ScalePoint:
    """One point of a curve of the dimension over the scale.

    `distance` is the scale: the mean distance of the two neighbors that are compared, of which
    `neighbors` is the rank of the farther. The cloud was split into `parts` subsamples of `points`.
    """

    neighbors: int
    parts: int
    points: int
    distance: float
    dimension: Optional[float]
    standard_error: Optional[float]

    @classmethod
    def _from_proto(cls, message):
        return cls(*(_value(message, field.name) for field in dataclasses.fields(cls)))


@dataclasses.dataclass(frozen=True)
class ScaleProfile:
    """The dimension of a cloud as a function of scale: Gride, and TwoNN of subsamples."""

    gride: Tuple[ScalePoint, ...]
    twonn: Tuple[ScalePoint, ...]

    @classmethod
    def _from_proto(cls, message):
        return cls(tuple(map(ScalePoint._from_proto, message.gride)),
                   tuple(map(ScalePoint._from_proto, message.twonn)))


@dataclasses.dataclass(frozen=True)
class Estimate:
    """The mean local intrinsic dimension (LID) of a probe's cloud at a step.

    `mean`, `std` (spread of the pointwise LID), `standard_error` (of the mean) and `rolling_mean`
    are None where they are undefined; so is `harmonic_mean`, which only mle has. `near_duplicates`
    counts points very near another. `scale_profile` is there where the probe's `scale_every` asks
    for it. An estimate that is not `complete` feeds no signal, and `incomplete_reason` says why.
    `subsampled_reason` is not empty where the server had not enough of something for all points.
    """

    probe: str
    step: int
    mean: Optional[float]
    std: Optional[float]
    standard_error: Optional[float]
    rolling_mean: Optional[float]
    points: int
    rows: int
    invalid: int
    complete: bool
    incomplete_reason: str
    subsampled_reason: str
    seconds: float
    harmonic_mean: Optional[float]
    harmonic_mean_standard_error: Optional[float]
    near_duplicates: int
    scale_profile: Optional[ScaleProfile]

    @classmethod
    def _from_proto(cls, message):
        values = {field.name: _value(message, field.name) for field in dataclasses.fields(cls)}
        if values["scale_profile"] is not None:
            values["scale_profile"] = ScaleProfile._from_proto(values["scale_profile"])
        return cls(**values)


@dataclasses.dataclass(frozen=True)
class AttentionEstimate:
    """The attention-graph dimension of a probe at a step: how many positions all heads together
    attend to, averaged over `prompts`; higher is more expressive.

    `epsilon`, `relative` and `heads` say how it was counted. `invalid` prompts were left out: a
    weight was not finite. `baseline_change` is the mean change since `baseline_step`, the probe's
    first complete step, over the `baseline_prompts` in both, with its paired standard error; None
    at the baseline itself.
    """

    probe: str
    step: int
    mean: Optional[float]
    std: Optional[float]
    standard_error: Optional[float]
    prompts: int
    invalid: int
    complete: bool
    incomplete_reason: str
    epsilon: float
    relative: bool
    heads: int
    baseline_step: Optional[int]
    baseline_change: Optional[float]
    baseline_change_standard_error: Optional[float]
    baseline_prompts: int

    @classmethod
    def _from_proto(cls, message):
        settings = ("epsilon", "relative", "heads")
        return cls(*(_value(message.config if field.name in settings else message, field.name)
                     for field in dataclasses.fields(cls)))


@dataclasses.dataclass(frozen=True)
class Signal:
    """A change of state of one signal of one probe (empty for signals of the whole run).

    `state` is INACTIVE, PENDING, FIRING or RESOLVED; `evidence` holds the numbers of `reason`.
    """

    probe: str
    signal: str
    state: str
    step: int
    reason: str
    evidence: Dict[str, float]

    @classmethod
    def _from_proto(cls, message):
        state = result_pb2.SignalState.Name(message.state)[len("SIGNAL_STATE_"):]
        return cls(message.probe, message.signal, state, message.step, message.reason,
                   dict(message.evidence))


@dataclasses.dataclass(frozen=True)
class Decision:
    """What the run's policy makes of its signals.

    `verdict` is CONTINUE or STOP; `best_step` is the step whose checkpoint is recommended (None
    unless the verdict is STOP); `signals` are the names that were firing. `mode` is the policy's:
    advisory (the job decides whether to follow a STOP), enforced (a STOP stands, and Run.steps ends
    the loop) or shadow (the decision is only recorded, and the job is not to stop).
    """

    verdict: str = "CONTINUE"
    step: int = 0
    reason: str = "nothing was judged yet"
    best_step: Optional[int] = None
    signals: Tuple[str, ...] = ()
    mode: str = "advisory"

    @classmethod
    def _from_proto(cls, message):
        stop = message.verdict == result_pb2.VERDICT_STOP
        return cls("STOP" if stop else "CONTINUE", message.step,
                   message.reason or cls.reason, _value(message, "best_step"),
                   tuple(message.signals),
                   config_pb2.PolicyMode.Name(message.mode)[len("POLICY_MODE_"):].lower())


def _value(message, field):
    """A field's value; None if it is optional and absent."""
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    if descriptor.has_presence and not message.HasField(field):
        return None
    return getattr(message, field)
