"""A run in transit to another process: its plan as bytes, without code, and its values as bytes.

Ops are code, and are not sent: each process has its own registry, built from the same import paths. The values lie in one
buffer, which is shared memory for large runs.
"""

from __future__ import annotations

import copyreg
import io
import itertools
import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from gradproof.engine.backward import Backward
from gradproof.engine.cancellation import look, watched
from gradproof.engine.engine import Run
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.lower import Lowered
from gradproof.engine.op import Op
from gradproof.engine.plan import Plan, literal_array
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Builder, Exact, Program

ALIGNED = 16  # bytes
SLICE = 200  # items that are pickled at a time, in a few milliseconds
AT_ONCE = 1 << 22  # bytes that are copied between two checks of the deadline
SMALL = 1024  # bytes; smaller values are copied through `tobytes`, which is faster


# plans


class PackedPlan(NamedTuple):
    """A plan as bytes, and its number, which is unique in this process."""

    number: int
    data: bytes


_packed: WeakKeyDictionary[Plan, PackedPlan] = WeakKeyDictionary()
_numbers = itertools.count()


def packed_plan(plan: Plan) -> PackedPlan:
    """A plan as bytes, cached for the life of the plan."""
    packed = _packed.get(plan)
    if packed is None:
        packed = _packed[plan] = PackedPlan(next(_numbers), pack_plan(plan))
    return packed


def pack_plan(plan: Plan) -> bytes:
    """A plan as bytes; ops are replaced by their names. Lists are pickled in slices, since pickle cannot be interrupted."""
    lowered, backward, program = plan.lowered, plan.backward, plan.program
    graph = lowered.graph
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = {**copyreg.dispatch_table, **_PACKED}
    lists: tuple[Sequence[Any], ...] = (
        *(graph.leaves, graph.nodes, graph.outputs, graph.rules),
        *(list(lowered.values.items()), lowered.node_of),
        *(program.specs, program.inputs, list(program.literals.items()), program.instructions),
        *(backward.cuts, backward.contributions, list(backward.needed)),
        *(list(table.items()) for table in (backward.seeds, backward.node_of, backward.raw, backward.final)),
        list(backward.written.items()),
    )
    pickler.dump((plan.forward_length, plan.forward_count, [len(items) for items in lists]))
    for items in lists:
        for start in watched(range(0, len(items), SLICE)):
            pickler.dump(items[start : start + SLICE])
    return buffer.getvalue()


def unpack_plan(data: bytes, registry: Registry) -> Plan:
    """The plan, with the ops of ``registry``. Raises NotFound for an op that it does not have."""
    global _registry
    _registry = registry
    pickler = pickle.Unpickler(io.BytesIO(data))
    length, count, sizes = pickler.load()
    lists = [[item for _ in range(0, size, SLICE) for item in pickler.load()] for size in sizes]
    leaves, nodes, outputs, rules, values, node_of, *lists = lists
    specs, inputs, literals, instructions, cuts, contributions, needed, *tables = lists
    seeds, nodes_behind, raw, final, written = map(dict, tables)
    builder = Builder(registry.ops)
    builder.program = Program(specs, inputs, dict(literals), instructions)
    graph = Graph(tuple(leaves), tuple(nodes), tuple(outputs), tuple(rules))
    lowered = Lowered(graph, builder, dict(values), node_of)
    backward = Backward(cuts, contributions, seeds, nodes_behind, raw, final, frozenset(needed), written)
    return Plan(lowered, backward, registry, length, count)


_registry = Registry()


def _op(name: str) -> Op:
    return _registry.op(name)


def _nearest(value: Exact) -> float:
    return float(literal_array(value, np.dtype(np.float64)))


def _by_fields(kind: type) -> Callable[[Any], tuple[Any, ...]]:
    """Reducer of a dataclass by its fields, much faster than that of dataclasses."""
    get = attrgetter(*(entry.name for entry in fields(kind)))
    return lambda value: (kind, get(value))


_PACKED: dict[type, Any] = {
    Op: lambda op: (_op, (op.name,)),
    Exact: lambda value: (float, (_nearest(value),)),  # the run has its value in the dtype of its use
    **{kind: _by_fields(kind) for kind in (Leaf, Node, Spec)},
}


# values


@dataclass(frozen=True)
class Layout:
    """Places of the values of a program in a buffer.

    Attributes:
        missing: numbers of values that have no array.
        stretched: for values that are broadcast along axes, their shape with 1 in these axes.
        size: of the buffer, in bytes.
    """

    missing: tuple[int, ...]
    stretched: dict[int, tuple[int, ...]]
    size: int


def layout_of(values: Sequence[Any], specs: Sequence[Spec]) -> Layout:
    """Layout of the values of a run."""
    missing = tuple(k for k, value in enumerate(values) if value is None)
    stretched = {
        k: tuple(1 if stride == 0 else size for size, stride in zip(value.shape, value.strides, strict=True))
        for k, value in enumerate(watched(values))
        if type(value) is np.ndarray and value.size > 1 and 0 in value.strides
    }
    size = 0
    for _, _, start, count in _places(specs, missing, stretched):
        size = start + count
    return Layout(missing, stretched, size)


def _places(
    specs: Sequence[Spec], missing: Sequence[int], stretched: dict[int, tuple[int, ...]]
) -> Iterator[tuple[int, tuple[int, ...], int, int]]:
    """For each value with an array: its number, its stored shape, its first byte, and its number of bytes."""
    absent, start = set(missing), 0
    for k, spec in enumerate(watched(specs)):
        if k in absent:
            continue
        shape = stretched.get(k, spec.shape) if stretched else spec.shape
        count = math.prod(shape) * spec.dtype.itemsize
        yield k, shape, start, count
        start += -(-count // ALIGNED) * ALIGNED


def write_values(values: Sequence[Any], specs: Sequence[Spec], layout: Layout, buffer: Any) -> None:
    """Copy the values to a buffer of ``layout.size`` bytes. Raises Cancelled, since it may take seconds."""
    with memoryview(buffer) as view:
        for k, shape, start, count in _places(specs, layout.missing, layout.stretched):
            array = values[k]
            if type(array) is not np.ndarray:
                array = np.asarray(array, specs[k].dtype)
            if k in layout.stretched:
                array = array[tuple(slice(0, size) for size in shape)]
            if count <= SMALL:
                view[start : start + count] = array.tobytes()
            else:
                room: Array = np.ndarray(shape, specs[k].dtype, view, start)
                step = max(1, len(array) * AT_ONCE // count)  # a value of so many bytes has an axis
                for first in range(0, len(array), step):
                    look()
                    np.copyto(room[first : first + step], array[first : first + step])


def read_values(specs: Sequence[Spec], layout: Layout, buffer: Any) -> list[Any]:
    """Read-only views of the values in a buffer."""
    values: list[Any] = [None] * len(specs)
    for k, shape, start, _ in _places(specs, layout.missing, layout.stretched):
        array: Array = np.ndarray(shape, specs[k].dtype, buffer, start)
        values[k] = np.broadcast_to(array, specs[k].shape) if k in layout.stretched else array
    return values


@dataclass(frozen=True)
class Request:
    """Names of a job that checks read beside its graph and values."""

    gradients: tuple[str, ...]
    retain: tuple[str, ...]
    hooked: frozenset[str]


def request_of(run: Run) -> Request:
    """The request of a run."""
    return Request(tuple(run.job.gradients), tuple(run.job.retain), run.hooked)


def run_of(plan: Plan, request: Request, values: list[Any]) -> Run:
    """The run of a request, as far as checks read it: its seeds are among the values."""
    job = Job(plan.lowered.graph, gradients=request.gradients, retain=request.retain)
    return Run(job, plan, values, request.hooked)
