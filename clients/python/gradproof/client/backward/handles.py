"""Hooks in the order they were registered, and the handles that remove them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

_ids = itertools.count()


class Handle:
    """Removes a hook; may be called twice. As a context manager it removes the hook at the end. ``id`` is its number."""

    def __init__(self, hooks: Hooks) -> None:
        self.id = next(_ids)
        self._hooks: Hooks | None = hooks

    def remove(self) -> None:
        """From the next pass on, and for tensors that this pass has not reached, the hook is not called."""
        if self._hooks is not None:
            self._hooks.remove(self.id)
            self._hooks = None

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()


class Hooks:
    """Hooks by the id of their handle, in order of registration."""

    __slots__ = ("_hooks",)

    def __init__(self) -> None:
        self._hooks: dict[int, Any] | None = None  # most tensors have none

    def add(self, hook: Any) -> Handle:
        handle = Handle(self)
        if self._hooks is None:
            self._hooks = {}
        self._hooks[handle.id] = hook
        return handle

    def remove(self, number: int) -> None:
        if self._hooks:
            self._hooks.pop(number, None)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Ids and hooks, as they are now: what is added or removed meanwhile does not count."""
        return iter(list((self._hooks or {}).items()))

    def __contains__(self, number: int) -> bool:
        return number in (self._hooks or {})

    def __bool__(self) -> bool:
        return bool(self._hooks)


class NodeHooks:
    """The hooks of a node: those ``before`` its rule, and those ``after`` it."""

    __slots__ = ("after", "before")

    def __init__(self) -> None:
        self.before, self.after = Hooks(), Hooks()

    def __bool__(self) -> bool:
        return bool(self.before or self.after)


class Hookable:
    """What hooks can be registered on as on a node. ``hooks`` is None as long as there were none."""

    __slots__ = ("hooks",)

    hooks: NodeHooks | None

    def register_prehook(self, hook: Callable[[Any], Any]) -> Handle:
        """Call ``hook(grad_outputs)`` before the rule of this node runs, behind the hooks of its outputs. A tuple that it
        returns takes their place. The gradients of the outputs themselves stay as they are."""
        return self._own().before.add(_function(hook))

    def register_hook(self, hook: Callable[[Any, Any], Any]) -> Handle:
        """Call ``hook(grad_inputs, grad_outputs)`` when the rule of this node has run, before its results are added to the
        gradients of its inputs. A tuple that it returns takes the place of ``grad_inputs``."""
        return self._own().after.add(_function(hook))

    def _own(self) -> NodeHooks:
        if self.hooks is None:
            self.hooks = NodeHooks()
        return self.hooks


def _function(hook: Any) -> Any:
    if not callable(hook):
        what = f"{type(hook).__name__} {hook!r}"
        raise TypeError(f"a hook of a node is a function, not {what}; hooks of the server are registered on tensors")
    return hook


def label_of(hook: Callable[..., Any]) -> str:
    """The name of a function, as errors call it."""
    return getattr(hook, "__name__", type(hook).__name__)
