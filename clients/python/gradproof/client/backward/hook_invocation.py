"""Invocations of hooks on gradients that are not known yet, and the messages that hooks become."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextvars import copy_context
from threading import Event, Thread, local
from typing import Any

from gradproof.client.backward.hook_results import checked_result
from gradproof.client.events import Array
from gradproof.client.recording.evaluation import graph_of
from gradproof.client.recording.hooks import label_of
from gradproof.client.recording.modes import no_grad
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.spec import Spec
from gradproof.v1 import graph_pb2

_running = local()
"""The `HookInvocation` whose hook runs in this thread, as its ``invocation``."""


class PendingGradient:
    """The gradient that a hook gets before the pass has come to it."""

    def __init__(self) -> None:
        self._array: Array | None = None

    def resolve(self, array: Array) -> None:
        """Set the gradient, when the pass has come to it."""
        self._array = array

    def value(self) -> Array:
        """The gradient; in a hook, waits until the pass has come there. Raises RuntimeError where it is not known yet."""
        invocation: HookInvocation | None = getattr(_running, "invocation", None)
        if self._array is None and invocation is not None:
            invocation.wait_for_pass()
        if self._array is None:
            raise RuntimeError("the backward pass did not get to this gradient")
        return self._array


class HookInvocation:
    """Invocation of a hook on a gradient, in a thread of its own, where it may wait for the pass.

    Args:
        kind: the class of the gradient.
        spec: shape and dtype of the gradient.
        function: the hook.

    Attributes:
        pending: the gradient, as long as it is not known.
        gradient: the tensor that the hook gets.
        result: the tensor that the hook returned, or None.
        waiting: whether the hook waits for its gradient.
    """

    def __init__(self, kind: type[Recorded], spec: Spec, function: Callable[[Any], Any]) -> None:
        self.spec, self.function = spec, function
        self.label = label_of(function)
        self.pending = PendingGradient()
        self.gradient: Recorded | None = kind.from_alias(spec, self.pending)
        self._reference = weakref.ref(self.gradient)
        self.result: Recorded | None = None
        self.waiting = False
        self._error: BaseException | None = None
        self._paused, self._arrived = Event(), Event()
        self._cancelled = False
        context = copy_context()
        self._thread = Thread(target=context.run, args=(self._run,), daemon=True)

    def begin(self) -> None:
        """Run the hook until it is done or waits for its gradient. Raises the exceptions of the hook."""
        self._thread.start()
        self._pause()

    def resume(self, array: Array) -> Array | None:
        """Let a hook that waits for its gradient go on with it; returns the array of its result, or None."""
        self.pending.resolve(array)
        self._paused.clear()
        self._arrived.set()
        self._pause()
        return None if self.result is None else self.result.value()

    def cancel(self) -> None:
        """Give up the pass: a hook that still waits gets a RuntimeError."""
        self._cancelled = True
        self._arrived.set()

    def forget(self) -> None:
        """Release the gradient and the result: from now on only code that kept the gradient holds it."""
        self.gradient = self.result = None

    def message(self, name: str) -> graph_pb2.Hook:
        """The hook on the value ``name``, as the graph that it has recorded."""
        assert self.gradient is not None
        return graph_hook(name, self.label, self.gradient, self.gradient if self.result is None else self.result)

    @property
    def kept(self) -> bool:
        """True if code outside keeps the gradient without having looked at it."""
        return self._reference() is not None

    def wait_for_pass(self) -> None:
        """Wait, in the thread of the hook, until the pass has come to the gradient."""
        if self._cancelled or self._arrived.is_set():
            return
        self.waiting = True
        self._paused.set()
        self._arrived.wait()

    def _pause(self) -> None:
        self._paused.wait()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        _running.invocation = self
        try:
            with no_grad():
                self.result = checked_result(self.function(self.gradient), self.spec, self.label)
            _wait_for_others(self.result, self.pending)
        except BaseException as error:  # raised again in the thread of the pass
            self._error = error
        finally:
            self.waiting = False
            self._paused.set()


def _wait_for_others(result: Recorded | None, own: PendingGradient) -> None:
    """Wait, in a hook whose result depends on the pending gradient of another hook, for that gradient."""
    pending, seen = [result] if result is not None else [], set[int]()
    while pending:
        x = pending.pop()
        if id(x) in seen or x.array is not None:
            continue
        seen.add(id(x))
        if x.node is not None:
            pending.extend(operand for operand in x.node.inputs if isinstance(operand, Recorded))
        elif isinstance(x.alias, PendingGradient) and x.alias is not own:
            x.value()


def graph_hook(name: str, label: str, argument: Recorded, result: Recorded) -> graph_pb2.Hook:
    """The message of a hook on the value ``name`` that makes ``result`` of ``argument``."""
    message = graph_pb2.Hook(value=name, label=label)
    message.graph.CopyFrom(graph_of([result], argument=argument).function())
    return message


def constant_hook(name: str, label: str, result: Recorded) -> graph_pb2.Hook:
    """The message of a hook on the value ``name`` whose result is known."""
    return graph_hook(name, label, result.detach(), result)
