"""Simplification: a program without what need not be computed. Every rewriting keeps every bit.

One walk in order: an instruction that was seen before is not repeated, what is constant is computed now, an operand that
is stretched (`broadcast_to`) is used before it is, and a factor of 1 is no factor. A walk back drops what nobody reads.

The order in which an array is summed depends on its layout. So a value takes another's place only where both are dense, or
where each element is used by itself; otherwise a dense copy does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import foreign
from gradproof.engine.scalars import is_exact, ufunc_of
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Instruction


@dataclass(frozen=True, slots=True)
class Stop:
    """A point where value ``number`` leaves as item ``index``. Of a gradient, value ``final`` is what goes on: where it is
    hooked, what comes back; otherwise the same."""

    index: int
    number: int
    final: int | None = None
    hooked: bool = False


Item: TypeAlias = Instruction | Stop

COMMUTATIVE: Final = {"add", "multiply", "equal", "not_equal", "logical_and", "logical_or"}
MOVES: Final = {"broadcast_to", "reshape", "expand_dims", "squeeze", "transpose", "matrix_transpose", "astype"}
"""Ops that give their input again where shape and dtype stay."""
SIGNED: Final = {"add", "subtract", "multiply", "divide", "square", "sum", "mean"}
REWRITTEN: Final = MOVES | SIGNED | {"negative"}
MAX_FOLDED: Final = 1024  # elements of a constant that is kept
DENSE: Final = Op("dense", lambda x: np.array(x, order="C"), into=np.copyto, infer=lambda x: Inferred((x,)))


@dataclass
class Simplified:
    """Items in order over values with ``specs``; ``constants`` are known."""

    specs: list[Spec]
    items: list[Item] = field(default_factory=list)
    constants: dict[int, Array] = field(default_factory=dict)


def simplify(
    items: Iterable[Item],
    specs: Sequence[Spec],
    constants: dict[int, Array],
    op_of: Callable[[str], Op],
    call_of: Callable[[Instruction, Sequence[Spec]], Callable[..., Any]],
    faulty: int = 0,
) -> Simplified:
    """``items`` without what is repeated, constant, or read by no `Stop`. ``op_of`` finds an op by name; ``call_of`` is
    how the interpreter calls an instruction. Of the first ``faulty`` items those that may fail stay: the client is told of
    its node at fault whether or not a gradient needs it."""
    walk = _Walk(Simplified(list(specs), constants=dict(constants)), op_of, call_of)
    for position, item in enumerate(watched(items)):
        if isinstance(item, Stop):
            walk.stop(item)
        else:
            walk.visit(item)
            if position < faulty and may_fail(item, specs):
                walk.kept.update(item.outputs)
    return _alive(walk.made, walk.kept)


def may_fail(one: Instruction, specs: Sequence[Spec]) -> bool:
    """Whether the forward of an instruction may raise, for some values."""
    op = one.op
    if isinstance(op.forward, np.ufunc) or op.view or op.name == "astype":
        return False
    if op.elementwise and ufunc_of(op, [specs[k] for k in one.inputs]):
        return False
    return op.into is None or any(specs[k].dtype.kind in "iu" for k in one.inputs)


def _alive(made: Simplified, kept_values: set[int]) -> Simplified:
    kept: list[Item] = []
    live = set(kept_values)
    for item in watched(reversed(made.items)):
        if isinstance(item, Stop):
            live.add(item.number)
        elif live.isdisjoint(item.outputs):
            continue
        else:
            live.update(item.inputs)
        kept.append(item)
    made.items = kept[::-1]
    made.constants = {k: value for k, value in made.constants.items() if k in live}
    return made


class _Walk:
    def __init__(self, made: Simplified, op_of: Callable[[str], Op], call_of: Any) -> None:
        self.made, self.op_of, self.call_of = made, op_of, call_of
        self.kept: set[int] = set()
        self._alias: dict[int, int] = {}
        self._seen: dict[Any, tuple[int, ...]] = {}
        self._source: dict[int, int] = {}
        self._negated: dict[int, int] = {}
        self._number_of: dict[Any, int] = {}
        self._dense: set[int] = set()
        self._loose: set[int] = set()  # stretched here, but dense in the interpreter
        for number, array in watched(list(made.constants.items())):
            self._alias[number] = self._constant(array, number)

    def stop(self, item: Stop) -> None:
        number = self._now(item.number)
        self.made.items.append(replace(item, number=number))
        if item.final is not None and not item.hooked:  # what leaves is dense, and the interpreter goes on with it
            self._alias[item.final] = number if self._is_dense(number) else self._copy(number, item.final)

    def visit(self, one: Instruction) -> None:
        alias = self._alias
        inputs = tuple([alias.get(k, k) for k in one.inputs])
        found = self._apply(one.op, inputs, one.outputs, one.attributes)
        if found is not one.outputs:
            alias.update(zip(one.outputs, found, strict=True))

    def _now(self, number: int) -> int:
        return self._alias.get(number, number)

    def _constant(self, array: Array, number: int | None = None) -> int:
        """The number of a constant; equal ones are one."""
        key = (array.dtype, array.shape, array.tobytes())
        found = self._number_of.get(key)
        if found is None:
            found = self._value(Spec(array.shape, array.dtype)) if number is None else number
            self._number_of[key] = found
            self.made.constants[found] = array
        return found

    def _value(self, spec: Spec) -> int:
        self.made.specs.append(spec)
        return len(self.made.specs) - 1

    def _apply(self, op: Op, inputs: tuple[int, ...], outputs: tuple[int, ...], attributes: Any) -> tuple[int, ...]:
        """The numbers of what ``op`` gives, under ``outputs`` where it has to be computed."""
        specs = self.made.specs
        if len(outputs) == 1:
            if op.name in REWRITTEN:
                same = self._same(op, inputs, outputs[0])
                if same is not None:
                    return (same,)
                signed = self._signed(op, inputs, outputs, attributes)
                if signed is not None:
                    return signed
            if specs[outputs[0]].shape != () and op.elementwise:
                stretched = self._small(op, inputs, outputs[0], attributes)
                if stretched is not None:
                    return stretched
                if ufunc_of(op, [specs[k] for k in inputs]) is not None or op.forward is np.where:
                    inputs = self._unstretched(inputs)
        if not op.elementwise and not self._loose.isdisjoint(inputs):
            inputs = tuple([self._copy(k) if k in self._loose else k for k in inputs])
        return self._emit(op, inputs, outputs, attributes)

    def _emit(
        self, op: Op, inputs: tuple[int, ...], outputs: tuple[int, ...], attributes: Any, loose: bool = False
    ) -> tuple[int, ...]:
        """The numbers of what an instruction gives that was met before, or is constant; otherwise it is made now."""
        specs, constants = self.made.specs, self.made.constants
        commutes = op.name in COMMUTATIVE and specs[inputs[0]].dtype.kind != "c"  # complex products are fused
        ordered = tuple(sorted(inputs)) if commutes else inputs
        key = (op.name, ordered, repr(attributes) if attributes else "", specs[outputs[0]].shape, loose)
        found = self._seen.get(key)
        if found is not None:
            return found
        known = all(k in constants for k in inputs) and op.backward is None and op.name != "broadcast_to"
        if known and len(outputs) == 1 and specs[outputs[0]].size <= MAX_FOLDED:
            folded = self._fold(Instruction(op, inputs, outputs, attributes))
            if folded is not None:
                self._seen[key] = (folded,)
                return (folded,)
        self._seen[key] = outputs
        self.made.items.append(Instruction(op, inputs, outputs, attributes))
        if op.name == "broadcast_to":
            self._source[outputs[0]] = self._source.get(inputs[0], inputs[0])
        elif op.name == "negative":
            self._negated[outputs[0]] = inputs[0]
        if loose:
            self._loose.update(outputs)
        elif not op.view:
            self._dense.update(outputs)
        return outputs

    def _is_dense(self, number: int) -> bool:
        """Whether the interpreter has a dense array for a value, whatever there is here."""
        return self.made.specs[number].size < 2 or number in self._dense or number in self._loose

    def _copy(self, number: int, output: int | None = None) -> int:
        """A dense copy; an op that is elementwise goes on using what was stretched."""
        made = self._value(self.made.specs[number]) if output is None else output
        (copy,) = self._emit(DENSE, (number,), (made,), {})
        if number in self._source:
            self._source[copy] = self._source[number]
        return copy

    def _fold(self, one: Instruction) -> int | None:
        try:
            with np.errstate(all="ignore"):
                value = np.asarray(self.call_of(one, self.made.specs)(*(self.made.constants[k] for k in one.inputs)))
        except BaseException as error:  # the run says what is wrong, and where
            foreign(error)
            return None
        spec = self.made.specs[one.outputs[0]]
        if value.shape != spec.shape or value.dtype != spec.dtype:
            return None
        return self._constant(value.copy())

    def _same(self, op: Op, inputs: tuple[int, ...], output: int) -> int | None:
        """The input that the result is equal to in every bit, if there is one."""
        specs = self.made.specs
        spec, first = specs[output], inputs[0]
        fits = specs[first].shape == spec.shape and specs[first].dtype == spec.dtype
        if op.name in MOVES:
            still = op.name not in ("transpose", "matrix_transpose") or len(spec.shape) < 2
            return first if fits and still and (op.view or self._is_dense(first)) else None
        same: int | None = None
        if op.name == "multiply":
            second = inputs[1]
            if fits and self._is(second, 1):
                same = first
            elif specs[second].shape == spec.shape and specs[second].dtype == spec.dtype and self._is(first, 1):
                same = second
        elif op.name == "divide":
            same = first if fits and self._is(inputs[1], 1) else None
        elif op.name == "negative":
            same = self._negated.get(first)
        return same if same is not None and self._is_dense(same) else None

    def _signed(self, op: Op, inputs: tuple[int, ...], outputs: tuple[int, ...], attributes: Any) -> tuple[int, ...] | None:
        """Signs moved outwards, and into sums: (-a) b = -(a b) and a + (-b) = a - b, to the last bit."""
        negated, spec = self._negated, self.made.specs[outputs[0]]
        if op.name not in SIGNED or spec.dtype.kind == "c" or not any(k in negated for k in inputs):
            return None
        if op.name == "square":
            return self._apply(op, (negated[inputs[0]],), outputs, attributes)
        if op.name in ("sum", "mean"):  # 0 - s, as a sum that is 0 is never -0
            if not self._is_dense(negated[inputs[0]]):
                return None
            (positive,) = self._apply(op, (negated[inputs[0]],), (self._value(spec),), attributes)
            zero = self._constant(np.zeros((), spec.dtype))
            return self._apply(self.op_of("subtract"), (zero, positive), outputs, {})
        if op.name in ("multiply", "divide"):
            inner = tuple([negated[k] if k in negated and self.made.specs[k].shape == spec.shape else k for k in inputs])
            flips = sum(k != j for k, j in zip(inputs, inner, strict=True))
            if flips == 1:
                (positive,) = self._apply(op, inner, (self._value(spec),), attributes)
                return self._apply(self.op_of("negative"), (positive,), outputs, {})
            return self._apply(op, inner, outputs, attributes) if flips else None
        first, second = inputs
        if op.name == "add":
            first, second = (first, negated[second]) if second in negated else (second, negated[first])
            return self._apply(self.op_of("subtract"), (first, second), outputs, attributes)
        if second in negated:
            return self._apply(self.op_of("add"), (first, negated[second]), outputs, attributes)
        return None

    def _is(self, number: int, value: int) -> bool:
        """Whether all elements are constant and ``value``."""
        array = self.made.constants.get(self._source.get(number, number))
        return array is not None and array.shape == () and array.dtype.kind == "f" and bool(array == value)

    def _unstretched(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The inputs before they were stretched: a ufunc that is given its output stretches them itself."""
        return tuple([self._source.get(k, k) for k in inputs])

    def _small(self, op: Op, inputs: tuple[int, ...], output: int, attributes: Any) -> tuple[int, ...] | None:
        """Where all inputs are stretched from something smaller: computed there, and stretched."""
        if not any(k in self._source for k in inputs) or not is_exact(op):
            return None
        specs = self.made.specs
        sources = self._unstretched(inputs)
        shape = np.broadcast_shapes(*(specs[k].shape for k in sources))
        spec = specs[output]
        if int(np.prod(shape, dtype=int)) == spec.size or len(shape) > len(spec.shape):
            return None
        fitted = tuple([self._stretch(k, shape) for k in sources])
        made = self._value(Spec(shape, spec.dtype))
        (small,) = self._apply(op, fitted, (made,), attributes)
        return self._emit(self.op_of("broadcast_to"), (small,), (output,), {"shape": spec.shape}, loose=True)

    def _stretch(self, number: int, shape: tuple[int, ...]) -> int:
        spec = self.made.specs[number]
        if spec.shape == shape:
            return number
        made = self._value(Spec(shape, spec.dtype))
        return self._apply(self.op_of("broadcast_to"), (number,), (made,), {"shape": shape})[0]
