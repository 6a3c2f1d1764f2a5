"""Checks of an op in floats: its forward against the definition in each dtype, purity, repeatability, and its backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

import ml_dtypes
import numpy as np
from flint import arb

from gradproof.engine.cases import Case
from gradproof.engine.compiled.kernels import kernel_of
from gradproof.engine.errors import RuleFault
from gradproof.engine.inference import InferenceError, Inferred
from gradproof.engine.op import Op
from gradproof.engine.plan import literal_array
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.precision import precision
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array, DType, Spec, is_complex, spec_of
from gradproof.engine.trace import Instruction, Program
from gradproof.engine.verify.numbers import Application, Checked, check_values
from gradproof.engine.verify.proof.behaviour_fault import BehaviourFault
from gradproof.engine.verify.proof.points import cotangent, sample_point
from gradproof.engine.verify.readings import parts_shape
from gradproof.engine.verify.verdict import ValueWord

BITS = 256
DTYPES = tuple(map(np.dtype, (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)))
COMPLEX_DTYPES = (np.dtype(np.complex128), np.dtype(np.complex64))
BACKWARD_POINTS = 3


class FloatChecks:
    """Runs of an op in floats, at the exact points of its case rounded to a dtype."""

    def __init__(self, registry: Registry, op: Op, case: Case, inference: Inferred) -> None:
        self.registry, self.op, self.case, self.inference = registry, op, case, inference
        self.dtypes = COMPLEX_DTYPES if case.dtype.kind == "c" else DTYPES

    def forward(self) -> str:
        """The result of the forward in each dtype against the definition, as a line. Raises BehaviourFault."""
        names = []
        for dtype in self.dtypes:
            try:
                inference = self.op.inference(self.case.specs(dtype), self.case.attributes)
            except InferenceError:
                continue
            try:
                self.registry.rule_of(self.op, self.case, dtype)
            except RuleFault as fault:
                raise BehaviourFault(f"in {dtype.name}: {fault}") from fault
            checked = self.run(self._point(dtype, "floats"), inference, dtype)
            if checked is None:
                continue
            value = checked.forward
            if value.word is ValueWord.OFF:
                reason = f"in {dtype.name} the forward does not compute the definition"
                raise BehaviourFault(reason, element=value.element, got=value.got, expected=value.expected)
            names.append(dtype.name)
        return f"the forward computes the definition in {', '.join(names)}; pure and repeatable" if names else ""

    def backward(self) -> str:
        """The numbers of a backward that has no reading, at a few points, as a line. Raises BehaviourFault."""
        count = 0
        for seed in range(BACKWARD_POINTS):
            checked = self.run(self._point(self.case.dtype, f"backward {seed}"), self.inference, self.case.dtype)
            for k, verdict in enumerate(checked.contributions if checked else ()):
                if verdict is not None and verdict.word is ValueWord.OFF:
                    raise BehaviourFault(
                        "the backward gives another number than the derivative of the definition",
                        input=self.op.input_name(k), element=verdict.element or "[]", got=verdict.got,
                        expected=verdict.expected,
                    )  # fmt: skip
                count += verdict is not None and verdict.word is ValueWord.ENCLOSED
        return f"the backward was right at {count} points, in floats" if count else ""

    def run(self, inputs: Sequence[Array], inference: Inferred, dtype: DType) -> Checked | None:
        """The verdicts on the numbers of forward and rule at these inputs. None where the op cannot be run on them. Raises
        BehaviourFault for a forward that is not pure, or a backward that raises."""
        specs = inference.inputs or self.case.specs(dtype)
        arrays = [np.broadcast_to(x, spec.shape).astype(spec.dtype) for x, spec in zip(inputs, specs, strict=True)]
        random = self._random("cotangents")
        try:
            results = self._results(arrays, inference)
        except BehaviourFault:
            raise
        except BaseException as error:  # a plugin's forward need not take every point
            reraise_own(error)
            return None
        g = [_floats(spec, lambda: float(cotangent(random))) for spec in inference.outputs]
        rule = self.registry.rule_of(self.op, self.case, dtype)
        for array in (*g, *results, *arrays):
            array.flags.writeable = False
        try:
            with np.errstate(all="ignore"):
                claimed = run_program(rule, [*g, *results, *arrays])
        except BaseException as error:  # a plugin's backward, or an op in the rule that cannot be run at this point
            reraise_own(error)
            if self.op.backward is None:
                return None
            raise BehaviourFault(f"the backward raised {describe(error)}") from error
        return check_values(Application(self.op, inference.attributes, arrays, inference.outputs, results, g, claimed))

    def _random(self, purpose: str) -> Random:
        return Random(f"{self.op.name} {self.case} {purpose}")

    def _point(self, dtype: DType, purpose: str) -> list[Array]:
        """The inputs of `sample_point`, rounded to floats."""
        with precision(BITS):
            balls, _ = sample_point(self.op, self.case, self.inference, self._random(purpose))
        arrays = []
        for declared, ball in zip(self.case.inputs, balls, strict=True):
            if isinstance(declared, np.ndarray):
                arrays.append(declared)
            else:
                cells = iter([float(arb(x).mid()) for x in ball.flat])
                shape = ball.shape[:-1] if dtype.kind == "c" else ball.shape
                arrays.append(_floats(Spec(shape, dtype), cells.__next__))
        return arrays

    def _results(self, arrays: Sequence[Array], inference: Inferred) -> list[Array]:
        """The results of the forward. Raises BehaviourFault if it writes to its inputs, or gives other bits when it is
        called again."""
        bits = [x.tobytes() for x in arrays]
        with np.errstate(all="ignore"):
            first = self.op.forward(*arrays, **inference.attributes)
            results = [np.array(y) for y in (first if isinstance(first, tuple) else (first,))]
            second = self.op.forward(*arrays, **inference.attributes)
        if [x.tobytes() for x in arrays] != bits:
            changed = next(k for k, x in enumerate(arrays) if x.tobytes() != bits[k])
            raise BehaviourFault("the forward writes to its input", input=self.op.input_name(changed))
        repeated = [np.asarray(y) for y in (second if isinstance(second, tuple) else (second,))]
        for y, again in zip(results, repeated, strict=True):
            _demand_same_bits("the forward gives other bits when it is called again", again, y)
        self._demand_same_written(arrays, results, inference)
        return results

    def _demand_same_written(self, arrays: Sequence[Array], results: Sequence[Array], inference: Inferred) -> None:
        """Raises BehaviourFault if the forward gives other bits as compiled plans run it, into memory that holds other
        numbers."""
        specs = [spec_of(x) for x in (*arrays, *results)]
        numbers = tuple(range(len(specs)))
        instruction = Instruction(self.op, numbers[: len(arrays)], numbers[len(arrays) :], inference.attributes)
        ways: dict[str, Callable[[Array], Any]] = {}
        kernel = kernel_of(instruction, specs)
        if kernel is not None:
            ways["`into`"] = lambda out: kernel.call(*kernel.arguments(arrays, out))
        if self.op.place is not None:
            index = self.op.place(specs[0], **inference.attributes)
            ways["`place`"] = partial(_put, index, arrays[0])
        for name, write in ways.items():
            out = np.full(specs[-1].shape, 7, specs[-1].dtype)
            with np.errstate(all="ignore"):
                write(out)
            _demand_same_bits(f"the forward gives other bits than its {name}", out, results[0])


def run_program(program: Program, inputs: Sequence[Array]) -> list[Array | None]:
    """The outputs of a program for NumPy arrays, run op by op."""
    values: dict[int, Any] = dict(zip(program.inputs, inputs, strict=True))
    for number, literal in program.literals.items():
        values[number] = literal_array(literal, program.specs[number].dtype)
    for instruction in program.instructions:
        result = instruction.op.forward(*(values[k] for k in instruction.inputs), **instruction.attributes)
        values.update(zip(instruction.outputs, result if isinstance(result, tuple) else (result,), strict=True))
    return [None if k is None else np.asarray(values[k]) for k in program.outputs]


def _demand_same_bits(reason: str, got: Array, expected: Array) -> None:
    """Raises BehaviourFault with the first element that differs in a bit."""
    if got.tobytes() == expected.tobytes():
        return
    index = next(index for index in np.ndindex(expected.shape) if got[index].tobytes() != expected[index].tobytes())
    element, numbers = str(list(index)), (repr(got[index].item()), repr(expected[index].item()))
    raise BehaviourFault(reason, element=element, got=numbers[0], expected=numbers[1])


def _put(place: Any, x: Array, out: Array) -> None:
    out.fill(0)
    out[place] = x


def _floats(spec: Spec, make: Callable[[], float]) -> Array:
    floats = np.array([make() for _ in np.ndindex(parts_shape(spec))], np.float64).reshape(parts_shape(spec))
    return np.asarray(floats[..., 0] + 1j * floats[..., 1] if is_complex(spec) else floats).astype(spec.dtype)
