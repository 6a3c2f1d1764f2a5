"""Programs: graphs of derivatives, traced once for each structure of a graph, and run on the values of its leaves.

A derivative that is not differentiated further need not be recorded for each call. It is recorded once, of stand-ins that
have no values, and what is recorded is a graph of its own: from the leaves of the function and the vectors to the
derivatives. A call of the same structure sends the values of its leaves to that graph. The record is made up for when a
verdict asks for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Any, Final, NoReturn, TypeAlias, cast
from weakref import WeakKeyDictionary

from cachetools import LRUCache

from gradproof.client.backward.agreement import compared
from gradproof.client.backward.evidence import Evidence
from gradproof.client.backward.provenance import PassGradient, Provenance, without_history
from gradproof.client.derivatives.mapped import stops
from gradproof.client.derivatives.products import Derivatives, Vectors
from gradproof.client.errors import RunError
from gradproof.client.events import Array, HookTrace, Verdict
from gradproof.client.recording.evaluation import evaluate, graph_of
from gradproof.client.recording.modes import enable_grad, no_grad
from gradproof.client.recording.placeholders import Placeholder
from gradproof.client.recording.reads import unwatched, watched
from gradproof.client.recording.record import Node, next_number
from gradproof.client.recording.recorded import Input, Recorded
from gradproof.client.recording.runtime import Runtime, current
from gradproof.client.recording.spec import Spec
from gradproof.client.recording.subgraph import SMALL, Subgraph
from gradproof.client.tensors.tensor import Tensor

MAX_PROGRAMS: Final = 64
"""The most programs that are kept for a server."""


Derivation: TypeAlias = Callable[..., Derivatives]
"""A function that records derivatives of outputs by inputs, along vectors if it takes any: a product with vectors, or all
rows or columns of Jacobians. Their order is fixed; None where nothing flows."""


def derived(
    derivation: Derivation,
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    vectors: Vectors = (),
    *,
    recorded: bool,
    **options: Any,
) -> Derivatives:
    """What ``derivation`` gives.

    Args:
        derivation: records derivatives.
        outputs: the outputs of a function.
        inputs: the tensors that it was applied to.
        vectors: vectors that fit these, or None.
        recorded: whether the derivatives may have a history.
        options: further arguments of ``derivation``, which can be hashed.
    """
    if not recorded:
        call = _call(derivation, outputs, inputs, vectors, options)
        if call is not None:
            return call.results()
    results = derivation(outputs, inputs, vectors, **options)
    return results if recorded else [None if y is None else cast("Tensor", without_history(y)) for y in results]


class _Given(Placeholder):
    """The source of a value that is given when a program runs.

    Attributes:
        key: the name of the leaf, or the number of the vector, that has the value.
    """

    def __init__(self, key: str | int) -> None:
        self.key = key

    def refuse(self, text: str) -> NoReturn:
        """Raises `_ValueNeeded`."""
        raise _ValueNeeded(text)


class _ValueNeeded(RuntimeError):
    """The derivative depends on values in a way that no graph has."""


class _Program:
    """The graph of a derivative.

    Args:
        derivation: records the derivative.
        graph: the graph of the outputs, whose leaves have other values in each call.
        outputs: the outputs.
        names: the name of each input in ``graph``; None if it is not there.
        inputs: the inputs.
        vectors: the vectors.
        options: further arguments of ``derivation``.

    Raises `_ValueNeeded`.
    """

    def __init__(
        self,
        derivation: Derivation,
        graph: Subgraph,
        outputs: Sequence[Tensor],
        names: Sequence[str | None],
        inputs: Sequence[Tensor],
        vectors: Vectors,
        options: Mapping[str, Any],
    ) -> None:
        environment = _copied(graph)
        copies = [cast("Tensor", environment[graph.name(y)]) for y in outputs]
        own = [
            cast("Tensor", environment[name]) if name is not None else _stand_in(x, f"unused {k}", True)
            for k, (x, name) in enumerate(zip(inputs, names, strict=True))
        ]
        stand_ins = [None if v is None else _stand_in(v, k, False) for k, v in enumerate(vectors)]
        results = derivation(copies, own, stand_ins, **options)
        self.specs = [None if y is None else y.spec for y in results]
        present = [y for y in results if y is not None]
        values = [y for y in copies if y.node is not None and y.nbytes <= SMALL]
        self._graph = graph_of([*present, *values])
        self._names = [None if y is None else self._graph.name(y) for y in results]
        self._values = [self._graph.name(y) if y.node is not None and y.nbytes <= SMALL else None for y in copies]
        self._keys = {name: _key(x) for name, x in self._graph.open.items()}
        self._structure = ("program", next_number())

    def run(
        self, runtime: Runtime, leaves: Mapping[str, Array], vectors: Vectors, outputs: Sequence[Tensor]
    ) -> list[Array | None]:
        """The derivatives for these values; outputs get theirs too, if they are small and have none yet."""
        values: dict[str, Array] = {}
        for name, key in self._keys.items():
            if isinstance(key, str):
                values[name] = leaves[key]
            else:
                vector = vectors[key]
                assert vector is not None
                values[name] = vector.value()
        missing = {name: y for name, y in zip(self._values, outputs, strict=True) if name is not None and y.array is None}
        fetch = dict.fromkeys([name for name in self._names if name is not None] + list(missing))
        arrays = runtime.evaluate(self._graph.closed(values, self._structure), list(fetch)) if fetch else {}
        for name, y in missing.items():
            y.array = arrays[name]
        return [None if name is None else arrays[name] for name in self._names]


class _Call:
    """A call of a program.

    Args:
        program: the program.
        graph: the graph of the outputs, with the values of its leaves.
        outputs: the outputs.
        vectors: the vectors.
        record: records the derivatives of this call.
    """

    def __init__(
        self,
        program: _Program,
        graph: Subgraph,
        outputs: Sequence[Tensor],
        vectors: Vectors,
        record: Callable[[], Derivatives],
    ) -> None:
        self._program, self._outputs, self._record = program, outputs, record
        self._runtime, self._leaves = current(), graph.arrays
        self._vectors = [None if v is None else v.detach() for v in vectors]
        self._arrays: list[Array | None] | None = None
        self._recorded: Derivatives | None = None

    def results(self) -> Derivatives:
        """The derivatives, whose values are computed together when a value is first looked at."""
        kind = self._outputs[0].plain()
        tensors: Derivatives = []
        for k, spec in enumerate(self._program.specs):
            if spec is None:
                tensors.append(None)
                continue
            tensor = kind.from_alias(spec, _Value(self, k))
            tensor.provenance = Provenance(tensor, [_ProgramGradient(self, k, tensor)])
            tensors.append(tensor)
        return tensors

    def array(self, k: int) -> Array:
        """The value of derivative ``k``."""
        if self._arrays is None:
            with unwatched():
                self._arrays = self._computed()
        array = self._arrays[k]
        assert array is not None
        return array

    def _computed(self) -> list[Array | None]:
        if current() is self._runtime:
            try:
                return self._program.run(self._runtime, self._leaves, self._vectors, self._outputs)
            except RunError:
                pass  # the record fails in the same way, and knows the line of the node
        results = self.recorded()
        evaluate([y for y in results if y is not None])
        return [None if y is None else y.value() for y in results]

    def recorded(self) -> Derivatives:
        """The derivatives as they are recorded."""
        if self._recorded is None:
            self._recorded = self._record()
        return self._recorded

    def known(self, k: int) -> Recorded | None:
        """Derivative ``k`` as it was recorded, if it was."""
        return self._recorded[k] if self._recorded is not None else None


class _Value:
    """The value of a derivative."""

    def __init__(self, call: _Call, k: int) -> None:
        self._call, self._k = call, k

    def value(self) -> Array:
        """The array; computed now if it was not."""
        return self._call.array(self._k)


class _ProgramGradient(PassGradient):
    """A derivative that a program computed. The evidence is that of the same derivative, recorded.

    Args:
        call: the call of the program.
        k: the number of the derivative.
        gradient: the derivative.
    """

    def __init__(self, call: _Call, k: int, gradient: Recorded) -> None:
        self._call, self._k = call, k
        self.gradient = self.added = gradient.detach()

    def passes(self) -> list[Evidence]:
        """The evidence of the recorded passes, if these were needed."""
        provenance = self._provenance(self._call.known(self._k))
        return [] if provenance is None else provenance.evidence()

    def verdict(self) -> Verdict | None:
        """The verdict, requested now if it was not."""
        recorded = self._call.recorded()[self._k]
        provenance = self._provenance(recorded)
        return None if provenance is None else self._judged(provenance.verdict(), recorded)

    def known(self) -> Verdict | None:
        """The verdict, if it is known already."""
        recorded = self._call.known(self._k)
        provenance = self._provenance(recorded)
        return None if provenance is None else self._judged(provenance.known(), recorded)

    def raw(self) -> Recorded | None:
        """The gradient before hooks: None, since there are no hooks."""
        return None

    def traces(self) -> tuple[HookTrace, ...]:
        """The traces of its hooks: none."""
        return ()

    def _provenance(self, recorded: Recorded | None) -> Provenance | None:
        provenance = recorded.provenance if recorded is not None else None
        return provenance if isinstance(provenance, Provenance) else None

    def _judged(self, verdict: Verdict | None, recorded: Recorded | None) -> Verdict | None:
        """A verdict on the recorded derivative as a verdict on the numbers of the program."""
        if verdict is None or recorded is None:
            return verdict
        return compared(verdict, self.gradient.value(), recorded.value(), recorded=True)


_NEW: Final = object()
_lock = Lock()


def _unlock() -> None:
    """Replace the lock in a fork, where the thread that may have held it does not exist."""
    global _lock
    _lock = Lock()


os.register_at_fork(after_in_child=_unlock)
_programs: WeakKeyDictionary[Runtime, LRUCache[Any, _Program | None]] = WeakKeyDictionary()


def _call(
    derivation: Derivation,
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    vectors: Vectors,
    options: Mapping[str, Any],
) -> _Call | None:
    """The call of a program; None where the derivatives must be recorded: with hooks and rules that run here, inside
    functions that are vectorized, and where values steer the derivative."""
    if watched() or any(x is not None and x.placeholder is not None for x in (*outputs, *inputs, *vectors)):
        return None
    graph = graph_of(outputs, backward=True)
    names = [graph.names_of(x) for x in inputs]
    if graph.open or stops(graph) or any(len(own) > 1 for own in names):
        return None
    single = [own[0] if own else None for own in names]
    key = (
        derivation,
        tuple(sorted(options.items())),
        graph.structure,
        tuple(map(repr, graph.numbers.values())),
        tuple(y.requires_grad for y in outputs),
        tuple(single),
        tuple((x.shape, x.dtype.str) for x in inputs),
        tuple(None if v is None else (v.shape, v.dtype.str) for v in vectors),
    )
    runtime = current()
    with _lock:
        programs = _programs.setdefault(runtime, LRUCache(MAX_PROGRAMS))
        program = programs.get(key, _NEW)
    if program is _NEW:
        try:
            program = _Program(derivation, graph, outputs, single, inputs, vectors, options)
        except _ValueNeeded:
            program = None
        with _lock:
            programs[key] = program
    if not isinstance(program, _Program):
        return None

    def record() -> Derivatives:
        return derivation(outputs, inputs, vectors, **options)

    return _Call(program, graph, outputs, vectors, record)


def _copied(graph: Subgraph) -> Mapping[str, Input]:
    """Every value of a graph by its name, recorded once more from stand-ins for its leaves."""
    kind = graph.roots[0].plain()
    environment: dict[str, Input] = dict(graph.numbers)
    for name, array in graph.arrays.items():
        stand_in = kind.from_alias(Spec(array.shape, array.dtype), _Given(name))
        stand_in.requires_grad = name in graph.leaves
        environment[name] = stand_in
    for node in graph.nodes:
        inputs = [environment[graph.edge(node, k)] for k in range(len(node.inputs))]
        with enable_grad() if node.requires_grad or node.condition else no_grad():
            copy = Node(node.kind, node.signature, inputs, node.rules)
        environment.update(zip(graph.output_names(node), copy.outputs(), strict=True))
    return environment


def _stand_in(x: Tensor, key: str | int, requires_grad: bool) -> Tensor:
    stand_in = type(x).from_alias(Spec(x.shape, x.dtype), _Given(key))
    stand_in.requires_grad = requires_grad
    return stand_in


def _key(x: Recorded) -> str | int:
    """The key of the stand-in that an open leaf is."""
    given = x.placeholder
    assert isinstance(given, _Given)
    return given.key
