"""dimwatch: watches the intrinsic dimension of a model's representations while it trains."""

import os as _os

__version__ = "0.1.0"

# The generated contract is importable as dimwatch.v1; protoc writes it below _proto.
__path__.append(_os.path.join(_os.path.dirname(__file__), "_proto", "dimwatch"))
