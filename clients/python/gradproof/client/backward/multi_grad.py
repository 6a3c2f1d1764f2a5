"""Hooks on several gradients together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from gradproof.client.recording.hooks import Handle, Hooks
from gradproof.client.recording.recorded import Recorded


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
    """A hook on several gradients together."""

    def __init__(self, tensors: Sequence[Recorded], function: Callable[[Any], None], mode: str) -> None:
        self.tensors, self.function, self.mode = tensors, function, mode


class MemberHook:
    """The hook on a tensor. Each pass calls a hook of its own, see `MultiGradPass`."""

    def __init__(self, state: MultiGrad, position: int) -> None:
        self.state, self.position = state, position

    def __call__(self, gradient: Recorded) -> None:
        """Never called: see `MultiGradPass.hook`."""


class MultiGradPass:
    """The gradients that multi-grad hooks collect in a pass.

    Args:
        reached: the ids of the tensors that the pass comes to.
    """

    def __init__(self, reached: Collection[int]) -> None:
        self._reached = reached
        self._collections: dict[MultiGrad, _Collection] = {}

    def hook(self, hook: Any) -> Any:
        """The hook that this pass calls: that of its own where ``hook`` is a `MemberHook`, otherwise ``hook`` itself."""
        if not isinstance(hook, MemberHook):
            return hook
        state = hook.state
        collection = self._collections.setdefault(state, _Collection(state, self._reached))

        def put(gradient: Recorded) -> None:
            collection.put(hook.position, gradient)

        put.__name__ = getattr(state.function, "__name__", "multi_grad_hook")
        return put


class _Collection:
    """The gradient of each tensor, None where it has not come, and the positions of the tensors that are yet to come."""

    def __init__(self, state: MultiGrad, reached: Collection[int]) -> None:
        self._state = state
        self._gradients: list[Recorded | None] = [None] * len(state.tensors)
        self._missing = {k for k, t in enumerate(state.tensors) if id(t) in reached}

    def put(self, position: int, gradient: Recorded) -> None:
        """Add a gradient; calls the function when it is the last, or the first."""
        if self._state.mode == "any":
            first, self._missing = bool(self._missing), set()
            if first:
                self._state.function(gradient)
            return
        self._gradients[position] = gradient
        self._missing.discard(position)
        if not self._missing:
            self._state.function(tuple(self._gradients))
