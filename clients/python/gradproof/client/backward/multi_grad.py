"""Hooks on several gradients together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradproof.client.recording.hooks import Handle, Hooks
from gradproof.client.recording.record import Recorded


class _Handles(Hooks):
    """The handles of the single hooks, removed together."""

    __slots__ = ("handles",)

    def __init__(self, handles: Sequence[Handle]) -> None:
        super().__init__()
        self.handles = handles

    def remove(self, number: int) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(tensors: Sequence[Recorded], function: Callable[[Any], None], *, mode: str = "all") -> Handle:
    """Call ``function`` once a pass, with the gradients of several tensors or with the first of them.

    Args:
        tensors: the tensors.
        function: gets a tuple of gradients when the last that the pass comes to is known, None for the others
            (``mode="all"``); or the first gradient alone (``mode="any"``).
        mode: "all" or "any".

    Raises ValueError for another mode, and RuntimeError for a tensor that does not require grad.

    Follows torch.autograd.graph.register_multi_grad_hook.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    state = MultiGrad(list(tensors), function, mode)
    return Handle(_Handles([t.register_hook(MemberHook(state, k)) for k, t in enumerate(tensors)]))


class MultiGrad:
    """The gradients that a multi-grad hook has collected in this pass.

    Attributes:
        gradients: the gradient of each tensor, None where it has not come.
        missing: the positions of the tensors that the pass has yet to come to.
    """

    def __init__(self, tensors: Sequence[Recorded], function: Callable[[Any], None], mode: str) -> None:
        self.tensors, self.function, self.mode = tensors, function, mode
        self.gradients: list[Recorded | None] = []
        self.missing: set[int] = set()

    def begin(self, reached: set[int]) -> None:
        """Start a pass, which comes to the tensors with these ids."""
        self.gradients = [None] * len(self.tensors)
        self.missing = {k for k, t in enumerate(self.tensors) if id(t) in reached}

    def put(self, position: int, gradient: Recorded) -> None:
        """Add a gradient; calls the function when it is the last, or the first."""
        if self.mode == "any":
            if self.missing:
                self.missing = set()
                self.function(gradient)
            return
        self.gradients[position] = gradient
        self.missing.discard(position)
        if not self.missing:
            self.function(tuple(self.gradients))


class MemberHook:
    """The hook on a tensor."""

    def __init__(self, state: MultiGrad, position: int) -> None:
        self.state, self.position = state, position
        self.__name__ = getattr(state.function, "__name__", "multi_grad_hook")

    def __call__(self, gradient: Recorded) -> None:
        self.state.put(self.position, gradient)
