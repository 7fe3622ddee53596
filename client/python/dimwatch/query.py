"""Reads what a server knows of a run: dimwatch.query.history("host:port", run_id), and of a
model's layers at one step: dimwatch.query.layer_profile(...)."""

import dataclasses
from typing import Dict, List, Optional, Tuple

from dimwatch._channel import Credentials
from dimwatch.results import AttentionEstimate, Decision, Estimate, Signal
from dimwatch.v1 import config_pb2, query_pb2, query_pb2_grpc

_PAGE = 1000


@dataclasses.dataclass(frozen=True)
class History:
    """A run's series: estimates (of attention maps, too) and scalars by step, changes of signals and
    of the decision in the order in which they happened. `scalars` maps a name to [(step, value)]."""

    estimates: List[Estimate]
    scalars: Dict[str, List[Tuple[int, float]]]
    signals: List[Signal]
    decisions: List[Decision]
    attention: List[AttentionEstimate]

    def probe(self, name):
        """The estimates of one probe that have a mean."""
        return [e for e in self.estimates if e.probe == name and e.mean is not None]


@dataclasses.dataclass(frozen=True)
class LayerProfile:
    """The mean LID of a model's layers at one step.

    `split` is train, validation or other; `step` is None if there is no estimate yet. `layers` maps
    a layer's name to its estimate, in the order of the layers; `missing_probes` have no estimate at
    this step: they were not due, or are still being estimated.
    """

    split: str
    step: Optional[int]
    layers: Dict[str, Estimate]
    missing_probes: List[str]


def layer_profile(server, run_id, split=None, step=None, timeout=30.0, **credentials):
    """The layers of a run's `split` at `step`; by default of the first split that it watches, at
    its newest step with an estimate. `credentials`: token and tls_..., as for dimwatch.init().
    Raises grpc.RpcError, and ValueError for an unknown split."""
    request = query_pb2.GetLayerProfileRequest(run_id=run_id, step=step)
    if split is not None:
        request.split = config_pb2.Split.Value(f"SPLIT_{split.upper()}")
    with Credentials(**credentials).open_channel(server) as channel:
        response = query_pb2_grpc.QueryServiceStub(channel).GetLayerProfile(
            request, timeout=timeout)
    return LayerProfile(
        config_pb2.Split.Name(response.split)[len("SPLIT_"):].lower(),
        response.step if response.HasField("step") else None,
        {layer.layer: Estimate._from_proto(layer.estimate) for layer in response.layers},
        list(response.missing_probes))


def history(server, run_id, timeout=30.0, **credentials):
    """Everything that `server` ("host:port") recorded of a run. `credentials`: token and tls_...,
    as for dimwatch.init(). Raises grpc.RpcError."""
    with Credentials(**credentials).open_channel(server) as channel:
        stub = query_pb2_grpc.QueryServiceStub(channel)

        def pages(method, request, field):
            while True:
                response = method(request, timeout=timeout)
                yield from getattr(response, field)
                request.page_token = response.next_page_token
                if not request.page_token:
                    return

        asked = {"run_id": run_id, "page_size": _PAGE}
        scalars = {}
        for scalar in pages(stub.ListScalars, query_pb2.ListScalarsRequest(**asked), "scalars"):
            scalars.setdefault(scalar.name, []).append((scalar.step, scalar.value))
        return History(
            [Estimate._from_proto(e) for e in pages(
                stub.ListEstimates, query_pb2.ListEstimatesRequest(**asked), "estimates")],
            scalars,
            [Signal._from_proto(s) for s in pages(
                stub.ListSignals, query_pb2.ListSignalsRequest(**asked), "signals")],
            [Decision._from_proto(d) for d in pages(
                stub.ListDecisions, query_pb2.ListDecisionsRequest(**asked), "decisions")],
            [AttentionEstimate._from_proto(e) for e in pages(
                stub.ListAttentionEstimates, query_pb2.ListAttentionEstimatesRequest(**asked),
                "estimates")])
