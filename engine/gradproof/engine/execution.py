"""Execution of a plan: the stream of values that leave a run, from either executor.

The interpreter computes every value of the graph and keeps them, as the checks need them. A compiled plan computes only
the values that leave. Both give the same bits; `compared` runs the two side by side, and raises if they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gradproof.engine.cancellation import NEVER, Cancellation
from gradproof.engine.compiled.compiled import Compiled
from gradproof.engine.plan import Plan, Values
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.spec import Array


class RunOutput(NamedTuple):
    """A value that leaves a run under ``name``: a read-only array that is not shared. For a gradient it is the raw
    gradient, and the stream is sent the gradient after all hooks."""

    name: str
    value: Array
    is_gradient: bool


ExecutionStream: TypeAlias = Generator[RunOutput, Array | None, Values]
"""Returns every value that was computed, by number; an empty list where they were not kept."""


def interpreted(
    plan: Plan,
    start: Callable[[], Values],
    seeds: Mapping[str, Array],
    fetch: Sequence[str],
    cancellation: Cancellation = NEVER,
) -> ExecutionStream:
    """Run by the interpreter; ``start`` gives the values of the forward half. Raises ForwardFault naming the node,
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
        array = owned(raw)
        sent = yield RunOutput(cut.name, array, True)
        if sent is array:  # the checks read the copy that left, and the other is freed
            values[cut.raw] = array


def compiled(
    plan: Compiled, leaves: Mapping[str, Array], seeds: Mapping[str, Array], cancellation: Cancellation = NEVER
) -> ExecutionStream:
    """Run by a compiled plan. Where it raises, the interpreter runs from the start and goes on from there: it has the
    result, or names the fault. Raises Cancelled."""
    variant, answers = plan.variant, list[Array | None]()
    own_seeds = {name: seed for name, seed in seeds.items() if name in variant.seeded}
    run = plan.run(plan.arguments(leaves, own_seeds), cancellation)
    sent: Array | None = None
    try:
        while True:
            try:
                index, value = run.send(sent)
            except StopIteration:
                return []
            except BaseException as error:
                reraise_own(error)
                plan.failures += 1
                break
            sent = yield RunOutput(plan.names[index], value, index >= len(variant.fetch))
            answers.append(sent)
    finally:
        run.close()
    start = partial(plan.plan.start, leaves, cancellation=cancellation)
    again = interpreted(plan.plan, start, seeds, variant.fetch, cancellation)
    output = next(again)
    for answer in answers:
        output = again.send(answer)
    while True:
        answer = yield output
        try:
            output = again.send(answer)
        except StopIteration:
            return []


def compared(first: ExecutionStream, second: ExecutionStream) -> ExecutionStream:
    """Run both streams in step, and yield the values of ``first``. Raises RuntimeError where they differ in a bit."""
    sent: Array | None = None
    while True:
        a, b = _next(first, sent), _next(second, sent)
        if not isinstance(a, RunOutput) or not isinstance(b, RunOutput):
            if isinstance(a, RunOutput) or isinstance(b, RunOutput):
                raise RuntimeError(f"the compiled plan and the interpreter do not agree where to stop: {a}, {b}")
            return a
        same = a.value.dtype == b.value.dtype and a.value.shape == b.value.shape
        if a.name != b.name or not same or not _same_bits(a.value, b.value):
            raise RuntimeError(f"the compiled plan and the interpreter differ at {a.name!r}: {b.value}, {a.value}")
        sent = yield a


def _next(stream: ExecutionStream, sent: Array | None) -> RunOutput | Values:
    try:
        return stream.send(sent)
    except StopIteration as end:
        values: Values = end.value
        return values


def _same_bits(a: Array, b: Array) -> bool:
    """Bitwise equality that treats all NaNs as equal."""
    if a.tobytes() == b.tobytes():
        return True
    if a.dtype.kind not in "fcV":
        return False
    nan = a != a
    return bool(np.array_equal(nan, b != b)) and a[~nan].tobytes() == b[~nan].tobytes()


def owned(value: Any) -> Array:
    """A dense read-only copy of a value."""
    array: Array = np.array(value, order="C")
    array.flags.writeable = False
    return array
