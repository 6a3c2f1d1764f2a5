"""The record: nodes, written down as ops are applied. Nothing is computed here; shapes and dtypes are known at once.

A node holds its inputs, not its outputs, so what nobody can look at any more is gone. It keeps the arrays that leaves had
when it was recorded: changing a leaf later changes no graph.
"""

from __future__ import annotations

import itertools
import sys
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from gradproof.client import dtypes
from gradproof.client.backward.handles import Hookable, NodeHooks
from gradproof.client.recording import modes
from gradproof.client.recording.names import edges_of, name_of, saves
from gradproof.client.recording.runtime import Spec

if TYPE_CHECKING:
    from gradproof.client.events import OpInfo
    from gradproof.client.recording.keeping import CachedForward
    from gradproof.client.tensors.tensor import Tensor

Input: TypeAlias = "Tensor | bool | int | float | complex"

_HERE = str(Path(__file__).parents[1])
_numbers = itertools.count()


class Node(Hookable):
    """One application of an op: what `Tensor.grad_fn` is.

    Attributes:
        inputs: the tensors and Python numbers it was applied to.
        needs: for each input whether a gradient flows to it.
        moves: for each input of a condition, or of what is made of conditions, whether it moves with something that
            requires grad. No gradient flows there, but a verdict must know where the condition flips.
        place: file and line of the caller that recorded it.
        hooks: those registered on it, or None.
        rules: those that it was derived by, as messages.
        derived: whether it, or a node behind it, was.
        kind: the class of its outputs.
        kept: the run at the server that has its values, if there is one.
    """

    __slots__ = (
        "__weakref__", "_outputs", "arrays", "attributes", "derived", "freed", "info", "inputs", "kept", "kind", "moves", "needs",
        "number", "op", "place", "rules", "specs",
    )  # fmt: skip

    def __init__(
        self,
        op: str,
        inputs: Sequence[Input],
        attributes: Mapping[str, Any],
        specs: Sequence[Spec],
        info: OpInfo,
        rules: tuple[bytes, ...] = (),
        *,
        kind: type[Tensor] | None = None,
    ) -> None:
        self.op, self.inputs, self.attributes, self.specs, self.info = op, tuple(inputs), attributes, tuple(specs), info
        self.kind = kind if kind is not None else class_of(self.inputs)
        recording = modes.is_grad_enabled() and info.differentiable
        self.needs = tuple(recording and is_tensor(x) and x.requires_grad for x in self.inputs)
        self.moves = self._moves()
        self.arrays = tuple(x._value if is_tensor(x) and x._node is None else None for x in self.inputs)
        self.rules = rules
        self.derived: bool = bool(rules) or any(
            is_tensor(x) and x._node is not None and x._node.derived for x in self.inputs
        )
        self.number = next(_numbers)
        self.place = _place()
        self.freed = False
        self.hooks = None
        self.kept: CachedForward | None = None
        self._outputs: list[weakref.ref[Tensor] | None] = [None] * len(self.specs)

    def _moves(self) -> tuple[bool, ...]:
        steps = not any(dtypes.is_differentiable(spec.dtype) for spec in self.specs)
        plain = steps or not any(is_tensor(x) and x.requires_grad for x in self.inputs)
        if not plain or not modes.is_grad_enabled():
            return (False,) * len(self.inputs)
        return tuple(
            is_tensor(x) and (x.requires_grad or (x._node is not None and any(x._node.moves))) for x in self.inputs
        )

    @property
    def condition(self) -> bool:
        """Whether it is a condition, or made of conditions, that moves with something that requires grad."""
        return any(self.moves)

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows through it."""
        return any(self.needs)

    @property
    def saves(self) -> bool:
        """Whether its rule needs values of the forward pass, which are given up after a backward pass."""
        return saves(self.op)

    def output(self, slot: int) -> Tensor | None:
        """The tensor of output ``slot``, if anybody holds it."""
        found = self._outputs[slot]
        return found() if found is not None else None

    def held(self, slot: int) -> Tensor:
        """The tensor of output ``slot``; a new one if nobody holds it."""
        found = self.output(slot)
        if found is None:
            assert self.kind is not None
            spec = self.specs[slot]
            grows = self.requires_grad and dtypes.is_differentiable(spec.dtype)
            tainted = not grows and any(is_tensor(x) and (x.requires_grad or x._tainted) for x in self.inputs)
            found = self.kind._made(spec, node=self, slot=slot, requires_grad=grows, tainted=tainted)
            self._outputs[slot] = weakref.ref(found)
        return found

    def outputs(self) -> list[Tensor]:
        """The tensors of all outputs."""
        return [self.held(slot) for slot in range(len(self.specs))]

    def name(self) -> str:
        """As PyTorch calls it: MulBackward0."""
        return name_of(self)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """For each input the node that made it and which of its outputs it was; a leaf's is its `AccumulateGrad`;
        (None, 0) where no gradient flows. Hooks get a gradient for each."""
        edges = [(self.inputs[k], self.needs[k]) for k in edges_of(self)]
        return tuple(
            (_producer(x), x._slot if x._node is not None else 0) if is_tensor(x) and needs else (None, 0)
            for x, needs in edges
        )

    def __repr__(self) -> str:
        return f"<{self.name()}>"


class AccumulateGrad(Hookable):
    """Where the gradient of a leaf is added to its ``.grad``. Its hooks get ``(gradient,)`` as outputs, and no inputs."""

    next_functions: tuple[()] = ()

    def __init__(self, variable: Tensor) -> None:
        self.variable = variable
        self.hooks = None

    def _own(self) -> NodeHooks:
        self.variable._accumulate = lambda: self  # which would be another one next time if nobody held it
        return super()._own()

    def name(self) -> str:
        return "AccumulateGrad"

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


def _producer(x: Tensor) -> Node | AccumulateGrad:
    if x._node is not None:
        return x._node
    found = x._accumulate() if x._accumulate is not None else None
    if found is None:
        found = AccumulateGrad(x)
        x._accumulate = weakref.ref(found)
    return found


def is_tensor(x: Any) -> TypeGuard[Tensor]:
    """Whether ``x`` is a tensor (and not a Python number)."""
    return hasattr(x, "requires_grad")


def class_of(inputs: Iterable[Any]) -> type[Tensor] | None:
    """The class of an op's results: that of the first tensor, or of a later one whose class derives from that; None if no
    input is a tensor."""
    kind: type[Tensor] | None = None
    for x in inputs:
        if is_tensor(x) and (kind is None or issubclass(type(x), kind)):
            kind = type(x)
    return kind


def _place() -> str:
    """File and line of the first frame outside this package."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
