"""Replay of a recorded graph of a slice on all slices: node by node, from the arguments to the results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gradproof.client.batching.application import Application
from gradproof.client.batching.rules import Rule, rule_of
from gradproof.client.recording.apply import apply, apply_multiple, in_place_of
from gradproof.client.recording.modes import enable_grad, no_grad
from gradproof.client.recording.placeholders import Level, Placeholder
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Input, Recorded
from gradproof.client.recording.signature import Signature
from gradproof.client.recording.spec import Spec


class NoRule:
    """The rule of a function whose backward is written for a slice.

    Attributes:
        name: the name of the backward node.
        saves: whether it needs values of the forward pass.
    """

    saves, push = True, None

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(
        self, node: Node, grad_outputs: Sequence[Recorded | None], positions: Sequence[int]
    ) -> Mapping[int, Recorded]:
        """Raises RuntimeError."""
        raise RuntimeError(
            f"You tried to vmap over {self.name.removesuffix('Backward')}, but it does not have vmap support: its backward "
            "is that of a slice. Take the gradient inside, vmap(grad(f))."
        )

    def reference(self, node: Node) -> str:
        """The reason why there is no other computation to compare with."""
        return "its backward is that of a slice"


def refuse_hook(gradient: Recorded) -> None:
    """Raises RuntimeError, in place of hooks of a tensor of a slice, when a pass comes from outside."""
    raise RuntimeError(
        "vmap: a hook was registered on a Tensor inside, which has the gradient of a slice, and a pass from outside has "
        "that of all slices: register the hook on what vmap returns, or take the gradient inside, vmap(grad(f))"
    )


def _has_hooks(node: Node) -> bool:
    outputs = map(node.output, range(len(node.specs)))
    return bool(node.hooks) or any(y is not None and bool(y.hooks) for y in outputs)


class Replay:
    """The nodes of a function that was vectorized, recorded again for all slices.

    Args:
        level: the function, with its batched arguments.
        stand_ins: batched tensors in place of leaves of the slice.
        unrolled: apply every op to each slice, whatever rules there are.
    """

    def __init__(
        self, level: Level, stand_ins: Mapping[Recorded, Recorded] | None = None, *, unrolled: bool = False
    ) -> None:
        self._level, self._unrolled = level, unrolled
        self._leaves: dict[Recorded, Recorded | None] = dict(stand_ins or {})
        self._nodes: dict[int, list[Recorded] | None] = {}
        self._slices: dict[Recorded, list[Recorded]] = {}

    def run(self, outputs: Sequence[Recorded]) -> None:
        """Record the nodes behind ``outputs``, those of them that depend on batched tensors."""
        self.run_through(self.pending(outputs))

    def pending(self, outputs: Sequence[Recorded]) -> list[Node]:
        """The nodes behind ``outputs`` that depend on placeholders and are not recorded yet, in their order."""
        nodes: dict[int, Node] = {}
        pending: list[Input] = list(outputs)
        while pending:
            x = pending.pop()
            if not isinstance(x, Recorded) or x in self._leaves:
                continue
            if x.node is None:
                pending.extend([x.alias] if x.array is None and isinstance(x.alias, Recorded) else ())
            elif x.node.placeholder is not None and x.node.number not in nodes and x.node.number not in self._nodes:
                nodes[x.node.number] = x.node
                pending.extend(x.node.inputs)
        return [nodes[number] for number in sorted(nodes)]

    def run_through(self, nodes: Sequence[Node]) -> None:
        """Record these nodes, which are in the order they were recorded in."""
        for node in nodes:
            self._nodes[node.number] = self._recorded(node)

    def batched(self, x: Recorded) -> Recorded | None:
        """The batched tensor in place of ``x``, after `run`; None if ``x`` is the same for all slices."""
        if x in self._leaves:
            return self._leaves[x]
        if x.node is not None:
            results = self._nodes.get(x.node.number)
            return None if results is None else results[x.slot]
        result = self._batched_leaf(x) if x.array is None else None
        self._leaves[x] = result
        return result

    def _batched_leaf(self, x: Recorded) -> Recorded | None:
        if isinstance(x.alias, Placeholder):
            argument: Recorded | None = self._level.arguments.get(id(x.alias))
            return argument
        source = self.batched(x.alias) if isinstance(x.alias, Recorded) else None
        if source is None:
            return None
        leaf = source.detach()
        if x.requires_grad:
            leaf.requires_grad = True
        return leaf

    def _recorded(self, node: Node) -> list[Recorded] | None:
        """The results of a node for all slices; None if they are the same."""
        stand_ins = [self.batched(x) if isinstance(x, Recorded) else None for x in node.inputs]
        if not any(x is not None for x in stand_ins):
            return None
        inputs = [x if batched is None else batched for x, batched in zip(node.inputs, stand_ins, strict=True)]
        if node.client_rule is not None and node.client_rule.name:
            return self._of_function(node, node.client_rule.name, inputs, [x is not None for x in stand_ins])
        application = Application(node, inputs, [x is not None for x in stand_ins], self._level.size)
        recording = node.requires_grad or node.condition
        with enable_grad() if recording else no_grad(), in_place_of(node):
            rule: Rule | None = None if self._unrolled else rule_of(application)
            found = rule(application) if rule else None
            results = list(found) if found is not None else self._one_by_one(application)
        if _has_hooks(node):
            for y in results:
                if y.requires_grad:
                    y.register_hook(refuse_hook)
        return results

    def _of_function(self, node: Node, name: str, inputs: Sequence[Input], batched: Sequence[bool]) -> list[Recorded]:
        """The results of a function with a backward of its own, whose first inputs are its results."""
        application = Application(node, inputs, batched, self._level.size)
        specs = [Spec((self._level.size, *spec.shape), spec.dtype) for spec in node.specs]
        with enable_grad() if node.requires_grad else no_grad():
            of_all = Node(node.kind, Signature(node.info, node.attributes, specs), application.all_spread())
        of_all.take_place_of(node)
        of_all.client_rule = NoRule(name)
        return of_all.outputs()

    def _one_by_one(self, a: Application) -> list[Recorded]:
        """The op applied to each slice, and the results stacked."""
        if not a.size:
            kind = a.node.kind
            return [kind.from_array(np.zeros((0, *spec.shape), spec.dtype)) for spec in a.node.specs]
        columns = [
            self._of_slices(x) if is_batched else [x] * a.size for x, is_batched in zip(a.inputs, a.batched, strict=True)
        ]
        rows = [a.results(*inputs) for inputs in zip(*columns, strict=True)]
        return [apply("stack", *slots, axis=0) for slots in zip(*rows, strict=True)]

    def _of_slices(self, x: Input) -> list[Recorded]:
        """The slices of a batched tensor."""
        assert isinstance(x, Recorded)
        if x not in self._slices:
            self._slices[x] = apply_multiple("unstack", x, axis=0)
        return self._slices[x]
