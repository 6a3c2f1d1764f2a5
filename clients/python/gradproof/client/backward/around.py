"""Hooked nodes in a pass. The gradients on each side of a node are packed into one value, which its hooks are on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradproof.client.backward.handles import label_of
from gradproof.client.backward.results import checked_all
from gradproof.client.recording.names import edges_of
from gradproof.client.recording.packing import Bundle
from gradproof.client.recording.record import Node, is_tensor
from gradproof.client.recording.runtime import Spec
from gradproof.client.tensors.tensor import Tensor
from gradproof.v1 import graph_pb2

if TYPE_CHECKING:
    from gradproof.client.recording.subgraph import Subgraph

Gradients = tuple[Tensor | None, ...]


class NodeSide:
    """The gradients on one side of a node: a tuple with one for each of ``places``, None where there is none."""

    def __init__(self, name: str, places: Sequence[int], specs: dict[int, Spec]) -> None:
        self.pack, self._places = Bundle(name, specs), places
        self.lost: set[int] = set()
        """Those for which a hook returned None."""

    def tuple_of(self, packed: Tensor | None) -> Gradients:
        """The gradients that are one on the wire."""
        found = self.pack.take(packed) if packed is not None else {}
        return tuple(found.get(k) if k not in self.lost else None for k in self._places)

    def take_in(self, gradients: Gradients) -> set[int]:
        """The places for which a hook has returned None, of those that had a gradient before."""
        named = zip(self._places, gradients, strict=True)
        return {k for k, one in named if one is None and k in self.pack.specs and k not in self.lost}

    def filled(self, gradients: Gradients) -> Tensor:
        """The gradients as one: with zeros where there is none, since the others go on."""
        found = {k: one for k, one in zip(self._places, gradients, strict=True) if one is not None}
        for k, spec in self.pack.specs.items():
            if k not in found:
                found[k] = Tensor(np.zeros(spec.shape, spec.dtype))
        return self.pack.join(found)


class HookedNode:
    """A hooked node in one pass.

    Args:
        node: the node.
        name: of its first output, in the graph.
        slots: the outputs that a gradient comes to.
        positions: the inputs that gradients are asked for.
    """

    def __init__(self, node: Node, name: str, slots: Sequence[int], positions: Sequence[int]) -> None:
        self.node, self._name = node, name
        self.outside = NodeSide(f"{name}/out", range(len(node.specs)), {k: node.specs[k] for k in slots})
        specs = {k: x._spec for k, x in enumerate(node.inputs) if k in positions and is_tensor(x)}
        self.inside = NodeSide(f"{name}/in", edges_of(node), specs)
        self.seen: Tensor | None = None
        self.under_way = False
        """Whether the graph has been sent, so that nothing can be cut any more."""

    @property
    def structure(self) -> tuple[Any, ...]:
        """All that it adds to the structure of the graph."""
        return self._name, tuple(self.outside.pack.specs), tuple(self.inside.pack.specs), tuple(sorted(self.inside.lost))

    def before(self, hook: Callable[[Gradients], Any]) -> Callable[[Tensor], Tensor | None]:
        """A hook that runs before the rule, as one on the packed gradient."""
        return self._one(hook, self.outside, lambda given: (given,))

    def after(self, hook: Callable[[Gradients, Gradients], Any]) -> Callable[[Tensor | None], Tensor | None]:
        """A hook that runs behind the rule, as one on the packed gradient; None: of nothing."""
        return self._one(hook, self.inside, lambda given: (given, self.outside.tuple_of(self.seen)))

    def see(self, packed: Tensor) -> None:
        """Keep what the rule gets, for the hooks behind it."""
        self.seen = packed

    @property
    def idle(self) -> bool:
        """Whether hooks have left nothing for the rule."""
        return self.outside.lost.issuperset(self.outside.pack.specs)

    def sever(self) -> None:
        """No gradient comes from the rule."""
        self.inside.lost.update(self.inside.pack.specs)

    def cuts(self) -> set[tuple[int, int]]:
        """The inputs that no gradient goes on to, each with the number of the node."""
        return {(self.node.number, k) for k in self.inside.lost}

    def severed(self) -> Iterator[tuple[str, Any]]:
        """Leaves in place of inputs that no gradient goes on to, with their values."""
        for k in sorted(self.inside.lost):
            x, array = self.node.inputs[k], self.node.arrays[k]
            if is_tensor(x):
                yield f"{self._name}/cut{k}", x.value() if array is None else array

    def nodes(self, message: graph_pb2.Node) -> Iterator[graph_pb2.Node]:
        """The node, which is ``message``, with what is before and behind it."""
        inside, outside = self.inside.pack, self.outside.pack
        edges = {k: f"{self._name}/cut{k}" if k in self.inside.lost else message.inputs[k] for k in inside.specs}
        yield from inside.nodes(edges, {k: inside.near(k) for k in inside.specs})
        results = {k: message.outputs[k] for k in outside.specs}
        for k in inside.specs:
            message.inputs[k] = inside.near(k)
        for k in outside.specs:
            message.outputs[k] = outside.near(k)
        yield message
        yield from outside.nodes({k: outside.near(k) for k in outside.specs}, results)

    def _one(self, hook: Any, side: NodeSide, arguments: Callable[[Gradients], tuple[Any, ...]]) -> Callable[[Any], Any]:
        def call(packed: Tensor | None) -> Tensor | None:
            given = side.tuple_of(packed)
            result = checked_all(hook(*arguments(given)), given, label_of(hook))
            if result is None or packed is None:
                return None
            lost = side.take_in(result)
            if lost and self.under_way and (side is self.inside or side.lost.union(lost).issuperset(side.pack.specs)):
                raise RuntimeError(
                    f"hook '{label_of(hook)}' of {self.node.name()} returned None for a gradient that has been looked at "
                    "already, so its flow cannot be cut: return zeros"
                )
            side.lost |= lost
            return side.filled(result)

        call.__name__ = label_of(hook)
        return call


def positions_of(node: Node, nodes: Sequence[Node], aims: Collection[int]) -> list[int]:
    """The inputs that a node passes a gradient on to, when only ``nodes`` run, to the tensors with the ids ``aims``."""
    numbers = {one.number for one in nodes}
    return [
        k
        for k, (x, needs) in enumerate(zip(node.inputs, node.needs, strict=True))
        if needs and (id(x) in aims or (is_tensor(x) and x._node is not None and x._node.number in numbers))
    ]


def arrived(graph: Subgraph, nodes: Sequence[Node], cuts: Collection[tuple[int, int]]) -> set[str]:
    """Names of the values that gradients come to, when only ``nodes`` run and inputs in ``cuts`` get none."""
    found = set(graph.outputs)
    for node in reversed(nodes):
        if not found.isdisjoint(graph.name_of(node, slot) for slot in range(len(node.specs))):
            flowing = (k for k, needs in enumerate(node.needs) if needs and (node.number, k) not in cuts)
            found.update(graph.edge(node, k) for k in flowing)
    return found
