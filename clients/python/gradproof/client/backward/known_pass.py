"""A pass of a form that ran before: values are sent, and nothing else is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from gradproof.client.backward.evidence import Evidence
from gradproof.client.backward.pass_plan import PassPlan
from gradproof.client.errors import RunError
from gradproof.client.events import Array
from gradproof.client.recording import modes
from gradproof.client.recording.ancestry import OutlinedAncestry
from gradproof.client.recording.evaluation import naming_failed_node
from gradproof.client.recording.outline import SLOTS, Outline, outline_of
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.runtime import Runtime
from gradproof.client.recording.subgraph import SMALL, Subgraph
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import encode_tensor

Target: TypeAlias = int
"""A leaf as the negative of its number less 1, or the place of an output."""


class PassForm:
    """All of a pass but its values.

    Attributes:
        structure: the structure of its graph.
        request: the request without graph, values, seeds, and values to return.
        outputs: the names of the roots.
        leaves: the names of leaves.
        numbers: the names of Python numbers.
        names: the names of outputs of nodes, by their places.
        results: the tensors whose gradients it returns, in its order, with their names.
        rule_nodes: the positions of the nodes whose rules run.
    """

    def __init__(self, plan: PassPlan, outline: Outline) -> None:
        graph = plan.graph
        self.structure, self.outputs = graph.structure, graph.outputs
        self.request = pb.DifferentiateRequest()
        self.request.CopyFrom(plan.request(()))
        self.request.ClearField("seeds")
        del self.request.input.fetch[:]
        self.leaves, self.numbers = list(graph.arrays), list(graph.numbers)
        self.names: dict[int, str] = {}
        for node, place in outline.places.items():
            self.names.update((place + slot, name) for slot, name in enumerate(graph.output_names(node)))
        targets = {id(t): -1 - k for k, t in enumerate(outline.tensors) if outline.moving[k]}
        self.results: list[tuple[Target, list[str]]] = []
        for t in plan.results():
            target = targets[id(t)] if t.node is None else outline.places[t.node] + t.slot
            self.results.append((target, plan.names[id(t)]))
        positions = {node: index for index, node in enumerate(outline.nodes)}
        self.rule_nodes = [positions[node] for node in plan.nodes]

    def fits(self, plan: PassPlan, outline: Outline) -> bool:
        """True if leaves have the order in which the outline meets them."""
        arrays, numbers = list(plan.graph.arrays.values()), list(plan.graph.numbers.values())
        return (
            len(arrays) == len(outline.arrays)
            and all(a is b for a, b in zip(arrays, outline.arrays, strict=True))
            and len(numbers) == len(outline.numbers)
        )


class KnownPass:
    """A pass, and the form that it shares with passes before and after it.

    Args:
        roots: the tensors that gradients are taken of, each once.
        inputs: the tensors whose gradients are asked for; None: all leaves.
        outline: the outline of its graph.
    """

    def __init__(self, roots: Sequence[Recorded], inputs: Sequence[Recorded] | None, outline: Outline) -> None:
        self._roots, self._outline = roots, outline
        self._key = (outline.key, None if inputs is None else self._targets(inputs))

    def _targets(self, inputs: Sequence[Recorded]) -> tuple[Target | None, ...]:
        outline = self._outline
        leaves = {id(t): -1 - k for k, t in enumerate(outline.tensors) if outline.moving[k]}
        targets: list[Target | None] = []
        for t in inputs:
            place = None if t.node is None else outline.places.get(t.node)
            targets.append(leaves.get(id(t)) if place is None else place + t.slot)
        return tuple(targets)

    def learn(self, runtime: Runtime, plan: PassPlan) -> None:
        """Remember the form of a pass that ran, if it ran before: a loop that grows has each form once."""
        if runtime.forms.met(self._key):
            form = PassForm(plan, self._outline)
            if form.fits(plan, self._outline):
                runtime.forms.remember(self._key, form, len(self._outline.nodes))

    def run(self, runtime: Runtime, seeds: Sequence[Array]) -> tuple[Evidence, list[Recorded], list[Node]] | None:
        """The evidence of the pass, the tensors whose gradients it has, and the nodes whose rules ran; None if no pass of
        its form ran before, or the graph has to be sent again. ``seeds``: the cotangents of the roots."""
        form, outline = runtime.forms.get(self._key), self._outline
        if form is None:
            return None
        request = pb.DifferentiateRequest()
        request.CopyFrom(form.request)
        for root, seed, name in zip(self._roots, seeds, form.outputs, strict=True):
            request.seeds.add(output=name, cotangent=encode_tensor(seed.astype(root.dtype, copy=False)))
        held = outline.held(SMALL)
        request.input.fetch.extend([form.names[place] for place, _ in held])
        values = [*zip(form.leaves, outline.arrays, strict=True), *zip(form.numbers, outline.numbers, strict=True)]

        def graph() -> Subgraph:
            return Subgraph(OutlinedAncestry(outline))

        try:
            result = runtime.differentiate_known(form.structure, request, values)
        except RunError:
            with naming_failed_node(graph()):
                raise
        if result is None:
            return None
        for place, x in held:
            if x.array is None:
                x.array = result.values.get(form.names[place])
        tensors: list[Recorded] = []
        names: dict[int, list[str]] = {}
        for target, own in form.results:
            t = outline.tensors[-1 - target] if target < 0 else outline.nodes[target // SLOTS].held(target % SLOTS)
            tensors.append(t)
            names[id(t)] = own
        evidence = Evidence(runtime, graph, request, result, names)
        return evidence, tensors, [outline.nodes[k] for k in form.rule_nodes]


def known_pass(roots: Sequence[Recorded], inputs: Sequence[Recorded] | None) -> KnownPass | None:
    """A pass that may be of a form that is known; None for a pass that is planned anew each time."""
    if modes.is_anomaly_enabled() or len({id(root) for root in roots}) < len(roots):
        return None
    outline = outline_of(roots)
    return None if outline is None or _several_values(outline) else KnownPass(roots, inputs, outline)


def _several_values(outline: Outline) -> bool:
    """True if a leaf has had several values, all of which have gradients."""
    moving = [id(x) for x, moves in zip(outline.tensors, outline.moving, strict=True) if moves]
    return len(set(moving)) < len(moving)
