"""Checks of the numbers of an op: in all dtypes, shapes and layouts, at stress values and at ties."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

import numpy as np

from gradproof.engine.cases import Case
from gradproof.engine.errors import DataFault, RuleFault
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import Op
from gradproof.engine.spec import Array, DType
from gradproof.engine.verify.numbers import MAX_ELEMENTS, check_values
from gradproof.engine.verify.verdict import ValueWord
from gradproof.testing.counterexample import demand_right
from gradproof.testing.fault import Broken
from gradproof.testing.samples import (
    DTYPES,
    complex_dtypes_of,
    dtypes_of,
    ordinary,
    stress_points,
    tied_points,
    trial_of,
)
from gradproof.testing.subject import Subject
from gradproof.testing.trial import Trial, run, seeded


def dtypes(subject: Subject) -> None:
    """Ordinary trials in each dtype that the op takes."""
    op = subject.op
    for dtype in dtypes_of(op, subject.registry):
        for case in op.declared_cases():
            _demand(subject, case, dtype, f"in {dtype.name}")
    for case in op.complex_cases()[:1] if op.rule is not None else ():
        try:
            subject.registry.rule_of(op, case)
        except RuleFault as fault:
            raise Broken(f"the rule does not take complex numbers, which `complex` declares: {fault}") from fault
    for dtype in complex_dtypes_of(op, subject.registry):
        for case in op.complex_cases()[: len(op.declared_cases())]:
            _demand(subject, case, dtype, f"in {dtype.name}")


def _demand(subject: Subject, case: Case, dtype: DType, where: str) -> None:
    try:
        demand_right(subject.registry, trial_of(subject.op, case, dtype), where)
    except (InferenceError, DataFault):
        return
    except Broken as broken:
        if where in broken.reason:
            raise
        raise Broken(f"{broken.reason}, {where}", broken.hint, broken.counterexample) from broken


def broadcasting(subject: Subject) -> None:
    """Inputs of different shapes that broadcast, of an elementwise op; a further axis in front, of any other op that takes
    it: forward and rule see them in their final shapes."""
    for case in _broadcast_cases(subject.op):
        _demand(subject, case, DTYPES[0], f"for shapes {case}")


def _broadcast_cases(op: Op) -> Iterator[Case]:
    first = op.declared_cases()[0]
    if op.chart is not None or _has_arrays(op):
        return
    if op.elementwise and not op.cases:
        count = len(op.inputs)
        for shapes in (((3,), (2, 3), ()), ((2, 1), (1, 3), (3,)), ((1,), (1, 1), ())):
            yield Case(tuple(shapes[k % 3] for k in range(count)), first.attributes)
        return
    for case in op.declared_cases():
        yield replace(case, inputs=tuple((2, *shape) for shape in case.inputs))


def _has_arrays(op: Op) -> bool:
    """True if an input of a case is an array of integers or conditions, which has a shape of its own."""
    return any(isinstance(x, np.ndarray) for case in op.declared_cases() for x in case.inputs)


SIZES = ((), (0,), (2, 0, 3), (1, 1, 1))


def sizes(subject: Subject) -> None:
    """Inputs of rank 0, and without elements: an op may refuse them in ``infer``, and not fail later."""
    op = subject.op
    for case in _sized_cases(op):
        try:
            run(subject.registry, seeded(op, [_filled(op, k, x) for k, x in enumerate(case.inputs)], case.attributes))
        except (InferenceError, DataFault):
            continue
        except Broken as broken:
            hint = broken.hint or ("" if op.elementwise else "refuse such inputs in infer, by raising InferenceError")
            raise Broken(f"{broken.reason}; the op took the shapes {case}", hint) from broken


def _sized_cases(op: Op) -> Iterator[Case]:
    first = op.declared_cases()[0]
    if op.chart is not None or _has_arrays(op):
        return
    if op.elementwise and not op.cases:
        for shape in SIZES:
            yield Case(tuple(shape for _ in first.inputs), first.attributes)
        return
    for case in op.declared_cases():
        yield replace(case, inputs=tuple(() for _ in case.inputs))
        for axis in range(max((len(x) for x in case.inputs), default=0)):
            yield replace(case, inputs=tuple(_emptied(tuple(x), axis) for x in case.inputs))


def _emptied(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(0 if k == axis else size for k, size in enumerate(shape))


def _filled(op: Op, k: int, shape: tuple[int, ...] | Array) -> Array:
    return np.full(
        np.shape(shape) if isinstance(shape, np.ndarray) else shape, float(op.domain(k).sample(Random(op.input_name(k))))
    )


def stress(subject: Subject) -> None:
    """The op's stress values, in float64 and float32: a number that is not finite, or off, where the truth is finite, is
    wrong. Lost digits are noted."""
    op = subject.op
    taken = dtypes_of(op, subject.registry)
    for dtype in DTYPES[:2] if op.chart is None and op.equation is None else ():
        for trial in stress_points(op, dtype) if dtype in taken else ():
            if sum(x.size for x in trial.arrays) > MAX_ELEMENTS:
                continue
            try:
                demand_right(subject.registry, trial, f"in {dtype.name}")
                _note_lost_digits(subject, trial, dtype)
            except (InferenceError, DataFault):
                continue
            except Broken as broken:
                if not broken.counterexample:  # a forward may raise outside of its domain
                    continue
                raise


def _note_lost_digits(subject: Subject, trial: Trial, dtype: DType) -> None:
    if subject.op.composite:
        return
    checked = check_values(run(subject.registry, trial))
    for k, verdict in enumerate((checked.forward, *checked.contributions)):
        if verdict is not None and verdict.word is ValueWord.ILL_CONDITIONED and "another formula" in verdict.reason:
            what = "the forward" if k == 0 else f"the gradient of {subject.op.input_name(k - 1)}"
            digits = verdict.reason.rpartition(": ")[2]
            point = ", ".join(f"{subject.op.input_name(j)} = {x.flat[0]}" for j, x in enumerate(trial.arrays) if x.size)
            subject.note(f"{what} loses digits at {point} in {dtype.name}: {digits}; another formula would keep them")


def ties(subject: Subject) -> None:
    """Equal inputs, zeros among them: between the one-sided derivatives, and by the convention that is declared."""
    for trial in tied_points(subject.op):
        try:
            demand_right(subject.registry, trial, "where inputs are equal")
        except (InferenceError, DataFault):
            continue
        except Broken as broken:
            if not broken.counterexample:
                continue
            raise


def layouts(subject: Subject) -> None:
    """Inputs as other layouts of memory hold them: Fortran order, reversed, every second element, one number for all."""
    op = subject.op
    for case in op.declared_cases()[-1:]:
        arrays = ordinary(op, case)
        for name, relaid in LAYOUTS.items():
            trial = seeded(op, [relaid(x) for x in arrays], case.attributes)
            try:
                demand_right(subject.registry, trial, f"for an input {name}")
                _demand_alike(subject, trial, name)
            except (InferenceError, DataFault):
                continue


def _demand_alike(subject: Subject, trial: Trial, name: str) -> None:
    """Raises Broken if the numbers differ from those of plain copies, but for rounding."""
    plain = run(subject.registry, trial.at(*map(np.ascontiguousarray, trial.arrays)))
    ran = run(subject.registry, trial)
    pairs = zip((*ran.results, *ran.contributions), (*plain.results, *plain.contributions), strict=True)
    for a, b in pairs:
        if a is not None and b is not None and not np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True):
            raise Broken(f"other numbers for an input {name} than for a plain copy of it", "the code reads raw memory")


def _fortran(x: Array) -> Array:
    return np.asfortranarray(x)


def _reversed(x: Array) -> Array:
    return x if x.ndim == 0 else np.flip(np.flip(x).copy())


def _strided(x: Array) -> Array:
    if x.ndim == 0:
        return x
    wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
    wide[..., ::2] = x
    return wide[..., ::2]


LAYOUTS = {
    "in Fortran order": _fortran,
    "that is a reversed view": _reversed,
    "of which every second element is used": _strided,
}
