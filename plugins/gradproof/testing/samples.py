"""Sample inputs of an op: ordinary points of its domains, stress values, ties, and the dtypes that it takes."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import ml_dtypes
import numpy as np
from flint import arb

from gradproof.engine.cases import Case
from gradproof.engine.conventions import REFUSED
from gradproof.engine.domains import INTEGER, REAL
from gradproof.engine.errors import RuleFault
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array, DType
from gradproof.engine.verify.proof.points import sample_point
from gradproof.testing.trial import Trial, seeded

DTYPES: tuple[DType, ...] = tuple(map(np.dtype, (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)))
COMPLEX_DTYPES: tuple[DType, ...] = (np.dtype(np.complex128), np.dtype(np.complex64))


def dtypes_of(op: Op, registry: Registry) -> list[DType]:
    """The real floating point dtypes that the op takes."""
    return [dtype for dtype in DTYPES if _takes(registry, op, op.proof_cases()[0], dtype)]


def complex_dtypes_of(op: Op, registry: Registry) -> list[DType]:
    """The complex dtypes that the op takes: none where its rule is not for complex numbers."""
    if op.complex is REFUSED or not op.complex_cases():
        return []
    return [dtype for dtype in COMPLEX_DTYPES if _takes(registry, op, op.complex_cases()[0], dtype)]


def _takes(registry: Registry, op: Op, case: Case, dtype: DType) -> bool:
    try:
        if op.rule is not None or op.composite:
            registry.rule_of(op, case, dtype)
        else:
            op.inference(case.specs(dtype), case.attributes)
    except (InferenceError, RuleFault):
        return False
    return True


def ordinary(op: Op, case: Case, dtype: DType = DTYPES[0], seed: int = 0) -> list[Array]:
    """The floats nearest to a random exact point of the op's domains, in the shapes of a case."""
    random = Random(f"{op.name} {case} {seed}")
    wide = case.over(np.complex128 if dtype.kind == "c" else np.float64)
    with precision(64):
        balls, _ = sample_point(op, wide, op.inference(wide.specs(), wide.attributes), random)
    arrays: list[Array] = []
    for given, ball in zip(case.inputs, balls, strict=True):
        if isinstance(given, np.ndarray):
            arrays.append(given)
            continue
        floats = np.array([float(arb(x).mid()) for x in ball.flat], np.float64)
        if dtype.kind == "c":
            floats = floats[0::2] + 1j * floats[1::2]
        arrays.append(floats[: int(np.prod(given, dtype=int))].astype(dtype).reshape(given))
    return arrays


def trial_of(op: Op, case: Case, dtype: DType = DTYPES[0], seed: int = 0) -> Trial:
    """An ordinary trial of a case. Raises InferenceError."""
    return seeded(op, ordinary(op, case, dtype, seed), case.attributes)


def stress_points(op: Op, dtype: DType = DTYPES[0]) -> Iterator[Trial]:
    """Trials at the op's own stress values and their negatives, each in the first place of each input of an ordinary
    point."""
    case = op.proof_cases()[0]
    largest = float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]
    for value in dict.fromkeys(signed for number in op.stress for signed in (number, -number)):
        for k, given in enumerate(case.inputs):
            if isinstance(given, np.ndarray) or not np.prod(given, dtype=int) or abs(value) > largest:
                continue
            arrays = ordinary(op, case, dtype)
            arrays[k] = arrays[k].copy()
            arrays[k].flat[0] = value
            yield seeded(op, arrays, case.attributes)


def tied_points(op: Op) -> Iterator[Trial]:
    """Trials with all elements of all inputs equal: to 0 where all inputs may be any real number, to 1/2, and to 2."""
    anywhere = all(op.domain(k) in (REAL, INTEGER) for k in range(len(op.inputs)))
    for case in op.declared_cases() if op.chart is None and op.equation is None else ():
        for value in (0.0, 0.5, 2.0) if anywhere else ():
            arrays = [x if isinstance(x, np.ndarray) else np.full(x, value) for x in case.inputs]
            yield seeded(op, arrays, case.attributes)
