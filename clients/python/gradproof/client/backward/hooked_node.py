"""Hooked nodes in a pass. The gradients on each side of a node are bundled, and its hooks are on the bundles."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradproof.client.backward.application import Application
from gradproof.client.backward.gradient_bundle import Bundle
from gradproof.client.backward.hook_results import checked_results
from gradproof.client.events import Array
from gradproof.client.recording.hooks import label_of
from gradproof.client.recording.names import edges_of
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.spec import Spec
from gradproof.client.recording.subgraph import Subgraph
from gradproof.v1 import graph_pb2

Gradients: TypeAlias = tuple[Recorded | None, ...]


class NodeSide:
    """The gradients on a side of a node: a tuple with an entry for each of ``places``, None where no gradient comes.

    Attributes:
        bundle: the gradients as a single value; its keys are the places that a gradient comes to.
        lost: the places for which a hook returned None.
    """

    def __init__(self, name: str, places: Sequence[int], specs: dict[int, Spec]) -> None:
        self.bundle, self._places = Bundle(name, specs), places
        self.lost: set[int] = set()

    def split(self, bundled: Recorded | None) -> Gradients:
        """The gradients in a bundled value."""
        gradients = self.bundle.split(bundled) if bundled is not None else {}
        return tuple(gradients.get(k) if k not in self.lost else None for k in self._places)

    def newly_lost(self, gradients: Gradients) -> set[int]:
        """The places that had a gradient before, and have none among ``gradients``."""
        placed = zip(self._places, gradients, strict=True)
        return {k for k, gradient in placed if gradient is None and k in self.bundle.specs and k not in self.lost}

    def join(self, gradients: Gradients, zeros: Callable[[Spec], Recorded]) -> Recorded:
        """The gradients as a bundled value, with zeros where there is none, since the others go on."""
        values = {k: gradient for k, gradient in zip(self._places, gradients, strict=True) if gradient is not None}
        for k, spec in self.bundle.specs.items():
            if k not in values:
                values[k] = zeros(spec)
        return self.bundle.join(values)

    @property
    def all_lost(self) -> bool:
        """True if no gradient is left."""
        return self.lost.issuperset(self.bundle.specs)


class HookedNode:
    """A hooked node in a pass.

    Args:
        node: the node.
        name: the name of its first output in the graph.
        slots: the outputs that a gradient comes to.
        positions: the inputs that gradients are asked for.

    Attributes:
        outside: the side of its outputs, before its rule runs.
        inside: the side of its inputs, after its rule has run.
        grad_outputs: the gradients that the rule gets, for the hooks after it.
        application: what a rule that runs here has made of them.
        under_way: whether the graph has been sent, so that nothing can be cut any more.
    """

    def __init__(self, node: Node, name: str, slots: Sequence[int], positions: Sequence[int]) -> None:
        self.node, self._name = node, name
        self.outside = NodeSide(f"{name}/out", range(len(node.specs)), {k: node.specs[k] for k in slots})
        specs = {k: x.spec for k, x in enumerate(node.inputs) if k in positions and isinstance(x, Recorded)}
        self.inside = NodeSide(f"{name}/in", edges_of(node), specs)
        self.grad_outputs: Recorded | None = None
        self.application: Application | None = None
        self.under_way = False

    @property
    def structure(self) -> tuple[object, ...]:
        """Its part of the structure of the graph."""
        sides = tuple(self.outside.bundle.specs), tuple(self.inside.bundle.specs)
        return (self._name, *sides, tuple(sorted(self.inside.lost)))

    def pre_hook(self, hook: Callable[[Gradients], Any]) -> Callable[[Recorded], Recorded | None]:
        """A hook that runs before the rule, as a hook on the bundled gradient."""
        return self._on_bundle(hook, self.outside, lambda gradients: (gradients,))

    def post_hook(self, hook: Callable[[Gradients, Gradients], Any]) -> Callable[[Recorded | None], Recorded | None]:
        """A hook that runs after the rule, as a hook on the bundled gradient, or on None where there is none."""
        return self._on_bundle(hook, self.inside, lambda gradients: (gradients, self.outside.split(self.grad_outputs)))

    def client_rule(self, bundled: Recorded) -> Recorded:
        """The rule that runs here, as a hook on the bundled gradient, which it replaces."""
        positions, grad_outputs = list(self.inside.bundle.specs), self.outside.split(self.grad_outputs)
        self.application = Application.of(self.node, grad_outputs, positions)
        gradients = tuple(map(self.application.returned.get, edges_of(self.node)))
        if not self.under_way:
            self.inside.lost |= self.inside.newly_lost(gradients)
        return self.inside.join(gradients, self._zeros)

    def joined(self, gradients: Mapping[int, Recorded]) -> Recorded:
        """Gradients of inputs, by position, as the bundled gradient."""
        return self.inside.join(tuple(map(gradients.get, edges_of(self.node))), self._zeros)

    def remember(self, bundled: Recorded) -> None:
        """Keep the gradients that the rule gets, for the hooks after it."""
        self.grad_outputs = bundled

    @property
    def idle(self) -> bool:
        """True if hooks have left no gradient for the rule."""
        return self.outside.all_lost

    def detach_inputs(self) -> None:
        """Note that no gradient comes from the rule."""
        self.inside.lost.update(self.inside.bundle.specs)

    @property
    def rule_place(self) -> str | None:
        """The name of the value whose gradient a rule that runs here replaces; None where hooks may change it too."""
        hooked = self.node.hooks is not None and bool(self.node.hooks.post)
        return None if self.node.client_rule is None or hooked else self.inside.bundle.name

    def cuts(self) -> set[tuple[int, int]]:
        """The inputs that no gradient goes on to, each with the number of the node."""
        return {(self.node.number, k) for k in self.inside.lost}

    def cut_leaves(self) -> Iterator[tuple[str, Array]]:
        """Leaves in place of inputs that no gradient goes on to, with their values."""
        for k in sorted(self.inside.lost):
            x, array = self.node.inputs[k], self.node.arrays[k]
            if isinstance(x, Recorded):
                yield f"{self._name}/cut{k}", x.value() if array is None else array

    def aliases(self) -> Iterator[tuple[int, str]]:
        """The positions of inputs that a gradient goes on to, with the names that these have close to the node."""
        for k in self.inside.bundle.specs.keys() - self.inside.lost:
            yield k, self.inside.bundle.near(k)

    def nodes(self, message: graph_pb2.Node) -> Iterator[graph_pb2.Node]:
        """The node, which is ``message``, between the nodes that bundle and unbundle its inputs and outputs."""
        inside, outside = self.inside.bundle, self.outside.bundle
        edges = {k: f"{self._name}/cut{k}" if k in self.inside.lost else message.inputs[k] for k in inside.specs}
        yield from inside.nodes(edges, {k: inside.near(k) for k in inside.specs})
        results = {k: message.outputs[k] for k in outside.specs}
        for k in inside.specs:
            message.inputs[k] = inside.near(k)
        for k in outside.specs:
            message.outputs[k] = outside.near(k)
        yield message
        yield from outside.nodes({k: outside.near(k) for k in outside.specs}, results)

    def _zeros(self, spec: Spec) -> Recorded:
        return self.node.leaf(np.zeros(spec.shape, spec.dtype))

    def _on_bundle(
        self, hook: Callable[..., Any], side: NodeSide, arguments: Callable[[Gradients], tuple[Gradients, ...]]
    ) -> Callable[[Recorded | None], Recorded | None]:
        def call(bundled: Recorded | None) -> Recorded | None:
            gradients = side.split(bundled)
            results = checked_results(hook(*arguments(gradients)), gradients, label_of(hook))
            if results is None or bundled is None:
                return None
            lost = side.newly_lost(results)
            if lost and self.under_way and (side is self.inside or side.lost.union(lost).issuperset(side.bundle.specs)):
                raise RuntimeError(
                    f"hook '{label_of(hook)}' of {self.node.name()} returned None for a gradient that has been looked at "
                    "already, so its flow cannot be cut: return zeros"
                )
            side.lost |= lost
            return side.join(results, self._zeros)

        call.__name__ = label_of(hook)
        return call


def read_only(hook: Callable[[Gradients], Any], output: Recorded) -> Callable[[Recorded], None]:
    """A prehook of a node whose rule does not run, as a hook on the gradient of its ``output``."""
    assert output.node is not None
    count = len(output.node.specs)

    def call(gradient: Recorded) -> None:
        gradients = tuple(gradient if slot == output.slot else None for slot in range(count))
        checked_results(hook(gradients), gradients, label_of(hook))

    call.__name__ = label_of(hook)
    return call


def positions_of(node: Node, nodes: Sequence[Node], targets: Collection[int]) -> list[int]:
    """The inputs that a node passes a gradient on to when only ``nodes`` run, to the tensors with the ids ``targets``."""
    numbers = {visited.number for visited in nodes}
    return [
        k
        for k, (x, needs) in enumerate(zip(node.inputs, node.needs, strict=True))
        if needs and (id(x) in targets or (isinstance(x, Recorded) and x.node is not None and x.node.number in numbers))
    ]


def reached_names(graph: Subgraph, nodes: Sequence[Node], cuts: Collection[tuple[int, int]]) -> set[str]:
    """Names of the values that gradients come to when only ``nodes`` run, and inputs in ``cuts`` get none."""
    names = set(graph.outputs)
    for node in reversed(nodes):
        if not names.isdisjoint(graph.output_names(node)):
            flowing = (k for k, needs in enumerate(node.needs) if needs and (node.number, k) not in cuts)
            names.update(graph.edge(node, k) for k in flowing)
    return names
