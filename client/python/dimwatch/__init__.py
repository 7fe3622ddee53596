"""dimwatch: watches the intrinsic dimension of a model's representations while it trains."""

import os as _os

__version__ = "0.1.0"

# The generated contract is importable as dimwatch.v1; protoc writes it below _proto.
__path__.append(_os.path.join(_os.path.dirname(__file__), "_proto", "dimwatch"))

from dimwatch.results import AttentionEstimate, Decision, Estimate, Signal  # noqa: E402  (needs __path__)
from dimwatch.run import DEFAULT_SERVER, AttentionProbe, Probe, Run, init  # noqa: E402

__all__ = ["DEFAULT_SERVER", "AttentionEstimate", "AttentionProbe", "Decision", "Estimate", "Probe",
           "Run", "Signal", "init"]


def __getattr__(name):
    """Loads dimwatch.torch and dimwatch.query when they are first used."""
    if name in ("torch", "query"):
        import importlib
        return importlib.import_module(f"dimwatch.{name}")
    raise AttributeError(f"module 'dimwatch' has no attribute {name!r}")
