"""Building graphs: leaves, ops, outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gradproof.v1 import graph_pb2 as pb
from gradproof.wire import encode_attributes, encode_spec, encode_tensor


@dataclass(frozen=True)
class Ref:
    """A named value of a graph that is being built. Operators add nodes."""

    graph: GraphBuilder
    name: str

    __array_ufunc__ = None
    """Makes ``array * ref`` a single node: without this NumPy would make a node for every element."""

    def _apply(self, op: str, *inputs: Any) -> Ref:
        return self.graph.apply(op, *inputs)

    def __neg__(self) -> Ref:
        return self._apply("negative", self)

    def __add__(self, other: Any) -> Ref:
        return self._apply("add", self, other)

    def __radd__(self, other: Any) -> Ref:
        return self._apply("add", other, self)

    def __sub__(self, other: Any) -> Ref:
        return self._apply("subtract", self, other)

    def __rsub__(self, other: Any) -> Ref:
        return self._apply("subtract", other, self)

    def __mul__(self, other: Any) -> Ref:
        return self._apply("multiply", self, other)

    def __rmul__(self, other: Any) -> Ref:
        return self._apply("multiply", other, self)

    def __truediv__(self, other: Any) -> Ref:
        return self._apply("divide", self, other)

    def __rtruediv__(self, other: Any) -> Ref:
        return self._apply("divide", other, self)

    def __pow__(self, other: Any) -> Ref:
        return self._apply("pow", self, other)

    def __rpow__(self, other: Any) -> Ref:
        return self._apply("pow", other, self)

    def __matmul__(self, other: Any) -> Ref:
        return self._apply("matmul", self, other)

    def __rmatmul__(self, other: Any) -> Ref:
        return self._apply("matmul", other, self)


class GraphBuilder:
    """A graph that is being built. Values have names, chosen or generated; a `Ref` stands for a value.

    >>> g = GraphBuilder()
    >>> x = g.leaf("x", 3.0, requires_grad=True)
    >>> y = g.output(g.apply("sin", x * 2, name="y"))
    >>> [node.op for node in g.to_proto().nodes]
    ['multiply', 'sin']
    """

    def __init__(self) -> None:
        self._graph = pb.Graph()
        self._names: set[str] = set()
        self._renamed: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self.revision = 0
        """Counts changes, so that a client knows whether it has sent this graph before."""

    def leaf(
        self,
        name: str,
        value: Any = None,
        *,
        requires_grad: bool = False,
        shape: Sequence[int] = (),
        dtype: Any = np.float64,
    ) -> Ref:
        """A named input. With ``value`` (an array, or a Python number, which becomes a 0-d float64, int64 or bool array:
        write 3.0 where it needs a gradient) the graph carries it; without, give ``shape`` and ``dtype`` here and the
        value with each request. Raises ValueError if the name is taken."""
        leaf = pb.Leaf(name=self._new(name), requires_grad=requires_grad)
        if value is None:
            leaf.spec.CopyFrom(encode_spec(tuple(shape), np.dtype(dtype)))
        else:
            leaf.value.CopyFrom(encode_tensor(np.asarray(value)))
            leaf.spec.CopyFrom(leaf.value.spec)
        self._graph.leaves.append(leaf)
        return Ref(self, name)

    def apply(self, op: str, *inputs: Any, name: str = "", **attributes: Any) -> Ref:
        """A node: ``op`` on values, Python numbers (weakly typed: they take the dtype of what they meet) or arrays."""
        return self.apply_multiple(op, *inputs, names=[name or self._fresh(op)], **attributes)[0]

    def apply_multiple(self, op: str, *inputs: Any, names: Sequence[str], **attributes: Any) -> list[Ref]:
        """A node with several outputs, called ``names``."""
        node = pb.Node(op=op, inputs=[self._input(x) for x in inputs], attributes=encode_attributes(attributes))
        node.outputs.extend(self._new(name) for name in names)
        self._graph.nodes.append(node)
        return [Ref(self, name) for name in names]

    def output(self, value: Ref, name: str = "") -> Ref:
        """Make a value an output; ``name`` renames it, and every `Ref` to it stays good. Returns it. Raises ValueError
        if it is an output already, if the name is taken, or if it is a value of another graph."""
        known = self.name_of(value)
        if known in self._graph.outputs:
            raise ValueError(f"{known!r} is an output already")
        if name and name != known:
            self._rename(known, name)
            known = name
        self._graph.outputs.append(known)
        self.revision += 1
        return Ref(self, known)

    def name_of(self, value: Ref) -> str:
        """The name that a value has now. Raises ValueError if it is a value of another graph."""
        if value.graph is not self:
            raise ValueError(f"{value.name!r} is a value of another graph")
        name = value.name
        while name in self._renamed:
            name = self._renamed[name]
        return name

    def to_proto(self) -> pb.Graph:
        """The graph as a message (a copy)."""
        copy = pb.Graph()
        copy.CopyFrom(self._graph)
        return copy

    def _input(self, x: Any) -> str:
        if isinstance(x, Ref):
            return self.name_of(x)
        name = self._fresh("constant")
        value = encode_tensor(x)
        self._graph.leaves.add(name=self._new(name), value=value, spec=value.spec)
        return name

    def _fresh(self, stem: str) -> str:
        """A name that no value has or ever had: an old `Ref` must not come to mean another value."""
        stem = stem.rpartition(".")[2]
        k = self._counts.get(stem, 0)
        while f"{stem}_{k}" in self._names:
            k += 1
        self._counts[stem] = k
        return f"{stem}_{k}"

    def _new(self, name: str) -> str:
        if not name or name in self._names:
            raise ValueError(f"the name {name!r} is taken" if name else "a value needs a name")
        self._names.add(name)
        self.revision += 1
        return name

    def _rename(self, old: str, new: str) -> None:
        self._new(new)
        self._renamed[old] = new
        for leaf in self._graph.leaves:
            leaf.name = new if leaf.name == old else leaf.name
        for node in self._graph.nodes:
            for names in (node.inputs, node.outputs):
                names[:] = [new if name == old else name for name in names]


@dataclass(frozen=True)
class CallableHook:
    """A hook that runs here, on the gradient of the value called ``value``, while the server waits."""

    value: str
    function: Callable[[NDArray[Any]], Any]
    label: str

    def __call__(self, gradient: NDArray[Any]) -> NDArray[Any] | None:
        """The result of the function. Raises TypeError, with PyTorch's text, where it is no array."""
        result = self.function(gradient)
        if result is None or isinstance(result, (np.ndarray, np.generic)):
            return None if result is None else np.asarray(result)
        kind = type(result).__name__
        raise TypeError(f"expected an array, but hook {self.label!r} on {self.value!r} returned {kind!r}")


Hook: TypeAlias = pb.Hook | CallableHook


def hook(value: str | Ref, action: Any, *, label: str = "", **attributes: Any) -> Hook:
    """A hook on the gradient of a value. ``action`` is

    - a name, with attributes: ``hook("y", "scale", factor=2.0)``; names are those of GetServerInfo;
    - a graph from gradient to gradient (a `GraphBuilder` or a message), all of whose leaves have values but one;
    - a function: it is called here with the gradient, a read-only array, and returns an array of the same shape and dtype,
      or None to leave the gradient as it is. What it raises ends the run and is raised to the caller.

    ``label`` is what errors and traces call it.
    """
    target = value.graph.name_of(value) if isinstance(value, Ref) else value
    if isinstance(action, str):
        return pb.Hook(value=target, label=label, named=pb.NamedHook(name=action, attributes=encode_attributes(attributes)))
    if attributes:
        raise TypeError("only a named hook has attributes")
    if isinstance(action, (GraphBuilder, pb.Graph)):
        graph = action.to_proto() if isinstance(action, GraphBuilder) else action
        return pb.Hook(value=target, label=label, graph=graph)
    if not callable(action):
        raise TypeError(f"a hook is a name, a graph or a function, not {type(action).__name__}")
    return CallableHook(target, action, label or getattr(action, "__name__", type(action).__name__))


Graph: TypeAlias = GraphBuilder | pb.Graph
