"""A part of the record as a graph that can be sent: what some tensors were computed from."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gradproof.client.errors import RunError
from gradproof.client.recording.keeping import Lost
from gradproof.client.recording.record import Node, is_tensor
from gradproof.client.tensors.tensor import Tensor
from gradproof.v1 import graph_pb2, tensor_pb2
from gradproof.wire import encode_attributes, encode_spec, encode_tensor

if TYPE_CHECKING:
    from gradproof.client.backward.around import HookedNode
    from gradproof.client.recording.keeping import CachedForward, ServerCache

Key: TypeAlias = Any

SMALL = 1 << 16
"""Bytes: values up to this size are brought along."""


class Subgraph:
    """Nodes in the order they were recorded, with names that depend on the structure only, so that a graph recorded again
    is the same graph.

    Args:
        roots: what is to be computed.
        backward: gradients will flow: known values that require grad are not cut off, nor are conditions that move with
            them; and what does not require grad but
            was computed from something that does is a constant (whose value must be known). Known values that were derived
            are not cut off either: a verdict needs the rules they came from.
        cut: tensors that are taken as leaves that require grad.
        open: a leaf that has no value yet: the argument of a function.
        keeper: what it keeps is not computed: values that have not come here, or would have to go back, are leaves whose
            values are `borrowed`.
    """

    def __init__(
        self,
        roots: Sequence[Tensor],
        *,
        backward: bool = False,
        cut: Sequence[Tensor] = (),
        open: Tensor | None = None,
        keeper: ServerCache | None = None,
    ) -> None:
        self.roots, self.backward, self._open = list(roots), backward, open
        self._keeper = keeper
        self._runs: dict[int, CachedForward | None] = {}
        self._borrowed: dict[str, Tensor] = {}
        self._cut = {key_of(t) for t in cut}
        self.nodes: list[Node] = []
        self.leaves: dict[str, Tensor] = {}
        self._arrays: dict[str, np.ndarray[Any, Any]] = {}
        self._numbers: list[tuple[str, Any]] = []
        self._names: dict[Key, str] = {}
        self._edges: dict[int, list[str]] = {}
        self._collect()
        self._name()
        self.outputs = [self.name(root) for root in self.roots]
        self.structure = self._structure()
        self._around: dict[int, HookedNode] = {}
        self._severed: set[str] = set()
        self.behind: dict[str, list[str]] = {}
        """What nodes with hooks get in the place of a value."""

    def wrap(self, around: Mapping[int, HookedNode]) -> None:
        """Pack what is before and behind nodes with hooks; by their numbers."""
        if around:
            self._around = dict(around)
            severed = {name: array for one in around.values() for name, array in one.severed()}
            self._arrays.update(severed)
            self._severed = set(severed)
            self.structure = (*self.structure, tuple(one.structure for one in around.values()))
            for number, one in around.items():
                for k in one.inside.pack.specs.keys() - one.inside.lost:
                    self.behind.setdefault(self._edges[number][k], []).append(one.inside.pack.near(k))

    def name(self, tensor: Tensor) -> str:
        """The name of a tensor. Raises KeyError if it is not in the graph."""
        return self._names[("open",) if tensor is self._open else key_of(tensor)]

    def names_of(self, tensor: Tensor) -> list[str]:
        """All names that a tensor has here: a leaf has one for each value it had. Empty if it is not in the graph."""
        found = [name for name, leaf in self.leaves.items() if leaf is tensor]
        key = key_of(tensor)
        return found or ([self._names[key]] if tensor._node is not None and key in self._names else [])

    def numbers(self) -> tuple[str, ...]:
        """The Python numbers, of which the structure has only the types."""
        return tuple(repr(x) for _, x in self._numbers)

    def environment(self) -> dict[str, Any]:
        """Every value by its name: tensors, and Python numbers."""
        found: dict[str, Any] = dict(self._numbers)
        for name, array in self._arrays.items():
            leaf = self.leaves.get(name)
            found[name] = leaf if leaf is not None and leaf.value() is array else Tensor(array)
        for node in self.nodes:
            for slot in range(len(node.specs)):
                found[self.name_of(node, slot)] = node.held(slot)
        return found

    def inner(self) -> Iterator[tuple[str, Tensor]]:
        """Outputs of nodes that somebody holds, with their names."""
        for node in self.nodes:
            for slot in range(len(node.specs)):
                tensor = node.output(slot)
                if tensor is not None:
                    yield self._names[("node", node.number, slot)], tensor

    def name_of(self, node: Node, slot: int) -> str:
        """The name of an output of a node."""
        return self._names[("node", node.number, slot)]

    def edge(self, node: Node, position: int) -> str:
        """The name of an input of a node."""
        return self._edges[node.number][position]

    def results(self) -> dict[tuple[int, int], str]:
        """The names of the outputs of nodes, by the node's number and the slot."""
        return {(n.number, slot): self.name_of(n, slot) for n in self.nodes for slot in range(len(n.specs))}

    def arrays(self) -> Iterable[tuple[str, np.ndarray[Any, Any]]]:
        """The values of leaves, but for those of Python numbers and those that are borrowed."""
        return self._arrays.items()

    def borrowed(self) -> Iterator[tuple[str, CachedForward, str]]:
        """Leaves whose values a kept run has, and what it calls them."""
        for name, x in self._borrowed.items():
            run = self._run_of(x._node)
            assert run is not None
            assert x._node is not None
            yield name, run, run.results[x._node.number, x._slot]

    @property
    def borrows(self) -> bool:
        """Whether there are such leaves."""
        return bool(self._borrowed)

    @property
    def size(self) -> int:
        """How many values there are, but for Python numbers."""
        return len(self._arrays) + len(self._borrowed) + sum(len(node.specs) for node in self.nodes)

    def nbytes(self, names: Iterable[str]) -> int:
        """Bytes of some values together, at most: what lies around hooked nodes counts as all that there is."""
        sizes = {self.name_of(n, k): spec.size * spec.dtype.itemsize for n in self.nodes for k, spec in enumerate(n.specs)}
        sizes |= {name: array.nbytes for name, array in self._arrays.items()}
        total = sum(sizes.values())
        return sum(sizes.get(name, total) for name in names)

    def flowing(self) -> list[Node]:
        """Nodes that a gradient flows through."""
        return [node for node in self.nodes if node.requires_grad]

    def values(self, but: Container[str] = ()) -> Iterable[tensor_pb2.NamedTensor]:
        """The leaves' values as messages; those named in ``but``, and those that are borrowed, are left out."""
        known = [*((name, array) for name, array in self._arrays.items() if name not in but), *self._numbers]
        return [tensor_pb2.NamedTensor(name=name, value=encode_tensor(value)) for name, value in known]

    def function(self) -> graph_pb2.Graph:
        """As `message`, with the values of all leaves but the open one."""
        assert self._open is not None
        graph = self.message()
        values = {named.name: named.value for named in self.values()}
        for leaf in graph.leaves:
            if leaf.name in values:
                leaf.value.CopyFrom(values[leaf.name])
        argument = self._names.get(("open",), "g")
        spec = encode_spec(self._open.shape, self._open.dtype)
        graph.leaves.insert(0, graph_pb2.Leaf(name=argument, spec=spec))
        return graph

    def message(self) -> graph_pb2.Graph:
        """Leaves without values, nodes, outputs."""
        graph = graph_pb2.Graph(outputs=dict.fromkeys(self.outputs))
        for name, array in self._arrays.items():
            graph.leaves.add(name=name, spec=encode_spec(array.shape, array.dtype), requires_grad=self._moves(name))
        for name, x in self._borrowed.items():
            graph.leaves.add(name=name, spec=encode_spec(x.shape, x.dtype))
        for name, number in self._numbers:
            leaf = graph.leaves.add(name=name, value=encode_tensor(number))
            leaf.spec.CopyFrom(leaf.value.spec)
        table: dict[bytes, int] = {}
        for node in self.nodes:
            written = self._written(node)
            if node.rules:
                rules = [table.setdefault(rule, len(table)) for rule in node.rules]
                for one in written:
                    one.rules.extend(rules)
            graph.nodes.extend(written)
        graph.rules.extend(map(graph_pb2.Rule.FromString, table))
        return graph

    def maker(self, index: int) -> Node | None:
        """The node that made node ``index`` of the message."""
        if not self._around:
            return self.nodes[index] if index < len(self.nodes) else None
        made = (node for node in self.nodes for _ in self._written(node))
        return next(islice(made, index, None), None)

    def _written(self, node: Node) -> Sequence[graph_pb2.Node]:
        message = graph_pb2.Node(
            op=node.op,
            inputs=self._edges[node.number],
            outputs=[self._names[("node", node.number, slot)] for slot in range(len(node.specs))],
            attributes=encode_attributes(node.attributes),
        )
        around = self._around.get(node.number)
        return (message,) if around is None else tuple(around.nodes(message))

    def _moves(self, leaf: str) -> bool:
        return leaf in self.leaves or leaf in self._severed

    def _collect(self) -> None:
        """The nodes behind the roots, without recursion."""
        found: dict[int, Node] = {}
        pending = [root._node for root in self.roots if not self._is_end(root)]
        while pending:
            node = pending.pop()
            if node is None or node.number in found:
                continue
            found[node.number] = node
            for x, needs in zip(node.inputs, self._flows(node), strict=True):
                if is_tensor(x) and not self._is_leaf(x, needs):
                    pending.append(x._node)
        self.nodes = [found[number] for number in sorted(found)]
        evaluate(self._constants())

    def _constants(self) -> list[Tensor]:
        """What is a constant here but neither known yet nor borrowed."""
        edges = [(x, needs) for node in self.nodes for x, needs in zip(node.inputs, self._flows(node), strict=True)]
        edges += [(root, root.requires_grad or self.backward) for root in self.roots]
        leaves = [x for x, needs in edges if is_tensor(x) and x._node is not None and self._is_leaf(x, needs)]
        return [x for x in leaves if x._value is None and self._run_of(x._node) is None]

    def _is_end(self, root: Tensor) -> bool:
        """Whether a root is a leaf. With a backward half it is none because its value is known: it has a formula."""
        return self._is_leaf(root, root.requires_grad or self.backward)

    def _flows(self, node: Node) -> Sequence[bool]:
        """For each input of a node whether it is more than a constant here: a gradient flows to it, or it moves with what
        requires grad through conditions."""
        return [
            needs or (self.backward and is_tensor(x) and (x._node.condition if x._node is not None else moves))
            for x, needs, moves in zip(node.inputs, node.needs, node.moves, strict=True)
        ]

    def _is_leaf(self, x: Tensor, needs: bool) -> bool:
        if x._node is None or key_of(x) in self._cut:
            return True
        if not self.backward:
            return x._value is not None or self._run_of(x._node) is not None
        known = x._value is not None and not x._node.derived  # what was derived has rules to show
        return not needs and (known or x._tainted)

    def _run_of(self, node: Node | None) -> CachedForward | None:
        """The kept run to borrow the values of a node from, as it was when the node was first seen."""
        if node is None or self._keeper is None:
            return None
        if node.number not in self._runs:
            self._runs[node.number] = self._keeper.run_of(node)
        return self._runs[node.number]

    def _name(self) -> None:
        for root in self.roots:
            if self._is_end(root):
                name = self._leaf(root, root.requires_grad, None)
                self._names.setdefault(key_of(root), name)
        for node in self.nodes:
            edges = []
            for x, needs, array in zip(node.inputs, self._flows(node), node.arrays, strict=True):
                if not is_tensor(x):
                    edges.append(self._number(x))
                elif self._is_leaf(x, needs):
                    edges.append(self._leaf(x, needs, array))
                else:
                    edges.append(self._names[key_of(x)])
            self._edges[node.number] = edges
            for slot in range(len(node.specs)):
                self._names[("node", node.number, slot)] = f"v{len(self._names)}"

    def _leaf(self, x: Tensor, needs: bool, array: Any) -> str:
        """A leaf's name; the same tensor with another value, or as a constant, is another leaf."""
        if x is self._open:
            return self._names.setdefault(("open",), "g")
        if (x._value is None or x.nbytes > SMALL) and self._run_of(x._node) is not None:
            name = self._names.setdefault(key_of(x), f"x{len(self._names)}")
            self._borrowed[name] = x
            return name
        value = array if array is not None else x.value()
        moving = self.backward and (needs or key_of(x) in self._cut)
        key: Key = (
            key_of(x)
            if key_of(x) in self._cut
            else ("leaf" if moving or not self.backward else "constant", id(x), id(value))
        )
        if key not in self._names:
            name = self._names[key] = f"x{len(self._names)}"
            self._arrays[name] = value
            if moving:
                self.leaves[name] = x
        return self._names[key]

    def _number(self, x: Any) -> str:
        name = self._names[("number", len(self._names))] = f"c{len(self._names)}"
        self._numbers.append((name, x))
        return name

    def _structure(self) -> tuple[Any, ...]:
        """All that makes the graph what it is, but for the values of its leaves."""
        return (
            tuple((name, a.shape, a.dtype.name, name in self.leaves) for name, a in self._arrays.items()),
            tuple((name, x.shape, x.dtype.name) for name, x in self._borrowed.items()),
            tuple((name, type(x).__name__) for name, x in self._numbers),
            tuple(
                (
                    node.op,
                    tuple(self._edges[node.number]),
                    len(node.specs),
                    repr(sorted(node.attributes.items())),
                    node.rules,
                )
                for node in self.nodes
            ),
            tuple(self.outputs),
        )


def key_of(tensor: Tensor) -> Key:
    """What a tensor is to a graph: an output of a node, or a leaf with the value it has now."""
    if tensor._node is not None:
        return ("node", tensor._node.number, tensor._slot)
    return ("leaf", id(tensor), id(tensor._value))


@contextmanager
def naming_failed_node(graph: Subgraph) -> Iterator[None]:
    """A node that fails is an error that says where it was recorded."""
    try:
        yield
    except RunError as error:
        if error.node is not None and (maker := graph.maker(error.node)) is not None:
            error.add_note(f"recorded at {maker.place}")
        raise


def evaluate(tensors: Sequence[Tensor]) -> None:
    """Compute the values of ``tensors``, and with them small ones on the way that somebody holds, in one request.

    The server keeps the run if gradients may flow through it, or if there are values on the way that are too large to be
    brought along: then nothing of it is computed again when it is looked at, or gone back through.
    """
    from gradproof.client.recording.runtime import current

    runtime = current()
    while wanted := [t for t in tensors if t._value is None]:
        keeper = runtime.keeper
        graph = Subgraph(wanted, backward=True) if _is_new(wanted, keeper) else Subgraph(wanted, keeper=keeper)
        fetch = dict(zip(graph.outputs, wanted, strict=True))
        large = False
        for name, tensor in graph.inner():
            if tensor._value is None and tensor.nbytes <= SMALL:
                fetch[name] = tensor
            large = large or (tensor._value is None and name not in fetch)
        keep = large or any(node.requires_grad for node in graph.nodes)
        try:
            with naming_failed_node(graph):
                found = runtime.evaluate(graph, list(fetch), keep=keep)
        except Lost:
            continue
        for name, tensor in fetch.items():
            tensor._value = found[name]


def _is_new(wanted: Sequence[Tensor], keeper: ServerCache) -> bool:
    """Whether a backward pass from ``wanted`` would send just what is to be computed now: gradients flow to them, and
    nothing that gradients flow through has been computed before."""
    pending, seen = list(wanted), set[int]()
    if not all(t.requires_grad for t in wanted):
        return False
    while pending:
        node = pending.pop()._node
        if node is None or node.number in seen:
            continue
        seen.add(node.number)
        if keeper.run_of(node) is not None:
            return False
        for x, needs, moves in zip(node.inputs, node.needs, node.moves, strict=True):
            if not is_tensor(x) or x._node is None:
                continue
            needs = needs or moves or x._node.condition
            if (needs and x._value is not None) or (not needs and x._value is None and x._tainted):
                return False
            if x._value is None:
                pending.append(x)
    return True
