"""Saved tensors of the backward pass, and the hooks that pack and unpack them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar

from gradproof.client.backward.application import outputs_of
from gradproof.client.backward.derivation import pulled_through
from gradproof.client.recording.client_rule import Reference
from gradproof.client.recording.modes import calling_recorders, no_grad
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.tensor import Tensor

T = TypeVar("T")
_refused: ContextVar[str | None] = ContextVar("gradproof_saved_tensors_hooks_refused", default=None)


class saved_tensors_hooks:
    """Hooks on the tensors that nodes recorded inside save for their backward.

    Args:
        pack_hook: called with each tensor that is saved, when its node is recorded; returns anything.
        unpack_hook: called with this when a pass comes to the node; returns the tensor that the rule uses.

    A node saves its tensor inputs, unless its rule needs none of them. The rule is applied to what is unpacked, and so the
    gradient is that of another point where the values differ: its verdict says so.

    Raises RuntimeError inside `disable_saved_tensors_hooks`.

    Follows torch.autograd.graph.saved_tensors_hooks.
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook, self.unpack_hook = pack_hook, unpack_hook
        self._tokens: list[Any] = []

    def __enter__(self) -> None:
        if (text := _refused.get()) is not None:
            raise RuntimeError(text)
        mode = calling_recorders(self._save)
        mode.__enter__()
        self._tokens.append((mode, _packing.set(self)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        mode, token = self._tokens.pop()
        _packing.reset(token)
        mode.__exit__(None, None, None)

    def _save(self, node: Node) -> None:
        if node.saves:
            node.client_rule = _SavedRule(node, self)

    def pack(self, x: Recorded) -> Any:
        """What the pack hook makes of a tensor."""
        with no_grad(), calling_recorders():
            return self.pack_hook(_tensor(x))

    def unpack(self, packed: Any) -> Tensor:
        """The tensor that the unpack hook makes of it. Raises TypeError where it is none."""
        with no_grad(), calling_recorders():
            x = self.unpack_hook(packed)
        if not isinstance(x, Tensor):
            kind = type(x).__name__
            raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {kind}")
        return x


_packing: ContextVar[saved_tensors_hooks | None] = ContextVar("gradproof_packing", default=None)


class _SavedRule:
    """The rule of an op, applied to the tensors that hooks unpack."""

    name, saves, push = "", True, None

    def __init__(self, node: Node, hooks: saved_tensors_hooks) -> None:
        self._hooks = hooks
        self._packed = {k: hooks.pack(x) for k, x in enumerate(node.inputs) if isinstance(x, Recorded)}

    def __call__(
        self, node: Node, grad_outputs: Sequence[Recorded | None], positions: Sequence[int]
    ) -> Mapping[int, Recorded]:
        inputs: list[Any] = list(node.inputs)
        for k, packed in self._packed.items():
            x = self._hooks.unpack(packed)
            if (x.shape, x.dtype) != (inputs[k].shape, inputs[k].dtype):
                raise RuntimeError(
                    f"unpack_hook returned {x.dtype} of shape {list(x.shape)} for a saved tensor, which was "
                    f"{inputs[k].dtype} of shape {list(inputs[k].shape)}"
                )
            same = x is inputs[k] or x.value().tobytes() == inputs[k].value().tobytes()
            inputs[k] = inputs[k] if same else x.detach()
        with calling_recorders():
            copy = Node(node.kind, node.signature, inputs)
            return pulled_through(copy, grad_outputs, positions)

    def reference(self, node: Node) -> Reference | str:
        """The op at the values that it had."""
        inputs: list[Any] = list(node.inputs)
        leaves = {}
        for k, (x, array) in enumerate(zip(node.inputs, node.arrays, strict=True)):
            if isinstance(x, Recorded):
                leaves[k] = inputs[k] = node.leaf((x.value() if array is None else array).copy(), node.needs[k])
        return Reference(outputs_of(node, inputs), leaves)


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Refuse `saved_tensors_hooks` inside, with this text. Follows torch.autograd.graph.disable_saved_tensors_hooks."""
    token = _refused.set(error_message)
    try:
        yield
    finally:
        _refused.reset(token)


@contextmanager
def save_on_cpu(pin_memory: bool = False, device_type: str = "cuda") -> Iterator[None]:
    """Change nothing: saved values live at the server. Follows torch.autograd.graph.save_on_cpu."""
    yield


def checkpoint(
    function: Callable[..., T],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> T:
    """``function(*args, **kwargs)``. Values on the way are not kept here, and a pass computes anew what the server has not
    kept: there is nothing to save by calling the function once more.

    Follows torch.utils.checkpoint.checkpoint.
    """
    return function(*args, **kwargs)


@dataclass(frozen=True)
class Saved:
    """A tensor that a function has saved.

    Attributes:
        place: "input" or "output" of the node with its position, or None.
        tensor: the tensor, where it is neither input nor output; or what a hook has packed.
        hooks: the hooks that packed it, or None.
    """

    place: tuple[str, int] | None
    tensor: Any
    hooks: saved_tensors_hooks | None

    def unpacked(self, node: Node | None) -> Any:
        """The tensor. A leaf that has changed in place since is a constant with its old value."""
        if self.hooks is not None:
            return self.hooks.unpack(self.tensor)
        if node is None or self.place is None:
            return self.tensor
        side, k = self.place
        if side == "output":
            return node.held(k)
        x, array = node.inputs[k], node.arrays[k]
        changed = isinstance(x, Recorded) and array is not None and x.array is not array
        return node.leaf(array) if changed and array is not None else x


def save(x: Tensor, place: tuple[str, int] | None) -> Saved:
    """A tensor of `save_for_backward`."""
    hooks = _packing.get()
    if hooks is not None:
        return Saved(place, hooks.pack(x), hooks)
    return Saved(place, None if place is not None else x, None)


def _tensor(x: Recorded) -> Tensor:
    assert isinstance(x, Tensor)
    return x
