"""Surroundings of a Python function: the tensors, numbers and functions that it reaches by names of its own.

A function that is held was recorded with them; where they are others, it is recorded again. Whatever is reached and cannot
be compared (an iterator, a clock) is a reason not to hold the function.
"""

from __future__ import annotations

import collections
import functools
import io
import logging
import re
import sysconfig
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

import numpy as np

from gradproof.client.recording.hooks import Hooks
from gradproof.client.tensors.tensor import Tensor

DEPTH: Final = 64
"""Containers, objects and functions within one another that are looked into; deeper ones are not compared."""

MOST: Final = 10_000
"""The most objects that are compared at a call."""

BYTES: Final = 1 << 12
"""Arrays of NumPy up to this size are compared by their elements."""

_EXACT: Final = (bool, int, str, bytes, type(None), range, type(Ellipsis), type(NotImplemented))
_NUMBERS: Final = (float, complex, np.generic)
_CONTAINERS: Final = (list, tuple, set, frozenset, dict, collections.deque)
_SAME: Final = (np.dtype, np.ufunc, re.Pattern, logging.Logger, io.IOBase, type(threading.Lock()), type(threading.RLock()))
"""Classes of objects that stay the same, or are none of a function's numbers."""

_CHANGING: Final = {"time", "random", "numpy.random.mtrand", "secrets", "uuid", "datetime", "numpy.random"}
"""Modules whose functions give another result at each call."""

_LIBRARIES: Final = tuple(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
_OWN: Final = ("gradproof.client.", "numpy.", "builtins.")
_LOOKED_INTO: Final = ("gradproof.client.nn.", "gradproof.client.optim.")
_OF_C: Final = {f"{name}_descriptor" for name in ("wrapper", "method", "getset", "classmethod", "member")} | {
    "method-wrapper"
}
"""Classes of methods and attributes that were written in C."""


def names_of(code: CodeType) -> Iterator[str]:
    """The names that code, and the functions in it, use: of globals, of attributes, and those written as texts."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_of(constant)
        elif isinstance(constant, str) and constant.isidentifier():
            yield constant


class Surroundings:
    """A description of all that a function reaches: equal to another where nothing has changed.

    Args:
        function: the function, or an object that can be called.
        names: the names that it was found to use before, which saves a second look.

    Attributes:
        parts: a description of each name.
        names: the names that the functions use.
        tensors: the tensors that it reaches, by id.
        alive: what is known by identity, which must not be freed as long as the description is used.
        obstacle: why the description may be equal although something has changed; empty where it tells all.
    """

    __slots__ = ("_seen", "alive", "names", "obstacle", "parts", "tensors")

    def __init__(self, function: Callable[..., Any], names: tuple[str, ...] = ()) -> None:
        self.names = names
        while True:
            before = self.names
            self.alive: list[Any] = []
            self.tensors: dict[int, Tensor] = {}
            self._seen: dict[int, Any] = {}
            self.obstacle = ""
            self.parts: tuple[Hashable, ...] = (self._of(function, 0),)
            self._seen.clear()
            if self.names == before:  # attributes that are named by functions behind their object are found too
                return

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
        if id(x) in self._seen:
            return kind, id(x)
        if depth > DEPTH or len(self._seen) >= MOST:
            return self._met(f"more than {DEPTH} objects within one another, or {MOST} in all")
        self._seen[id(x)] = x
        if isinstance(x, _CONTAINERS):
            return self._of_container(x, depth + 1)
        self.alive.append(x)
        if isinstance(x, np.ndarray):
            if x.nbytes > BYTES or x.dtype.hasobject:
                return self._met("a large array of NumPy, whose numbers may change: make it a tensor")
            return kind, x.shape, x.dtype.str, x.tobytes()
        if isinstance(x, BuiltinFunctionType) or kind.__name__ in _OF_C:
            self._look_at_builtin(x)
            return kind, id(x)
        if isinstance(x, _SAME):
            return kind, id(x)
        if isinstance(x, (ModuleType, type)):
            return kind, id(x), tuple(self._attributes(x, depth + 1))
        return kind, id(x), tuple(self._of_object(x, depth + 1))

    def _met(self, obstacle: str) -> Hashable:
        self.obstacle = self.obstacle or f"it reaches {obstacle}"
        return None

    def _look_at_builtin(self, x: Any) -> None:
        owner = getattr(x, "__self__", None)
        owner = owner if isinstance(owner, type) else type(owner)
        modules = {getattr(x, "__module__", None), owner.__module__, getattr(x, "__objclass__", object).__module__}
        if modules & _CHANGING:
            self._met(f"{getattr(x, '__qualname__', x)}, which has another result at each call")

    def _of_container(self, x: Any, depth: int) -> Hashable:
        if isinstance(x, dict):
            return type(x), tuple((self._of(key, depth), self._of(value, depth)) for key, value in x.items())
        return type(x), tuple(self._of(value, depth) for value in x)

    def _of_object(self, x: Any, depth: int) -> Iterator[Hashable]:
        if isinstance(x, Hooks):
            yield self._of(list(x), depth)
        elif isinstance(x, MethodType):
            yield self._of(x.__self__, depth)
            yield self._of(x.__func__, depth)
        elif isinstance(x, functools.partial):
            yield self._of((x.func, x.args, x.keywords), depth)
        elif isinstance(x, (staticmethod, classmethod)):
            yield self._of(x.__func__, depth)
        elif isinstance(x, property):
            yield self._of(x.fget, depth)
        elif isinstance(x, FunctionType):
            yield from self._of_function(x, depth)
        else:
            yield from self._of_instance(x, depth)

    def _of_function(self, x: FunctionType, depth: int) -> Iterator[Hashable]:
        for cell in x.__closure__ or ():
            try:
                yield self._of(cell.cell_contents, depth)
            except ValueError:  # not assigned yet
                yield None
        if f"{x.__module__}.".startswith(_OWN) or x.__code__.co_filename.startswith(_LIBRARIES):
            return
        names = dict.fromkeys(names_of(x.__code__))
        if not names.keys() <= set(self.names):
            self.names = tuple(sorted({*self.names, *names}))
        known: Mapping[str, Any] = x.__globals__
        for name in names:
            if name in known:
                yield name, self._of(known[name], depth)
        yield self._of((x.__defaults__, x.__kwdefaults__, x.__dict__), depth)

    def _of_instance(self, x: Any, depth: int) -> Iterator[Hashable]:
        kind: Any = type(x)
        held = getattr(x, "__dict__", None)
        slots = _slots(kind)
        if held is not None and "__wrapped__" in held:  # all else that is kept beside a function follows from it
            yield self._of(held["__wrapped__"], depth)
            return
        if held is None and not slots:
            yield self._met(f"a {kind.__qualname__}, whose contents are not seen")
            return
        module = f"{kind.__module__}."
        if module.startswith(_OWN) and not module.startswith(_LOOKED_INTO):
            return
        for name in ("__call__", "forward"):
            method = getattr(kind, name, None)
            if isinstance(method, FunctionType):
                yield self._of(method, depth)
        yield self._of(kind, depth)
        for name in slots:
            try:
                yield name, self._of(getattr(x, name), depth)
            except AttributeError:  # not assigned yet
                yield name
        yield self._of(held, depth)

    def _attributes(self, x: Any, depth: int) -> Iterator[Hashable]:
        """The attributes of a module or class by the names that functions use."""
        if x is np and "random" in self.names:
            self._met("numpy.random, which has another result at each call")
        for base in x.__mro__ if isinstance(x, type) else (x,):
            module = base.__module__ if isinstance(base, type) else base.__name__
            if not f"{module}.".startswith(_OWN):
                held = vars(base)
                yield from ((name, self._of(held[name], depth)) for name in self.names if name in held)


@functools.lru_cache(1024)
def _slots(kind: type) -> tuple[str, ...]:
    """The slots of objects of a class."""
    found: list[str] = []
    for base in kind.__mro__:
        slots = vars(base).get("__slots__", ())
        found += (slots,) if isinstance(slots, str) else slots
    return tuple(name for name in found if name not in ("__dict__", "__weakref__"))
