"""Gradient hooks: functions of a value's whole gradient, whose result replaces it for everything upstream."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradproof.engine.errors import HookFault
from gradproof.engine.graph import Function
from gradproof.engine.spec import Array


@dataclass(frozen=True)
class NamedHook:
    """A hook that a plugin registers and a client names. ``apply(gradient, **attributes)`` gets a read-only array and
    returns an array of the same shape and dtype, or None to leave the gradient as it is. It must be pure."""

    name: str
    apply: Callable[..., Array | None]
    doc: str = ""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Names and defaults of the attributes (``inspect.Parameter.empty`` where there is none)."""
        parameters = inspect.signature(self.apply).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}

    def attribute_fault(self, attributes: Mapping[str, Any]) -> str | None:
        """Why ``attributes`` do not fit this hook, or None."""
        known = self.attributes
        unknown = sorted(set(attributes) - set(known))
        missing = [name for name, default in known.items() if default is inspect.Parameter.empty and name not in attributes]
        if unknown:
            return f"hook {self.name!r} has no attribute {unknown[0]!r}; it has {', '.join(known) or 'none'}"
        if missing:
            return f"hook {self.name!r} needs the attribute {missing[0]!r}"
        return None


@dataclass(frozen=True)
class Hook:
    """A hook on the gradient of ``value``: the registered one called ``name`` with these attributes; or ``graph``, a
    function from gradient to gradient; or ``number``, to be asked of whoever drives the run (a `HookTurn`); or ``function``
    where that is in this process. Hooks of one value run in the order they are given, all kinds together."""

    value: str
    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    function: Callable[[Array], Array | None] | None = None
    graph: Function | None = None
    number: int | None = None


@dataclass(frozen=True)
class HookTurn:
    """It is the driver's turn: what becomes of this gradient? To be sent back: an array, or None to leave it as it is."""

    number: int
    name: str
    value: str
    gradient: Array


@dataclass(frozen=True)
class HookTrace:
    """What one hook did: the gradient after it, and whether any bit changed."""

    name: str
    result: Array
    changed: bool


def run_hooks(
    hooks: Sequence[tuple[str, Callable[[Array], Array | None] | int]], raw: Array, value: str
) -> Generator[HookTurn, Array | None, tuple[Array, list[HookTrace]]]:
    """Pass ``raw`` through ``hooks`` in order: functions, and numbers of hooks that the driver is asked for. Returns the
    final gradient (read-only) and what each hook did.

    Raises HookFault, with the texts PyTorch's users know, if a hook raises or changes shape, dtype or type.
    """
    gradient, traces = raw, []
    for name, function in hooks:
        given = gradient.view()
        given.flags.writeable = False
        try:
            result = (yield HookTurn(function, name, value, given)) if isinstance(function, int) else function(given)
        except HookFault:
            raise  # the driver's: it says what went wrong there
        except Exception as error:  # a stranger's code: named, never passed on as if it were ours
            raise HookFault(f"hook {name!r} on {value!r} raised {type(error).__name__}: {error}", value=value) from error
        if result is None:
            result = gradient
        if not isinstance(result, (np.ndarray, np.generic)):
            raise HookFault(
                f"expected an array, but hook {name!r} on {value!r} returned {type(result).__name__!r}", value=value
            )
        result = np.asarray(result)
        if result.shape != raw.shape:
            raise HookFault(
                f"hook {name!r} has changed the size of value {value!r} (was {raw.shape} got {result.shape})",
                value=value,
            )
        if result.dtype != raw.dtype:
            raise HookFault(
                f"hook {name!r} has changed the type of value {value!r} (was {raw.dtype} got {result.dtype})",
                value=value,
            )
        changed = result is not gradient and result.tobytes() != gradient.tobytes()
        if changed:
            gradient = result.copy()
            gradient.flags.writeable = False
        traces.append(HookTrace(name, gradient, changed))
    return gradient, traces
