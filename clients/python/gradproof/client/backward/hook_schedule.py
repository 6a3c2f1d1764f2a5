"""Hooks of tensors and nodes on their way to the server.

A hook is called once, in the order of a pass. As long as hooks do arithmetic only, they are called before the pass, with a
gradient whose value nobody knows yet; what they record is sent as a graph. The first hook that looks at its gradient waits
there, in a thread of its own, until the server has come to it; from then on hooks are called as their gradients arrive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradproof.client.backward.application import Application
from gradproof.client.backward.hook_invocation import HookInvocation
from gradproof.client.backward.hook_results import checked_result
from gradproof.client.backward.hooked_node import HookedNode, positions_of, reached_names, read_only
from gradproof.client.backward.multi_grad import MultiGradPass
from gradproof.client.backward.pass_plan import PassPlan
from gradproof.client.events import Array, Event, Gradient
from gradproof.client.graph import CallableHook, Hook
from gradproof.client.graph import hook as server_hook
from gradproof.client.recording.hooks import Hooks, NodeHooks, ServerHook, label_of
from gradproof.client.recording.modes import no_grad
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.spec import Spec


@dataclass(frozen=True)
class _Place:
    """The value that a hook is on.

    Attributes:
        name: its name in the graph.
        spec: its shape and dtype.
        hooks: the hooks that the hook is registered among; None for a hook that cannot be removed.
    """

    name: str
    spec: Spec
    hooks: Hooks | None


class HookSchedule:
    """The hooks of a pass.

    Attributes:
        messages: the hooks as they are sent, in the order in which a pass comes to their tensors and nodes.
        surroundings: nodes with hooks, by their numbers.
    """

    def __init__(self, plan: PassPlan) -> None:
        self.messages: list[Hook] = []
        self.surroundings: dict[int, HookedNode] = {}
        self._plan = plan
        self._invocations: dict[str, list[HookInvocation | None]] = {}
        self._snapshots: dict[str, set[int]] = {}
        self._names: set[str] | None = None  # names that gradients come to, where a node with hooks made it known
        self._at_client = False  # whether hooks are called as their gradients arrive
        if not any(map(_has_hooks, plan.reached)) and not any(node.stops for node in plan.nodes):
            return
        self._multi_grad = MultiGradPass({id(tensor) for _, tensor in plan.reached})
        try:
            for name, visited in _in_order(plan.reached, plan.nodes):
                if isinstance(visited, Node):
                    self._add_node(visited)
                elif self._names is None or name in self._names:
                    for number, hook in visited.hooks:
                        self._add(_Place(name, visited.spec, visited.hooks), number, self._multi_grad.hook(hook))
                    self._add_last_prehooks(name, visited)
        except BaseException:
            self.cancel()
            raise
        for hooked in self.surroundings.values():
            hooked.under_way = True

    def applications(self) -> list[Application]:
        """What rules that run here have made of their gradients."""
        return [hooked.application for hooked in self.surroundings.values() if hooked.application is not None]

    def rule_places(self) -> frozenset[str]:
        """The names of values whose gradients are replaced by rules that run here, and by no hook."""
        return frozenset(hooked.rule_place for hooked in self.surroundings.values() if hooked.rule_place is not None)

    def cancel(self) -> None:
        """End the pass: hooks that still wait get a RuntimeError."""
        for invocations in self._invocations.values():
            for invocation in invocations:
                if invocation is not None:
                    invocation.cancel()

    def retained_names(self) -> list[str]:
        """Names of the values whose gradients hooks kept without looking at them, or whose hooks run here: the results of
        these hooks are needed when the pass is run again."""
        here = {message.value for message in self.messages if isinstance(message, CallableHook)}
        return [
            name
            for name, invocations in self._invocations.items()
            if name in here or any(invocation and invocation.kept for invocation in invocations)
        ]

    def resolve(self, event: Event) -> None:
        """Give the gradients that an event brings to the hooks that kept them without looking at them."""
        if not isinstance(event, Gradient) or event.raw is None:
            return
        gradient = event.raw
        for invocation, trace in zip(self._invocations.get(event.value, ()), event.hook_traces, strict=False):
            if invocation is not None:
                invocation.pending.resolve(gradient)
            gradient = trace.gradient

    def _add_last_prehooks(self, name: str, tensor: Recorded) -> None:
        """Schedule the prehooks of a node that the pass comes to, and whose rule it does not run: they change nothing."""
        node = tensor.node
        if not self._plan.accumulates or node is None or not node.hooks or node in self._plan.nodes:
            return
        for number, hook in node.hooks.pre:
            self._add(_Place(name, tensor.spec, node.hooks.pre), number, read_only(hook, tensor))

    def _add_node(self, node: Node) -> None:
        """Schedule the hooks of a node, and its rule if that runs here, if a gradient comes to it."""
        graph, plan = self._plan.graph, self._plan
        if not node.stops:
            return
        if self._names is None:
            self._names = reached_names(graph, plan.nodes, ())
        slots = [slot for slot, name in enumerate(graph.output_names(node)) if name in self._names]
        if not slots:
            return
        positions = positions_of(node, plan.nodes, plan.target_ids)
        hooked = self.surroundings[node.number] = HookedNode(node, graph.name_of(node, 0), slots, positions)
        self._add_node_hooks(node.hooks or NodeHooks(), hooked)
        if not self._at_client:
            hooked.grad_outputs = None
        if hooked.inside.lost:
            cuts = {cut for other in self.surroundings.values() for cut in other.cuts()}
            self._names = reached_names(graph, plan.nodes, cuts)

    def _add_node_hooks(self, hooks: NodeHooks, hooked: HookedNode) -> None:
        outside, inside = hooked.outside.bundle, hooked.inside.bundle
        for number, hook in hooks.pre:
            self._add(_Place(outside.name, outside.spec, hooks.pre), number, hooked.pre_hook(hook))
        runs_here = hooked.node.client_rule is not None
        if hooks.post or runs_here:
            self._add(_Place(outside.name, outside.spec, None), -1, hooked.remember)
        if hooked.idle:
            hooked.detach_inputs()
        elif runs_here:
            self._add(_Place(inside.name, inside.spec, None), -1, hooked.client_rule)
        for number, hook in hooks.post:
            if hooked.idle:
                with no_grad():
                    hooked.post_hook(hook)(None)
            else:
                self._add(_Place(inside.name, inside.spec, hooks.post), number, hooked.post_hook(hook))

    def _add(self, place: _Place, number: int, hook: Callable[..., Any] | ServerHook) -> None:
        """Schedule a hook, which is registered under ``number``."""
        invocations = self._invocations.setdefault(place.name, [])
        if isinstance(hook, ServerHook):
            invocations.append(None)
            self.messages.append(server_hook(place.name, hook.name, **hook.attributes))
            return
        if self._at_client:
            invocations.append(None)
            self.messages.append(CallableHook(place.name, self._later(place, number, hook), label_of(hook)))
            return
        if place.hooks is not None:
            self._snapshots.setdefault(place.name, place.hooks.ids())
        invocation = HookInvocation(self._plan.graph.roots[0].plain(), place.spec, hook)
        invocations.append(invocation)
        invocation.begin()
        if invocation.waiting:
            self._at_client = True
            self.messages.append(CallableHook(place.name, invocation.resume, invocation.label))
        else:
            self.messages.append(invocation.message(place.name))
            invocation.forget()

    def _later(self, place: _Place, number: int, hook: Callable[..., Any]) -> Callable[[Array], Array | None]:
        """A hook that is called when its gradient is there, unless it was removed before the first hook on its value."""

        def run(array: Array) -> Array | None:
            hooks = place.hooks
            if hooks is not None and number not in self._snapshots.setdefault(place.name, hooks.ids()):
                return None
            with no_grad():
                gradient = self._plan.graph.roots[0].leaf(np.array(array))
                result = checked_result(hook(gradient), place.spec, label_of(hook))
                return None if result is None else result.value()

        return run


def _has_hooks(reached: tuple[str, Recorded]) -> bool:
    """True if a tensor, or the node that made it, has hooks."""
    tensor = reached[1]
    return bool(tensor.hooks) or (tensor.node is not None and bool(tensor.node.hooks))


def _in_order(reached: Sequence[tuple[str, Recorded]], nodes: Sequence[Node]) -> Iterator[tuple[str, Recorded | Node]]:
    """Tensors and nodes as a pass comes to them: a node after its outputs, and before inputs that only it uses."""
    first: dict[int, int] = {}
    for node in nodes:
        for x in node.inputs:
            if isinstance(x, Recorded):
                first.setdefault(id(x), node.number)
    waiting = list(nodes)
    for name, tensor in reached:
        place = tensor.node.number if tensor.node is not None else first.get(id(tensor), math.inf) - 1
        while waiting and waiting[-1].number > place:
            yield "", waiting.pop()
        yield name, tensor
    yield from (("", node) for node in reversed(waiting))
