"""A backward pass: one request with forward and backward half, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradproof.client.backward.agreement import ORDER, compared
from gradproof.client.backward.hooking import HookSchedule, constant_hook
from gradproof.client.events import Gradient, HookTrace, Result, Verdict
from gradproof.client.graph import CallableHook
from gradproof.client.recording import modes
from gradproof.client.recording.record import Node, is_tensor
from gradproof.client.recording.runtime import Runtime, current
from gradproof.client.recording.subgraph import SMALL, Subgraph, naming_failed_node
from gradproof.client.tensors.tensor import Tensor
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import encode_tensor

M8 = (
    "Trying to backward through the graph a second time (or directly access saved tensors after they have already been "
    "freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
    "retain_graph=True if you need to backward through the graph a second time or if you need to access saved tensors "
    "after calling backward."
)


@dataclass
class Evidence:
    """What is known of the gradients of one pass: raw, hooked, and, when it is asked for, the verdicts.

    ``recorded``: the pass was recorded, and has no result of its own. ``complete`` adds to the request what was not known
    when it was made.
    """

    runtime: Runtime
    graph: Subgraph
    request: pb.DifferentiateRequest
    result: Result
    names: dict[int, list[str]] = field(default_factory=dict)
    recorded: bool = False
    complete: Callable[[pb.DifferentiateRequest], None] | None = None
    _again: Result | None = None

    def of(self, names: Sequence[str]) -> list[Gradient]:
        """The gradients under these names, those that arrived."""
        return _arrived(self.result, names)

    def names_of(self, tensor: Tensor) -> list[str]:
        """All names that a tensor has in the graph."""
        return self.names.get(id(tensor), [])

    def total(self, tensor: Tensor) -> np.ndarray[Any, Any] | None:
        """The gradient after hooks, or None where none arrived."""
        return _sum([one.gradient for one in self.of(self.names_of(tensor))])

    def raw(self, names: Sequence[str]) -> Tensor | None:
        total = _sum([one.raw for one in self.of(names)])
        return None if total is None else Tensor(total)

    def traces(self, names: Sequence[str]) -> tuple[HookTrace, ...]:
        return tuple(trace for one in self.of(names) for trace in one.hooks)

    def verdict(self, names: Sequence[str], handed: np.ndarray[Any, Any]) -> Verdict | None:
        """The verdict on the gradient under these names, ``handed`` out as it was; the pass is run again with all checks
        when it is first asked for, and hooks that ran here return again what they did."""
        if self._again is None:
            request = pb.DifferentiateRequest()
            request.CopyFrom(self.request)
            if self.complete is not None:
                self.complete(request)
            request.verify.CopyFrom(pb.VerifyOptions(level=pb.VERIFY_LEVEL_EVERYTHING, budget_seconds=BUDGET))
            again = self.runtime.differentiate(self.graph, request)
            for name, verdict in again.verdicts.items():
                before, after = self.result.gradients.get(name), again.gradients.get(name)
                if before is not None and before.gradient is not None:
                    seen = after.gradient if after is not None else None
                    again.verdicts[name] = compared(self._placed(verdict), before.gradient, seen)
            self._again = again
        return self.known(names, handed)

    def _placed(self, verdict: Verdict) -> Verdict:
        """The verdict, with the line that recorded the node that made what is not finite in the gradient."""
        maker = self.graph.maker(verdict.nonfinite.node) if verdict.nonfinite is not None else None
        return verdict if maker is None else replace(verdict, reason=f"{verdict.reason}; recorded at {maker.place}")

    def known(self, names: Sequence[str], handed: np.ndarray[Any, Any]) -> Verdict | None:
        """The verdict, if it has been found out already. Where nodes that used the tensor have hooks there is another one,
        on their rules: the weaker of the two."""
        if self._again is None:
            return None
        verdicts = self._again.verdicts
        every = [*(near for name in names for near in self.graph.behind.get(name, ())), *names]
        found = [verdicts[name] for name in every if name in verdicts]
        best = [one for one in found if one.name in names and one.summary == ORDER[-1]]
        weakest = min([*best, *found], key=lambda one: ORDER.index(one.summary), default=None)
        if weakest is None:
            return None
        again = _sum([one.gradient for one in _arrived(self._again, names)])
        return compared(weakest, handed, again, recorded=self.recorded)

    def verdicts(self) -> Mapping[str, Verdict]:
        """Those that have been found out already, by name."""
        return self._again.verdicts if self._again is not None else {}


def _arrived(result: Result, names: Sequence[str]) -> list[Gradient]:
    found = [result.gradients.get(name) for name in names]
    return [one for one in found if one is not None and one.gradient is not None]


BUDGET = 30.0


def run(
    roots: Sequence[Tensor],
    seeds: Sequence[np.ndarray[Any, Any]],
    *,
    wanted: Sequence[Tensor] | None,
    retain_graph: bool,
) -> tuple[Evidence, list[Tensor]]:
    """Run one pass. ``wanted``: tensors whose gradients are asked for; None: all leaves. Returns the evidence, and the
    tensors whose gradients it has, retained ones included, in the order in which a pass reaches them.

    Raises RuntimeError if the graph was freed, whatever a hook raises, and `GradproofError`.
    """
    totals = together(roots, seeds)
    graph = Subgraph([root for root, _ in totals], backward=True)
    names: dict[int, list[str]] = {}
    tensors: dict[int, Tensor] = {}
    for name, tensor in [*graph.leaves.items(), *graph.inner()]:
        names.setdefault(id(tensor), []).append(name)
        tensors[id(tensor)] = tensor
    aims = list(graph.leaves.values()) if wanted is None else [t for t in wanted if id(t) in names]
    visited = visited_nodes(graph, None if wanted is None else aims)
    if any(node.freed and node.saves for node in visited):
        raise RuntimeError(M8)
    on_path = {node.number for node in visited}
    aim_ids = {id(t) for t in aims}
    reached = [
        (name, tensor)
        for name, tensor in _in_order(graph, names, tensors)
        if tensor.requires_grad or id(tensor) in aim_ids
        if id(tensor) in aim_ids or (tensor._node is not None and tensor._node.number in on_path)
    ]
    kept = [t for _, t in reached if t._retains and id(t) not in aim_ids]
    everything = list(dict.fromkeys([*(n for t in aims for n in names[id(t)])]))
    if not everything and not kept and not any(t._hooks for _, t in reached):
        return Evidence(current(), graph, pb.DifferentiateRequest(), Result()), []
    hooking = HookSchedule(graph, reached, visited, aim_ids)
    request = pb.DifferentiateRequest(
        gradients=everything or [n for t in kept for n in names[id(t)]],
        retain=[n for t in kept for n in names[id(t)]],
        verify=pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF),
        input=pb.RunInput(fetch=[n for n, t in graph.inner() if t._value is None and t.nbytes <= SMALL]),
    )
    asked = {*request.gradients, *request.retain}
    request.retain.extend(name for name in hooking.kept() if name not in asked)
    for (root, seed), name in zip(totals, graph.outputs, strict=True):
        request.seeds.add(output=name, cotangent=encode_tensor(seed.astype(root.dtype)))
    if modes.is_anomaly_enabled():
        request.retain.extend(n for n, t in _in_order(graph, names, tensors) if t._node is not None)
    runtime = current()
    try:
        graph.wrap(hooking.around)
        with naming_failed_node(graph):
            result = runtime.differentiate(graph, request, hooking.messages, hooking.settle, keep=retain_graph)
    finally:
        hooking.abandon()
    for name, tensor in graph.inner():
        if tensor._value is None and name in result.values:
            tensor._value = result.values[name]
    if modes.is_anomaly_enabled():
        _look_for_nan(graph, result)
    if not retain_graph:
        runtime.keeper.free(graph)
        for node in visited:
            node.freed = True
    replay = _replayed(request, hooking, result)
    replay.retain.extend(name for found in graph.behind.values() for name in found)
    order = [t for _, t in reached if id(t) in aim_ids or t._retains]
    return Evidence(runtime, graph, replay, result, names), list({id(t): t for t in order}.values())


def together(roots: Sequence[Tensor], seeds: Sequence[np.ndarray[Any, Any]]) -> list[tuple[Tensor, np.ndarray[Any, Any]]]:
    """Each root once, with the sum of its seeds."""
    totals: dict[int, tuple[Tensor, np.ndarray[Any, Any]]] = {}
    for root, seed in zip(roots, seeds, strict=True):
        before = totals.get(id(root))
        totals[id(root)] = (root, seed if before is None else before[1] + seed)
    return list(totals.values())


def _in_order(graph: Subgraph, names: Mapping[int, list[str]], tensors: Mapping[int, Tensor]) -> list[tuple[str, Tensor]]:
    """Names and tensors as a pass reaches them: outputs of nodes in reverse, each leaf when all its uses are behind."""
    places = {id(t): float(t._node.number) for t in tensors.values() if t._node is not None}
    for node in graph.nodes:
        for x in node.inputs:
            if is_tensor(x) and id(x) in tensors:
                places.setdefault(id(x), node.number - 0.5)
    return [
        (name, tensors[key]) for key in sorted(names, key=lambda key: -places.get(key, float("inf"))) for name in names[key]
    ]


def visited_nodes(graph: Subgraph, aims: Sequence[Tensor] | None) -> list[Node]:
    """The nodes whose rules run: those that a gradient flows through, to one of ``aims`` if these are given."""
    flowing = graph.flowing()
    if aims is None:
        return flowing
    ids = {id(t) for t in aims}
    numbers: set[int] = set()
    for node in flowing:
        for x, needs in zip(node.inputs, node.needs, strict=True):
            if needs and (id(x) in ids or (is_tensor(x) and x._node is not None and x._node.number in numbers)):
                numbers.add(node.number)
    return [node for node in flowing if node.number in numbers]


def _replayed(request: pb.DifferentiateRequest, hooking: HookSchedule, result: Result) -> pb.DifferentiateRequest:
    """The request once more, with hooks that ran here replaced by what they returned."""
    replay = pb.DifferentiateRequest()
    replay.CopyFrom(request)
    counts: dict[str, int] = {}
    for message in hooking.messages:
        name = message.value
        k = counts[name] = counts.get(name, 0) + 1
        if not isinstance(message, CallableHook):
            replay.hooks.append(message)
            continue
        traces = result.gradients[name].hooks if name in result.gradients else ()
        if k <= len(traces):
            replay.hooks.append(constant_hook(name, message.label, traces[k - 1].result))
    return replay


def _look_for_nan(graph: Subgraph, result: Result) -> None:
    """Raises RuntimeError naming the node or the hook that first made a NaN."""
    for node in reversed(graph.flowing()):
        outputs = [result.gradients.get(graph.name_of(node, slot)) for slot in range(len(node.specs))]
        for one in outputs:
            if one is not None and one.raw is not None and not np.isnan(one.raw).any():
                for trace in one.hooks:
                    if np.isnan(trace.result).any():
                        raise RuntimeError(f"hook '{trace.name}' returned nan values")
        if any(one is not None and one.gradient is not None and np.isnan(one.gradient).any() for one in outputs):
            continue
        for k, needs in enumerate(node.needs):
            if not needs:
                continue
            found = result.gradients.get(graph.edge(node, k))
            if found is not None and found.raw is not None and np.isnan(found.raw).any():
                error = RuntimeError(f"Function '{node.name()}' returned nan values in its {k}th output.")
                error.add_note(f"recorded at {node.place}")
                raise error


def _sum(arrays: Sequence[Any]) -> np.ndarray[Any, Any] | None:
    """The sum; None of nothing. Arrays of one dtype, which stays."""
    if not arrays:
        return None
    total = np.array(arrays[0])
    for array in arrays[1:]:
        total = (total + array).astype(total.dtype)
    return total


def ones(root: Tensor) -> np.ndarray[Any, Any]:
    """The seed of a root with one element."""
    return np.ones(root.shape, root.dtype)
