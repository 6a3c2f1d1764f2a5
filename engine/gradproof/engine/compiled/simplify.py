"""Simplification of a program. Every rewriting keeps every bit.

A walk in order: an instruction that was met before is not repeated, constants are folded, an operand that is broadcast is
used before it is broadcast, a factor of 1 is left out, and to divide by a power of two is to multiply. A walk back drops
values that are not read.

The order in which an array is summed depends on its layout. So a value takes the place of another only where both are
dense, or where each element is used by itself; otherwise a dense copy does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import numpy as np

from gradproof.engine.attributes import Attributes
from gradproof.engine.cancellation import watched
from gradproof.engine.inference import Inferred
from gradproof.engine.kernels import Kernels
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.registry import Registry
from gradproof.engine.scalars import is_exact, ufunc_of
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Instruction


@dataclass(frozen=True, slots=True)
class Cut:
    """A point where value ``number`` leaves the run as item ``index``. For a gradient (a `backward.Cut`), value ``final``
    is the gradient after all hooks: the value that is sent where it is hooked, otherwise the same."""

    index: int
    number: int
    final: int | None = None
    hooked: bool = False


Item: TypeAlias = Instruction | Cut
CallOf: TypeAlias = Callable[[Instruction, Sequence[Spec], Kernels], Callable[..., Any]]
"""Finds the function that the interpreter calls for an instruction."""

COMMUTATIVE: Final = {"add", "multiply", "equal", "not_equal", "logical_and", "logical_or"}
MOVES: Final = {"broadcast_to", "reshape", "expand_dims", "squeeze", "transpose", "matrix_transpose", "astype"}
"""Ops that are the identity where shape and dtype stay."""
SIGNED: Final = {"add", "subtract", "multiply", "divide", "square", "sum", "mean"}
REWRITTEN: Final = MOVES | SIGNED | {"negative"}
MAX_EXPONENT: Final = 100  # of a power of two whose inverse is a normal number in float32 too
MAX_FOLDED: Final = 1024  # elements of a constant that is folded
DENSE: Final = Op("dense", lambda x: np.array(x, order="C"), into=np.copyto, infer=lambda x: Inferred((x,)))


@dataclass
class Simplified:
    """Instructions and cuts in order, over values with ``specs``; ``constants`` are values that are known."""

    specs: list[Spec]
    items: list[Item] = field(default_factory=list)
    constants: dict[int, Array] = field(default_factory=dict)


def simplify(
    items: Iterable[Item],
    specs: Sequence[Spec],
    constants: dict[int, Array],
    registry: Registry,
    call_of: CallOf,
    forward_length: int = 0,
    most_folded: float = MAX_FOLDED,
) -> Simplified:
    """Drop ``items`` that are repeated, constant, or read by no `Cut`. ``call_of`` is the function that the interpreter
    calls for an instruction, with the kernels of ``registry``. Of the first ``forward_length`` items those that may fail
    stay: the client is told of a node at fault even if no gradient needs it. A constant of more than ``most_folded``
    elements is computed in each run."""
    walk = _Walk(Simplified(list(specs), constants=dict(constants)), registry, call_of, most_folded)
    for position, item in enumerate(watched(items)):
        if isinstance(item, Cut):
            walk.cut(item)
        else:
            walk.visit(item)
            if position < forward_length and may_fail(item, specs):
                walk.required.update(item.outputs)
    return _pruned(walk.simplified, walk.required)


def may_fail(instruction: Instruction, specs: Sequence[Spec]) -> bool:
    """True if the forward of an instruction may raise, for some values."""
    op = instruction.op
    if isinstance(op.forward, np.ufunc) or op.view or op.name == "astype":
        return False
    if op.elementwise and ufunc_of(op, [specs[k] for k in instruction.inputs]):
        return False
    return op.into is None or any(specs[k].dtype.kind in "iu" for k in instruction.inputs)


def _pruned(simplified: Simplified, required: set[int]) -> Simplified:
    """The program without instructions that neither a cut nor a ``required`` value needs."""
    items: list[Item] = []
    live = set(required)
    for item in watched(reversed(simplified.items)):
        if isinstance(item, Cut):
            live.add(item.number)
        elif live.isdisjoint(item.outputs):
            continue
        else:
            live.update(item.inputs)
        items.append(item)
    constants = {k: value for k, value in simplified.constants.items() if k in live}
    return Simplified(simplified.specs, items[::-1], constants)


class _Walk:
    """The walk through a program in order, which writes the simplified program."""

    def __init__(self, simplified: Simplified, registry: Registry, call_of: CallOf, most_folded: float) -> None:
        self.simplified, self.op_of, self.registered = simplified, registry.op, registry.kernels
        self.call_of, self.most_folded = call_of, most_folded
        self.required: set[int] = set()
        self._alias: dict[int, int] = {}
        self._seen: dict[tuple[object, ...], tuple[int, ...]] = {}
        self._source: dict[int, int] = {}
        self._negated: dict[int, int] = {}
        self._number_of: dict[tuple[object, ...], int] = {}
        self._dense: set[int] = set()
        self._non_contiguous: set[int] = set()  # broadcast here, but dense in the interpreter
        for number, array in watched(list(simplified.constants.items())):
            self._alias[number] = self._constant(array, number)

    def cut(self, item: Cut) -> None:
        """Write a cut."""
        number = self._now(item.number)
        self.simplified.items.append(replace(item, number=number))
        if item.final is not None and not item.hooked:  # the interpreter goes on with the dense copy that left
            self._alias[item.final] = number if self._is_dense(number) else self._copy(number, item.final)

    def visit(self, instruction: Instruction) -> None:
        """Write an instruction, or note the values that its results are equal to."""
        alias = self._alias
        inputs = tuple([alias.get(k, k) for k in instruction.inputs])
        results = self._apply(instruction.op, inputs, instruction.outputs, instruction.attributes)
        if results is not instruction.outputs:
            alias.update(zip(instruction.outputs, results, strict=True))

    def _now(self, number: int) -> int:
        return self._alias.get(number, number)

    def _constant(self, array: Array, number: int | None = None) -> int:
        """The number of a constant; equal constants of the same layout have the same."""
        key = (array.dtype, array.shape, array.strides, array.tobytes() if array.size <= MAX_FOLDED else id(array))
        known = self._number_of.get(key)
        if known is None:
            known = self._value(Spec(array.shape, array.dtype)) if number is None else number
            self._number_of[key] = known
            self.simplified.constants[known] = array
        return known

    def _value(self, spec: Spec) -> int:
        self.simplified.specs.append(spec)
        return len(self.simplified.specs) - 1

    def _apply(self, op: Op, inputs: tuple[int, ...], outputs: tuple[int, ...], attributes: Attributes) -> tuple[int, ...]:
        """The numbers of the results of an op; ``outputs`` if it has to be computed."""
        specs = self.simplified.specs
        if len(outputs) == 1:
            if op.name in REWRITTEN:
                same = self._same(op, inputs, outputs[0])
                if same is not None:
                    return (same,)
                inverse = self._inverse(inputs[1], specs[outputs[0]]) if op.name == "divide" else None
                if inverse is not None:
                    return self._apply(self.op_of("multiply"), (inputs[0], inverse), outputs, attributes)
                signed = self._signed(op, inputs, outputs, attributes)
                if signed is not None:
                    return signed
            if specs[outputs[0]].shape != () and op.elementwise:
                narrowed = self._narrowed(op, inputs, outputs[0], attributes)
                if narrowed is not None:
                    return narrowed
                whole = self.registered.find(Instruction(op, inputs, outputs, attributes), specs) is not None
                if not whole and (ufunc_of(op, [specs[k] for k in inputs]) is not None or op.forward is np.where):
                    inputs = self._sources(inputs)
        if not op.elementwise and not self._non_contiguous.isdisjoint(inputs):
            inputs = tuple([self._copy(k) if k in self._non_contiguous else k for k in inputs])
        return self._emit(op, inputs, outputs, attributes)

    def _emit(
        self,
        op: Op,
        inputs: tuple[int, ...],
        outputs: tuple[int, ...],
        attributes: Attributes,
        non_contiguous: bool = False,
    ) -> tuple[int, ...]:
        """The numbers of the results of an instruction that was met before, or is constant; otherwise it is written."""
        specs, constants = self.simplified.specs, self.simplified.constants
        commutes = op.name in COMMUTATIVE and specs[inputs[0]].dtype.kind != "c"  # complex products are fused
        ordered = tuple(sorted(inputs)) if commutes else inputs
        key = (op.name, ordered, repr(attributes) if attributes else "", specs[outputs[0]].shape, non_contiguous)
        written = self._seen.get(key)
        if written is not None:
            return written
        is_constant = all(k in constants for k in inputs) and op.backward is None and op.name != "broadcast_to"
        if is_constant and len(outputs) == 1 and specs[outputs[0]].size <= self.most_folded:
            folded = self._fold(Instruction(op, inputs, outputs, attributes))
            if folded is not None:
                self._seen[key] = (folded,)
                return (folded,)
        self._seen[key] = outputs
        self.simplified.items.append(Instruction(op, inputs, outputs, attributes))
        if op.name == "broadcast_to":
            self._source[outputs[0]] = self._source.get(inputs[0], inputs[0])
        elif op.name == "negative":
            self._negated[outputs[0]] = inputs[0]
        if non_contiguous:
            self._non_contiguous.update(outputs)
        elif not op.view:
            self._dense.update(outputs)
        return outputs

    def _is_dense(self, number: int) -> bool:
        """True if the array of a value is dense in the interpreter."""
        return self.simplified.specs[number].size < 2 or number in self._dense or number in self._non_contiguous

    def _copy(self, number: int, output: int | None = None) -> int:
        """A dense copy of a value; elementwise ops still use the source that it was broadcast from."""
        target = self._value(self.simplified.specs[number]) if output is None else output
        (copy,) = self._emit(DENSE, (number,), (target,), {})
        if number in self._source:
            self._source[copy] = self._source[number]
        return copy

    def _fold(self, instruction: Instruction) -> int | None:
        try:
            with np.errstate(all="ignore"):
                value = np.asarray(
                    self.call_of(instruction, self.simplified.specs, self.registered)(
                        *(self.simplified.constants[k] for k in instruction.inputs)
                    )
                )
        except BaseException as error:  # the run raises it again, and names the node
            reraise_own(error)
            return None
        spec = self.simplified.specs[instruction.outputs[0]]
        if value.shape != spec.shape or value.dtype != spec.dtype:
            return None
        return self._constant(value if instruction.op.view else value.copy())  # sums depend on the layout

    def _same(self, op: Op, inputs: tuple[int, ...], output: int) -> int | None:
        """The input that the result is equal to in every bit, or None."""
        specs = self.simplified.specs
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

    def _signed(
        self, op: Op, inputs: tuple[int, ...], outputs: tuple[int, ...], attributes: Attributes
    ) -> tuple[int, ...] | None:
        """Signs moved outwards, and into sums: (-a) b = -(a b) and a + (-b) = a - b, to the last bit."""
        negated, spec = self._negated, self.simplified.specs[outputs[0]]
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
            inner = tuple(
                [negated[k] if k in negated and self.simplified.specs[k].shape == spec.shape else k for k in inputs]
            )
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

    def _inverse(self, number: int, spec: Spec) -> int | None:
        """The constant 1 / c for a divisor c that is a power of two, or None. A product with it is the quotient, to the
        last bit: both are the exact number, rounded once."""
        array = self.simplified.constants.get(self._source.get(number, number))
        if array is None or array.shape != () or array.dtype != spec.dtype or array.dtype.char not in "fd":
            return None
        mantissa, exponent = math.frexp(float(array))
        if abs(mantissa) != 0.5 or abs(exponent) > MAX_EXPONENT:
            return None
        return self._constant(np.asarray(1 / array, array.dtype))

    def _is(self, number: int, value: int) -> bool:
        """True if all elements of a value are the constant ``value``."""
        array = self.simplified.constants.get(self._source.get(number, number))
        return array is not None and array.shape == () and array.dtype.kind == "f" and bool(array == value)

    def _sources(self, inputs: tuple[int, ...]) -> tuple[int, ...]:
        """The inputs before they were broadcast: a ufunc with an output broadcasts them itself."""
        return tuple([self._source.get(k, k) for k in inputs])

    def _narrowed(self, op: Op, inputs: tuple[int, ...], output: int, attributes: Attributes) -> tuple[int, ...] | None:
        """The op in a smaller shape from which all its inputs are broadcast, with its result broadcast."""
        if not any(k in self._source for k in inputs) or not is_exact(op):
            return None
        specs = self.simplified.specs
        sources = self._sources(inputs)
        shape = np.broadcast_shapes(*(specs[k].shape for k in sources))
        spec = specs[output]
        if int(np.prod(shape, dtype=int)) == spec.size or len(shape) > len(spec.shape):
            return None
        fitted = tuple([self._broadcast(k, shape) for k in sources])
        target = self._value(Spec(shape, spec.dtype))
        (narrowed,) = self._apply(op, fitted, (target,), attributes)
        return self._emit(self.op_of("broadcast_to"), (narrowed,), (output,), {"shape": spec.shape}, non_contiguous=True)

    def _broadcast(self, number: int, shape: tuple[int, ...]) -> int:
        """A value in a larger shape."""
        spec = self.simplified.specs[number]
        if spec.shape == shape:
            return number
        target = self._value(Spec(shape, spec.dtype))
        return self._apply(self.op_of("broadcast_to"), (number,), (target,), {"shape": shape})[0]
