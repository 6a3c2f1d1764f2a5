"""Pictures of graphs: boxes for values (green leaves, yellow inner values, grey constants), round ones for nodes."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any

from gradproof.client.drawing.boxes import FORMATS, Box, Drawing, Kind, Picture
from gradproof.client.events import Array, Gradient, OpInfo, Result, Verdict
from gradproof.client.recording.record import Node, is_tensor
from gradproof.v1 import graph_pb2
from gradproof.wire import decode_spec, decode_tensor

if TYPE_CHECKING:
    from gradproof.client.backward.passes import Evidence
    from gradproof.client.tensors.tensor import Tensor

__all__ = ["FORMATS", "Box", "Picture", "draw", "draw_graph", "flowing"]


# records


def draw(tensor: Tensor, **names: Tensor) -> Picture:
    """The graph behind a tensor, with all that is known of its values and gradients; nothing is computed or checked for it.

    ``names`` are written on the boxes: ``draw(z, a=a, x=x)``.
    """
    return _Record(tensor, {id(one): name for name, one in names.items()}).picture()


class _Record:
    """Draws what tensors recorded."""

    def __init__(self, root: Tensor, names: Mapping[int, str]) -> None:
        self._root, self._names = root, names
        self._drawing = Drawing()
        self._ids: dict[Any, str] = {}
        self._nodes = _behind(root)
        self._passes = [_Pass(one) for one in self._evidence()]

    def picture(self) -> Picture:
        drawing = self._drawing
        if self._root._node is None:
            self._leaf(self._root, self._root._value, self._root.requires_grad)
        for node in self._nodes:
            inputs = [self._input(*one) for one in zip(node.inputs, node.needs, node.arrays, strict=True)]
            made = drawing.node(node.op, node.name() if node.requires_grad else "", inputs)
            for slot, spec in enumerate(node.specs):
                tensor = node.output(slot)
                flows = node.requires_grad and (tensor is None or tensor.requires_grad)
                key = ("node", node.number, slot)
                value = tensor._value if tensor is not None else None
                known = self._known(tensor, key) if flows else (None, None)
                name = self._names.get(id(tensor), "") if tensor is not None else ""
                self._ids[key] = drawing.value(
                    "inner" if flows else "constant", (spec.shape, spec.dtype), value, name, *known
                )
                drawing.edge(made, self._ids[key])
        return drawing.picture()

    def _input(self, x: Any, needs: bool, array: Array | None) -> str:
        if not is_tensor(x):
            return self._drawing.number(x)
        if x._node is not None:
            return self._ids["node", x._node.number, x._slot]
        return self._leaf(x, array if array is not None else x._value, needs)

    def _leaf(self, x: Tensor, value: Array | None, needs: bool) -> str:
        """A leaf with another value, or without gradient, is another leaf."""
        key = ("leaf", id(x), id(value))
        found = self._ids.get((*key, needs))
        if found is None:
            known = self._known(x, key) if needs else (None, None)
            spec, name = (x.shape, x.dtype), self._names.get(id(x), "")
            found = self._ids[(*key, needs)] = self._drawing.value(
                "leaf" if needs else "constant", spec, value, name, *known
            )
        return found

    def _known(self, tensor: Tensor | None, key: Any) -> tuple[Gradient | None, Verdict | None]:
        """The gradient and the verdict of the tensor's last pass, or of another one if that has none."""
        standing = tensor._standing() if tensor is not None else None
        own = [id(one) for one in standing.evidence()[:1]] if standing is not None else []
        for one in sorted(self._passes, key=lambda one: id(one.evidence) not in own):
            name = one.name(key)
            if name is not None and name in one.evidence.result.gradients:
                return one.evidence.result.gradients[name], one.evidence.verdicts().get(name)
        return None, None

    def _evidence(self) -> list[Evidence]:
        """Of passes that the root was part of."""
        tensors = [x for node in self._nodes for x in node.inputs if is_tensor(x)]
        tensors += [x for node in self._nodes for slot in range(len(node.specs)) if (x := node.output(slot)) is not None]
        standings = [x._standing() for x in [self._root, *tensors]]
        found = {id(one): one for standing in standings if standing is not None for one in standing.evidence()}
        return [one for one in found.values() if self._root._node is None or self._covers(one)]

    def _covers(self, evidence: Evidence) -> bool:
        return any(node is self._root._node for node in evidence.graph.nodes)


class _Pass:
    """The evidence of one pass, by what tensors are to a picture."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, graph = evidence, evidence.graph
        self._names: dict[Any, str] = {
            ("leaf", id(leaf), id(graph._arrays[name])): name for name, leaf in graph.leaves.items()
        }
        for node in graph.nodes:
            for slot in range(len(node.specs)):
                self._names["node", node.number, slot] = graph.name_of(node, slot)

    def name(self, key: Any) -> str | None:
        return self._names.get(key)


def _behind(root: Tensor) -> list[Node]:
    """All nodes that a tensor came from, in the order they were recorded."""
    found: dict[int, Node] = {}
    pending = [root._node] if root._node is not None else []
    while pending:
        node = pending.pop()
        if node.number not in found:
            found[node.number] = node
            pending += [x._node for x in node.inputs if is_tensor(x) and x._node is not None]
    return [found[number] for number in sorted(found)]


# messages


def draw_graph(
    graph: graph_pb2.Graph,
    values: Mapping[str, Array] | None = None,
    result: Result | None = None,
    ops: Mapping[str, OpInfo] | None = None,
) -> Picture:
    """A graph as it is sent.

    Args:
        graph: the message.
        values: of leaves, beside those that it carries.
        result: of a run: its values, gradients and verdicts are shown.
        ops: the server's, by name: tells the ``grad_fn`` of nodes, and which ops stop gradients.

    Raises ValueError if a name is unknown or taken, or if there is a cycle.
    """
    drawing, ids = Drawing(), dict[str, str]()
    order, moving = _sorted(graph), flowing(graph, ops)
    known = {**(values or {}), **(result.values if result is not None else {})}
    gradients = result.gradients if result is not None else {}
    verdicts = result.verdicts if result is not None else {}
    for leaf in graph.leaves:
        value = known.get(leaf.name, decode_tensor(leaf.value) if leaf.HasField("value") else None)
        spec = decode_spec(leaf.spec) if leaf.HasField("spec") else None
        kind: Kind = "leaf" if leaf.requires_grad else "constant"
        ids[leaf.name] = drawing.value(kind, spec, value, leaf.name, gradients.get(leaf.name), verdicts.get(leaf.name))
    for node in order:
        names = [name for name in node.outputs if name in gradients and gradients[name].grad_fn]
        info = ops.get(node.op) if ops else None
        own = info.grad_fn if info is not None and moving.intersection(node.outputs) else ""
        made = drawing.node(node.op, gradients[names[0]].grad_fn if names else own, [ids[x] for x in node.inputs])
        for name in node.outputs:
            kind = "inner" if name in moving else "constant"
            ids[name] = drawing.value(kind, None, known.get(name), name, gradients.get(name), verdicts.get(name))
            drawing.edge(made, ids[name])
    return drawing.picture()


def flowing(graph: graph_pb2.Graph, ops: Mapping[str, OpInfo] | None = None) -> set[str]:
    """Outputs of nodes that a gradient may flow through. Raises ValueError as `draw_graph` does."""
    found = {leaf.name for leaf in graph.leaves if leaf.requires_grad}
    for node in _sorted(graph):
        stops = bool(ops) and node.op in (ops or {}) and not (ops or {})[node.op].differentiable
        if not stops and found.intersection(node.inputs):
            found.update(node.outputs)
    return found - {leaf.name for leaf in graph.leaves}


def _sorted(graph: graph_pb2.Graph) -> list[graph_pb2.Node]:
    """The nodes, each behind those it needs, otherwise as they are."""
    makers: dict[str, int] = {}
    for name, k in [
        *((leaf.name, -1) for leaf in graph.leaves),
        *((n, k) for k, x in enumerate(graph.nodes) for n in x.outputs),
    ]:
        if name in makers:
            raise ValueError(f"the name {name!r} is taken twice")
        makers[name] = k
    waits, users = [0] * len(graph.nodes), dict[int, list[int]]()
    for k, node in enumerate(graph.nodes):
        for j, name in enumerate(node.inputs):
            if name not in makers:
                raise ValueError(f"graph.nodes[{k}].inputs[{j}]: there is no value named {name!r}")
            if makers[name] >= 0:
                waits[k] += 1
                users.setdefault(makers[name], []).append(k)
    ready = [k for k, count in enumerate(waits) if not count]
    heapify(ready)
    order = []
    while ready:
        k = heappop(ready)
        order.append(graph.nodes[k])
        for user in users.get(k, ()):
            waits[user] -= 1
            if not waits[user]:
                heappush(ready, user)
    if len(order) < len(graph.nodes):
        raise ValueError(f"graph.nodes[{next(k for k, count in enumerate(waits) if count)}] is on or behind a cycle")
    return order
