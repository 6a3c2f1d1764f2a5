"""Ancestry of tensors: the recorded nodes that they were computed from, and where these end in leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from gradproof.client.recording.kept import CachedForward
from gradproof.client.recording.outline import Outline
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Input, Recorded

Key: TypeAlias = tuple[str | int, ...]
RunOf: TypeAlias = Callable[[Node | None], CachedForward | None]


class Ancestry:
    """The nodes behind some tensors, in the order they were recorded.

    Args:
        roots: the tensors.
        backward: gradients will flow: known values that require grad are no leaves, nor are conditions that move with
            them; and a value that does not require grad but was computed from a tensor that does is a constant (whose
            value must be known). Known values that were derived are no leaves either: a verdict needs their rules.
        cut: tensors that are taken as leaves that require grad.
        run_of: finds the kept run of a node. Values that a run has, and that are not here, are leaves.
    """

    def __init__(
        self,
        roots: Sequence[Recorded],
        *,
        backward: bool = False,
        cut: Sequence[Recorded] = (),
        run_of: RunOf | None = None,
    ) -> None:
        self.roots, self.backward, self.cut = list(roots), backward, {key_of(t) for t in cut}
        self._run_of = run_of
        self._runs: dict[int, CachedForward | None] = {}
        self.nodes = self._nodes()

    def _nodes(self) -> list[Node]:
        nodes: dict[int, Node] = {}
        pending = [root.node for root in self.roots if not self.ends_at(root)]
        while pending:
            node = pending.pop()
            if node is None or node.number in nodes:
                continue
            nodes[node.number] = node
            pending.extend(
                x.node for x, needs in self.edges(node) if isinstance(x, Recorded) and not self.is_leaf(x, needs)
            )
        return [nodes[number] for number in sorted(nodes)]

    def constants(self) -> list[Recorded]:
        """Leaves whose values are neither known nor kept: they must be computed before the graph is sent."""
        edges = [edge for node in self.nodes for edge in self.edges(node)]
        edges += [(root, root.requires_grad or self.backward) for root in self.roots]
        leaves = [x for x, needs in edges if isinstance(x, Recorded) and x.node is not None and self.is_leaf(x, needs)]
        return [x for x in leaves if x.array is None and x.placeholder is None and self.run_of(x.node) is None]

    def edges(self, node: Node) -> Iterable[tuple[Input, bool]]:
        """The inputs of a node, each with whether it is more than a constant: a gradient flows to it, or it moves with a
        tensor that requires grad through conditions."""
        if not self.backward:
            return zip(node.inputs, node.needs, strict=True)
        return [
            (x, needs or (isinstance(x, Recorded) and (moves if x.node is None else x.node.condition)))
            for x, needs, moves in zip(node.inputs, node.needs, node.moves, strict=True)
        ]

    def ends_at(self, root: Recorded) -> bool:
        """True if a root is a leaf. With a backward half a known value does not make it a leaf: it has a formula."""
        return self.is_leaf(root, root.requires_grad or self.backward)

    def is_leaf(self, x: Recorded, needs: bool) -> bool:
        """True if a tensor is a leaf where it is used; ``needs`` as in `edges`."""
        if x.node is None or key_of(x) in self.cut:
            return True
        if not self.backward:
            return x.array is not None or self.run_of(x.node) is not None
        known = x.array is not None and not x.node.derived  # a derived value has rules to show
        return not needs and (known or x.tainted)

    def run_of(self, node: Node | None) -> CachedForward | None:
        """The kept run to borrow the values of a node from, as it was when the node was first seen."""
        if node is None or self._run_of is None:
            return None
        if node.number not in self._runs:
            self._runs[node.number] = self._run_of(node)
        return self._runs[node.number]


class OutlinedAncestry(Ancestry):
    """The nodes of an outline, with the leaves that they had when it was made."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        super().__init__(outline.roots, backward=True)

    def _nodes(self) -> list[Node]:
        return self._outline.nodes

    def is_leaf(self, x: Recorded, needs: bool) -> bool:
        """True if a tensor is a leaf where it is used."""
        return x.node is None or (not needs and (x.node, x.slot) in self._outline.known)


def key_of(tensor: Recorded) -> Key:
    """The identity of a tensor in a graph: an output of a node, or a leaf with the value it has now."""
    if tensor.node is not None:
        return ("node", tensor.node.number, tensor.slot)
    return ("leaf", id(tensor), id(tensor.array))
