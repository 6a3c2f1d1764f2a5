"""Flows: what leaves a run, in order, from whichever executor runs it.

The interpreter computes every value of the graph and keeps them, as the checks need them. A compiled plan computes what is
asked for. Both give the same bits; `compared` runs the two side by side and says so if they do not.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gradproof.engine.cancellation import NEVER, Cancellation
from gradproof.engine.compiled.compiled import Compiled
from gradproof.engine.plan import Plan, Values
from gradproof.engine.plugin_errors import foreign
from gradproof.engine.spec import Array


class RunOutput(NamedTuple):
    """A value that leaves a run under ``name``: owned by nobody else, and read-only. Of a gradient it is the raw one, and
    the flow is sent what goes on."""

    name: str
    value: Array
    is_gradient: bool


ExecutionStream: TypeAlias = Generator[RunOutput, Array | None, Values]
"""Returns every value that was computed, by number; an empty list where they are gone."""


def interpreted(
    plan: Plan,
    start: Callable[[], Values],
    seeds: Mapping[str, Array],
    fetch: Sequence[str],
    cancellation: Cancellation = NEVER,
) -> ExecutionStream:
    """The run of the interpreter; ``start`` gives the values of the forward half. Raises ForwardFault naming the node,
    Cancelled."""
    values = start()
    for name in fetch:
        cancellation.check()
        yield RunOutput(name, owned(values[plan.lowered.values[name]]), False)
    pull = plan.pull(values, seeds, cancellation)
    sent: Array | None = None
    while True:
        try:
            cut, raw = pull.send(sent)  # type: ignore[arg-type]
        except StopIteration:
            return values
        leaving = owned(raw)
        sent = yield RunOutput(cut.name, leaving, True)
        if sent is leaving:  # what left is what is judged, and the only copy
            values[cut.raw] = leaving


def compiled(
    plan: Compiled, leaves: Mapping[str, Array], seeds: Mapping[str, Array], cancellation: Cancellation = NEVER
) -> ExecutionStream:
    """The run of a compiled plan. Where it raises, the interpreter runs from the start and goes on from there: it has the
    result, or names the fault. Raises Cancelled."""
    variant, answers = plan.variant, list[Array | None]()
    given = {name: seed for name, seed in seeds.items() if name in variant.seeded}
    run = plan.run(plan.brought(leaves, given), cancellation)
    sent: Array | None = None
    try:
        while True:
            try:
                index, value = run.send(sent)
            except StopIteration:
                return []
            except BaseException as error:
                foreign(error)
                plan.failures += 1
                break
            sent = yield RunOutput(plan.names[index], value, index >= len(variant.fetch))
            answers.append(sent)
    finally:
        run.close()
    start = partial(plan.plan.start, leaves, cancellation=cancellation)
    again = interpreted(plan.plan, start, seeds, variant.fetch, cancellation)
    leaving = next(again)
    for answer in answers:
        leaving = again.send(answer)
    while True:
        answer = yield leaving
        try:
            leaving = again.send(answer)
        except StopIteration:
            return []


def compared(first: ExecutionStream, second: ExecutionStream) -> ExecutionStream:
    """Both flows in step; the values of ``first``. Raises RuntimeError where they differ in a bit."""
    sent: Array | None = None
    while True:
        one, other = _next(first, sent), _next(second, sent)
        if not isinstance(one, RunOutput) or not isinstance(other, RunOutput):
            if isinstance(one, RunOutput) or isinstance(other, RunOutput):
                raise RuntimeError(f"the compiled plan and the interpreter do not agree where to stop: {one}, {other}")
            return one
        same = one.value.dtype == other.value.dtype and one.value.shape == other.value.shape
        if one.name != other.name or not same or not _same_bits(one.value, other.value):
            raise RuntimeError(f"the compiled plan and the interpreter differ at {one.name!r}: {other.value}, {one.value}")
        sent = yield one


def _next(flow: ExecutionStream, sent: Array | None) -> RunOutput | Values:
    try:
        return flow.send(sent)
    except StopIteration as end:
        values: Values = end.value
        return values


def _same_bits(one: Array, other: Array) -> bool:
    """Equal in every bit, but for which nan it is."""
    if one.tobytes() == other.tobytes():
        return True
    if one.dtype.kind not in "fcV":
        return False
    nan = one != one
    return bool(np.array_equal(nan, other != other)) and one[~nan].tobytes() == other[~nan].tobytes()


def owned(value: Any) -> Array:
    """A dense read-only array that nothing in the run will write to."""
    array: Array = np.array(value, order="C")
    array.flags.writeable = False
    return array
