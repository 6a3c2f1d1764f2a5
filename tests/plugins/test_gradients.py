"""Gradients against oracles that share nothing with the rules: differences of the definition in mpmath, and
properties that every gradient has."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from mpmath import mp
from tests.conftest import REGISTRY, Bench
from tests.support.expansions import ball_gradient, read_whole
from tests.support.matrices import solved
from tests.support.plain_conditions import Plainly
from tests.support.required import required
from tests.support.sweeps import draws

from gradproof.engine.cases import Case
from gradproof.engine.domains import INTEGER
from gradproof.engine.op import Op
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import OnReals
from gradproof.engine.spec import Array, is_differentiable
from gradproof.engine.verify.readings import concrete

APART = {**dict.fromkeys(("complex", "polar"), "test_complex_gradients.py"), "stop_gradient": "test_elementwise.py"}
OPS = [op for op in REGISTRY.ops.values() if op.differentiable and op.name not in APART]


def holds(op: Op, case: Case) -> bool:
    """True if a part of a composite is held: differences of its definition move that part too."""
    expansion = op.expand(case.specs(), case.attributes)
    return expansion is not None and any(part.op.name == "stop_gradient" for part in expansion.instructions)


CASES = [pytest.param(op, case, id=f"{op.name} {case}") for op in OPS for case in op.proof_cases() if not holds(op, case)]


class Decimal(Plainly, OnReals):
    """The reading of definitions in mpmath."""

    def __getattr__(self, name: str) -> Any:
        """pi, and every function whose name is mpmath's."""
        return getattr(mp, name)

    def lgamma(self, x: Any) -> Any:
        return mp.log(abs(mp.gamma(x)))

    def polygamma(self, n: Any, x: Any) -> Any:
        return mp.polygamma(int(n), x)

    def gammainc(self, a: Any, x: Any) -> Any:
        return mp.gammainc(a, 0, x, regularized=True)

    def gammaincc(self, a: Any, x: Any) -> Any:
        return mp.gammainc(a, x, regularized=True)

    def erfcinv(self, x: Any) -> Any:
        return mp.erfinv(1 - x)

    def log1p(self, x: Any) -> Any:
        return mp.log(1 + x)

    def number(self, value: Any) -> Any:
        if isinstance(value, float) and not np.isfinite(value):
            return mp.mpf(value)
        exact = Fraction(value)
        return mp.mpf(exact.numerator) / exact.denominator

    def constant(self, x: Any) -> Any:
        return x

    def total(self, terms: Iterable[Any]) -> Any:
        return mp.fsum(terms)

    def as_number(self, x: Any) -> Any:
        return mp.mpf(int(x)) if isinstance(x, bool) else x


DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Any]] = {
    "real": lambda random, shape: random.uniform(-3, 3, shape),
    "nonzero": lambda random, shape: random.uniform(0.2, 3, shape) * random.choice([-1, 1], shape),
    "positive": lambda random, shape: random.uniform(0.1, 4, shape),
    "above -1": lambda random, shape: random.uniform(0.1, 4, shape) - 1,
    "above 1": lambda random, shape: random.uniform(0.1, 4, shape) + 1,
    "real but no pole": lambda random, shape: random.integers(-3, 4, shape) + random.uniform(0.1, 0.9, shape),
    "between 0 and 2": lambda random, shape: random.uniform(0.05, 1.95, shape),
    "between 0 and 1": lambda random, shape: random.uniform(0.02, 0.98, shape),
    "between -1 and 1": lambda random, shape: random.uniform(-0.95, 0.95, shape),
    "invertible": lambda random, shape: random.uniform(-1, 1, shape) + 3 * np.eye(shape[-1]),
    "with positive definite symmetric part": lambda random, shape: random.uniform(-1, 1, shape) + 3 * np.eye(shape[-1]),
}


def draw(op: Op, case: Case, random: np.random.Generator) -> list[Array]:
    return [
        x if isinstance(x, np.ndarray) else np.asarray(DRAWS[op.domain(k).name](random, x))
        for k, x in enumerate(case.inputs)
    ]


def decimals(array: Array) -> Array:
    if not is_differentiable(array.dtype):
        return concrete(array)
    result = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        result[index] = mp.mpf(float(array[index]))
    return result


def unbroadcast(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The sum over all copies that broadcasting made of a tensor of ``shape``."""
    extra = tuple(range(gradient.ndim - len(shape)))
    stretched = tuple(len(extra) + k for k, size in enumerate(shape) if size == 1)
    return np.asarray(np.sum(gradient, axis=(*extra, *stretched), keepdims=True).reshape(shape))


def oracle(op: Op, case: Case, inputs: list[Array], seeds: list[Array]) -> list[Array | None]:
    """The gradient of sum(seed * output) by central differences of the definition, with 40 digits left."""
    inference = op.inference(case.specs(), case.attributes)
    specs = inference.inputs or case.specs()

    def weighted(arrays: list[Array]) -> Any:
        if op.equation is None:
            outputs = read_whole(op, Decimal(), arrays, specs, inference.attributes, inference.outputs)
        else:
            outputs = [solved(op.name, arrays, inference.attributes, inference.outputs[0].shape)]
        return mp.fsum(
            mp.mpf(float(g)) * y
            for seed, out in zip(seeds, outputs, strict=True)
            for g, y in zip(seed.flat, out.flat, strict=True)
        )

    with mp.workdps(60):
        arrays = [decimals(np.broadcast_to(x, spec.shape)) for x, spec in zip(inputs, specs, strict=True)]
        step = mp.mpf(10) ** -20
        gradients: list[Array | None] = []
        for array, operand in zip(arrays, inputs, strict=True):
            if not is_differentiable(operand.dtype) or len(gradients) in op.still:
                gradients.append(None)
                continue
            gradient = np.zeros(array.shape)
            for index in np.ndindex(array.shape):
                middle = array[index]
                array[index] = middle + step
                above = weighted(arrays)
                array[index] = middle - step
                below = weighted(arrays)
                array[index] = middle
                gradient[index] = float((above - below) / (2 * step))
            gradients.append(unbroadcast(gradient, operand.shape))
    return gradients


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "case"), CASES)
def test_gradient_is_the_derivative_of_the_definition(bench: Bench, op: Op, case: Case) -> None:
    random = np.random.default_rng(7)
    outputs = op.inference(case.specs(), case.attributes).outputs
    for _ in range(draws(3, f"{op.name} {case}", 3)):
        inputs = draw(op, case, random)
        seeds = [np.asarray(random.normal(size=out.shape), out.dtype) for out in outputs]
        gradients = bench.apply(op.name, inputs, case.attributes, seeds)
        for got, true in zip(gradients, oracle(op, case, inputs, seeds), strict=True):
            if true is None:
                assert got is None
            else:
                np.testing.assert_allclose(got, true, rtol=1e-11, atol=1e-12)


COMPOSITES = [op for op in OPS if op.composite and op.elementwise]


@pytest.mark.slow
@pytest.mark.parametrize("op", COMPOSITES, ids=lambda op: op.name)
def test_the_gradient_of_a_composite_keeps_its_digits_at_stress_values(bench: Bench, op: Op) -> None:
    """Each to a few ulps of itself, wherever it is a normal number: by the definitions of its parts, in balls."""
    for values in itertools.product(op.stress, repeat=min(2, len(op.inputs))):
        inputs = [np.array(values[min(k, 1)]) for k in range(len(op.inputs))]
        with precision(2000):
            truth = ball_gradient(op, inputs, np.array(1.0), required(op))
        if truth is None:
            continue
        for got, cells in zip(bench.apply(op.name, inputs, required(op), [np.array(1.0)]), truth, strict=True):
            ball: Any = cells[()]
            if ball.is_finite() and ball.rad() < 1e-200 and 1e-300 < abs(float(ball)) < 1e300:
                assert got is not None
                assert abs(float(got) - float(ball)) <= 1e-13 * abs(float(ball)), (values, float(got), float(ball))


# what every gradient does

FLOATS = st.floats(-4, 4).map(lambda x: round(x * 64) / 64)
SIDES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def arrays(shape: tuple[int, ...]) -> st.SearchStrategy[Array]:
    return hnp.arrays(np.float64, shape, elements=FLOATS)


UNARY = [
    "exp",
    "sin",
    "tanh",
    "sigmoid",
    "square",
    "gelu",
    "negative",
    "relu",
    "abs",
    "erf",
    "atan",
    "silu",
    "softplus",
]


@pytest.mark.slow
@pytest.mark.parametrize("op", UNARY)
@given(data=st.data(), shape=SIDES)
def test_a_gradient_is_linear_in_its_seed(bench: Bench, op: str, data: st.DataObject, shape: tuple[int, ...]) -> None:
    x, g, h = (data.draw(arrays(shape)) for _ in range(3))
    [whole] = bench.apply(op, [x], seeds=[g + 2 * h])
    [first], [second] = bench.apply(op, [x], seeds=[g]), bench.apply(op, [x], seeds=[h])
    np.testing.assert_allclose(whole, first + 2 * second, rtol=1e-12, atol=1e-12)


BINARY = ("add", "subtract", "multiply", "hypot", "maximum", "minimum", "logaddexp", "atan2")


@pytest.mark.slow
@pytest.mark.parametrize("op", BINARY)
@given(data=st.data(), shapes=hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3, min_side=0))
def test_broadcasting_is_undone_by_a_sum(bench: Bench, op: str, data: st.DataObject, shapes: Any) -> None:
    """The gradient of an operand that was broadcast is the sum of those of its copies; its shape is its own."""
    a, b = (data.draw(hnp.arrays(np.float64, shape, elements=st.integers(1, 40))) for shape in shapes.input_shapes)
    seed = data.draw(arrays(shapes.result_shape))
    gradients = bench.apply(op, [a, b], seeds=[seed])
    copies = bench.apply(op, [np.array(x) for x in np.broadcast_arrays(a, b)], seeds=[seed])
    for x, got, copied in zip((a, b), gradients, copies, strict=True):
        assert got.shape == x.shape
        true = unbroadcast(copied, x.shape)
        np.testing.assert_allclose(got, true, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@given(data=st.data(), shape=SIDES)
def test_a_value_that_is_used_often_gets_the_sum(bench: Bench, data: st.DataObject, shape: tuple[int, ...]) -> None:
    x, seed = data.draw(arrays(shape)), data.draw(arrays(shape))
    gradients = bench.gradients({"x": x}, ["s = sin(x)", "a = add(x, s)", "y = multiply(a, x)"], "y", seeds={"y": seed})
    true = seed * (2 * x + np.sin(x) + x * np.cos(x))
    np.testing.assert_allclose(gradients["x"], true, rtol=1e-12, atol=1e-12)


def test_a_walk_that_pushed_gradients_depth_first_would_get_this_wrong(bench: Bench) -> None:
    """b = a + a; c = b * b: dc/da = 8 a, and b's gradient is final before the rule of its node runs."""
    gradients = bench.gradients({"a": np.array(3.0)}, ["b = add(a, a)", "c = multiply(b, b)"], "c", retain=("b",))
    assert gradients["a"] == 24.0
    assert gradients["b"] == 12.0


@pytest.mark.slow
@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
def test_reductions_of_any_shape(bench: Bench, data: st.DataObject, shape: tuple[int, ...]) -> None:
    """sum and mean over any axes, with size 0 and 1 among them."""
    x = data.draw(arrays(shape))
    axes = data.draw(st.sets(st.integers(0, len(shape) - 1)).map(lambda axes: tuple(sorted(axes))))
    keepdims = data.draw(st.booleans())
    n = int(np.prod([shape[k] for k in axes], dtype=int))
    seed = data.draw(arrays(np.sum(x, axis=axes, keepdims=keepdims).shape))
    wide = np.broadcast_to(seed if keepdims else np.expand_dims(seed, axes), shape)
    attributes = {"axis": axes, "keepdims": keepdims}
    np.testing.assert_array_equal(bench.apply("sum", [x], attributes, [seed])[0], wide)
    if n:
        np.testing.assert_allclose(bench.apply("mean", [x], attributes, [seed])[0], wide / n, rtol=1e-15)


@pytest.mark.slow
@given(data=st.data(), sides=st.tuples(*[st.integers(0, 3)] * 3))
def test_matmul_of_any_size(bench: Bench, data: st.DataObject, sides: tuple[int, int, int]) -> None:
    n, k, m = sides
    a, b, g = data.draw(arrays((n, k))), data.draw(arrays((k, m))), data.draw(arrays((n, m)))
    gradients = bench.apply("matmul", [a, b], seeds=[g])
    np.testing.assert_allclose(gradients[0], g @ b.T, atol=1e-12)
    np.testing.assert_allclose(gradients[1], a.T @ g, atol=1e-12)


EMPTY = [op for op in OPS if op.elementwise]


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("shape", [(0,), (2, 0), (1, 1), ()])
@pytest.mark.parametrize("op", EMPTY, ids=lambda op: op.name)
def test_elementwise_gradients_of_empty_single_and_0d_tensors(bench: Bench, op: Op, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    inputs = [
        np.ones(shape, bool) if op.domain(k) is INTEGER else np.asarray(DRAWS[op.domain(k).name](random, shape))
        for k in range(len(op.inputs))
    ]
    for k, (x, gradient) in enumerate(zip(inputs, bench.apply(op.name, inputs, required(op)), strict=True)):
        assert (gradient is None) == (x.dtype == bool or k in op.still)
        if gradient is not None:
            assert gradient.shape == shape
            assert gradient.dtype == x.dtype
            assert np.isfinite(gradient).all()


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("op", EMPTY, ids=lambda op: op.name)
def test_float32_stays_float32(bench: Bench, op: Op) -> None:
    random = np.random.default_rng(2)
    wide = [
        np.ones((2, 3), bool) if op.domain(k) is INTEGER else DRAWS[op.domain(k).name](random, (2, 3))
        for k in range(len(op.inputs))
    ]
    narrow = [x if x.dtype == bool else x.astype(np.float32) for x in wide]
    pair = (bench.apply(op.name, x, required(op)) for x in (narrow, wide))
    for got, true in zip(*pair, strict=True):
        if true is not None:
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, true, rtol=2e-4, atol=1e-5)


def test_each_operand_gets_its_gradient_in_its_own_dtype(bench: Bench) -> None:
    a, b = np.arange(3, dtype=np.float32), np.array([[2.0], [3.0]])
    gradients = bench.apply("multiply", [a, b], seeds=[np.ones((2, 3))])
    assert gradients[0].dtype == np.float32
    assert gradients[1].dtype == np.float64
    np.testing.assert_array_equal(gradients[0], [5.0, 5.0, 5.0])
    np.testing.assert_array_equal(gradients[1], [[3.0], [3.0]])


def test_an_integer_operand_has_no_gradient_and_is_cast(bench: Bench) -> None:
    gradients = bench.apply("multiply", [np.array([1.5, 2.5]), np.array([2, 3])])
    np.testing.assert_array_equal(gradients[0], [2.0, 3.0])
    assert gradients[1] is None


# conventions where there is no derivative: those of torch 2.13

TIES: list[tuple[str, list[Any], dict[str, Any], list[Any]]] = [
    ("abs", [0.0], {}, [0.0]),
    ("relu", [0.0], {}, [0.0]),
    ("sign", [0.0], {}, [0.0]),
    ("floor", [2.0], {}, [0.0]),
    ("ceil", [-0.0], {}, [0.0]),
    ("trunc", [-3.0], {}, [0.0]),
    ("round", [2.5], {}, [0.0]),
    ("floor_divide", [6.0, 3.0], {}, [0.0, 0.0]),
    ("remainder", [6.0, 3.0], {}, [1.0, -2.0]),
    ("fmod", [6.0, 3.0], {}, [1.0, -2.0]),
    ("fmod", [-7.0, 3.0], {}, [1.0, 2.0]),
    ("frac", [2.0], {}, [1.0]),
    ("round", [0.25], {"decimals": 1}, [0.0]),
    ("cbrt", [0.0], {}, [np.inf]),
    ("copysign", [0.0, -2.0], {}, [0.0, 0.0]),
    ("copysign", [3.0, -0.0], {}, [-1.0, 0.0]),
    ("heaviside", [0.0, 0.5], {}, [0.0, 1.0]),
    ("heaviside", [1.0, 0.5], {}, [0.0, 0.0]),
    ("sinc", [0.0], {}, [0.0]),
    ("fmax", [2.0, 2.0], {}, [1.0, 0.0]),
    ("fmin", [2.0, 2.0], {}, [1.0, 0.0]),
    ("fmax", [np.nan, 2.0], {}, [0.0, 1.0]),
    ("fmin", [2.0, np.nan], {}, [1.0, 0.0]),
    ("nan_to_num", [[np.nan, np.inf, -np.inf, 1.0]], {}, [[0.0, 0.0, 0.0, 1.0]]),
    ("maximum", [2.0, 2.0], {}, [0.5, 0.5]),
    ("minimum", [2.0, 2.0], {}, [0.5, 0.5]),
    ("clip", [1.0, 1.0, 3.0], {}, [1.0, 0.0, 0.0]),
    ("clip", [3.0, 1.0, 3.0], {}, [1.0, 0.0, 0.0]),
    ("clip", [0.0, 3.0, 1.0], {}, [0.0, 0.0, 1.0]),
    ("max", [[1.0, 3.0, 3.0]], {}, [[0.0, 0.5, 0.5]]),
    ("min", [[1.0, 1.0, 3.0]], {}, [[0.5, 0.5, 0.0]]),
    ("pow", [0.0, 0.0], {}, [0.0, 0.0]),
    ("pow", [0.0, 2.0], {}, [0.0, 0.0]),
    ("pow", [0.0, 1.0], {}, [1.0, 0.0]),
    ("pow", [-2.0, 3.0], {}, [12.0, np.nan]),
    ("sqrt", [0.0], {}, [np.inf]),
    ("prod", [[0.0, 2.0, 3.0]], {}, [[6.0, 0.0, 0.0]]),
    ("prod", [[0.0, 0.0, 3.0]], {}, [[0.0, 0.0, 0.0]]),
    ("cumprod", [[2.0, 0.0, 3.0]], {}, [[1.0, 8.0, 0.0]]),
]


@pytest.mark.parametrize(("op", "inputs", "attributes", "gradients"), TIES, ids=lambda x: str(x))
def test_conventions(bench: Bench, op: str, inputs: list[Any], attributes: dict[str, Any], gradients: list[Any]) -> None:
    arrays = [np.array(x) for x in inputs]
    for got, true in zip(bench.apply(op, arrays, attributes), gradients, strict=True):
        np.testing.assert_array_equal(got, true)


@pytest.mark.parametrize("x", [-800.0, -40.0, -1e-300, 0.0, 1e-300, 40.0, 800.0])
@pytest.mark.parametrize("op", ["sigmoid", "softplus", "silu", "tanh", "gelu", "logaddexp", "erfc"])
def test_far_out_nothing_overflows_into_nan(bench: Bench, op: str, x: float) -> None:
    inputs = [np.array(x)] * (2 if op == "logaddexp" else 1)
    assert all(np.isfinite(gradient).all() for gradient in bench.apply(op, inputs))
