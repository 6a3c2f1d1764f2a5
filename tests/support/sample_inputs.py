"""Inputs for any op: ordinary points of its domain, and what floats have in store (zeros, denormals, ends, ties)."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import ml_dtypes
import numpy as np
from hypothesis import strategies as st
from tests.conftest import REGISTRY

from gradproof.engine.cases import Case
from gradproof.engine.domains import ABOVE_ONE, INTEGER
from gradproof.engine.job import Job
from gradproof.engine.op import Op
from gradproof.engine.spec import Array, DType, is_differentiable
from gradproof.testing.samples import dtypes_of, ordinary, trial_of
from gradproof.testing.trial import Trial, seeded

ROUND = (-3.0, -2.0, -1.0, -0.5, 0.0, -0.0, 0.5, 1.0, 2.0, 3.0)
DECOMPOSED = ("solve", "inv", "det", "cholesky")
REFUSING = ("polygamma_rise", "gamma_density", "gammainc", "gammaincc", "zeta")
"""Ops that raise DataFault at most numbers outside their domain."""

LARGEST_ORDER = 1e12
"""SciPy's zeta multiplies powers of its order s: of orders beyond 2e13 they overflow, and it gives nan for 0."""

ALONG_AXES = {"axis", "keepdims", "correction"}


def ordinary_point(op: Op, seed: int = 0) -> Trial:
    return trial_of(op, op.proof_cases()[-1], seed=seed)


def job_of(point: Trial, name: str = "") -> Job:
    """A graph of one node, of the op of a point or of the one called ``name``."""
    return point.job(name, REGISTRY.op(point.op).still if point.op in REGISTRY.ops else ())


# points drawn by Hypothesis


def numbers(op: Op, position: int, dtype: DType) -> st.SearchStrategy[float]:
    """Elements of an input: equal ones come up often. An elementwise op meets the ends of its dtype too; in others products
    and sums of a few may not leave it on the way, and elements of a matrix to be decomposed are of one size."""
    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    least, tiny, most, eps = (float(x) for x in (info.smallest_subnormal, info.smallest_normal, info.max, info.eps))
    most /= 2  # beyond, sums of two overflow, and so does a rule on its way
    domain = op.domain(position)
    plain = st.integers(0, 999).map(lambda seed: float(domain.sample(Random(seed))))
    if op.name in DECOMPOSED:
        return st.one_of(plain, st.sampled_from(ROUND))
    if op.elementwise:
        ends = [
            least,
            -least,
            3 * least,
            tiny,
            -tiny,
            tiny * (1 - eps),
            most,
            -most,
            most / 2,
            most**0.5,
            1 + eps,
            1 - eps / 2,
        ]
    else:
        most, tiny = most**0.25, tiny**0.25
        ends = [least, -least, tiny, -tiny, most, -most, 1 + eps, 1 - eps / 2]
    stress = [x for x in op.stress if abs(x) <= most]
    wide = st.floats(-most, most, allow_subnormal=True)
    number = st.one_of(plain, st.sampled_from(ROUND), st.sampled_from([*stress, *ends]), wide)
    if op.name in REFUSING:
        low, high = (1.0, LARGEST_ORDER) if domain is ABOVE_ONE else (0.0, most)
        return number.map(lambda x: min(max(low, abs(x)), high))
    return number


@st.composite
def elements(draw: st.DrawFn, shape: tuple[int, ...], number: st.SearchStrategy[float], dtype: DType) -> Array:
    count = int(np.prod(shape, dtype=int))
    cells = draw(st.lists(number, min_size=count, max_size=count))
    most = float(ml_dtypes.finfo(dtype).max) if dtype.kind != "b" else 1.0  # type: ignore[no-untyped-call]
    return np.clip(np.array(cells, np.float64), -most, most).astype(dtype).reshape(shape)


def shapes(rank: int = 0) -> st.SearchStrategy[tuple[int, ...]]:
    return st.lists(st.integers(1, 3), min_size=rank, max_size=2).map(tuple)


@st.composite
def cases(draw: st.DrawFn, op: Op) -> Case:
    """Shapes up to 3x3 for elementwise ops and those along axes; for others the cases of their proofs."""
    if op.elementwise and not op.cases:
        whole = draw(shapes())
        parts = [whole, (1,) * len(whole), whole[1:], ()]
        inputs = [whole, *(draw(st.sampled_from(parts)) for _ in op.inputs[1:])]
        masks = [draw(elements(s, st.sampled_from((0.0, 1.0)), np.dtype(bool))) for s in inputs]
        return Case(tuple(m if op.domain(k) is INTEGER else m.shape for k, m in enumerate(masks)))
    along_axes = "axis" in op.attributes and set(op.attributes) <= ALONG_AXES and len(op.inputs) == 1 and not op.variadic
    if along_axes and op.name not in ("squeeze", "expand_dims", "glu"):
        shape = draw(shapes(rank=1))
        attributes: dict[str, Any] = {"axis": draw(st.integers(-len(shape), len(shape) - 1))}
        if "keepdims" in op.attributes:
            attributes["keepdims"] = draw(st.booleans())
        if "correction" in op.attributes:
            attributes["correction"] = draw(st.integers(0, 1))
        return Case((shape,), attributes)
    return draw(st.sampled_from(op.proof_cases()))


@st.composite
def points(draw: st.DrawFn, op: Op) -> Trial:
    """Any op at any point. A matrix to be decomposed is an ordinary one with few elements replaced."""
    case, dtype = draw(cases(op)), draw(st.sampled_from(dtypes_of(op, REGISTRY)))
    arrays: list[Array] = []
    whole = op.name not in DECOMPOSED
    known = [] if whole else ordinary(op, case, dtype, draw(st.integers(0, 99)))
    for k, given in enumerate(case.inputs):
        if isinstance(given, np.ndarray):
            arrays.append(given)
        elif whole:
            arrays.append(draw(elements(given, numbers(op, k, dtype), dtype)))
        else:
            arrays.append(known[k].copy())
            if draw(st.booleans()):
                arrays[k].flat[draw(st.integers(0, arrays[k].size - 1))] = draw(numbers(op, k, dtype))
    point = seeded(op, arrays, case.attributes)
    most = float(ml_dtypes.finfo(dtype).max) ** 0.25  # type: ignore[no-untyped-call]
    cotangent = st.one_of(st.sampled_from((1.0, -1.0, 0.75, -1.25, 0.0, 1 / most, -most)), st.floats(-8, 8))
    drawn = (draw(elements(g.shape, cotangent, g.dtype)) if is_differentiable(g.dtype) else g for g in point.seeds)
    return replace(point, seeds=tuple(drawn))
