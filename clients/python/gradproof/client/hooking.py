"""Tensor hooks on their way to the server.

A hook is called once, in the order of a pass. As long as hooks do arithmetic only, they are called before the pass, with a
gradient whose value nobody knows yet; what they record is sent as a graph. The first one that looks at its gradient waits
there, in a thread of its own, until the server has come to it; from then on hooks are called as their gradients arrive.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from threading import Event, Thread, local
from typing import Any

import numpy as np

from gradproof.client import dtypes
from gradproof.client.events import Gradient
from gradproof.client.graph import CallableHook
from gradproof.client.graph import hook as wire_hook
from gradproof.client.handles import label_of
from gradproof.client.modes import no_grad
from gradproof.client.multi import Part
from gradproof.client.record import is_tensor
from gradproof.client.subgraph import Subgraph
from gradproof.client.tensor import Tensor
from gradproof.v1 import graph_pb2


@dataclass(frozen=True)
class Named:
    """A hook that the server has."""

    name: str
    attributes: Mapping[str, Any]


_running = local()
"""The call whose hook runs in this thread."""


class Promise:
    """The gradient that a hook gets before the pass has come to it."""

    def __init__(self) -> None:
        self._array: np.ndarray[Any, Any] | None = None

    def fulfil(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array

    def value(self) -> np.ndarray[Any, Any]:
        """The gradient; in a hook, waits until the pass has come there. Raises RuntimeError where it is not known yet."""
        call: Call | None = getattr(_running, "call", None)
        if self._array is None and call is not None:
            call.look()
        if self._array is None:
            raise RuntimeError("the backward pass did not get to this gradient")
        return self._array


class Call:
    """One call of a hook on one gradient."""

    def __init__(self, tensor: Tensor, number: int, function: Callable[[Tensor], Any]) -> None:
        self.tensor, self.number, self.function = tensor, number, function
        self.label = label_of(function)
        self.promise = Promise()
        self.given: Tensor | None = Tensor.__new__(Tensor)
        self.given._set(tensor._spec, None, None, 0, False, False)
        self.given._alias = self.promise
        self._held = weakref.ref(self.given)
        self.result: Tensor | None = None
        self.looking = False
        self._error: BaseException | None = None
        self._paused, self._arrived = Event(), Event()
        self._over = False
        context = copy_context()
        self._thread = Thread(target=context.run, args=(self._run,), daemon=True)

    def begin(self) -> None:
        """Call the hook, until it is done or looks at its gradient. What it raises is raised here."""
        self._thread.start()
        self._wait()

    def resume(self, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
        """Let a hook that looks at its gradient go on with it; what it returns."""
        self.promise.fulfil(array)
        self._paused.clear()
        self._arrived.set()
        self._wait()
        return None if self.result is None else self.result.value()

    def abandon(self) -> None:
        """The pass will not come: a hook that still waits gets a RuntimeError."""
        self._over = True
        self._arrived.set()

    def forget(self) -> None:
        """Let go of the gradient that the hook got: only who kept it holds it now."""
        self.given = self.result = None

    @property
    def kept(self) -> bool:
        """Whether somebody kept the gradient without looking at it."""
        return self._held() is not None

    def look(self) -> None:
        """Called in the hook: wait for the pass."""
        if self._over or self._arrived.is_set():
            return
        self.looking = True
        self._paused.set()
        self._arrived.wait()

    def _wait(self) -> None:
        self._paused.wait()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        _running.call = self
        try:
            with no_grad():
                self.result = checked(self.function(self.given), self.tensor, self.label)  # type: ignore[arg-type]
            _wait_for_others(self.result, self.promise)
        except BaseException as error:  # raised again in the thread of the pass
            self._error = error
        finally:
            self.looking = False
            self._paused.set()


def _wait_for_others(result: Tensor | None, own: Promise) -> None:
    """A hook whose result depends on the gradient of another one looks at that: called in the hook."""
    pending, seen = [result] if result is not None else [], set[int]()
    while pending:
        x = pending.pop()
        if id(x) in seen or x._value is not None:
            continue
        seen.add(id(x))
        if x._node is not None:
            pending.extend(one for one in x._node.inputs if is_tensor(one))
        elif isinstance(x._alias, Promise) and x._alias is not own:
            x.value()


def checked(result: Any, tensor: Tensor, label: str) -> Tensor | None:
    """What a hook returned. Raises RuntimeError or TypeError with PyTorch's texts unless it is None, or a tensor of the
    same shape and dtype."""
    if result is None:
        return None
    if not isinstance(result, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(result).__name__}'")
    if result.dtype != tensor.dtype:
        was, got = (f"torch.{dtypes.type_name(x.dtype)}Tensor" for x in (tensor, result))
        raise RuntimeError(f"hook '{label}' has changed the type of value (was {was} got {got})")
    if result.shape != tensor.shape:
        raise RuntimeError(f"hook '{label}' has changed the size of value")
    return result


class Hooking:
    """The hooks of one pass: ``messages`` for the server, in the order in which tensors are reached."""

    def __init__(self, reached: Sequence[tuple[str, Tensor]]) -> None:
        self.calls: list[Call] = []
        self.messages: list[Any] = []
        self.at_client = False
        self._called: dict[str, list[Call | None]] = {}
        self._snapshots: dict[str, set[int]] = {}
        ids = {id(tensor) for _, tensor in reached}
        for _, tensor in reached:
            for _, one in tensor._hooks:
                if isinstance(one, Part):
                    one.state.begin(ids)
        try:
            for name, tensor in reached:
                for number, one in tensor._hooks:
                    self._add(name, tensor, number, one)
        except BaseException:
            self.abandon()
            raise

    def abandon(self) -> None:
        for call in self.calls:
            call.abandon()

    def kept(self) -> list[str]:
        """Names of the tensors whose gradients hooks kept without looking at them."""
        return [name for name, calls in self._called.items() if any(call is not None and call.kept for call in calls)]

    def settle(self, event: Any) -> None:
        """The pass has come to a tensor: gradients that its hooks kept without looking have their values now."""
        if not isinstance(event, Gradient) or event.raw is None:
            return
        before = event.raw
        for call, trace in zip(self._called.get(event.name, ()), event.hooks, strict=False):
            if call is not None:
                call.promise.fulfil(before)
            before = trace.result

    def _add(self, name: str, tensor: Tensor, number: int, one: Any) -> None:
        called = self._called.setdefault(name, [])
        if isinstance(one, Named):
            called.append(None)
            self.messages.append(wire_hook(name, one.name, **one.attributes))
            return
        if self.at_client:
            called.append(None)
            self.messages.append(CallableHook(name, self._later(name, tensor, number, one), label_of(one)))
            return
        call = Call(tensor, number, one)
        self.calls.append(call)
        called.append(call)
        call.begin()
        if call.looking:
            self.at_client = True
            self.messages.append(CallableHook(name, call.resume, call.label))
        else:
            self.messages.append(graph_hook(name, call))
            call.forget()

    def _later(self, name: str, tensor: Tensor, number: int, function: Any) -> Callable[[np.ndarray[Any, Any]], Any]:
        """A hook that is called when its gradient is there, unless it has been removed before its tensor was reached."""

        def run(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
            alive = self._snapshots.setdefault(name, {n for n, _ in tensor._hooks})
            if number not in alive:
                return None
            with no_grad():
                result = checked(function(Tensor(np.array(array))), tensor, label_of(function))
                return None if result is None else result.value()

        return run


def graph_hook(name: str, call: Call) -> graph_pb2.Hook:
    """The message of a hook that has recorded what becomes of the gradient."""
    given = call.given
    assert given is not None
    message = graph_pb2.Hook(value=name, label=call.label)
    message.graph.CopyFrom(Subgraph([given if call.result is None else call.result], open=given).function())
    return message


def constant_hook(name: str, label: str, array: np.ndarray[Any, Any]) -> graph_pb2.Hook:
    """The message of a hook whose result is known."""
    call = Call(Tensor(np.array(array)), 0, lambda g: g)
    call.result = Tensor(np.array(array))
    call.label = label
    return graph_hook(name, call)
