"""Pictures of graphs as they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from heapq import heappop, heappush

from gradproof.client.drawing.box import Kind
from gradproof.client.drawing.drawing import Drawing
from gradproof.client.drawing.picture import Picture
from gradproof.client.events import Array, OpInfo, Result
from gradproof.v1 import graph_pb2
from gradproof.wire import decode_spec, decode_tensor


def draw_graph(
    graph: graph_pb2.Graph,
    values: Mapping[str, Array] | None = None,
    result: Result | None = None,
    ops: Mapping[str, OpInfo] | None = None,
) -> Picture:
    """The picture of a graph as it is sent; parts that repeat are a box with a count.

    Args:
        graph: the message.
        values: values of leaves, in addition to those that the message carries.
        result: the result of a run: its values, gradients and verdicts are shown.
        ops: the server's ops by name: they tell the ``grad_fn`` of nodes, and which ops stop gradients.

    Raises ValueError if a name is unknown or taken, or if there is a cycle.
    """
    order = _in_order(graph)
    return _MessageDrawing(values or {}, result, ops or {}, _flowing(graph, order, ops or {})).picture(graph, order)


def flowing(graph: graph_pb2.Graph, ops: Mapping[str, OpInfo] | None = None) -> set[str]:
    """Outputs of nodes that a gradient may flow through. Raises ValueError as `draw_graph` does."""
    return _flowing(graph, _in_order(graph), ops or {})


class _MessageDrawing:
    """Draws a message."""

    def __init__(
        self, values: Mapping[str, Array], result: Result | None, ops: Mapping[str, OpInfo], moving: set[str]
    ) -> None:
        self._ops, self._moving = ops, moving
        self._values = {**values, **(result.values if result is not None else {})}
        self._gradients = result.gradients if result is not None else {}
        self._verdicts = result.verdicts if result is not None else {}
        self._drawing, self._ids, self._outputs = Drawing(), dict[str, str](), set[str]()

    def picture(self, graph: graph_pb2.Graph, order: list[graph_pb2.Node]) -> Picture:
        self._outputs = set(graph.outputs)
        for leaf in graph.leaves:
            self._leaf(leaf)
        for node in order:
            self._node(node)
        return self._drawing.picture()

    def _leaf(self, leaf: graph_pb2.Leaf) -> None:
        value = self._values.get(leaf.name, decode_tensor(leaf.value) if leaf.HasField("value") else None)
        spec = decode_spec(leaf.spec) if leaf.HasField("spec") else None
        kind: Kind = "leaf" if leaf.requires_grad else "constant"
        known = self._gradients.get(leaf.name), self._verdicts.get(leaf.name)
        self._ids[leaf.name] = self._drawing.value(kind, spec, value, leaf.name, known, marks=False)

    def _node(self, node: graph_pb2.Node) -> None:
        box = self._drawing.node(node.op, self._grad_fn(node), [self._ids[x] for x in node.inputs])
        for name in node.outputs:
            kind: Kind = "inner" if name in self._moving else "constant"
            known = self._gradients.get(name), self._verdicts.get(name)
            self._ids[name] = self._drawing.value(
                kind, None, self._values.get(name), name, known, marks=name in self._outputs
            )
            self._drawing.edge(box, self._ids[name])

    def _grad_fn(self, node: graph_pb2.Node) -> str:
        """The name of the backward node: of the run, or that of the op where a gradient may flow."""
        for name in node.outputs:
            if name in self._gradients and self._gradients[name].grad_fn:
                return self._gradients[name].grad_fn
        info = self._ops.get(node.op)
        return info.grad_fn if info is not None and self._moving.intersection(node.outputs) else ""


def _flowing(graph: graph_pb2.Graph, order: list[graph_pb2.Node], ops: Mapping[str, OpInfo]) -> set[str]:
    leaves = {leaf.name for leaf in graph.leaves if leaf.requires_grad}
    names = set(leaves)
    for node in order:
        stops = node.op in ops and not ops[node.op].differentiable
        if not stops and names.intersection(node.inputs):
            names.update(node.outputs)
    return names - leaves


def _in_order(graph: graph_pb2.Graph) -> list[graph_pb2.Node]:
    """The nodes, each after the nodes that it needs; otherwise in their own order."""
    sorter: TopologicalSorter[int] = TopologicalSorter()
    makers = _makers(graph)
    for k, node in enumerate(graph.nodes):
        for j, name in enumerate(node.inputs):
            if name not in makers:
                raise ValueError(f"graph.nodes[{k}].inputs[{j}]: there is no value named {name!r}")
        sorter.add(k, *(maker for name in node.inputs if (maker := makers[name]) is not None))
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(f"graph.nodes[{min(error.args[1])}] is on a cycle") from None
    return [graph.nodes[k] for k in _smallest_first(sorter)]


def _smallest_first(sorter: TopologicalSorter[int]) -> Iterator[int]:
    """The nodes in topological order, of all that are ready the smallest first."""
    ready: list[int] = []
    while sorter.is_active():
        for k in sorter.get_ready():
            heappush(ready, k)
        k = heappop(ready)
        yield k
        sorter.done(k)


def _makers(graph: graph_pb2.Graph) -> dict[str, int | None]:
    """The index of the node that makes a value, by the name of the value; None for leaves."""
    makers: dict[str, int | None] = {}
    names: list[tuple[str, int | None]] = [(leaf.name, None) for leaf in graph.leaves]
    names += [(name, k) for k, node in enumerate(graph.nodes) for name in node.outputs]
    for name, k in names:
        if name in makers:
            raise ValueError(f"the name {name!r} is taken twice")
        makers[name] = k
    return makers
