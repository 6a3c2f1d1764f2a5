"""The outline of a graph: the nodes behind some tensors, and a key that graphs recorded alike have in common.

The key is made of the signatures of the nodes and of what each input is: an output of an earlier node, a leaf by the order
in which leaves are met, or a Python number. It holds no value, so that a loop finds what it has sent before.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Final

from gradproof.client.events import Array
from gradproof.client.recording.numbers import Numbers
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Number, Recorded

SLOTS: Final = 1 << 12
"""The most outputs of a node in an outline: outputs are numbered through."""

_number = attrgetter("number")


class Outline:
    """The nodes that gradients of some tensors flow through, and those behind their constants.

    Attributes:
        roots: the tensors.
        nodes: the nodes, in the order they were recorded.
        key: equal for graphs that differ in values only.
        tensors: the leaves, in the order they are met; a tensor is two leaves where it is a constant too.
        arrays: their values.
        moving: whether each is more than a constant.
        numbers: the Python numbers, each once.
        uses: for each output of a node how often nodes use it.
        known: outputs of nodes that are constants here, since their values are known.
    """

    __slots__ = ("arrays", "key", "known", "moving", "nodes", "numbers", "places", "roots", "tensors", "uses")

    def __init__(self, roots: Sequence[Recorded], nodes: list[Node], known: set[tuple[Node, int]]) -> None:
        self.roots, self.nodes, self.known = roots, nodes, known
        self.places = {node: index * SLOTS for index, node in enumerate(nodes)}
        self.tensors: list[Recorded] = []
        self.arrays: list[Array] = []
        self.moving: list[bool] = []
        self.uses: dict[int, int] = {}
        numbers = Numbers()
        leaves: dict[tuple[bool, int, int], int] = {}
        places, uses = self.places, self.uses
        key: list[Any] = []
        for node in nodes:
            edges: list[Any] = []
            for x, origin, slot, array, needs, moves in node.edges():
                if not isinstance(x, Recorded):
                    edges.append((numbers.index(x), type(x)))
                    continue
                if isinstance(origin, Node):
                    if needs or origin.condition or (origin, slot) not in known:
                        place = places[origin] + slot
                        uses[place] = uses.get(place, 0) + 1
                        edges.append(place)
                        continue
                    array, moving = x.array, False
                else:
                    moving = needs or moves
                assert array is not None
                leaf = (moving, id(x), id(array))
                index = leaves.get(leaf)
                if index is None:
                    index = leaves[leaf] = len(leaves)
                    self.tensors.append(x)
                    self.arrays.append(array)
                    self.moving.append(moving)
                edges.append(-2 * index - (1 if moving else 2))
            key.append((node.signature, node.needs, tuple(edges)))
        self.numbers: list[Number] = numbers.values
        self.key = (tuple(key), tuple([places[r.node] + r.slot for r in roots if r.node is not None]))

    def held(self, largest: int) -> list[tuple[int, Recorded]]:
        """The outputs without a value, up to ``largest`` bytes, that anybody but nodes holds, with their places."""
        found = []
        own = {id(root) for root in self.roots}
        for node, place in self.places.items():
            for slot, spec in enumerate(node.specs):
                x = node.output(slot)
                if x is None or x.array is not None or spec.nbytes > largest:
                    continue
                # `x` and the argument are two references; a root is held by the caller too
                if id(x) in own or sys.getrefcount(x) - 2 > self.uses.get(place + slot, 0):
                    found.append((place + slot, x))
        return found


def outline_of(roots: Sequence[Recorded]) -> Outline | None:
    """The outline of a pass from ``roots``; None where hooks, rules that run here, kept or unknown values, or tensors that
    retain their gradients ask for more than numbers."""
    found: dict[Node, None] = {}
    known: set[tuple[Node, int]] = set()
    pending: list[Node] = []
    for root in roots:
        if root.node is None or not root.requires_grad:
            return None
        pending.append(root.node)
    while pending:
        node = pending.pop()
        if node in found:
            continue
        if node.is_special or len(node.specs) > SLOTS:
            return None
        found[node] = None
        for x, origin, slot, array, needs, _ in node.edges():
            if isinstance(origin, Node):
                if needs or origin.condition or not (x.tainted or x.array is not None):
                    pending.append(origin)
                elif x.array is None or origin.derived:
                    return None
                else:
                    known.add((origin, slot))
            elif isinstance(x, Recorded) and (array is None or x.hooks):
                return None
    return Outline(roots, sorted(found, key=_number), known)
