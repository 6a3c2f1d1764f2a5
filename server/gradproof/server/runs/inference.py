"""Inference: shapes, dtypes, faults and cost of a request, before it runs."""

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
from gradproof.server.calls.status import violations_of
from gradproof.server.limits import Limits
from gradproof.server.requests import encode
from gradproof.server.requests.counts import check_counts
from gradproof.server.requests.decode import Decoder, Request
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import tensor_pb2
from gradproof.wire import encode_spec

NODE_SECONDS = 25e-6  # to decode and lower a node of a request
TOO_LARGE = "make the graph or its tensors smaller, or ask for less at once"


def check_cost(limits: Limits, specs: Mapping[str, Spec], cost: Cost) -> None:
    """Raises LimitExceeded where a run with values of ``specs`` costs more than a run may."""
    elements = max((spec.size for spec in specs.values()), default=0)
    counts = {"tensor_elements": elements, "estimated_bytes": cost.nbytes, "estimated_flops": cost.flops}
    limits.check_all(counts, TOO_LARGE)


def infer(request: pb.InferRequest, engine: Engine, limits: Limits) -> pb.InferResponse:
    """Specs, faults and costs; limits that a run would pass are faults too. Raises Cancelled, LimitExceeded."""
    check_counts(request, limits)
    decoder = Decoder(limits, session=True)  # a hook that runs at the client is no fault here
    graph, _ = decoder.graph(request.graph)
    hooks = decoder.hooks(request.hooks)
    lowered = lower(graph, engine.registry)
    specs = lowered.specs()
    gradients, retain = decoder.names("gradients", request.gradients), decoder.names("retain", request.retain)
    job = Job(graph, (), (), hooks, gradients, retain, decoder.names("fetch", request.fetch))
    faults = [*decoder.faults, *job_faults(job, lowered.faults, specs, engine)]
    estimate, sound = Estimate(NOTHING), not faults
    if sound:
        estimate = engine.estimate(job, lowered)
        try:
            check_cost(limits, specs, estimate.evaluate if estimate.differentiate is None else estimate.differentiate)
        except LimitExceeded as error:
            faults += [
                Violation("graph", f"{name} is {n}, and the limit is {m}", error.reason) for name, n, m in error.passed
            ]
    spec_of = {spec: encode_spec(spec.shape, spec.dtype) for spec in watched(dict.fromkeys(specs.values()))}
    return pb.InferResponse(
        specs=[tensor_pb2.NamedSpec(name=name, spec=spec_of[spec]) for name, spec in watched(specs.items())],
        violations=violations_of(faults[: limits.violations]),
        violation_count=len(faults),
        digest=graph.digest() if sound else "",
        estimated_bytes=estimate.largest.nbytes,
        estimated_flops=estimate.largest.flops,
        evaluate_bytes=estimate.evaluate.nbytes,
        evaluate_flops=estimate.evaluate.flops,
    )


def preparing(request: Any) -> float:
    """Estimate of the seconds to decode and lower the graphs of a request."""
    hooks = getattr(request, "hooks", ())
    graph = request.input.graph if isinstance(request, Request) else request.graph
    return NODE_SECONDS * (len(graph.nodes) + sum(len(hook.graph.nodes) for hook in hooks))


def unary_bytes(prepared: Prepared, tensor_format: encode.Format) -> int:
    """Estimate of the bytes of a response in a single message, from shapes: fetched values, gradients, and the results of
    hooks. Numbers take at least a byte each, as bytes do; the response is measured in the end."""
    specs, hooks = prepared.plan.specs, prepared.hooks
    names = {cut.name for cut in prepared.plan.backward.cuts}.intersection(prepared.job.requested())
    sizes = {name: _spec_bytes(specs[name], tensor_format) for name in {*names, *prepared.fetched}}
    gradients = sum((2 + len(hooks[name]) if name in hooks else 1) * sizes[name] for name in names)
    return gradients + sum(sizes[name] for name in prepared.fetched)


def _spec_bytes(spec: Spec, tensor_format: encode.Format) -> int:
    if tensor_format != tensor_pb2.TENSOR_FORMAT_NUMBERS:
        return spec.nbytes
    return spec.size * {"f": 8, "V": 8, "c": 16}.get(spec.dtype.kind, 1)
