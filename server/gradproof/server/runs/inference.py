"""Inference: all that can be said of a request before it runs; and whether it may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradproof.engine.cancellation import watched
from gradproof.engine.engine import Engine, Estimate, Prepared
from gradproof.engine.errors import LimitExceeded, Violation
from gradproof.engine.estimate import NOTHING, Cost
from gradproof.engine.job import Job, job_faults
from gradproof.engine.lower import lower
from gradproof.engine.spec import Spec
from gradproof.server.calls.status import field_faults
from gradproof.server.limits import Limits
from gradproof.server.requests.counts import check_counts
from gradproof.server.requests.decode import Decoder
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import tensor_pb2
from gradproof.wire import encode_spec

NODE_SECONDS = 25e-6  # to decode and lower a node of a request
TOO_LARGE = "make the graph or its tensors smaller, or ask for less at once"


def check_cost(limits: Limits, specs: Mapping[str, Spec], cost: Cost) -> None:
    """Raises LimitExceeded where a run with values of ``specs`` costs more than any may."""
    elements = max((spec.size for spec in specs.values()), default=0)
    counts = {"tensor_elements": elements, "estimated_bytes": cost.nbytes, "estimated_flops": cost.flops}
    limits.check_all(counts, TOO_LARGE)


def infer(request: pb.InferRequest, engine: Engine, limits: Limits) -> pb.InferResponse:
    """Specs, faults and costs; limits that a run would pass are faults too. Raises Cancelled, LimitExceeded."""
    check_counts(request, limits)
    decoder = Decoder(limits, session=True)  # a hook that runs at the client is nothing to infer
    graph, _ = decoder.graph(request.graph)
    hooks = decoder.hooks(request.hooks)
    lowered = lower(graph, engine.registry)
    specs = lowered.specs()
    gradients, retain = decoder.names("gradients", request.gradients), decoder.names("retain", request.retain)
    job = Job(graph, (), (), hooks, gradients, retain, decoder.names("fetch", request.fetch))
    faults = [*decoder.faults, *job_faults(job, lowered.faults, specs, engine)]
    found, sound = Estimate(NOTHING), not faults
    if sound:
        found = engine.estimate(job, lowered)
        try:
            check_cost(limits, specs, found.evaluate if found.differentiate is None else found.differentiate)
        except LimitExceeded as error:
            faults += [
                Violation("graph", f"{name} is {n}, and the limit is {m}", error.reason) for name, n, m in error.passed
            ]
    spec_of = {spec: encode_spec(spec.shape, spec.dtype) for spec in watched(dict.fromkeys(specs.values()))}
    return pb.InferResponse(
        values=[tensor_pb2.NamedSpec(name=name, spec=spec_of[spec]) for name, spec in watched(specs.items())],
        faults=field_faults(faults[: limits.faults]),
        faults_total=len(faults),
        digest=graph.digest() if sound else "",
        estimated_bytes=found.largest.nbytes,
        estimated_flops=found.largest.flops,
        evaluate_bytes=found.evaluate.nbytes,
        evaluate_flops=found.evaluate.flops,
    )


def preparing(request: Any) -> float:
    """Seconds to decode and lower what a request brings, about."""
    hooks = getattr(request, "hooks", ())
    return NODE_SECONDS * (len(request.graph.nodes) + sum(len(hook.graph.nodes) for hook in hooks))


def unary_bytes(prepared: Prepared) -> int:
    """Bytes of a response in one message, from shapes: values that leave, gradients, and what hooks make of them."""
    specs, hooks = prepared.plan.specs, prepared.hooks
    flowing = {cut.name for cut in prepared.plan.backward.cuts}.intersection(prepared.job.wanted())
    gradients = sum((2 + len(hooks[name]) if name in hooks else 1) * specs[name].nbytes for name in flowing)
    return gradients + sum(specs[name].nbytes for name in prepared.fetched)
