"""Hooks of tensors and nodes on their way to the server.

A hook is called once, in the order of a pass. As long as hooks do arithmetic only, they are called before the pass, with a
gradient whose value nobody knows yet; what they record is sent as a graph. The first one that looks at its gradient waits
there, in a thread of its own, until the server has come to it; from then on hooks are called as their gradients arrive.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from threading import Event, Thread, local
from typing import Any

import numpy as np

from gradproof.client.backward.around import HookedNode, arrived, positions_of
from gradproof.client.backward.handles import Hooks, label_of
from gradproof.client.backward.multi import Part
from gradproof.client.backward.results import checked
from gradproof.client.events import Gradient
from gradproof.client.graph import CallableHook
from gradproof.client.graph import hook as wire_hook
from gradproof.client.recording.modes import no_grad
from gradproof.client.recording.record import Node, is_tensor
from gradproof.client.recording.runtime import Spec
from gradproof.client.recording.subgraph import Subgraph
from gradproof.client.tensors.tensor import Tensor
from gradproof.v1 import graph_pb2


@dataclass(frozen=True)
class Named:
    """A hook that the server has."""

    name: str
    attributes: Mapping[str, Any]


_running = local()
"""The call whose hook runs in this thread."""


class PendingGradient:
    """The gradient that a hook gets before the pass has come to it."""

    def __init__(self) -> None:
        self._array: np.ndarray[Any, Any] | None = None

    def fulfil(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array

    def value(self) -> np.ndarray[Any, Any]:
        """The gradient; in a hook, waits until the pass has come there. Raises RuntimeError where it is not known yet."""
        call: HookInvocation | None = getattr(_running, "call", None)
        if self._array is None and call is not None:
            call.look()
        if self._array is None:
            raise RuntimeError("the backward pass did not get to this gradient")
        return self._array


class HookInvocation:
    """One call of a hook on one gradient."""

    def __init__(self, spec: Spec, function: Callable[[Tensor], Any]) -> None:
        self.spec, self.function = spec, function
        self.label = label_of(function)
        self.promise = PendingGradient()
        self.given: Tensor | None = Tensor.__new__(Tensor)
        self.given._set(spec, None, None, 0, False, False)
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
        """HookInvocation the hook, until it is done or looks at its gradient. What it raises is raised here."""
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
                self.result = checked(self.function(self.given), self.spec, self.label)  # type: ignore[arg-type]
            _wait_for_others(self.result, self.promise)
        except BaseException as error:  # raised again in the thread of the pass
            self._error = error
        finally:
            self.looking = False
            self._paused.set()


def _wait_for_others(result: Tensor | None, own: PendingGradient) -> None:
    """A hook whose result depends on the gradient of another one looks at that: called in the hook."""
    pending, seen = [result] if result is not None else [], set[int]()
    while pending:
        x = pending.pop()
        if id(x) in seen or x._value is not None:
            continue
        seen.add(id(x))
        if x._node is not None:
            pending.extend(one for one in x._node.inputs if is_tensor(one))
        elif isinstance(x._alias, PendingGradient) and x._alias is not own:
            x.value()


def in_order(reached: Sequence[tuple[str, Tensor]], nodes: Sequence[Node]) -> Iterator[tuple[str, Tensor | Node]]:
    """Tensors and nodes as a pass comes to them: a node behind its outputs, and before the inputs that are its alone."""
    first: dict[int, int] = {}
    for node in nodes:
        for x in node.inputs:
            if is_tensor(x):
                first.setdefault(id(x), node.number)
    waiting = list(nodes)
    for name, tensor in reached:
        place = tensor._node.number if tensor._node is not None else first.get(id(tensor), math.inf) - 1
        while waiting and waiting[-1].number > place:
            yield "", waiting.pop()
        yield name, tensor
    yield from (("", node) for node in reversed(waiting))


class HookSchedule:
    """The hooks of one pass: ``messages`` for the server, in the order in which tensors and nodes are reached.

    Args:
        graph: what will be sent.
        reached: the tensors, with their names in the graph, in the order of the pass.
        nodes: those whose rules run, in the order they were recorded.
        aims: ids of the tensors whose gradients are asked for.
    """

    def __init__(
        self, graph: Subgraph, reached: Sequence[tuple[str, Tensor]], nodes: Sequence[Node], aims: Collection[int]
    ) -> None:
        self.calls: list[HookInvocation] = []
        self.messages: list[Any] = []
        self.at_client = False
        self._called: dict[str, list[HookInvocation | None]] = {}
        self._snapshots: dict[str, set[int]] = {}
        self.around: dict[int, HookedNode] = {}
        """What is around nodes with hooks, by the numbers of the nodes."""
        if not any(tensor._hooks for _, tensor in reached) and not any(node.hooks for node in nodes):
            return
        self._graph, self._nodes, self._aims = graph, nodes, aims
        self._arrived: set[str] | None = None
        ids = {id(tensor) for _, tensor in reached}
        for _, tensor in reached:
            for _, one in tensor._hooks:
                if isinstance(one, Part):
                    one.state.begin(ids)
        try:
            for name, one in in_order(reached, nodes):
                if isinstance(one, Node):
                    self._surround(one)
                elif self._arrived is None or name in self._arrived:
                    for number, hook in one._hooks:
                        self._add(name, one._spec, one._hooks, number, hook)
        except BaseException:
            self.abandon()
            raise
        for around in self.around.values():
            around.under_way = True

    def abandon(self) -> None:
        for call in self.calls:
            call.abandon()

    def kept(self) -> list[str]:
        """Names of the values whose gradients hooks kept without looking at them, or whose hooks run here: what these
        return is wanted when the pass is run again."""
        here = {one.value for one in self.messages if isinstance(one, CallableHook)}
        return [name for name, calls in self._called.items() if name in here or any(call and call.kept for call in calls)]

    def settle(self, event: Any) -> None:
        """The pass has come to a tensor: gradients that its hooks kept without looking have their values now."""
        if not isinstance(event, Gradient) or event.raw is None:
            return
        before = event.raw
        for call, trace in zip(self._called.get(event.name, ()), event.hooks, strict=False):
            if call is not None:
                call.promise.fulfil(before)
            before = trace.result

    def _surround(self, node: Node) -> None:
        """The hooks of a node."""
        hooks = node.hooks
        if not hooks:
            return
        graph = self._graph
        if self._arrived is None:
            self._arrived = arrived(graph, self._nodes, ())
        slots = [slot for slot in range(len(node.specs)) if graph.name_of(node, slot) in self._arrived]
        if not slots:
            return
        positions = positions_of(node, self._nodes, self._aims)
        around = self.around[node.number] = HookedNode(node, graph.name_of(node, 0), slots, positions)
        outside, inside = around.outside.pack, around.inside.pack
        for number, hook in hooks.before:
            self._add(outside.name, outside.spec, hooks.before, number, around.before(hook))
        if hooks.after:
            self._add(outside.name, outside.spec, None, -1, around.see)
        if around.idle:
            around.sever()
        for number, hook in hooks.after:
            if around.idle:
                with no_grad():
                    around.after(hook)(None)
            else:
                self._add(inside.name, inside.spec, hooks.after, number, around.after(hook))
        if not self.at_client:
            around.seen = None
        if around.inside.lost:
            cuts = {cut for one in self.around.values() for cut in one.cuts()}
            self._arrived = arrived(graph, self._nodes, cuts)

    def _add(self, name: str, spec: Spec, hooks: Hooks | None, number: int, one: Any) -> None:
        """``hooks`` is where the hook has ``number`` as long as nobody removes it; None for one that nobody can."""
        called = self._called.setdefault(name, [])
        if isinstance(one, Named):
            called.append(None)
            self.messages.append(wire_hook(name, one.name, **one.attributes))
            return
        if self.at_client:
            called.append(None)
            self.messages.append(CallableHook(name, self._later(name, spec, hooks, number, one), label_of(one)))
            return
        if hooks is not None:
            self._snapshots.setdefault(name, {n for n, _ in hooks})
        call = HookInvocation(spec, one)
        self.calls.append(call)
        called.append(call)
        call.begin()
        if call.looking:
            self.at_client = True
            self.messages.append(CallableHook(name, call.resume, call.label))
        else:
            self.messages.append(graph_hook(name, call))
            call.forget()

    def _later(
        self, name: str, spec: Spec, hooks: Hooks | None, number: int, function: Any
    ) -> Callable[[np.ndarray[Any, Any]], Any]:
        """A hook that is called when its gradient is there, unless it has been removed before the first of its kind."""

        def run(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any] | None:
            if hooks is not None and number not in self._snapshots.setdefault(name, {n for n, _ in hooks}):
                return None
            with no_grad():
                result = checked(function(Tensor(np.array(array))), spec, label_of(function))
                return None if result is None else result.value()

        return run


def graph_hook(name: str, call: HookInvocation) -> graph_pb2.Hook:
    """The message of a hook that has recorded what becomes of the gradient."""
    given = call.given
    assert given is not None
    message = graph_pb2.Hook(value=name, label=call.label)
    message.graph.CopyFrom(Subgraph([given if call.result is None else call.result], open=given).function())
    return message


def constant_hook(name: str, label: str, array: np.ndarray[Any, Any]) -> graph_pb2.Hook:
    """The message of a hook whose result is known."""
    call = HookInvocation(Spec(array.shape, array.dtype), lambda g: g)
    call.result = Tensor(np.array(array))
    call.label = label
    return graph_hook(name, call)
