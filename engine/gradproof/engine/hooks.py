"""Gradient hooks: functions of the whole gradient of a value, whose result replaces it for everything upstream.

There are three kinds: `Hook` (registered by a plugin, or a function in this process), `GraphHook` (graph_hook.py) and
`ClientHook`, which runs at the client: the run stops with a `HookCall` and is resumed with the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeAlias

import numpy as np

from gradproof.engine.attributes import Attributes
from gradproof.engine.errors import DataFault, HookFault, RunFault, Violation
from gradproof.engine.estimate import NOTHING, Cost
from gradproof.engine.graph import Graph
from gradproof.engine.hints import did_you_mean
from gradproof.engine.lower import Lowered
from gradproof.engine.named_hook import NamedHook
from gradproof.engine.plan import Plan
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.spec import Array, Spec

HookFunction: TypeAlias = Callable[[Array], Array | None]


class HookContext(Protocol):
    """The engine as hooks see it: hooks by name, and graphs lowered and compiled."""

    @property
    def hooks(self) -> Mapping[str, NamedHook]:
        """Named hooks by name."""

    def infer(self, graph: Graph) -> Lowered:
        """A graph lowered, or its faults."""

    def compile(self, graph: Graph) -> Plan:
        """The plan of the forward half of a graph without faults."""


@dataclass(frozen=True)
class Hook:
    """A hook on the gradient of ``value``: the `NamedHook` called ``name`` with these attributes, or ``function`` of a
    caller in this process. Hooks of a value run in their order in the job, whatever their kind."""

    value: str
    name: str
    attributes: Attributes
    function: HookFunction | None = None
    label: str = ""

    def faults(self, path: str, spec: Spec | None, context: HookContext) -> Iterator[Violation]:
        """The faults of the hook itself; ``spec`` is that of the value."""
        if self.function is not None:
            return
        named = context.hooks.get(self.name)
        if named is None:
            text = f"there is no hook named {self.name!r}{did_you_mean(self.name, context.hooks)}"
            yield Violation(f"{path}.named.name", text, "HOOK_UNKNOWN")
        elif bad := named.attribute_fault(self.attributes):
            yield Violation(f"{path}.named.attributes", bad, "HOOK_ATTRIBUTE")

    def bound(self, context: HookContext) -> BoundHook:
        """The hook, ready to run."""
        function = self.function or partial(context.hooks[self.name].apply, **self.attributes)
        return BoundHook(self.label or self.name, function)


@dataclass(frozen=True)
class ClientHook:
    """A hook on the gradient of ``value`` that runs at the client, which knows it as ``hook_id``."""

    value: str
    hook_id: int
    label: str = "client"

    def faults(self, path: str, spec: Spec | None, context: HookContext) -> Iterator[Violation]:
        """No fault: the server knows nothing of it."""
        return iter(())

    def bound(self, context: HookContext) -> BoundHook:
        """The hook, ready to be called."""
        return BoundHook(self.label, None, self.hook_id)


@dataclass(frozen=True)
class BoundHook:
    """A hook that is ready to run; ``function`` is None where it runs at the client, as ``hook_id``. ``cost`` is that of a
    call, where it is known."""

    label: str
    function: HookFunction | None
    hook_id: int = 0
    cost: Cost = NOTHING


@dataclass(frozen=True)
class HookCall:
    """A call of client hook ``hook_id`` on this gradient (read-only) of the value called ``name``. The run is resumed with
    an array, or None for no change; or a HookFault is thrown in."""

    name: str
    hook_id: int
    label: str
    gradient: Array


@dataclass(frozen=True)
class HookTrace:
    """The effect of a hook: the gradient after it, and whether any bit changed."""

    name: str
    result: Array
    changed: bool


def run_hooks(
    hooks: Sequence[BoundHook], raw: Array, value: str
) -> Generator[HookCall, Array | None, tuple[Array, list[HookTrace]]]:
    """Pass ``raw`` through ``hooks`` in order; calls of client hooks are yielded. Returns the final gradient
    (read-only) and the effect of each hook.

    Raises HookFault, with the texts of PyTorch, if a hook raises or changes shape, dtype or type.
    """
    gradient, traces = raw, []
    for hook in hooks:
        view = gradient.view()
        view.flags.writeable = False
        if hook.function is None:
            result = yield HookCall(value, hook.hook_id, hook.label, view)
        else:
            result = _called(hook.label, hook.function, view, value)
        result = gradient if result is None else _checked(hook.label, result, raw, value)
        changed = result is not gradient and result.tobytes() != gradient.tobytes()
        if changed:
            gradient = result.copy()
            gradient.flags.writeable = False
        traces.append(HookTrace(hook.label, gradient, changed))
    return gradient, traces


def _called(label: str, function: HookFunction, gradient: Array, value: str) -> Array | None:
    try:
        return function(gradient)
    except RunFault as error:  # of a node, where the hook is a graph
        place = f"hook {label!r} on {value!r}: {error.public.removesuffix(f' raised {error.kind}')}"
        kind = DataFault if isinstance(error, DataFault) else HookFault
        raise kind(
            place, value=value, op=error.op, plugin=error.plugin, element=error.element, raised=error.raised
        ) from error
    except BaseException as error:  # a plugin's code may raise anything, and the fault names it
        reraise_own(error)
        raise HookFault(f"hook {label!r} on {value!r}", value=value, raised=error) from error


def _checked(label: str, result: Any, raw: Array, value: str) -> Array:
    """The result of a hook as an array. Raises HookFault unless it has shape and dtype of the gradient."""
    if not isinstance(result, (np.ndarray, np.generic)):
        text = f"expected an array, but hook {label!r} on {value!r} returned {type(result).__name__!r}"
        raise HookFault(text, value=value)
    array = np.asarray(result)
    if array.shape != raw.shape:
        raise HookFault(f"{changed_size(label, value)} (was {raw.shape} got {array.shape})", value=value)
    if array.dtype != raw.dtype:
        raise HookFault(f"{changed_type(label, value)} (was {raw.dtype} got {array.dtype})", value=value)
    return array


def changed_size(label: str, value: str) -> str:
    """The text of the fault of a hook that changes the shape."""
    return f"hook {label!r} has changed the size of value {value!r}"


def changed_type(label: str, value: str) -> str:
    """The text of the fault of a hook that changes the dtype."""
    return f"hook {label!r} has changed the type of value {value!r}"
