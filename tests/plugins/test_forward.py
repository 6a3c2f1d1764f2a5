"""Does each forward compute what its definition says?"""

from __future__ import annotations

import warnings
from dataclasses import replace
from random import Random
from typing import Any, cast

import ml_dtypes
import numpy as np
import pytest
from flint import arb, fmpq
from tests.conftest import REGISTRY, Bench
from tests.support.expansions import read_whole
from tests.support.required import required
from tests.support.sweeps import share

from gradproof.engine.cases import Case
from gradproof.engine.domains import INTEGER
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.registry import Registry
from gradproof.engine.scalar_functions import Balls
from gradproof.engine.spec import Array
from gradproof.engine.verify.proof.parametrisations import sample_inputs
from gradproof.engine.verify.readings import concrete

OPS = REGISTRY.ops
MAKES_COMPLEX = ("complex", "polar")  # have no reading in the reals: test_complex_gradients.py
WITHOUT = ("nextafter",)  # depends on the dtype: test_elementwise.py
CASES = [
    pytest.param(op, case, id=f"{op.name} {case}")
    for op in OPS.values()
    if op.name not in (*MAKES_COMPLEX, *WITHOUT)
    for case in op.proof_cases()
]
TOLERANCE = 1e-13


def inputs_for(op: Op, case: Case, random: Random) -> list[Array]:
    """Exact interior points of the op's domains, or of its chart, which are dyadic: the floats are the fractions."""
    if op.chart is not None:
        inputs, _ = sample_inputs(op, op.chart, case, op.inference(case.specs(), case.attributes), random)
        return [np.vectorize(float, otypes=[float])(x) for x in inputs]
    arrays: list[Array] = []
    for k, x in enumerate(case.inputs):
        if isinstance(x, np.ndarray):
            arrays.append(x)
        else:
            array = np.empty(x)
            for index in np.ndindex(x):
                array[index] = float(op.domain(k).sample(random))
            arrays.append(array)
    return arrays


def run_forward(bench: Bench, op: Op, case: Case, inputs: list[Array]) -> list[Array]:
    count = len(op.inference(case.specs(), case.attributes).outputs)
    outputs = [f"y{k}" for k in range(count)]
    leaves = {f"x{k}": x for k, x in enumerate(inputs)}
    line = f"{', '.join(outputs)} = {op.name}({', '.join(leaves)})", case.attributes
    values = bench.values(leaves, [line], " ".join(outputs))
    return [values[name] for name in outputs]


def as_balls(array: Array) -> Array:
    if array.dtype.kind != "f":
        return concrete(array)
    result = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        numerator, denominator = float(array[index]).as_integer_ratio()
        result[index] = arb(fmpq(numerator, denominator))
    return result


def read_definition(op: Op, case: Case, inputs: list[Array]) -> list[Array]:
    inference = op.inference(case.specs(), case.attributes)
    specs = inference.inputs or case.specs()
    balls = [as_balls(np.broadcast_to(x, spec.shape)) for x, spec in zip(inputs, specs, strict=True)]
    return read_whole(op, Balls(), balls, specs, inference.attributes, inference.outputs)


def assert_same(got: list[Array], true: list[Array]) -> None:
    assert len(got) == len(true)
    for computed, balls in zip(got, true, strict=True):
        assert computed.shape == balls.shape
        numbers = [float(ball) if isinstance(ball, (bool, int)) else float(ball.mid()) for ball in balls.flat]
        scale = max(1.0, *map(abs, numbers), 0.0)
        for result, number, ball in zip(computed.flat, numbers, balls.flat, strict=True):
            if isinstance(ball, bool):
                assert isinstance(result, np.bool)
            assert abs(float(result) - number) <= TOLERANCE * scale


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "case"), CASES)
def test_forward_is_the_definition(bench: Bench, op: Op, case: Case) -> None:
    for seed in share(range(5), f"{op.name} {case}", 3):
        inputs = inputs_for(op, case, Random(f"{op.name} {case} {seed}"))
        with precision(128):
            true = read_definition(op, case, inputs)
        assert_same(run_forward(bench, op, case, inputs), true)


STRESSED = [op for op in OPS.values() if op.elementwise and op.differentiable]


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("op", STRESSED, ids=lambda op: op.name)
def test_forward_keeps_its_digits_at_stress_values(bench: Bench, op: Op) -> None:
    """Each element to a few ulps of itself, wherever the definition has a finite value; overflow must be overflow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for first in op.stress:
            for second in op.stress:
                inputs = [
                    np.array(True) if op.domain(k) is INTEGER else np.array(first if k == 0 else second)
                    for k in range(len(op.inputs))
                ]
                case = replace(op.uniform(()), attributes=required(op))
                with precision(2000):
                    try:
                        ball = read_definition(op, case, inputs)[0][()]
                    except ArithmeticError:
                        continue
                if not isinstance(ball, arb) or not ball.is_finite() or ball.rad() > 1e-200:
                    continue  # not in the domain
                got = float(run_forward(bench, op, case, inputs)[0])
                true = float(ball.mid())
                if np.isinf(true):
                    assert got == true
                else:
                    signs = np.signbit([first, second]).any() and op.name == "atan2"  # balls have no -0
                    assert signs or abs(got - true) <= 1e-13 * abs(true) + 1e-307, inputs


NO_HALF = (
    "solve",
    "inv",
    "det",
    "cofactors",
    "cholesky",
    *MAKES_COMPLEX,
)  # LAPACK has no half precision, nor have complex numbers
DTYPES = [
    pytest.param(
        op,
        dtype,
        id=f"{op.name}-{dtype}",
    )
    for op in OPS.values()
    for dtype in ("float16", "float32", "float64", "bfloat16")
]


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "dtype"), DTYPES)
def test_every_dtype_that_is_inferred_is_computed(bench: Bench, op: Op, dtype: Any) -> None:
    """An op may refuse a dtype while shapes are inferred, but not fail later."""
    float_type = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    for case in op.proof_cases():
        inputs = [x if x.dtype.kind in "biu" else x.astype(float_type) for x in inputs_for(op, case, Random(0))]
        leaves = {f"x{k}": x for k, x in enumerate(inputs)}
        count = len(op.inference(case.specs(), case.attributes).outputs)
        outputs = [f"y{k}" for k in range(count)]
        lines = [(f"{', '.join(outputs)} = {op.name}({', '.join(leaves)})", case.attributes)]
        if bench.engine.infer(bench.graph(leaves, lines, " ".join(outputs))).faults:
            assert float_type.name == "bfloat16" or (float_type.name == "float16" and op.name in NO_HALF)
            continue
        values = bench.values(leaves, lines, " ".join(outputs))
        seeds = {name: np.ones(values[name].shape, values[name].dtype) for name in outputs}
        if not op.differentiable or values[outputs[0]].dtype.kind in "biu":
            continue
        fixed = " ".join(f"x{k}" for k in op.still)
        gradients = bench.gradients(leaves, lines, " ".join(outputs), constants=fixed, seeds=seeds)
        for name, gradient in gradients.items():
            if gradient is None:
                continue
            assert gradient.dtype == leaves[name].dtype
            assert gradient.shape == leaves[name].shape


def test_a_forward_does_not_write_to_its_inputs(registry: Registry) -> None:
    for op in registry.ops.values():
        for case in () if op.composite else op.proof_cases():
            inputs = inputs_for(op, case, Random(1))
            inference = op.inference(case.specs(), case.attributes)
            specs = inference.inputs or case.specs()
            arrays = [np.broadcast_to(x, spec.shape).astype(spec.dtype) for x, spec in zip(inputs, specs, strict=True)]
            before = [x.copy() for x in arrays]
            op.forward(*arrays, **inference.attributes)
            for x, y in zip(arrays, before, strict=True):
                np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.complex64, np.int64, np.bool_])
@pytest.mark.parametrize("rows", [0, 3, 900])
def test_where_writes_the_bits_that_it_chooses(rows: int, dtype: Any) -> None:
    """Whatever the memory of its inputs: a number for all, reversed rows, conditions that are integers; nan and -0 too."""
    into = REGISTRY.op("where").into
    assert into is not None
    random = np.random.default_rng(rows)
    numbers = [0, 1, 7] if np.dtype(dtype).kind in "ib" else [np.nan, -0.0, np.inf, 0.0, 1.5]
    a, b = (random.choice(numbers, (rows, 2)).astype(dtype) for _ in range(2))
    condition = random.random((rows, 2)) < 0.5
    number = np.broadcast_to(np.array(3, dtype), a.shape)
    for inputs in (
        (condition, a, b),
        (condition, number, b),
        (condition, a, number),
        (condition[::-1], a[::-1], b[:, ::-1]),
        (condition.astype(np.int64) * 2, a, b),
        (np.broadcast_to(np.array(True), a.shape), a, b),
    ):
        out = np.empty_like(a)
        into(out, *inputs)
        assert out.tobytes() == np.where(*inputs).tobytes()


REAL_OF_COMPLEX = {
    "abs", "euclidean_norm", "real", "imag", "astype", "angle", "count_nonzero", "number_true", "flatnonzero", "one_hot",
    "arange", "linspace", "eye",
}  # fmt: skip
"""Primitives with a real result for complex inputs, and those that have no input of floats."""


def test_no_op_drops_imaginary_parts(registry: Registry) -> None:
    """A forward that converts its input to real numbers would warn, and take the real part."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for op in registry.ops.values():
            for case in () if op.composite or op.name in REAL_OF_COMPLEX else op.declared_cases():
                try:
                    outputs = op.inference(case.over(np.complex128).specs(), case.attributes).outputs
                except InferenceError:
                    continue
                assert all(out.dtype.kind in "cbiu" for out in outputs), op.name


def test_a_sweep_leaves_out_no_op(request: pytest.FixtureRequest) -> None:
    name = test_forward_is_the_definition.__name__
    items = [item for item in request.session.items if item.name.startswith(f"{name}[")]
    run = {cast(Op, cast(pytest.Function, item).callspec.params["op"]).name for item in items}
    assert not run or run == {cast(Op, case.values[0]).name for case in CASES}
