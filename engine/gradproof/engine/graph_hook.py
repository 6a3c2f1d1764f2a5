"""A hook that is a graph, from gradient to gradient: data, so a client need not wait at its other end."""

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
    """A hook on the gradient of ``value``: ``graph`` has one leaf without a value, which is the gradient, and one output
    of the same shape and dtype. ``values`` are those of its other leaves."""

    value: str
    graph: Graph
    values: Sequence[tuple[str, Array]] = ()
    label: str = "graph"

    def faults(self, path: str, spec: Spec | None, shop: HookContext) -> Iterator[Violation]:
        """Every fault of the graph, and where it does not fit a gradient of ``spec``."""
        lowered = shop.infer(self.graph)
        for fault in lowered.faults:
            yield Violation(f"{path}.{fault.path}", fault.message, fault.reason)
        path = f"{path}.graph"
        given = dict(self.values)
        for k, leaf in enumerate(self.graph.leaves):
            if leaf.name in given and not _same(leaf.spec, got := spec_of(given[leaf.name])):
                yield Violation(
                    f"{path}.leaves[{k}].value", f"leaf {leaf.name!r} is {leaf.spec}, its value is {got}", "VALUE_SPEC"
                )
        free = self._free()
        if len(free) != 1:
            text = f"one leaf goes without a value, for the gradient; {len(free)} do"
            yield Violation(f"{path}.leaves", text, "HOOK_SIGNATURE")
            return
        position, leaf = free[0]
        if spec is not None and not _same(leaf.spec, spec):
            text = f"hook {self.label!r} takes {leaf.spec}, and the gradient of {self.value!r} is {spec}"
            yield Violation(f"{path}.leaves[{position}].spec", text, "HOOK_SPEC")
        if len(self.graph.outputs) > 1:
            text = f"a hook has one output, the new gradient; {len(self.graph.outputs)} are named"
            yield Violation(f"{path}.outputs", text, "HOOK_SIGNATURE")
            return
        for name in self.graph.outputs:
            out = lowered.specs().get(name)
            if out is not None and out.shape != leaf.spec.shape:
                text = f"{changed_size(self.label, self.value)} (was {leaf.spec.shape} got {out.shape})"
                yield Violation(f"{path}.outputs[0]", text, "HOOK_SPEC")
            elif out is not None and out.dtype != leaf.spec.dtype:
                text = f"{changed_type(self.label, self.value)} (was {leaf.spec.dtype} got {out.dtype})"
                yield Violation(f"{path}.outputs[0]", text, "HOOK_SPEC")

    def bound(self, shop: HookContext) -> BoundHook:
        """The hook, compiled."""
        [(_, leaf)] = self._free()
        plan = shop.compile(self.graph)
        return BoundHook(self.label, partial(_apply, plan, leaf.name, dict(self.values)), cost=plan.cost)

    def _free(self) -> list[tuple[int, Leaf]]:
        given = {name for name, _ in self.values}
        return [(k, leaf) for k, leaf in enumerate(self.graph.leaves) if leaf.name not in given]


def _same(one: Spec, other: Spec) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype


def _apply(plan: Plan, leaf: str, values: Mapping[str, Array], gradient: Array) -> Array:
    result = plan.start({**values, leaf: gradient})[plan.lowered.values[plan.lowered.graph.outputs[0]]]
    return np.asarray(result)
