"""A part of the record as a graph that can be sent."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from copy import copy
from itertools import islice
from typing import Protocol

from gradproof.client.events import Array
from gradproof.client.recording.ancestry import Ancestry, Key, key_of
from gradproof.client.recording.kept import CachedForward
from gradproof.client.recording.numbers import Numbers
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Number, Recorded
from gradproof.v1 import graph_pb2, tensor_pb2
from gradproof.wire import encode_attributes, encode_spec, encode_tensor

SMALL = 1 << 16
"""Values up to this size in bytes are fetched along with others."""


class Surrounding(Protocol):
    """Nodes of a message around a node with hooks."""

    @property
    def structure(self) -> tuple[object, ...]:
        """Their part of the structure of the graph."""

    def cut_leaves(self) -> Iterator[tuple[str, Array]]:
        """Leaves that take the place of inputs, with their values."""

    def aliases(self) -> Iterator[tuple[int, str]]:
        """The positions of inputs of the node, with the names that these have close to it."""

    def nodes(self, message: graph_pb2.Node) -> Iterator[graph_pb2.Node]:
        """The node, which is ``message``, with the nodes before and behind it."""


class Subgraph:
    """A graph with names that depend on its structure only, so that a graph recorded again is the same graph.

    Args:
        ancestry: the nodes. Its `constants` must have values.
        argument: a leaf that has no value yet: the argument of a function.

    Attributes:
        nodes: the nodes in the order they were recorded.
        leaves: the tensors that may require grad, by name.
        arrays: the values of leaves by name, but for borrowed ones.
        numbers: the Python numbers by name.
        open: leaves whose values depend on placeholders, by name: such a graph can be derived, not run.
        outputs: the names of the roots.
        structure: all that makes it the same graph, without the values of its leaves.
        behind: for each value that nodes with hooks use, the names that it has close to them.
    """

    def __init__(self, ancestry: Ancestry, argument: Recorded | None = None) -> None:
        self._ancestry, self._argument = ancestry, argument
        self.roots, self.nodes = ancestry.roots, ancestry.nodes
        self.leaves: dict[str, Recorded] = {}
        self.arrays: dict[str, Array] = {}
        self.open: dict[str, Recorded] = {}
        self.numbers: dict[str, Number] = {}
        self._distinct, self._number_names = Numbers(), list[str]()
        self._borrowed: dict[str, Recorded] = {}
        self._names: dict[Key, str] = {}
        self._edges: dict[int, list[str]] = {}
        self._name()
        self.outputs = [self.name(root) for root in self.roots]
        self.structure = self._structure()
        self._surroundings: dict[int, Surrounding] = {}
        self._cut_leaves: set[str] = set()
        self.behind: dict[str, list[str]] = {}

    def closed(self, values: Mapping[str, Array], structure: tuple[object, ...]) -> Subgraph:
        """The graph with ``values`` for its `open` leaves, so that it can be run. ``structure``: all that makes it the same
        graph."""
        closed = copy(self)
        closed.arrays, closed.open, closed.structure = {**self.arrays, **values}, {}, structure
        return closed

    def surround(self, surroundings: Mapping[int, Surrounding]) -> None:
        """Send nodes with hooks together with the nodes around them; keys are the numbers of nodes."""
        if not surroundings:
            return
        self._surroundings = dict(surroundings)
        leaves = dict(leaf for surrounding in surroundings.values() for leaf in surrounding.cut_leaves())
        self.arrays.update(leaves)
        self._cut_leaves = set(leaves)
        self.structure = (*self.structure, tuple(surrounding.structure for surrounding in surroundings.values()))
        for number, surrounding in surroundings.items():
            for position, name in surrounding.aliases():
                self.behind.setdefault(self._edges[number][position], []).append(name)

    def name(self, tensor: Recorded) -> str:
        """The name of a tensor. Raises KeyError if it is not in the graph."""
        return self._names[("argument",) if tensor is self._argument else key_of(tensor)]

    def names_of(self, tensor: Recorded) -> list[str]:
        """Names of a tensor in this graph: a leaf has a name for each value it had. Empty if it is not in the graph."""
        names = [name for name, leaf in self.leaves.items() if leaf is tensor]
        key = key_of(tensor)
        return names or ([self._names[key]] if tensor.node is not None and key in self._names else [])

    def all_names_of(self, tensor: Recorded) -> list[str]:
        """As `names_of`, with those that a leaf has where it is a constant."""
        if tensor.node is not None and key_of(tensor) in self._names:
            return [self._names[key_of(tensor)]]
        return [name for key, name in self._names.items() if key[0] in ("leaf", "constant") and key[1] == id(tensor)]

    def names(self) -> set[str]:
        """The names of all values."""
        return set(self._names.values())

    def name_of(self, node: Node, slot: int) -> str:
        """The name of an output of a node."""
        return self._names["node", node.number, slot]

    def output_names(self, node: Node) -> list[str]:
        """The names of all outputs of a node."""
        return [self.name_of(node, slot) for slot in range(len(node.specs))]

    def edge(self, node: Node, position: int) -> str:
        """The name of an input of a node."""
        return self._edges[node.number][position]

    def inner(self) -> Iterator[tuple[str, Recorded]]:
        """Outputs of nodes that somebody holds, with their names."""
        for node in self.nodes:
            for slot, name in enumerate(self.output_names(node)):
                tensor = node.output(slot)
                if tensor is not None:
                    yield name, tensor

    def results(self) -> dict[tuple[int, int], str]:
        """The names of the outputs of nodes, by the node's number and the slot."""
        return {(n.number, slot): name for n in self.nodes for slot, name in enumerate(self.output_names(n))}

    def borrowed(self) -> Iterator[tuple[str, CachedForward, str]]:
        """Leaves whose values a kept run has, each with the run and its name there."""
        for name, x in self._borrowed.items():
            run = self._ancestry.run_of(x.node)
            assert run is not None
            assert x.node is not None
            yield name, run, run.results[x.node.number, x.slot]

    @property
    def borrows(self) -> bool:
        """True if leaves are borrowed from kept runs."""
        return bool(self._borrowed)

    @property
    def size(self) -> int:
        """The number of values, without Python numbers."""
        return len(self.arrays) + len(self.open) + len(self._borrowed) + sum(len(node.specs) for node in self.nodes)

    def nbytes(self, names: Iterable[str]) -> int:
        """An upper bound of the bytes of these values together. Values around hooked nodes count as the whole graph."""
        sizes = {name: spec.nbytes for n in self.nodes for name, spec in zip(self.output_names(n), n.specs, strict=True)}
        sizes |= {name: array.nbytes for name, array in self.arrays.items()}
        total = sum(sizes.values())
        return sum(sizes.get(name, total) for name in names)

    def flowing(self) -> list[Node]:
        """Nodes that a gradient flows through."""
        return [node for node in self.nodes if node.requires_grad]

    def values(self, but: Container[str] = ()) -> list[tensor_pb2.NamedTensor]:
        """The values of leaves as messages, without those named in ``but`` and borrowed ones."""
        for x in self.open.values():
            x.require_value()
        known = [*((name, array) for name, array in self.arrays.items() if name not in but), *self.numbers.items()]
        return [tensor_pb2.NamedTensor(name=name, value=encode_tensor(value)) for name, value in known]

    def function(self) -> graph_pb2.Graph:
        """As `message`, with the values of all leaves but the argument."""
        assert self._argument is not None
        graph = self.message()
        values = {named.name: named.value for named in self.values()}
        for leaf in graph.leaves:
            if leaf.name in values:
                leaf.value.CopyFrom(values[leaf.name])
        argument = self._names.get(("argument",), "g")
        spec = encode_spec(self._argument.shape, self._argument.dtype)
        graph.leaves.insert(0, graph_pb2.Leaf(name=argument, spec=spec))
        return graph

    def message(self) -> graph_pb2.Graph:
        """Leaves without values, nodes and outputs."""
        graph = graph_pb2.Graph(outputs=dict.fromkeys(self.outputs))
        for name, array in self.arrays.items():
            requires_grad = name in self.leaves or name in self._cut_leaves
            graph.leaves.add(name=name, spec=encode_spec(array.shape, array.dtype), requires_grad=requires_grad)
        for name, x in self._borrowed.items():
            graph.leaves.add(name=name, spec=encode_spec(x.shape, x.dtype))
        for name, x in self.open.items():
            graph.leaves.add(name=name, spec=encode_spec(x.shape, x.dtype), requires_grad=name in self.leaves)
        for name, number in self.numbers.items():
            leaf = graph.leaves.add(name=name, value=encode_tensor(number))
            leaf.spec.CopyFrom(leaf.value.spec)
        table: dict[bytes, int] = {}
        for node in self.nodes:
            for message, rules in self._messages(node):
                message.rules.extend(table.setdefault(rule, len(table)) for rule in rules)
                graph.nodes.append(message)
        graph.rules.extend(map(graph_pb2.Rule.FromString, table))
        return graph

    def maker(self, index: int) -> Node | None:
        """The node that made node ``index`` of the message."""
        if not self._surroundings and all(node.signature.body is None for node in self.nodes):
            return self.nodes[index] if index < len(self.nodes) else None
        makers = (node for node in self.nodes for _ in self._messages(node))
        return next(islice(makers, index, None), None)

    def _messages(self, node: Node) -> Iterator[tuple[graph_pb2.Node, tuple[bytes, ...]]]:
        """The messages for a node, each with the rules that it was derived by."""
        message = graph_pb2.Node(
            op=node.op,
            inputs=self._edges[node.number],
            outputs=self.output_names(node),
            attributes=encode_attributes(node.attributes),
        )
        surrounding, body = self._surroundings.get(node.number), node.signature.body
        for part in (message,) if surrounding is None else surrounding.nodes(message):
            if part is message and body is not None:
                yield from body.messages(part.inputs, part.outputs)
            else:
                yield part, node.rules

    def _name(self) -> None:
        ancestry = self._ancestry
        for root in self.roots:
            if ancestry.ends_at(root):
                name = self._leaf(root, root.requires_grad, None)
                self._names.setdefault(key_of(root), name)
        for node in self.nodes:
            edges = []
            for (x, needs), array in zip(ancestry.edges(node), node.arrays, strict=True):
                if not isinstance(x, Recorded):
                    edges.append(self._number(x))
                elif ancestry.is_leaf(x, needs):
                    edges.append(self._leaf(x, needs, array))
                else:
                    edges.append(self._names[key_of(x)])
            self._edges[node.number] = edges
            for slot in range(len(node.specs)):
                self._names["node", node.number, slot] = f"v{len(self._names)}"

    def _leaf(self, x: Recorded, needs: bool, array: Array | None) -> str:
        """The name of a leaf; the same tensor with another value, or as a constant, is another leaf."""
        if x is self._argument:
            return self._names.setdefault(("argument",), "g")
        if (x.array is None or x.nbytes > SMALL) and self._ancestry.run_of(x.node) is not None:
            name = self._names.setdefault(key_of(x), f"x{len(self._names)}")
            self._borrowed[name] = x
            return name
        opened = array is None and x.array is None and x.placeholder is not None
        value = array if array is not None else None if opened else x.array if x.array is not None else x.value()
        is_cut = key_of(x) in self._ancestry.cut
        moving = self._ancestry.backward and (needs or is_cut)
        role = "leaf" if moving or not self._ancestry.backward else "constant"
        key: Key = key_of(x) if is_cut else (role, id(x), id(value))
        if key not in self._names:
            name = self._names[key] = f"x{len(self._names)}"
            if value is None:
                self.open[name] = x
            else:
                self.arrays[name] = value
            if moving:
                self.leaves[name] = x
        return self._names[key]

    def _number(self, x: Number) -> str:
        place = self._distinct.index(x)
        if place == len(self.numbers):
            name = self._names["number", len(self._names)] = f"c{len(self._names)}"
            self.numbers[name] = x
            self._number_names.append(name)
        return self._number_names[place]

    def _structure(self) -> tuple[object, ...]:
        return (
            tuple((name, a.shape, a.dtype.name, name in self.leaves) for name, a in self.arrays.items()),
            tuple((name, x.shape, x.dtype.name) for name, x in self._borrowed.items()),
            tuple((name, x.shape, x.dtype.name, name in self.leaves) for name, x in self.open.items()),
            tuple((name, type(x).__name__) for name, x in self.numbers.items()),
            tuple(
                (
                    node.op,
                    tuple(self._edges[node.number]),
                    len(node.specs),
                    repr(sorted(node.attributes.items())) if node.signature.body is None else node.signature.body,
                    node.rules,
                )
                for node in self.nodes
            ),
            tuple(self.outputs),
        )
