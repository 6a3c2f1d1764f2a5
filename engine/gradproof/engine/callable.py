"""Graph as a Python function: values in, results out, without events, hooks or checks.

It is the lean way through the engine: whatever depends on the structure alone (inference, plan, order of the results,
cost) was done when the function was made, and a call does nothing beside its numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from gradproof.engine.cancellation import NEVER, Cancellation
from gradproof.engine.compiled.compiled import Compiled, Variant
from gradproof.engine.compiled.halves import Halves
from gradproof.engine.errors import InvalidRequest, Violation
from gradproof.engine.estimate import Cost, leaving_bytes
from gradproof.engine.execution import interpreted
from gradproof.engine.graph import Graph
from gradproof.engine.hints import did_you_mean
from gradproof.engine.plan import Plan, Values
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.scalars import is_number
from gradproof.engine.spec import Array, Spec

Find: TypeAlias = Callable[[], Compiled | None]
"""The compiled plan for the next run, or None if that is to be interpreted."""


class GraphFunction:
    """Function ``f(*leaves, *seeds) -> (values, gradients)``: the fetched values of a graph, and the gradients that were
    asked for, in order. `Engine.function` makes it. Any number of threads may call it.

    A 0-d float64 is passed as an array or a Python float, and is returned as a Python float. Any other value is an array of
    the shape and dtype of its leaf; an array that is returned is not shared. An output without a seed has ones. A gradient
    that does not exist is None. The bits are those of any other run of the graph.

    Attributes:
        leaves, seeds: names of the arguments, in order: leaves that are constant are none.
        fetch, gradients: names of the results, in order.
        leaving: the names in the order in which `results` are computed: all of ``fetch``, then the gradients from the last
            node to the first, then those that do not exist.
        cost: cost of a call, estimated from shapes.
        compiled: finds the compiled plan for the next call, or None if that is to be interpreted.
    """

    def __init__(self, plan: Plan, variant: Variant, gradients: Sequence[str], find: Find) -> None:
        fetch, seeds, self._constants = variant.fetch, variant.seeded, variant.constants.values
        leaves = [leaf for leaf in plan.lowered.graph.leaves if leaf.name not in self._constants]
        specs = plan.program.specs
        self.leaves, self.seeds = tuple(leaf.name for leaf in leaves), seeds
        self.fetch, self.gradients = fetch, tuple(gradients)
        reached = [cut.name for cut in plan.backward.cuts]
        self._missing = [name for name in self.gradients if name not in reached]
        self.leaving = (*self.fetch, *reached, *self._missing)
        self.cost = plan.cost + Cost(leaving_bytes(self.fetch, plan.specs))
        where = {name: len(self.fetch) + k for k, name in enumerate(reached)}
        self._places = [where.get(name) for name in self.gradients]
        self._plan, self.compiled = plan, find
        self._halves: Halves | None = None
        self._halves_of: Compiled | None = None
        self._specs = [*(leaf.spec for leaf in leaves), *(specs[plan.backward.seeds[name]] for name in self.seeds)]

    def __call__(self, *arguments: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Run the graph. Raises InvalidRequest where a value does not fit its leaf or output, ForwardFault naming the node
        where an op fails."""
        return self._ordered(self.results(arguments))

    def results(self, arguments: Sequence[Any], cancellation: Cancellation = NEVER) -> list[Any]:
        """The results of a call in the order of ``leaving``. Raises as a call does, and Cancelled."""
        self._check_count(arguments)
        values = arguments if all(map(_fits, arguments, self._specs)) else self._checked(arguments)
        compiled = self.compiled()
        if compiled is not None:
            try:
                return [*compiled.all(values, cancellation), *[None] * len(self._missing)]
            except BaseException as error:
                reraise_own(error)
                compiled.failures += 1
        return self._interpreted(self._checked(values), cancellation)

    def rows(
        self, leaves: Sequence[Any], seeds: Sequence[Sequence[Any]], cancellation: Cancellation = NEVER
    ) -> list[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """The results of a call for each row of seeds, on the same leaves: rows of a Jacobian. What does not depend on the
        seeds is computed once, and shared by the results. Raises as a call does, and Cancelled."""
        arguments = [[*leaves, *row] for row in seeds]
        for row in arguments:
            self._check_count(row)
        if not arguments:
            return []
        fit = all(all(map(_fits, row, self._specs)) for row in arguments)
        values = arguments if fit else [self._checked(row) for row in arguments]
        count = len(self.leaves)
        compiled = self.compiled()
        if compiled is not None:
            try:
                if self._halves is None or self._halves_of is not compiled:
                    self._halves = Halves(self._plan, compiled.variant, careful=compiled.careful)
                    self._halves_of = compiled
                results = self._halves.rows(values[0][:count], [row[count:] for row in values], cancellation)
                return [self._ordered(row) for row in results]
            except BaseException as error:
                reraise_own(error)
                compiled.failures += 1
        checked = [self._checked(row) for row in values]
        forward = self._started(checked[0][:count], cancellation)
        return [self._ordered(self._interpreted(row, cancellation, forward)) for row in checked]

    def _ordered(self, results: Sequence[Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        count = len(self.fetch)
        return tuple(results[:count]), tuple([None if k is None else results[k] for k in self._places])

    def _check_count(self, arguments: Sequence[Any]) -> None:
        if len(arguments) != len(self._specs):
            names = ", ".join((*self.leaves, *(f"seed of {name}" for name in self.seeds)))
            raise TypeError(f"the function takes {len(self._specs)} values ({names}), got {len(arguments)}")

    def _checked(self, arguments: Sequence[Any]) -> list[Array]:
        """The arguments as arrays that cannot be written to. Raises InvalidRequest."""
        arrays = [np.asarray(value).view() for value in arguments]
        count = len(self.leaves)
        faults = list[Violation]()
        for k, (spec, array) in enumerate(zip(self._specs, arrays, strict=True)):
            got = Spec(array.shape, array.dtype)
            if got != spec.strong and k < count:
                text = f"leaf {self.leaves[k]!r} is {spec}, its value is {got}"
                faults.append(Violation(f"leaves[{k}]", text, "VALUE_SPEC"))
            elif got != spec.strong:
                text = f"the seed of {self.seeds[k - count]!r} is to be {spec}, it is {got}"
                faults.append(Violation(f"seeds[{k - count}]", text, "VALUE_SPEC"))
        if faults:
            raise InvalidRequest(faults)
        for array in arrays:
            array.flags.writeable = False
        return arrays

    def _started(self, leaves: Sequence[Array], cancellation: Cancellation) -> Values:
        """The values of the forward half, by the interpreter."""
        values = {**self._constants, **dict(zip(self.leaves, leaves, strict=True))}
        return self._plan.start(values, cancellation=cancellation)

    def _interpreted(self, arrays: Sequence[Array], cancellation: Cancellation, forward: Values | None = None) -> list[Any]:
        plan, count = self._plan, len(self.leaves)
        specs = plan.program.specs
        given = dict(zip(self.seeds, arrays[count:], strict=True))
        seeds: Mapping[str, Array] = {
            name: given[name] if name in given else np.ones(specs[k].shape, specs[k].dtype)
            for name, k in plan.backward.seeds.items()
        }
        start = partial(self._started, arrays[:count], cancellation) if forward is None else partial(list, forward)
        stream = interpreted(plan, start, seeds, self.fetch, cancellation)
        results: list[Any] = []
        sent: Array | None = None
        while True:
            try:
                output = stream.send(sent)
            except StopIteration:
                return [*results, *[None] * len(self._missing)]
            sent = output.value if output.is_gradient else None
            single = output.value.shape == () and output.value.dtype == np.float64
            results.append(output.value.item() if single else output.value)


def _fits(value: Any, spec: Spec) -> bool:
    """True if a value may be passed to the compiled plan as it is."""
    if type(value) is float:
        return is_number(spec)
    return type(value) is np.ndarray and value.shape == spec.shape and value.dtype == spec.dtype


def function_faults(
    graph: Graph, seeds: Sequence[str], constants: Mapping[str, Array], *, differentiate: bool
) -> list[Violation]:
    """Faults of the seeds and constants of a function of a graph."""
    faults = list[Violation]()
    for k, name in enumerate(seeds):
        if name not in graph.outputs:
            text = f"{name!r} is not an output{did_you_mean(name, graph.outputs)}"
            faults.append(Violation(f"seeds[{k}]", text, "VALUE_UNKNOWN"))
        elif not differentiate:
            text = f"a seed of {name!r}, and no gradient is asked for"
            faults.append(Violation(f"seeds[{k}]", text, "NOTHING_TO_DIFFERENTIATE"))
    leaves = {leaf.name: leaf.spec for leaf in graph.leaves}
    for name, array in constants.items():
        spec, got = leaves.get(name), Spec(np.shape(array), np.asarray(array).dtype)
        if spec is None:
            text = f"no leaf is named {name!r}{did_you_mean(name, leaves)}"
            faults.append(Violation(f"constants[{name!r}]", text, "VALUE_UNKNOWN"))
        elif got != spec.strong:
            text = f"leaf {name!r} is {spec}, the constant is {got}"
            faults.append(Violation(f"constants[{name!r}]", text, "VALUE_SPEC"))
    return faults
