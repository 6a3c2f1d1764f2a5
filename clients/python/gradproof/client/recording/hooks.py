"""Hooks of tensors and nodes in order of registration, and the handles that remove them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, cast

_ids = itertools.count()


class Handle:
    """Removes a hook, at the end of a ``with`` block or by `remove`, which may be called twice.

    Attributes:
        id: the number of the hook, unique in this process.
    """

    def __init__(self, hooks: Hooks) -> None:
        self.id = next(_ids)
        self._hooks: Hooks | None = hooks

    def remove(self) -> None:
        """Remove the hook: it is not called for tensors that a running pass has yet to reach, nor in later passes."""
        if self._hooks is not None:
            self._hooks.remove(self.id)
            self._hooks = None

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()


@dataclass(frozen=True)
class ServerHook:
    """A hook that runs at the server, by its name and attributes there."""

    name: str
    attributes: Mapping[str, Any]


class Hooks:
    """Hooks by the id of their handle, in order of registration."""

    __slots__ = ("_hooks",)

    def __init__(self) -> None:
        self._hooks: dict[int, Any] | None = None  # most tensors have none

    def add(self, hook: Any) -> Handle:
        """Register ``hook`` behind the others."""
        handle = Handle(self)
        if self._hooks is None:
            self._hooks = {}
        self._hooks[handle.id] = hook
        return handle

    def remove(self, number: int) -> None:
        """Remove the hook with this id, if it is still there."""
        if self._hooks:
            self._hooks.pop(number, None)

    def ids(self) -> set[int]:
        """The ids of the hooks that are registered now."""
        return set(self._hooks or ())

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        """Ids and hooks of this moment: hooks added or removed during the iteration do not count."""
        return iter(list((self._hooks or {}).items()))

    def __contains__(self, number: int) -> bool:
        return number in (self._hooks or {})

    def __bool__(self) -> bool:
        return bool(self._hooks)


class _NoHooks(Hooks):
    """The hooks of all tensors that have none."""

    def add(self, hook: Any) -> Handle:
        """Raises TypeError: a hook is added to the hooks of a single tensor."""
        raise TypeError("these are the hooks of all tensors that have none")


NO_HOOKS: Final[Hooks] = _NoHooks()


class NodeHooks:
    """The hooks of a node: ``pre`` run before its rule, ``post`` after it."""

    __slots__ = ("post", "pre")

    def __init__(self) -> None:
        self.pre, self.post = Hooks(), Hooks()

    def __bool__(self) -> bool:
        return bool(self.pre or self.post)


class Hookable:
    """A node that hooks can be registered on. ``hooks`` is None until the first."""

    __slots__ = ("_metadata", "hooks")

    hooks: NodeHooks | None
    _metadata: dict[str, Any] | None

    @property
    def metadata(self) -> dict[str, Any]:
        """A dictionary for notes of the caller. Follows torch.autograd.graph.Node.metadata."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    def register_prehook(self, hook: Callable[[Any], Any]) -> Handle:
        """Call ``hook(grad_outputs)`` before the rule of this node runs, behind the hooks of its outputs. A tuple that it
        returns takes their place. The gradients of the outputs themselves stay as they are."""
        return self._own_hooks().pre.add(_function(hook))

    def register_hook(self, hook: Callable[[Any, Any], Any]) -> Handle:
        """Call ``hook(grad_inputs, grad_outputs)`` when the rule of this node has run, before its results are added to the
        gradients of its inputs. A tuple that it returns takes the place of ``grad_inputs``."""
        return self._own_hooks().post.add(_function(hook))

    def _own_hooks(self) -> NodeHooks:
        if self.hooks is None:
            self.hooks = NodeHooks()
        return self.hooks


def _function(hook: Any) -> Callable[..., Any]:
    """``hook``. Raises TypeError unless it can be called."""
    if not callable(hook):
        refused = f"{type(hook).__name__} {hook!r}"
        raise TypeError(f"a hook of a node is a function, not {refused}; hooks of the server are registered on tensors")
    return cast("Callable[..., Any]", hook)


def label_of(hook: Callable[..., Any]) -> str:
    """The name of a hook in errors and traces."""
    return getattr(hook, "__name__", type(hook).__name__)
