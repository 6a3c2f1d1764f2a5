"""The tensor as the record knows it: a leaf with an array, or an output of a node."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias, cast

import numpy as np

from gradproof.client import dtypes
from gradproof.client.events import Array
from gradproof.client.recording.hooks import NO_HOOKS, Handle, Hooks, NodeHooks, ServerHook
from gradproof.client.recording.names import is_view
from gradproof.client.recording.place import caller_place
from gradproof.client.recording.placeholders import NO_VALUE, Placeholder
from gradproof.client.recording.reads import note_change, watched
from gradproof.client.recording.spec import Spec

if TYPE_CHECKING:
    from gradproof.client.recording.record import AccumulateGrad, Node


class Changes:
    """Counts the changes in place of tensors that nodes may have used.

    Attributes:
        last: the number of the last change.
    """

    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last = 0


changes = Changes()
_numbers = itertools.count(1)


class HasValue(Protocol):
    """A source of the value of a tensor."""

    def value(self) -> Array:
        """The array; computed, or waited for, if it is not known yet."""


class Recorded:
    """A tensor as the record knows it: a leaf with an array, or an output of a node."""

    __slots__ = {
        "__weakref__": "weak references",
        "_accumulator": "the node that adds to ``accumulated``, or None",
        "_requires_grad": "whether gradients flow to it",
        "accumulated": "the sum of the gradients of backward passes (``.grad`` without its warning).",
        "alias": "where the value comes from, if it is another tensor's.",
        "argument_of": "the transformation that made this leaf for an argument of its function.",
        "array": "the value, or None as long as it is not computed.",
        "data_of": "the tensor whose value it is: a change of it in place is a change of that tensor.",
        "hooks": "hooks on its gradient.",
        "node": "the node that it is an output of, or None.",
        "post_hooks": "hooks that run when a pass has added to ``accumulated``.",
        "provenance": "the passes that its gradient, or its own numbers, came from.",
        "retains_grad": "whether ``.grad`` is kept although this tensor is no leaf.",
        "slot": "the position among the outputs of ``node``.",
        "spec": "shape and dtype.",
        "stale": "a view of this tensor that has changed in place, without this tensor; or None.",
        "tainted": "it does not require grad, but was computed from a tensor that does.",
    }

    def _initialise(self, spec: Spec, array: Array | None, requires_grad: bool) -> None:
        self.spec, self.array, self._requires_grad = spec, array, requires_grad
        self.node: Node | None = None
        self.slot = 0
        self.alias: HasValue | None = None
        self.tainted = self.retains_grad = False
        self.accumulated: Recorded | None = None
        self.hooks = self.post_hooks = NO_HOOKS
        self.provenance: object | None = None
        self.argument_of: object | None = None
        self.stale: Recorded | None = None
        self.data_of: Recorded | None = None
        self._accumulator: Callable[[], AccumulateGrad | None] | None = None

    @classmethod
    def from_array(cls, array: Array, requires_grad: bool = False) -> Self:
        """A leaf with this array, which becomes read-only."""
        leaf = object.__new__(cls)
        array.flags.writeable = False
        leaf._initialise(Spec(array.shape, array.dtype), array, requires_grad)
        return leaf

    @classmethod
    def from_alias(cls, spec: Spec, alias: HasValue) -> Self:
        """A leaf whose value is taken from ``alias`` when it is looked at."""
        leaf = object.__new__(cls)
        leaf._initialise(spec, None, False)
        leaf.alias = alias
        return leaf

    @classmethod
    def from_node(cls, node: Node, slot: int, *, requires_grad: bool, tainted: bool) -> Self:
        """The output ``slot`` of a node."""
        output = object.__new__(cls)
        output._initialise(node.specs[slot], None, requires_grad)
        output.node, output.slot, output.tainted = node, slot, tainted
        return output

    @classmethod
    def plain(cls) -> type[Recorded]:
        """The class of gradients and constants: that of all tensors, where ``cls`` derives from it."""
        raise NotImplementedError

    @classmethod
    def result_class(cls) -> type[Recorded]:
        """The class that results of ops on ``cls`` have: its own, unless it names another."""
        return cls

    def leaf(self, array: Array, requires_grad: bool = False) -> Recorded:
        """A tensor of the `plain` class with this array, as beside this tensor."""
        return self.plain().from_array(array, requires_grad)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis. Follows torch.Tensor.shape."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype, as NumPy has it (bfloat16 is that of ml_dtypes)."""
        return self.spec.dtype

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.spec.shape)

    @property
    def nbytes(self) -> int:
        """The size of the value in bytes."""
        return self.spec.nbytes

    def numel(self) -> int:
        """The number of elements. Follows torch.numel."""
        return self.spec.size

    @property
    def is_leaf(self) -> bool:
        """True if no recorded node made it (``grad_fn`` is None). Follows torch.Tensor.is_leaf."""
        return self.grad_fn is None

    @property
    def grad_fn(self) -> Node | None:
        """The node that made it, if a gradient flows through that."""
        return self.node if self._requires_grad else None

    @property
    def requires_grad(self) -> bool:
        """True if gradients flow to it. May be set on leaves of floating point and complex dtype."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, flag: bool) -> None:
        if self.grad_fn is not None:
            raise RuntimeError(ONLY_LEAVES if flag else ONLY_LEAVES_DETACH)
        if flag and not dtypes.is_differentiable(self.dtype):
            raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
        self._set_requires_grad(flag)

    def _set_requires_grad(self, flag: bool) -> None:
        note_change(self)
        if flag and self.node is not None:  # computed without gradients: from now on a leaf like any other
            self.become_leaf(self.value())
        self._requires_grad = bool(flag)

    def become_leaf(self, array: Array) -> None:
        """Take ``array`` as the value, and no node as its origin. ``requires_grad`` stays. Raises RuntimeError for the data
        of a tensor that is no leaf."""
        note_change(self)
        if self.data_of is not None:
            if self.data_of.grad_fn is not None:
                raise RuntimeError(DATA_OF_NODE)
            self.data_of.become_leaf(array)
        if self.node is not None or self.alias is not None:
            self.moved_aside()
        self.spec = Spec(array.shape, array.dtype)
        self.array, self.node, self.slot, self.alias, self.tainted = array, None, 0, None, False

    def check_slices(self, new: Recorded) -> None:
        """Raises RuntimeError if this tensor is the same for all slices and ``new``, its new value, is not."""
        if new.placeholder is not None and self.placeholder is None:
            raise RuntimeError(NO_CHANGE_IN_PLACE)

    def become_output(self, result: Recorded) -> None:
        """Become ``result``, an output of a node: a change in place. ``.grad`` and `retain_grad` stay. Raises RuntimeError
        for the data of a tensor."""
        if self.data_of is not None:
            raise RuntimeError(RECORDED_DATA)
        node, slot = result.node, result.slot
        assert node is not None
        self.array, self.node, self.slot, self.alias = result.array, node, slot, None
        self._requires_grad, self.tainted, self.provenance = result.requires_grad, result.tainted, None
        self.retains_grad = self.retains_grad and result.requires_grad
        self.stale = None
        node.give_output(slot, self)

    def replaces(self, view: Recorded) -> bool:
        """True if this tensor has been such a view before it changed in place."""
        before = self.node.inputs[0] if self.node is not None else None
        while isinstance(before, Recorded) and before.node is not None and view.node is not None:
            if (before.node.op, before.node.attributes) != (view.node.op, view.node.attributes):
                return False
            before, after = before.node.inputs[0], view.node.inputs[0]
            if before is after:
                return True
            assert isinstance(after, Recorded)
            view = after
        return False

    def check_current(self) -> None:
        """Raises RuntimeError where PyTorch would see a change of shared memory: of a view of this tensor, or of the tensor
        that this is a view of."""
        if self.stale is not None:
            raise RuntimeError(
                "a view of this tensor was changed in place, and tensors do not share memory here: write "
                "y[key] = y[key] + 1 in place of v = y[key]; v += 1"
            )
        if not changes.last or not self._requires_grad:
            return
        if any(base.node is not None and base.node.overwritten for base in bases_of(self)):
            raise RuntimeError(
                "this tensor is a view of a tensor that was changed in place since, and tensors do not share memory here: "
                "take the view after the change, or clone() it before"
            )

    def moved_aside(self) -> Self:
        """A tensor with the history, the value and the hooks that this tensor has had so far. Nodes that have used this
        tensor use the other from now on."""
        note_change(self)
        old = object.__new__(type(self))
        old._initialise(self.spec, self.array, self._requires_grad)
        old.node, old.slot, old.alias, old.tainted = self.node, self.slot, self.alias, self.tainted
        old.hooks, self.hooks = self.hooks, NO_HOOKS
        if self.node is not None:
            self.node.overwritten = True
            self.node.give_output(self.slot, old)
        changes.last = next(_numbers)
        return old

    def value(self) -> Array:
        """The value as a read-only array; computed now if it was not."""
        raise NotImplementedError

    @property
    def placeholder(self) -> Placeholder | None:
        """The placeholder that the value would depend on, if it depends on any."""
        x = self
        while x.node is None and x.array is None and isinstance(x.alias, Recorded):
            x = x.alias
        if x.node is not None:
            return x.node.placeholder
        return x.alias if x.array is None and isinstance(x.alias, Placeholder) else None

    def require_value(self, text: str = NO_VALUE) -> None:
        """Raises RuntimeError with ``text`` if the value depends on a placeholder."""
        if (placeholder := self.placeholder) is not None:
            placeholder.refuse(f"{text} At {caller_place()}.")

    def detach(self) -> Self:
        """A leaf with the same value, without its history. Follows torch.Tensor.detach."""
        self.check_current()
        alias = self.result_class().from_alias(self.spec, self)
        if self.array is not None:
            alias.array, alias.alias = self.array, self if watched() else None
        return cast("Self", alias)

    def detach_(self) -> Self:
        """Become a leaf that does not require grad, with the same value; returns the tensor. Nodes that used it before keep
        its history.

        Follows torch.Tensor.detach_. Raises RuntimeError for a view.
        """
        if self.node is not None:
            if self._requires_grad and is_view(self.node):
                raise RuntimeError("Can't detach views in-place. Use detach() instead.")
            old = self.moved_aside()
            self.node, self.slot, self.alias = None, 0, None if self.array is not None else old
        self._requires_grad = self.retains_grad = self.tainted = False
        return self

    def register_hook(self, hook: Callable[[Self], object] | str, **attributes: object) -> Handle:
        """Call ``hook(gradient)`` when the gradient of this tensor is known, before it goes on; a tensor that it returns
        takes the gradient's place. A string names a hook of the server, with its attributes:
        ``register_hook("clip", max_norm=1.0)``.

        Follows torch.Tensor.register_hook.
        """
        if not self._requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if isinstance(hook, str):
            return self._own_hooks().add(ServerHook(hook, attributes))
        if attributes:
            raise TypeError("only a hook of the server takes attributes")
        return self._own_hooks().add(hook)

    def _own_hooks(self) -> Hooks:
        note_change(self)
        if self.hooks is NO_HOOKS:
            self.hooks = Hooks()
        return self.hooks

    def register_post_accumulate_grad_hook(self, hook: Callable[[Self], None]) -> Handle:
        """Call ``hook(tensor)`` when a pass has added to ``.grad`` of this leaf.

        Follows torch.Tensor.register_post_accumulate_grad_hook.
        """
        if not self._requires_grad:
            raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
        if self.grad_fn is not None:
            raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
        note_change(self)
        if self.post_hooks is NO_HOOKS:
            self.post_hooks = Hooks()
        return self.post_hooks.add(hook)

    def retain_grad(self) -> None:
        """Keep ``.grad`` of a tensor that is no leaf. Follows torch.Tensor.retain_grad."""
        if not self._requires_grad:
            raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
        note_change(self)
        self.retains_grad = self.grad_fn is not None

    def hold_accumulator(self, node: AccumulateGrad, *, weakly: bool = False) -> None:
        """Take ``node`` as the node that adds to ``.grad``; it lives as long as this leaf unless it is held ``weakly``: a
        new node would not have its hooks."""
        self._accumulator = weakref.ref(node) if weakly else lambda: node

    def held_accumulator(self) -> AccumulateGrad | None:
        """The node that adds to ``.grad``, if anybody holds it."""
        return self._accumulator() if self._accumulator is not None else None

    def accumulator_hooks(self) -> NodeHooks | None:
        """The hooks of the `accumulator`, if it has any."""
        node = self.held_accumulator()
        return node.hooks if node is not None else None


NO_CHANGE_IN_PLACE = (
    "vmap: a change in place of a Tensor that is the same for all slices is not possible: the new value is another for "
    "each slice. Please use the operation that is not in place (e.g. add instead of add_)."
)
DATA_OF_NODE = "the value of a tensor that is no leaf is that of its node; write y = y.detach() first"
RECORDED_DATA = "a change of .data in place cannot be recorded: write x.data = value.detach()"
ONLY_LEAVES = "you can only change requires_grad flags of leaf variables."
ONLY_LEAVES_DETACH = (
    f"{ONLY_LEAVES} If you want to use a computed variable in a subgraph that doesn't require differentiation use "
    "var_no_grad = var.detach()."
)

Number: TypeAlias = bool | int | float | complex
Input: TypeAlias = Recorded | Number


def class_of(inputs: Iterable[object]) -> type[Recorded] | None:
    """The class of an op's results: that of the first tensor, or of a later tensor whose class derives from it; None if no
    input is a tensor."""
    kind: type[Recorded] | None = None
    for x in inputs:
        if isinstance(x, Recorded):
            own = x.result_class()
            if kind is None or (own is not kind and issubclass(own, kind)):
                kind = own
    return kind


def bases_of(tensor: Recorded) -> list[Recorded]:
    """The tensors that PyTorch would share memory with: of a view its input, and so on."""
    bases: list[Recorded] = []
    while tensor.node is not None and is_view(tensor.node):
        base = tensor.node.inputs[0]
        assert isinstance(base, Recorded)
        bases.append(base)
        tensor = base
    return bases
