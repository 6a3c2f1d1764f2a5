"""Functions that are recorded once: a later call takes what was recorded, and sends values only."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from functools import update_wrapper
from threading import RLock
from typing import Any, Final, Generic, ParamSpec, Protocol, TypeVar, cast

import numpy as np

from gradproof.client import dtypes
from gradproof.client.events import OpInfo
from gradproof.client.func import Differentiated, differentiated_by
from gradproof.client.recording import modes
from gradproof.client.recording.body import Body, Refused
from gradproof.client.recording.forms import Met
from gradproof.client.recording.placeholders import is_vectorizing
from gradproof.client.recording.reads import Guard, watched, watching
from gradproof.client.recording.record import Node, next_number
from gradproof.client.recording.recorded import Input, Recorded, changes
from gradproof.client.recording.signature import Signature
from gradproof.client.surroundings import Surroundings
from gradproof.client.tensors.tensor import Tensor
from gradproof.client.trees import Structure, flatten, text, unflatten

MAX_RECORDS: Final = 16
"""The most records that a function holds; the oldest is given up for a new one."""

P = ParamSpec("P")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

_PLAIN: Final = (bool, int, float, complex, str, bytes, type(None), type, np.dtype)


READS: Final = "it reads the numbers of a tensor: what it makes of them is not in the record"


class _Stand:
    """The source of the value of a tensor that stands for an argument while a function is recorded."""

    def value(self) -> Any:
        """Raises Refused: only shapes and dtypes are known."""
        raise Refused(READS)


_STAND: Final = _Stand()


@dataclass(eq=False)
class Record:
    """A call of a function as it was recorded.

    Attributes:
        conditions: what must be the same for it to stand for another call, by name.
        surroundings: what the function reached.
        reason: why the function is called each time instead; empty where the record stands for calls.
        calls: how many calls it has stood for.
        signature: the signature of the node of a call; None if nothing was recorded.
        kind: the class of its outputs.
        inputs: the inputs of the node: positions of arguments, or what stays the same.
        structure: the structure of the result.
        results: its leaves: outputs by their slots, arguments by their positions, or what stays the same.
    """

    conditions: dict[str, Hashable]
    surroundings: Surroundings
    reason: str = ""
    calls: int = 0
    signature: Signature | None = None
    kind: type[Recorded] = Tensor
    inputs: list[tuple[int, Input]] = field(default_factory=list)
    structure: Structure | None = None
    results: list[tuple[str, Any]] = field(default_factory=list)

    def __call__(self, arguments: Sequence[Any]) -> Any:
        """The result for other arguments."""
        self.calls += 1
        outputs: list[Recorded] = []
        if self.signature is not None:
            inputs = [arguments[k] if k >= 0 else x for k, x in self.inputs]
            if changes.last:
                for x in inputs:
                    if isinstance(x, Recorded):
                        x.check_current()
            outputs = Node(self.kind, self.signature, inputs).outputs()
        leaves = [outputs[x] if how == "output" else arguments[x] if how == "argument" else x for how, x in self.results]
        assert self.structure is not None
        return unflatten(self.structure, leaves)


class Recording(Protocol[P, R_co]):
    """A function that is held, as `function` makes it."""

    @property
    def records(self) -> list[Record]:
        """What is held."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The result of the function."""

    def explain(self) -> str:
        """Each record in a line: of how many nodes, for how many calls, and why it was made or why there is none."""


class RecordedFunction(Generic[P, R]):
    """A function that is recorded at its first call, and not run at later calls that differ in the values of tensors only.

    Its results are those of the function, to the bit, and are differentiated like any other; the node that made them stands
    for all that the function did. A call with other shapes, dtypes, classes, ``requires_grad``, numbers, texts, trees, with
    another grad mode or default dtype, or other tensors and numbers in closures, globals and modules that the function
    reaches, is recorded anew; ``explain`` says why.

    What is not in a record makes the function run at each call, as if it were not held: it reads numbers of tensors
    (``float(x)``, ``if x > 0``, ``x.numpy()``), draws random numbers, changes tensors from outside in place, detaches
    values or computes some under `no_grad`, registers hooks, or applies a `Function`. So does a function that reaches what
    cannot be compared: an iterator, a clock, a random generator, a large array of NumPy. Effects on all but tensors
    (``print``, lists, files) are those of the call that was recorded.
    """

    def __init__(self, function: Callable[P, R]) -> None:
        if not callable(function):
            raise TypeError(f"function() takes a function, not {type(function).__name__}")
        update_wrapper(self, function)
        self._function = function
        self._records: list[Record] = []
        self._by_key: dict[Hashable, Record] = {}
        self._met = Met(MAX_RECORDS)
        self._names: tuple[str, ...] = ()
        self._lock = RLock()

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The result of the function."""
        if watched() or is_vectorizing() or modes.recorders():
            return self._function(*args, **kwargs)
        leaves, structure = flatten((args, kwargs))
        surroundings = self.surroundings()
        key = _key(leaves, structure, surroundings)
        record = self._by_key.get(key)
        if record is None and self._begins(key):
            record = self._recorded(key, leaves, structure, surroundings)
        if record is None or record.reason:
            return self._function(*args, **kwargs)
        return cast("R", record(leaves))

    @property
    def records(self) -> list[Record]:
        """What is held."""
        return self._records

    def surroundings(self) -> Surroundings:
        """The surroundings of the function as they are now."""
        found = Surroundings(self._function, self._names)
        self._names = found.names
        return found

    def explain(self) -> str:
        """Each record in a line: of how many nodes, for how many calls, and why it was made or why there is none."""
        lines = []
        for k, record in enumerate(self.records, 1):
            size = getattr(record.signature.body, "size", 0) if record.signature is not None else 0
            held = f"called each time, since {record.reason}" if record.reason else f"{size} nodes, {record.calls} calls"
            why = f"; recorded anew, since {_difference(self.records[k - 2], record)}" if k > 1 else ""
            lines.append(f"record {k}: {held}{why}")
        return "\n".join(lines) or "no call was recorded yet"

    def _begins(self, key: Hashable) -> bool:
        """True if a call is to be recorded: the first, and a later one if there was another like it. A number that is
        different in each call is not worth a record."""
        return not self.records or self._met.again(key)

    def _recorded(self, key: Hashable, leaves: list[Any], structure: Structure, surroundings: Surroundings) -> Record:
        record = Record(_conditions(leaves, structure, surroundings), surroundings)
        try:
            if surroundings.obstacle:
                raise Refused(surroundings.obstacle)
            self._fill(record, leaves, structure)
        except Refused as refused:
            record.reason = str(refused)
        except Exception as error:  # the function is called once more, where it raises what it raises
            record.reason = f"it raised {type(error).__name__} when it was recorded"
        with self._lock:
            if (other := self._by_key.get(key)) is not None:
                return other
            if len(self.records) >= MAX_RECORDS:
                oldest = self.records.pop(0)
                self._by_key = {k: r for k, r in self._by_key.items() if r is not oldest}
            self.records.append(record)
            self._by_key[key] = record
            return record

    def _fill(self, record: Record, leaves: list[Any], structure: Structure) -> None:
        stands: dict[int, Tensor] = {}
        arguments: list[Any] = []
        positions: dict[int, int] = {}
        for k, x in enumerate(leaves):
            if isinstance(x, Tensor):
                if id(x) not in stands:
                    tensor = type(x).from_alias(x.spec, _STAND)
                    tensor.requires_grad = x.requires_grad and modes.is_grad_enabled()
                    stands[id(x)] = tensor
                    positions[id(tensor)] = k
                arguments.append(stands[id(x)])
            elif isinstance(x, _PLAIN):
                arguments.append(x)
            else:
                raise Refused(f"an argument is of {type(x).__name__}, whose numbers are not seen: pass tensors")
        start = next_number()
        args, kwargs = unflatten(structure, arguments)
        own = list(stands.values())
        with watching(_guard({id(x) for x in own} | record.surroundings.tensors.keys())):
            result = self._function(*args, **kwargs)
        self._take(record, result, own, positions, start)

    def _take(self, record: Record, result: Any, stands: Sequence[Tensor], positions: dict[int, int], start: int) -> None:
        """Take what was recorded between ``stands`` and ``result``."""
        found, record.structure = flatten(result)
        outputs: list[Recorded] = []
        slots: dict[int, int] = {}
        for x in found:
            if not isinstance(x, Recorded):
                record.results.append(("constant", x))
            elif id(x) in positions:
                record.results.append(("argument", positions[id(x)]))
            elif x.node is not None and x.node.number >= start:
                if id(x) not in slots:
                    slots[id(x)] = len(outputs)
                    outputs.append(x)
                record.results.append(("output", slots[id(x)]))
            elif id(x) in record.surroundings.tensors:
                record.results.append(("constant", x))
            else:
                raise Refused("it returns a tensor that it has not computed from its arguments")
        if not outputs:
            return
        kinds = {type(y) for y in outputs}
        if len(kinds) > 1:
            raise Refused("its results are tensors of several classes")
        record.kind = kinds.pop()
        body = Body(outputs, stands, start)
        if modes.is_grad_enabled():
            flows = any(isinstance(x, Recorded) and x.requires_grad for x in body.inputs)
            for y in outputs:
                if flows and dtypes.is_differentiable(y.dtype) and not y.requires_grad:
                    raise Refused("gradients flow to some of its results only")
        name = getattr(self._function, "__name__", type(self._function).__name__)
        info = OpInfo(
            name="function",
            plugin="",
            doc="",
            inputs=(),
            variadic=True,
            attributes={},
            elementwise=False,
            differentiable=True,
            grad_fn=f"{name}Backward",
            domains=(),
            tie_convention="",
            verdict=None,
        )
        record.signature = Signature(info, {}, body.specs, body)
        record.inputs = [(positions[id(x)], 0) if id(x) in positions else (-1, x) for x in body.inputs]


class RecordedGradient(Generic[P, R]):
    """`value_and_grad` or `grad` of a function that is held: value and gradients come in a single request.

    Where an argument, or a tensor that the function reaches, requires grad and grad mode is enabled, results have a
    history, as those of the function that it was made of; then that is called.
    """

    def __init__(self, function: Callable[P, R], differentiated: Differentiated) -> None:
        update_wrapper(self, function)
        self._function, self._differentiated = function, differentiated
        self._held: RecordedFunction[..., Any] = RecordedFunction(differentiated.function)

    @property
    def records(self) -> list[Record]:
        """What is held of the function that is differentiated."""
        return self._held.records

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """The value and the gradients, in the order of the function that it was made of."""
        if watched() or is_vectorizing() or modes.recorders():
            return self._function(*args, **kwargs)
        if modes.is_grad_enabled():
            given = [x for x in flatten((args, kwargs))[0] if isinstance(x, Tensor)]
            if any(x.requires_grad for x in (*given, *self._held.surroundings().tensors.values())):
                return self._function(*args, **kwargs)
        return cast("R", self._differentiated.at_once(self._held, args, dict(kwargs)))

    def explain(self) -> str:
        """As `RecordedFunction.explain`."""
        return self._held.explain()


def function(func: Callable[P, R]) -> Recording[P, R]:
    """``func``, recorded at its first call and held: later calls with tensors of the same shapes and dtypes do not run it,
    and send values only. A decorator too.

    Args:
        func: a function of trees of tensors, numbers, texts and None, with results that are trees of tensors; or what
            `value_and_grad` or `grad` has made of a function: then value and gradients come in a single request.

    >>> import gradproof.client as gp
    >>> @gp.function
    ... def energy(x, k):
    ...     return (k * x * x).sum() / 2
    >>> x = gp.tensor([1.0, 2.0], requires_grad=True)
    >>> energy(x, 3.0).backward()
    >>> x.grad
    tensor([3., 6.])

    Raises TypeError for what cannot be called. See `RecordedFunction` for what a record depends on. Compare
    torch.compile and jax.jit: nothing is compiled here, and there are no static arguments to name, since each number, text
    and None among the arguments belongs to the record.
    """
    differentiated = differentiated_by(func)
    return RecordedFunction(func) if differentiated is None else RecordedGradient(func, differentiated)


def _key(leaves: list[Any], structure: Structure, surroundings: Surroundings) -> Hashable:
    return (
        structure,
        tuple([_described(x) for x in leaves]),
        _sharing(leaves),
        modes.is_grad_enabled(),
        dtypes.get_default_dtype(),
        surroundings.parts,
    )


def _described(x: Any) -> Hashable:
    if isinstance(x, Tensor):
        return type(x), x.spec, x.requires_grad
    if isinstance(x, (float, complex)):
        return type(x), repr(x)
    return (type(x), x) if isinstance(x, _PLAIN) else (type(x), id(x))


def _sharing(leaves: list[Any]) -> Hashable:
    """Which arguments are the same tensor: for each the position of the first like it."""
    first: dict[int, int] = {}
    places = tuple([first.setdefault(id(x), k) for k, x in enumerate(leaves) if isinstance(x, Tensor)])
    return places if len(first) < len(places) else None


def _conditions(leaves: list[Any], structure: Structure, surroundings: Surroundings) -> dict[str, Hashable]:
    """What a record depends on, by name."""
    conditions: dict[str, Hashable] = {"the tree of its arguments": text(structure)}
    for k, x in enumerate(leaves):
        if isinstance(x, Tensor):
            conditions |= {
                f"the class of argument {k}": type(x).__name__,
                f"the shape of argument {k}": x.shape,
                f"the dtype of argument {k}": x.dtype.name,
                f"requires_grad of argument {k}": x.requires_grad,
            }
        else:
            conditions[f"argument {k}"] = repr(x)
    conditions["which arguments are the same tensor"] = _sharing(leaves)
    conditions["grad mode"] = modes.is_grad_enabled()
    conditions["the default dtype"] = dtypes.get_default_dtype().name
    conditions["what it reaches by closure, globals or attributes"] = surroundings.parts
    return conditions


def _difference(before: Record, after: Record) -> str:
    """The first condition that differs between two records."""
    for name, value in after.conditions.items():
        if before.conditions.get(name) != value:
            return (
                f"{name} is another" if name.startswith("what") else f"{name} is {value}, not {before.conditions.get(name)}"
            )
    return "an older record was given up"


def _guard(outside: Collection[int]) -> Guard:
    """A guard that raises Refused before a function does what is not in the record. ``outside``: the ids of tensors that it
    must not change."""

    def guard(act: str, tensor: Any) -> None:
        if act == "read":
            raise Refused(READS)
        if act == "draw":
            raise Refused("it draws random numbers")
        if id(tensor) in outside:
            raise Refused("it changes a tensor from outside in place")

    return guard
