"""Hook that is a graph, from gradient to gradient: it runs at the server, without a round trip to the client."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from gradproof.engine.errors import Violation
from gradproof.engine.graph import Graph, Leaf
from gradproof.engine.hooks import BoundHook, HookContext, changed_size, changed_type
from gradproof.engine.plan import Plan
from gradproof.engine.spec import Array, Spec, spec_of


@dataclass(frozen=True)
class GraphHook:
    """A hook on the gradient of ``value``: ``graph`` has a single leaf without a value, for the gradient, and a single
    output of the same shape and dtype. ``values`` are the values of its other leaves."""

    value: str
    graph: Graph
    values: Sequence[tuple[str, Array]] = ()
    label: str = "graph"

    def faults(self, path: str, spec: Spec | None, context: HookContext) -> Iterator[Violation]:
        """Every fault of the graph, and of its leaf and output for a gradient of ``spec``."""
        lowered = context.infer(self.graph)
        for fault in lowered.faults:
            yield Violation(f"{path}.{fault.path}", fault.message, fault.reason)
        path = f"{path}.graph"
        values = dict(self.values)
        for k, leaf in enumerate(self.graph.leaves):
            if leaf.name in values and not _same(leaf.spec, got := spec_of(values[leaf.name])):
                yield Violation(
                    f"{path}.leaves[{k}].value", f"leaf {leaf.name!r} is {leaf.spec}, its value is {got}", "VALUE_SPEC"
                )
        free = self._free()
        if len(free) != 1:
            text = f"a single leaf goes without a value, for the gradient; {len(free)} do"
            yield Violation(f"{path}.leaves", text, "HOOK_SIGNATURE")
            return
        position, leaf = free[0]
        if spec is not None and not _same(leaf.spec, spec):
            text = f"hook {self.label!r} takes {leaf.spec}, and the gradient of {self.value!r} is {spec}"
            yield Violation(f"{path}.leaves[{position}].spec", text, "HOOK_SPEC")
        if len(self.graph.outputs) > 1:
            text = f"a hook has a single output, the new gradient; {len(self.graph.outputs)} are named"
            yield Violation(f"{path}.outputs", text, "HOOK_SIGNATURE")
            return
        for name in self.graph.outputs:
            result = lowered.specs().get(name)
            if result is not None and result.shape != leaf.spec.shape:
                text = f"{changed_size(self.label, self.value)} (was {leaf.spec.shape} got {result.shape})"
                yield Violation(f"{path}.outputs[0]", text, "HOOK_SPEC")
            elif result is not None and result.dtype != leaf.spec.dtype:
                text = f"{changed_type(self.label, self.value)} (was {leaf.spec.dtype} got {result.dtype})"
                yield Violation(f"{path}.outputs[0]", text, "HOOK_SPEC")

    def bound(self, context: HookContext) -> BoundHook:
        """The hook, compiled."""
        [(_, leaf)] = self._free()
        plan = context.compile(self.graph)
        return BoundHook(self.label, partial(_apply, plan, leaf.name, dict(self.values)), cost=plan.cost)

    def _free(self) -> list[tuple[int, Leaf]]:
        """The leaves without a value, and their positions."""
        names = {name for name, _ in self.values}
        return [(k, leaf) for k, leaf in enumerate(self.graph.leaves) if leaf.name not in names]


def _same(a: Spec, b: Spec) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype


def _apply(plan: Plan, leaf: str, values: Mapping[str, Array], gradient: Array) -> Array:
    result = plan.start({**values, leaf: gradient})[plan.lowered.values[plan.lowered.graph.outputs[0]]]
    return np.asarray(result)
