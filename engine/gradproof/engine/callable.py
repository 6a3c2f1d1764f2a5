"""Graph as a Python function: for programs that hold an engine, without events, hooks or checks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from gradproof.engine.compiled.compiled import MAX_FAILURES, Compiled, Variant
from gradproof.engine.errors import InvalidRequest, Violation
from gradproof.engine.execution import interpreted
from gradproof.engine.plan import Plan
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.scalars import is_number
from gradproof.engine.spec import Array, Spec


class CompiledFunction:
    """Function ``f(*leaves) -> (values, gradients)``: the outputs of a graph, and the gradients of the leaves that require
    grad, in order. `Engine.function` makes it.

    A 0-d float64 is passed as an array or a Python float, and is returned as a Python float. The seed of an output is all
    ones. The bits are those of any other run of the graph.
    """

    def __init__(self, plan: Plan) -> None:
        graph = plan.lowered.graph
        self.names = tuple(leaf.name for leaf in graph.leaves)
        self.outputs, self.targets = graph.outputs, tuple(leaf.name for leaf in graph.leaves if leaf.requires_grad)
        self._plan, self._specs = plan, [leaf.spec for leaf in graph.leaves]
        self._compiled = Compiled(plan, Variant(graph.outputs))
        where = {name: k for k, name in enumerate(self._compiled.names) if k >= len(self.outputs)}
        self._places = [where.get(name) for name in self.targets]

    def __call__(self, *leaves: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Run the graph. Raises InvalidRequest where a value does not fit its leaf, ForwardFault naming the node where an
        op fails."""
        if len(leaves) != len(self._specs):
            raise TypeError(f"the graph has {len(self._specs)} leaves ({', '.join(self.names)}), got {len(leaves)} values")
        values: Sequence[Any] = leaves if all(map(_fits, leaves, self._specs)) else self._checked(leaves)
        try:
            results = self._compiled.all(values)
        except BaseException as error:
            reraise_own(error)
            self._failed()
            results = self._interpreted(self._checked(leaves))
        count = len(self.outputs)
        return tuple(results[:count]), tuple([None if k is None else results[k] for k in self._places])

    def _failed(self) -> None:
        """Count a run that raised, since Python's floats or an op did. After `MAX_FAILURES` the plan is compiled anew, so
        that NumPy is asked at each op that may raise."""
        self._compiled.failures += 1
        if self._compiled.failures >= MAX_FAILURES and not self._compiled.careful:
            self._compiled = Compiled(self._plan, Variant(self.outputs), careful=True)

    def _checked(self, leaves: Sequence[Any]) -> list[Array]:
        arrays = [np.asarray(value) for value in leaves]
        faults = [
            Violation(f"leaves[{k}]", f"leaf {name!r} is {spec}, its value is {Spec(a.shape, a.dtype)}", "VALUE_SPEC")
            for k, (name, spec, a) in enumerate(zip(self.names, self._specs, arrays, strict=True))
            if a.shape != spec.shape or a.dtype != spec.dtype
        ]
        if faults:
            raise InvalidRequest(faults)
        return arrays

    def _interpreted(self, arrays: Sequence[Array]) -> list[Any]:
        plan = self._plan
        specs = plan.program.specs
        seeds = {n: np.ones(specs[k].shape, specs[k].dtype) for n, k in plan.backward.seeds.items()}
        stream = interpreted(plan, partial(plan.start, dict(zip(self.names, arrays, strict=True))), seeds, self.outputs)
        results: dict[tuple[str, bool], Any] = {}
        sent: Array | None = None
        while True:
            try:
                output = stream.send(sent)
            except StopIteration:
                break
            sent = output.value if output.is_gradient else None
            single = output.value.shape == () and output.value.dtype == np.float64
            results[output.name, output.is_gradient] = output.value.item() if single else output.value
        count = len(self.outputs)
        return [results.get((name, k >= count)) for k, name in enumerate(self._compiled.names)]


def _fits(value: Any, spec: Spec) -> bool:
    """True if a value may be passed to the compiled plan as it is."""
    if type(value) is float:
        return is_number(spec)
    return type(value) is np.ndarray and value.shape == spec.shape and value.dtype == spec.dtype
