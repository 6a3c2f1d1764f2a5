"""The body of a node that stands for a whole function: the nodes that were recorded when the function ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, TypeAlias

from gradproof.client.recording.numbers import Numbers
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Input, Recorded
from gradproof.client.recording.spec import Spec
from gradproof.v1 import graph_pb2
from gradproof.wire import encode_attributes

Source: TypeAlias = tuple[int, int]
"""An input of the body as (-1, its position), or an output of a node of it as (the position of the node, the slot)."""


class Refused(BaseException):
    """Raised for a function that cannot be held; the text is the reason. No ``except Exception`` in it stops that."""


class Body:
    """The nodes between the inputs and the outputs of a function.

    Args:
        outputs: the outputs, each once, as nodes since ``start`` have made them.
        arguments: the tensors that stood for arguments.
        start: a number below those of the nodes of the body.

    Attributes:
        inputs: the arguments, tensors from outside and Python numbers, in the order in which a node of the body has them.
        specs: shapes and dtypes of the outputs.
        derived: whether nodes of it were derived by rules.

    Raises Refused where the nodes do not show all that the function does.
    """

    def __init__(self, outputs: Sequence[Recorded], arguments: Sequence[Recorded], start: int) -> None:
        self._start = start
        self._places: dict[int, int] = {}
        self.inputs: list[Input] = []
        for x in arguments:
            self._input(x)
        self._numbers: dict[int, int] = {}
        self._distinct = Numbers()
        nodes = self._nodes(outputs)
        positions = {node: k for k, node in enumerate(nodes)}
        self._applications: list[tuple[Node, list[Source]]] = []
        for node in nodes:
            edges = [self._source(x, origin, slot, positions) for x, origin, slot, *_ in node.edges()]
            self._applications.append((node, edges))
        self._outputs = [self._source(y, y.node, y.slot, positions) for y in outputs]
        self.specs: tuple[Spec, ...] = tuple(y.spec for y in outputs)
        self.derived = any(node.rules for node in nodes)
        self._protos = [
            graph_pb2.Node(op=node.op, attributes=encode_attributes(node.attributes)) for node, _ in self._applications
        ]

    @property
    def size(self) -> int:
        """The number of its nodes."""
        return len(self._applications)

    def _nodes(self, outputs: Sequence[Recorded]) -> list[Node]:
        found: dict[Node, None] = {}
        pending = [y.node for y in outputs]
        while pending:
            node = pending.pop()
            if node is None or node.number < self._start or node in found:
                continue
            refuse_special(node)
            found[node] = None
            for x, origin, _, _, needs, _ in node.edges():
                if isinstance(origin, Node):
                    if origin.number >= self._start and not needs and x.tainted:
                        raise Refused(f"what {node.place} uses is computed under no_grad()")
                    pending.append(origin)
                elif isinstance(x, Recorded) and isinstance(origin, Recorded):
                    raise Refused(f"what {node.place} uses is detached from its history")
        return sorted(found, key=attrgetter("number"))

    def _input(self, x: Recorded) -> int:
        place = self._places.get(id(x))
        if place is None:
            place = self._places[id(x)] = len(self.inputs)
            self.inputs.append(x)
        return place

    def _source(self, x: Input, origin: Any, slot: int, positions: Mapping[Node, int]) -> Source:
        if not isinstance(x, Recorded):
            index = self._distinct.index(x)
            if index not in self._numbers:
                self._numbers[index] = len(self.inputs)
                self.inputs.append(x)
            return -1, self._numbers[index]
        if isinstance(origin, Node) and origin in positions:
            return positions[origin], slot
        return -1, self._input(x)

    def messages(self, inputs: Sequence[str], outputs: Sequence[str]) -> Iterator[tuple[graph_pb2.Node, tuple[bytes, ...]]]:
        """The nodes as messages, each with the rules that it was derived by. ``inputs`` and ``outputs`` are names around
        the body; names in it begin with that of the first output."""
        named: dict[Source, str] = dict(zip(self._outputs, outputs, strict=True))

        def name(source: Source) -> str:
            return inputs[source[1]] if source[0] < 0 else named.get(source, f"{outputs[0]}/{source[0]}.{source[1]}")

        for k, (node, edges) in enumerate(self._applications):
            message = graph_pb2.Node()
            message.CopyFrom(self._protos[k])
            message.inputs.extend(map(name, edges))
            message.outputs.extend(name((k, slot)) for slot in range(len(node.specs)))
            yield message, node.rules


def refuse_special(node: Node) -> None:
    """Raises Refused for a node at which a pass does more than to run the rule of an op."""
    if node.placeholder is not None:
        raise Refused("it runs in a function that is vectorized")
    if node.client_rule is not None:
        raise Refused(f"{node.name()}, applied at {node.place}, has a backward that runs here")
    outputs = [node.output(slot) for slot in range(len(node.specs))]
    if node.hooks or any(y is not None and y.hooks for y in outputs):
        raise Refused(f"hooks are registered on what {node.place} records")
    if any(y is not None and y.retains_grad for y in outputs):
        raise Refused(f"what {node.place} records retains its gradient")
