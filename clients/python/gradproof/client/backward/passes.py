"""Backward passes: a request with forward and backward half, and the evidence that comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from gradproof.client.backward.application import Application, findings
from gradproof.client.backward.evidence import Evidence, Finder
from gradproof.client.backward.hook_invocation import constant_hook
from gradproof.client.backward.hook_schedule import HookSchedule
from gradproof.client.backward.known_pass import known_pass
from gradproof.client.backward.pass_plan import PassPlan
from gradproof.client.events import Array, Gradient, Result
from gradproof.client.graph import CallableHook
from gradproof.client.recording import modes
from gradproof.client.recording.evaluation import naming_failed_node
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.runtime import current
from gradproof.client.recording.subgraph import Subgraph
from gradproof.v1 import autodiff_service_pb2 as pb

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)


def run(
    roots: Sequence[Recorded],
    seeds: Sequence[Array],
    *,
    inputs: Sequence[Recorded] | None,
    retain_graph: bool,
    accumulates: bool = False,
) -> tuple[Evidence, list[Recorded]]:
    """Run a pass.

    Returns the evidence, and the tensors whose gradients it has in the order of the pass: ``inputs`` (None: all leaves) and
    tensors that retain theirs. Raises RuntimeError if the graph was freed, exceptions of hooks, and `GradproofError`.
    """
    runtime = current()
    known = None if retain_graph else known_pass(roots, inputs)
    if known is not None and (done := known.run(runtime, seeds)) is not None:
        evidence, reached, nodes = done
        for node in nodes:
            node.freed = True
        return evidence, reached
    plan = PassPlan(roots, seeds, inputs, accumulates=accumulates)
    graph = plan.graph
    if plan.freed:
        raise RuntimeError(FREED)
    if plan.empty:
        return Evidence(runtime, graph, pb.DifferentiateRequest(), Result()), []
    schedule = HookSchedule(plan)
    try:
        request = plan.request(schedule.retained_names())
        graph.surround(schedule.surroundings)
        with naming_failed_node(graph):
            result = runtime.differentiate(graph, request, schedule.messages, schedule.resolve, keep=retain_graph)
    finally:
        schedule.cancel()
    for name, tensor in graph.inner():
        if tensor.array is None and name in result.values:
            tensor.array = result.values[name]
    if modes.is_anomaly_enabled():
        _raise_for_nan(graph, result)
    if not retain_graph:
        runtime.cache.free(graph)
        for node in plan.nodes:
            node.freed = True
    if known is not None:
        known.learn(runtime, plan)
    evidence = Evidence(runtime, graph, _replay(request, schedule, result, graph), result, plan.names)
    evidence.find, evidence.rule_places = finder(graph, schedule.applications()), schedule.rule_places()
    return evidence, plan.results()


def finder(graph: Subgraph, applications: Sequence[Application]) -> Finder | None:
    """The function that finds what is known of rules that run here; None where a pass has none."""
    if not applications and not any(node.origin for node in graph.nodes):
        return None

    def again(roots: Sequence[Recorded], seeds: Sequence[Array], inputs: Sequence[Recorded]) -> Evidence:
        return run(roots, seeds, inputs=inputs, retain_graph=False)[0]

    return partial(findings, graph, applications, again)


def _replay(
    request: pb.DifferentiateRequest, schedule: HookSchedule, result: Result, graph: Subgraph
) -> pb.DifferentiateRequest:
    """The request once more, with hooks that ran here replaced by their results."""
    replay = pb.DifferentiateRequest()
    replay.CopyFrom(request)
    counts: dict[str, int] = {}
    for message in schedule.messages:
        name = message.value
        k = counts[name] = counts.get(name, 0) + 1
        if not isinstance(message, CallableHook):
            replay.hooks.append(message)
            continue
        traces = result.gradients[name].hook_traces if name in result.gradients else ()
        if k <= len(traces):
            value = graph.roots[0].leaf(np.array(traces[k - 1].gradient))
            replay.hooks.append(constant_hook(name, message.label, value))
    replay.retain.extend(name for names in graph.behind.values() for name in names)
    return replay


def _raise_for_nan(graph: Subgraph, result: Result) -> None:
    """Raise RuntimeError with the name of the node or hook that first made a NaN, if there is a NaN."""
    for node in reversed(graph.flowing()):
        outputs = [gradient for name in graph.output_names(node) if (gradient := result.gradients.get(name)) is not None]
        for gradient in outputs:
            _raise_for_hook(gradient)
        if any(_has_nan(gradient.gradient) for gradient in outputs):
            continue
        for k, needs in enumerate(node.needs):
            if needs and (pulled := result.gradients.get(graph.edge(node, k))) is not None and _has_nan(pulled.raw):
                raise _nan_error(node, k)


def _raise_for_hook(gradient: Gradient) -> None:
    if gradient.raw is None or _has_nan(gradient.raw):
        return
    for trace in gradient.hook_traces:
        if _has_nan(trace.gradient):
            raise RuntimeError(f"hook '{trace.label}' returned nan values")


def _nan_error(node: Node, position: int) -> RuntimeError:
    error = RuntimeError(f"Function '{node.name()}' returned nan values in its {position}th output.")
    error.add_note(f"recorded at {node.place}")
    return error


def _has_nan(array: Array | None) -> bool:
    return array is not None and bool(np.isnan(array).any())
