"""Surroundings of a Python function: the tensors, numbers and functions that it reaches by names of its own.

A function that is held was recorded with them; where they are others, it is recorded again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

import numpy as np

from gradproof.client.recording.hooks import Hooks
from gradproof.client.tensors.tensor import Tensor

DEPTH: Final = 6
"""Containers, objects and functions within one another that are looked into."""

ELEMENTS: Final = 1000
"""Containers with more elements are known by identity only."""

_EXACT: Final = (bool, int, str, bytes, type(None))
_NUMBERS: Final = (float, complex, np.generic)
_OWN: Final = ("gradproof.client.", "numpy.", "builtins")


def names_of(code: CodeType) -> Iterator[str]:
    """The global names that code, and the functions in it, use."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_of(constant)


class Surroundings:
    """A description of all that a function reaches: equal to another where nothing has changed.

    Args:
        function: the function, or an object that can be called.

    Attributes:
        parts: a description of each name.
        tensors: the tensors that it reaches, by id.
        alive: what is known by identity, which must not be freed as long as the description is used.
    """

    __slots__ = ("_seen", "alive", "parts", "tensors")

    def __init__(self, function: Callable[..., Any]) -> None:
        self.alive: list[Any] = []
        self.tensors: dict[int, Tensor] = {}
        self._seen: dict[int, Any] = {}
        self.parts: tuple[Hashable, ...] = (self._of(function, 0),)
        self._seen.clear()

    def _of(self, x: Any, depth: int) -> Hashable:
        kind = type(x)
        if kind in _EXACT:
            return kind, x
        if isinstance(x, Tensor):
            self.alive.append(x)
            self.tensors[id(x)] = x
            return id(x), x.spec, x.requires_grad
        if isinstance(x, _NUMBERS):
            return kind, repr(x)
        if id(x) in self._seen or depth > DEPTH:
            return kind, id(x)
        if isinstance(x, (list, tuple, set, frozenset, dict)):
            return self._of_container(x, depth)
        self.alive.append(x)
        if isinstance(x, (ModuleType, BuiltinFunctionType, type, np.ndarray, np.dtype)):
            return kind, id(x)
        self._seen[id(x)] = x
        return kind, id(x), tuple(self._of_object(x, depth + 1))

    def _of_container(self, x: Any, depth: int) -> Hashable:
        if len(x) > ELEMENTS:
            self.alive.append(x)
            return type(x), id(x), len(x)
        self._seen[id(x)] = x
        inner = depth + 1
        if isinstance(x, dict):
            return type(x), tuple((self._of(key, inner), self._of(value, inner)) for key, value in x.items())
        return type(x), tuple(self._of(value, inner) for value in x)

    def _of_object(self, x: Any, depth: int) -> Iterator[Hashable]:
        if isinstance(x, Hooks):
            yield self._of(list(x), depth)
        elif isinstance(x, MethodType):
            yield self._of(x.__self__, depth)
            yield self._of(x.__func__, depth)
        elif isinstance(x, functools.partial):
            yield self._of((x.func, x.args, x.keywords), depth)
        elif isinstance(x, FunctionType):
            if not (x.__module__ or "").startswith(_OWN):
                yield from self._of_function(x, depth)
        else:
            call = getattr(type(x), "__call__", None)  # noqa: B004 - the function itself is looked into
            forward = getattr(type(x), "forward", None)
            yield from (self._of(f, depth) for f in (call, forward) if isinstance(f, FunctionType))
            yield self._of(getattr(x, "__dict__", None), depth)

    def _of_function(self, x: FunctionType, depth: int) -> Iterator[Hashable]:
        for cell in x.__closure__ or ():
            try:
                yield self._of(cell.cell_contents, depth)
            except ValueError:  # not assigned yet
                yield None
        known: Mapping[str, Any] = x.__globals__
        for name in names_of(x.__code__):
            if name in known:
                yield name, self._of(known[name], depth)
        yield self._of((x.__defaults__, x.__kwdefaults__, x.__dict__), depth)
