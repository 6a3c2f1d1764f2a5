"""Pictures of the record behind a tensor: boxes for values and nodes, with gradients and verdicts that are known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from gradproof.client.backward.evidence import Evidence
from gradproof.client.backward.provenance import provenance_of
from gradproof.client.drawing.box import Kind
from gradproof.client.drawing.drawing import NOTHING_KNOWN, Drawing, Known
from gradproof.client.drawing.picture import Picture
from gradproof.client.events import Array
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Input, Recorded

Key: TypeAlias = tuple[str, int, int]
"""The identity of a value: ("node", number, slot), or ("leaf", id of the tensor, id of its array)."""


def draw(tensor: Recorded, **names: Recorded) -> Picture:
    """The graph behind a tensor, with all that is known of its values and gradients; nothing is computed or checked for it.

    ``names`` are written on the boxes: ``draw(z, a=a, x=x)``. Parts that repeat are a box with a count.
    """
    return _RecordDrawing(tensor, {id(x): name for name, x in names.items()}).picture()


class _RecordDrawing:
    """Draws the record behind a tensor."""

    def __init__(self, root: Recorded, names: Mapping[int, str]) -> None:
        self._root, self._names = root, names
        self._drawing = Drawing()
        self._ids: dict[Key, str] = {}
        self._leaf_ids: dict[tuple[Key, bool], str] = {}
        self._nodes = _ancestors(root)
        self._passes = [_Pass(evidence) for evidence in self._evidence()]

    def picture(self) -> Picture:
        if self._root.node is None:
            self._leaf(self._root, self._root.array, self._root.requires_grad)
        for node in self._nodes:
            inputs = [self._input(*edge) for edge in zip(node.inputs, node.needs, node.arrays, strict=True)]
            box = self._drawing.node(node.op, node.name() if node.requires_grad else "", inputs)
            for slot in range(len(node.specs)):
                self._drawing.edge(box, self._output(node, slot))
        return self._drawing.picture()

    def _output(self, node: Node, slot: int) -> str:
        spec, tensor = node.specs[slot], node.output(slot)
        flows = node.requires_grad and (tensor is None or tensor.requires_grad)
        key = ("node", node.number, slot)
        kind: Kind = "inner" if flows else "constant"
        value = tensor.array if tensor is not None else None
        name = self._names.get(id(tensor), "") if tensor is not None else ""
        known = self._known(tensor, key) if flows else NOTHING_KNOWN
        self._ids[key] = self._drawing.value(kind, (spec.shape, spec.dtype), value, name, known)
        return self._ids[key]

    def _input(self, x: Input, needs: bool, array: Array | None) -> str:
        if not isinstance(x, Recorded):
            return self._drawing.number(x)
        if x.node is not None:
            return self._ids["node", x.node.number, x.slot]
        return self._leaf(x, array if array is not None else x.array, needs)

    def _leaf(self, x: Recorded, value: Array | None, needs: bool) -> str:
        """The id of a leaf; the same tensor with another value, or without gradient, is another leaf."""
        key = ("leaf", id(x), id(value))
        if (key, needs) not in self._leaf_ids:
            kind: Kind = "leaf" if needs else "constant"
            known = self._known(x, key) if needs else NOTHING_KNOWN
            name = self._names.get(id(x), "")
            self._leaf_ids[key, needs] = self._drawing.value(kind, (x.shape, x.dtype), value, name, known)
        return self._leaf_ids[key, needs]

    def _known(self, tensor: Recorded | None, key: Key) -> Known:
        """The gradient and the verdict of the tensor's last pass, or of another pass if that has none."""
        if not self._passes:
            return NOTHING_KNOWN
        provenance = provenance_of(tensor) if tensor is not None else None
        last = provenance.evidence()[:1] if provenance is not None else []
        for drawn in sorted(self._passes, key=lambda drawn: all(drawn.evidence is not evidence for evidence in last)):
            name = drawn.name(key)
            if name is not None and name in drawn.evidence.result.gradients:
                return drawn.evidence.result.gradients[name], drawn.evidence.verdicts().get(name)
        return NOTHING_KNOWN

    def _evidence(self) -> list[Evidence]:
        """The evidence of passes that the root was part of."""
        tensors = [x for node in self._nodes for x in node.inputs if isinstance(x, Recorded)]
        tensors += [x for node in self._nodes for slot in range(len(node.specs)) if (x := node.output(slot)) is not None]
        provenances = [provenance_of(x) for x in [self._root, *tensors]]
        passes = {id(e): e for provenance in provenances if provenance is not None for e in provenance.evidence()}
        root = self._root.node
        return [evidence for evidence in passes.values() if root is None or any(n is root for n in evidence.graph.nodes)]


class _Pass:
    """The evidence of a pass, by the keys of values on a picture."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, graph = evidence, evidence.graph
        self._names: dict[Key, str] = {
            ("leaf", id(leaf), id(graph.arrays[name])): name for name, leaf in graph.leaves.items()
        }
        for node in graph.nodes:
            for slot, name in enumerate(graph.output_names(node)):
                self._names["node", node.number, slot] = name

    def name(self, key: Key) -> str | None:
        return self._names.get(key)


def _ancestors(root: Recorded) -> list[Node]:
    """Nodes that a tensor came from, in the order they were recorded."""
    nodes: dict[int, Node] = {}
    pending = [root.node] if root.node is not None else []
    while pending:
        node = pending.pop()
        if node.number not in nodes:
            nodes[node.number] = node
            pending += [x.node for x in node.inputs if isinstance(x, Recorded) and x.node is not None]
    return [nodes[number] for number in sorted(nodes)]
