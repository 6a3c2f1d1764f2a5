"""A hook on several gradients together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradproof.client.backward.handles import Handle, Hooks
from gradproof.client.tensors.tensor import Tensor


class _Multi(Hooks):
    """The handles of the single hooks, removed together."""

    __slots__ = ("handles",)

    def __init__(self, handles: Sequence[Handle]) -> None:
        super().__init__()
        self.handles = handles

    def remove(self, number: int) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], function: Callable[[Any], None], *, mode: str = "all") -> Handle:
    """Call ``function`` once a pass: with the gradients of all ``tensors`` when the last one that the pass comes to is
    known, None for the others (``mode="all"``); or with the first one (``mode="any"``). Raises ValueError for another
    mode, RuntimeError for a tensor that needs no gradient."""
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    state = MultiGrad(list(tensors), function, mode)
    return Handle(_Multi([t.register_hook(Part(state, k)) for k, t in enumerate(tensors)]))


class MultiGrad:
    """What a multi-grad hook has collected in this pass."""

    def __init__(self, tensors: Sequence[Tensor], function: Callable[[Any], None], mode: str) -> None:
        self.tensors, self.function, self.mode = tensors, function, mode
        self.found: list[Tensor | None] = []
        self.missing: set[int] = set()

    def begin(self, reached: set[int]) -> None:
        """A pass begins, which comes to the tensors with these ids."""
        self.found = [None] * len(self.tensors)
        self.missing = {k for k, t in enumerate(self.tensors) if id(t) in reached}

    def put(self, position: int, gradient: Tensor) -> None:
        if self.mode == "any":
            if self.missing:
                self.missing = set()
                self.function(gradient)
            return
        self.found[position] = gradient
        self.missing.discard(position)
        if not self.missing:
            self.function(tuple(self.found))


class Part:
    """The hook on one of the tensors."""

    def __init__(self, state: MultiGrad, position: int) -> None:
        self.state, self.position = state, position
        self.__name__ = getattr(state.function, "__name__", "multi_grad_hook")

    def __call__(self, gradient: Tensor) -> None:
        self.state.put(self.position, gradient)
