"""Transformations of functions: calls whose derivatives are taken, in reverse and forward mode.

A single idea decides on histories. A result keeps its history where it depends on a tensor outside that requires grad: a
parameter, a tensor of a closure, an argument, or a tensor of an outer transformation. The leaves that a transformation
makes for the arguments of its function do not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

from gradproof.client.backward.provenance import without_history
from gradproof.client.recording.modes import enable_grad, is_grad_enabled
from gradproof.client.recording.record import Node, next_number
from gradproof.client.recording.recorded import Input, Recorded
from gradproof.client.tensors.tensor import Tensor


class Transformation:
    """A call of a function that is differentiated.

    Args:
        recording: whether results may have a history; default: whether grad mode is enabled.

    Attributes:
        running: whether the function runs now, so that its arguments are tensors of an outer transformation.
    """

    def __init__(self, recording: bool | None = None) -> None:
        self.recording = is_grad_enabled() if recording is None else recording
        self._first = next_number()
        self.running = False
        self._copies: list[tuple[Tensor, Node | None]] = []

    def argument(self, x: Tensor) -> Tensor:
        """A tensor that stands for ``x`` inside: a copy that depends on it, or a leaf.

        Raises RuntimeError if ``x`` has integers.
        """
        if self.recording and x.requires_grad:
            with enable_grad():
                copy = x.clone()
            self._copies.append((copy, copy.node))
            return copy
        leaf = x.detach().requires_grad_()
        leaf.argument_of = self
        return leaf

    def run(self, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """The result of a function. An outer `no_grad` does not reach in.

        Raises RuntimeError if the function changes an argument in place.
        """
        self.running = True
        try:
            with enable_grad():
                result = function(*arguments, **keywords)
        finally:
            self.running = False
        if any(copy.node is not node for copy, node in self._copies):
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        return result

    def released(self, results: Sequence[Tensor], recording: bool | None = None) -> list[Tensor]:
        """Results, with their histories where these reach a tensor outside that requires grad."""
        keep = self.recording if recording is None else recording
        reaching = self._reaching(results) if keep else set[int]()
        return [self._released(x, keep and self._counts(x, reaching)) for x in results]

    def reach(self, *results: Tensor) -> bool:
        """True if any of ``results`` depends on a tensor outside that requires grad."""
        reaching = self._reaching(results)
        return any(self._counts(x, reaching) for x in results)

    def _released(self, x: Tensor, keep: bool) -> Tensor:
        plain = not x.requires_grad and not x.tainted
        return x if keep or plain else cast("Tensor", without_history(x))

    def _reaching(self, results: Iterable[Tensor]) -> set[int]:
        """The numbers of the nodes behind ``results`` that depend on a tensor outside."""
        nodes: dict[int, Node] = {}
        pending = [x.grad_fn for x in results]
        while pending:
            node = pending.pop()
            if node is not None and node.number > self._first and node.number not in nodes:
                nodes[node.number] = node
                pending.extend(x.grad_fn for x in _flowing(node))
        reaching: set[int] = set()
        for number in sorted(nodes):
            if any(self._counts(x, reaching) for x in _flowing(nodes[number])):
                reaching.add(number)
        return reaching

    def _counts(self, x: Recorded, reaching: set[int]) -> bool:
        """True if ``x`` requires grad and is outside, or depends on such a tensor. Nodes before the call are outside."""
        if x.grad_fn is not None:
            return x.grad_fn.number < self._first or x.grad_fn.number in reaching
        owner = x.argument_of
        own = isinstance(owner, Transformation) and (owner is self or not owner.running)
        return x.requires_grad and not own


def _flowing(node: Node) -> list[Recorded]:
    """The inputs of a node that gradients flow to."""
    return [x for x, needs in zip(node.inputs, node.needs, strict=True) if needs and isinstance(x, Recorded)]


def reached(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[bool]:
    """For each of ``inputs`` whether ``outputs`` depend on it."""
    seen: set[int] = set()
    pending: list[Input] = [y for y in outputs if y.requires_grad]
    while pending:
        x = pending.pop()
        if isinstance(x, Recorded) and id(x) not in seen:
            seen.add(id(x))
            pending.extend(_flowing(x.grad_fn) if x.grad_fn is not None else ())
    return [id(x) in seen for x in inputs]
