"""The shipped ops at the ends of the range: wherever the truth is a number that the dtype has, the answer is that number.
The oracle is mpmath, with textbook derivatives that share nothing with the rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench
from tests.support.special_slopes import DIGAMMAS, SPECIAL_DOMAINS, SPECIAL_SLOPES, WAVES

from gradproof.engine.cases import Case
from gradproof.engine.spec import Array
from gradproof.engine.trace import ops
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import key_of
from gradproof.engine.verify.verdict import RuleWord

mp = mpmath.mp
DTYPES: dict[str, Any] = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}
Slopes = Callable[..., tuple[Any, ...]]


def finfo(dtype: Any) -> Any:
    return ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]


def normal(x: Any) -> Any:
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def scaled_slope(x: Any) -> Any:
    """That of exp(x²) erfc x; far out by a continued fraction, since erfc itself is slow there."""
    if x < 100:
        return 2 * x * mp.exp(x * x) * mp.erfc(x) - 2 / mp.sqrt(mp.pi) if x > -1e5 else -mp.inf
    t = mp.mpf(0)
    for k in range(60, 0, -1):
        t = mp.mpf(k) / 2 / (x + t)
    return -2 * t / (x + t) / mp.sqrt(mp.pi)


def share(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def mish_slope(x: Any) -> Any:
    """The derivative of x tanh(ln(1 + eˣ))."""
    value = mp.tanh(mp.log1p(mp.exp(x))) if x < 1000 else mp.mpf(1)
    return value + x * (1 - value**2) * share(x)


SLOPES: dict[str, Slopes] = {
    **SPECIAL_SLOPES,
    "square": lambda x: (2 * x,),
    "reciprocal": lambda x: (-1 / x**2,),
    "sqrt": lambda x: (1 / (2 * mp.sqrt(x)),),
    "rsqrt": lambda x: (-1 / (2 * x * mp.sqrt(x)),),
    "exp": lambda x: (mp.exp(x),),
    "exp2": lambda x: (mp.exp(x * mp.log(2)) * mp.log(2),),
    "expm1": lambda x: (mp.exp(x),),
    "log": lambda x: (1 / x,),
    "log2": lambda x: (1 / (x * mp.log(2)),),
    "log10": lambda x: (1 / (x * mp.log(10)),),
    "log1p": lambda x: (1 / (1 + x),),
    "sin": lambda x: (mp.cos(x),),
    "cos": lambda x: (-mp.sin(x),),
    "tan": lambda x: (1 / mp.cos(x) ** 2,),
    "asin": lambda x: (1 / mp.sqrt((1 - x) * (1 + x)),),
    "acos": lambda x: (-1 / mp.sqrt((1 - x) * (1 + x)),),
    "atan": lambda x: (1 / (1 + x * x),),
    "sinh": lambda x: (mp.cosh(x),),
    "cosh": lambda x: (mp.sinh(x),),
    "tanh": lambda x: (1 / mp.cosh(x) ** 2,),
    "asinh": lambda x: (1 / mp.sqrt(1 + x * x),),
    "acosh": lambda x: (1 / mp.sqrt((x - 1) * (x + 1)),),
    "atanh": lambda x: (1 / ((1 - x) * (1 + x)),),
    "sigmoid": lambda x: (share(x) * share(-x),),
    "softplus": lambda x: (share(x),),
    "silu": lambda x: (share(x) * (1 + x * share(-x)),),
    "gelu": lambda x: (mp.erfc(-x / mp.sqrt(2)) / 2 + x * normal(x) if abs(x) < 1000 else mp.mpf(x > 0),),
    "mish": lambda x: (mish_slope(x),),
    "softsign": lambda x: (1 / (1 + abs(x)) ** 2,),
    "tanhshrink": lambda x: (mp.tanh(x) ** 2,),
    "erf": lambda x: (2 / mp.sqrt(mp.pi) * mp.exp(-x * x),),
    "erfc": lambda x: (-2 / mp.sqrt(mp.pi) * mp.exp(-x * x),),
    "multiply": lambda a, b: (b, a),
    "divide": lambda a, b: (1 / b, -a / b**2),
    "hypot": lambda a, b: (a / mp.hypot(a, b), b / mp.hypot(a, b)),
    "atan2": lambda a, b: (b / (a * a + b * b), -a / (a * a + b * b)),
    "erfcx": lambda x: (scaled_slope(x),),
    "logaddexp": lambda a, b: (share(a - b), share(b - a)),
    "logaddexp2": lambda a, b: (share((a - b) * mp.log(2)), share((b - a) * mp.log(2))),
    "cbrt": lambda x: (1 / (3 * mp.cbrt(abs(x)) ** 2),),
    "deg2rad": lambda x: (mp.pi / 180,),
    "rad2deg": lambda x: (180 / mp.pi,),
    "sinc": lambda x: ((mp.cospi(x) - mp.sincpi(x)) / x if x else mp.mpf(0),),
    "pow": lambda a, b: (b * a ** (b - 1), a**b * mp.log(a)),
}
DOMAINS: dict[str, Callable[..., bool]] = {
    **SPECIAL_DOMAINS,
    **dict.fromkeys(("reciprocal", "cbrt"), lambda x: x != 0),
    **dict.fromkeys(("sqrt", "rsqrt", "log", "log2", "log10"), lambda x: x > 0),
    "log1p": lambda x: x > -1,
    **dict.fromkeys(("asin", "acos", "atanh"), lambda x: abs(x) < 1),
    "acosh": lambda x: x > 1,
    "divide": lambda a, b: b != 0,
    **dict.fromkeys(("hypot", "atan2"), lambda a, b: a != 0 or b != 0),
    "pow": lambda a, b: a > 0,
}
BY_VALUE = ("gamma", "beta", "i0", "i1", "iv", "exp", "exp2", "expm1", "sinh", "cosh", "pow", "hypot")
"""Where their value is not there (it is beyond the range, or has lost its digits) neither is their slope."""
UNITS = {
    **{(op, k): 64 for op in ("logaddexp", "logaddexp2") for k in (0, 1)}, ("pow", 0): 512,
    **{(op, k): 512 for op in ("gamma_density", "gammainc", "gammaincc") for k in (0, 1)},
    **{(op, 0): 1024 for op in (*WAVES, "i1e")},
    **{("beta", k): 64 for k in (0, 1)},
}  # fmt: skip
"""More than 8, for good reasons: a - b is rounded, and so is the exponent less 1, before an exponential; powers of rounded
numbers; zeros of slopes."""
FAMILIES = {
    *("erfcx", "beta", "gamma_density", "gammainc", "gammaincc", "zeta", "i0", "iv", "i0e", "i1e", "i0e_decay"),
    *("k0", "k1", "k0e", "k1e", "k0e_decay"),
    *(*DIGAMMAS, *WAVES),
}
"""Their slopes are values of other ops, which may leave the range where the slope times a cotangent does not."""
EDGES = {("log_ndtr", 0), ("beta", 0), ("beta", 1), ("pow", 1), ("atan2", 0), ("atan2", 1), ("sinc", 0)}
"""Not at the very ends: g y log x is multiplied from the left, and a radius or a slope that is denormal has few digits."""


def anywhere(*_: float) -> bool:
    return True


def magnitudes(dtype: Any, count: int) -> list[float]:
    """Numbers of ``dtype`` of all sizes, from the smallest to the largest there are, and of middle size."""
    info = finfo(dtype)
    low, high = np.log10(float(info.smallest_subnormal)), np.log10(float(info.max))
    spread = 10.0 ** np.linspace(low + 0.05, high - 0.01, count)
    points = np.array([*spread, 0.3, 0.999, 1.5, 6.0, 11.0, 40.0, 88.0]).astype(dtype)
    points = np.concatenate([points, [info.smallest_subnormal, info.max, info.smallest_normal]]).astype(dtype)
    return sorted({float(x) for x in points if np.isfinite(float(x))})


def points(op: str, dtype: Any) -> Array:
    """Rows of a cotangent and inputs."""
    inputs = len(REGISTRY.op(op).inputs)
    some = magnitudes(dtype, 7 if inputs > 1 else 16)
    signed = sorted({*some, *(-x for x in some)})
    few = [0.0, *(some if inputs > 1 else signed)]
    inside: Callable[..., bool] = DOMAINS.get(op, anywhere)
    cotangents = [*magnitudes(dtype, 7)[::2], 1.0]
    grid = np.stack(np.meshgrid(*[few] * inputs), -1).reshape(-1, inputs)
    rows = [(g, *xs) for g in cotangents for xs in grid if inside(*xs)]
    return np.array(rows, np.float64).astype(dtype)


def ends(row: Sequence[float], info: Any) -> bool:
    """Whether a row is at the very ends of the range, or nearly."""
    return any(0 < abs(x) < 64 * float(info.smallest_normal) or abs(x) > float(info.max) / 64 for x in row)


def sweep(bench: Bench, op: str, dtype: Any) -> list[tuple[Any, ...]]:
    """What is off: input, row, number, truth, in units of the last place of the dtype."""
    rows = points(op, dtype)
    info = finfo(dtype)
    with np.errstate(all="ignore"):
        values = np.abs(REGISTRY.op(op).forward(*rows[:, 1:].T, **REGISTRY.op(op).complete({})).astype(np.float64))
        has_value = (values >= float(info.smallest_normal)) & (values <= float(info.max)) | (op not in BY_VALUE)
        gradients = bench.apply(op, list(rows[:, 1:].T), seeds=[rows[:, 0]])
    off = []
    slopes: dict[Any, Any] = {}
    with mp.workprec(200):
        for j, row in enumerate(rows.astype(np.float64).tolist()):
            key = tuple(row[1:])
            if key not in slopes:
                size = 200 + int(2 * max([0.0, *(abs(np.log2(abs(x))) for x in key if x)]))
                with mp.workprec(size):
                    slopes[key] = SLOPES[op](*map(mp.mpf, key))
            for k, slope in enumerate(slopes[key]):
                if slope is None:
                    continue
                truth = mp.mpf(row[0]) * slope
                top = float(info.max) / (16 if (op, k) in EDGES else 1)
                if op in FAMILIES and not float(info.smallest_normal) < abs(slope) < float(info.max):
                    continue  # the slope is a value of the op, of the next order
                if abs(truth) > top or ((op, k) in EDGES and ends(row, info)) or not has_value[j]:
                    continue
                got = float(gradients[k][j])
                unit = max(abs(truth) * float(info.eps), mp.mpf(float(info.smallest_subnormal)))
                error = abs(mp.mpf(got) - truth) / unit if np.isfinite(got) else mp.inf
                if error > UNITS.get((op, k), 8):
                    off.append((k, row, got, float(truth), float(error)))
    return off


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", SLOPES)
def test_a_slope_times_a_cotangent_is_right_at_all_sizes_of_both(bench: Bench, op: str, dtype: str) -> None:
    assert sweep(bench, op, DTYPES[dtype]) == []


def test_the_sweep_knows_every_elementwise_op() -> None:
    """But for those whose slopes are 0 or 1, and those that are built in other tests."""
    flat = {"add", "subtract", "negative", "abs", "sign", "relu", "floor", "ceil", "trunc", "round", "floor_divide"}
    flat |= {"positive", "frac", "copysign", "heaviside", "stop_gradient", "nan_to_num"}
    choosing = {"where", "maximum", "minimum", "clip", "remainder", "conj", "real", "imag", "fmax", "fmin", "fmod", "ldexp"}
    choosing |= {"lerp"}
    here = {op.name for op in REGISTRY.ops.values() if op.elementwise and op.rule}
    missing = here - set(SLOPES) - flat - choosing - {"ratio"}
    assert not missing, f"add a row to SLOPES (and to DOMAINS, if not of all numbers) for {sorted(missing)}"
    assert here - set(SLOPES) == flat | choosing | {"ratio"}


COMPLEX: dict[str, Callable[[Any], Any]] = {
    "asinh": lambda z: 1 / mp.sqrt(1 + z * z),
    "atan": lambda z: 1 / (1 + z * z),
    "asin": lambda z: 1 / (mp.sqrt(1 - z) * mp.sqrt(1 + z)),
    "acos": lambda z: -1 / (mp.sqrt(1 - z) * mp.sqrt(1 + z)),
    "acosh": lambda z: 1 / (mp.sqrt(z - 1) * mp.sqrt(z + 1)),
    "atanh": lambda z: 1 / ((1 - z) * (1 + z)),
    "square": lambda z: 2 * z,
    "reciprocal": lambda z: -1 / z**2,
    "sqrt": lambda z: 1 / (2 * mp.sqrt(z)),
    "log": lambda z: 1 / z,
    "tanh": lambda z: 1 / mp.cosh(z) ** 2,
}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
@pytest.mark.parametrize("op", COMPLEX)
def test_complex_slopes_are_right_at_all_sizes(bench: Bench, op: str, dtype: str) -> None:
    info = np.finfo(dtype)
    sizes = (
        10.0 ** np.linspace(np.log10(info.tiny) + 2, np.log10(info.max) - 2, 9) if op != "tanh" else np.array([0.3, 5, 40])
    )
    angles = np.array([0.3, 1.2, -0.01, -1.5, 2.0, 3.0, -2.5])
    z = (np.append(sizes, [0.3, 1.7])[:, None] * np.exp(1j * angles)).ravel().astype(dtype)
    for g in (1.0, float(info.max) / 8, float(np.sqrt(info.max)) * 1e-5):
        seeds = np.full(z.shape, g, dtype)
        with np.errstate(all="ignore"):
            [gradient] = bench.apply(op, [z], seeds=[seeds])
        for point, got in zip(z.tolist(), gradient.tolist(), strict=True):
            with mp.workprec(3000):
                truth = mp.mpf(float(seeds[0].real)) * mp.conj(COMPLEX[op](mp.mpc(point)))
                if abs(truth) < float(info.max):
                    assert abs(mp.mpc(got) - truth) <= 16 * max(abs(truth) * float(info.eps), info.smallest_subnormal), (
                        point
                    )


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_ratio_leaves_the_range_only_as_a_whole(dtype: str) -> None:
    """Exact rational arithmetic is the oracle."""
    random = np.random.default_rng(3)
    some = np.array([0.0, *magnitudes(DTYPES[dtype], 9)]).astype(DTYPES[dtype])
    a, b, c, d = (random.choice(some[k // 2 :], 4000) for k in range(4))
    c, d = (np.where(x == 0, 1, x).astype(x.dtype) for x in (c, d))
    info = finfo(DTYPES[dtype])
    quotients = REGISTRY.op("ratio").forward(a, b, c, d)
    assert quotients.dtype == a.dtype
    for *row, got in zip(*(x.astype(float).tolist() for x in (a, b, c, d, quotients)), strict=True):
        p, q, r, s = map(Fraction, row)
        truth = p * q / (r * s)
        if truth > Fraction(float(info.max)):
            assert got == np.inf or truth < Fraction(float(info.max)) * (1 + Fraction(float(info.eps)))
        else:
            unit = max(truth * Fraction(float(info.eps)), Fraction(float(info.smallest_subnormal)))
            assert (np.isinf(got) and truth * (1 + Fraction(float(info.eps))) >= float(info.max)) or (
                abs(Fraction(got) - truth) <= 2 * unit
            ), row


# pow at 0


@pytest.mark.parametrize("power", [1.75, 1.5, 1.1, 0.5, -1.0])
def test_nothing_times_the_infinite_slope_of_a_power_is_nothing(bench: Bench, power: float) -> None:
    x = np.array([0.0, 4.0])
    with np.errstate(all="ignore"):
        [gradient, _] = bench.apply("pow", [x, np.full(2, power - 1)], seeds=[np.array([0.0, 1.0])])
    np.testing.assert_allclose(gradient, [0, (power - 1) * 4.0 ** (power - 2)], rtol=1e-14)


# reductions


HALVES = ("float16", "bfloat16")
MANY = 70_001


def few(dtype: str) -> float:
    """A few units in the last place."""
    return 4 * float(finfo(DTYPES[dtype]).eps)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("op", ["max", "min", "mean", "logsumexp"])
@pytest.mark.parametrize("axis", [0, 1])
def test_many_equal_elements_have_equal_shares(bench: Bench, op: str, dtype: str, axis: int) -> None:
    shape = (MANY, 2) if axis == 0 else (2, MANY)
    [gradient] = bench.apply(op, [np.full(shape, 2, DTYPES[dtype])], {"axis": axis})
    tolerance = 0.02 if dtype == "bfloat16" else 0.005  # 1/70001 has 8 bits in float16
    np.testing.assert_allclose(gradient.astype(float), 1 / MANY, rtol=tolerance)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("shape", [(MANY,), (2, MANY), (MANY, 3)])
def test_forwards_of_many_halves_are_rounded_once(bench: Bench, dtype: str, shape: tuple[int, ...]) -> None:
    axis = int(np.argmax(shape))
    x = np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(DTYPES[dtype])
    exact = x.astype(float)
    shifted = exact - exact.max(axis, keepdims=True)
    total = np.exp(shifted).sum(axis, keepdims=True)
    expected = {
        "mean": exact.mean(axis),
        "var": exact.var(axis),
        "logsumexp": (np.log(total) + exact.max(axis, keepdims=True)).squeeze(axis),
        "softmax": np.exp(shifted) / total,
        "log_softmax": shifted - np.log(total),
        **({"sum": exact.sum(axis), "cumsum": exact.cumsum(axis)} if dtype == "bfloat16" else {}),
    }
    for op, truth in expected.items():
        got = bench.values({"x": x}, [("y = " + op + "(x)", {"axis": axis})], "y")["y"].astype(float)
        np.testing.assert_allclose(got, truth, rtol=few(dtype), atol=3e-8, err_msg=op)


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("size", [0.0, 1.0, 300.0, 6e4, "max"])
def test_shares_of_logsumexp_are_those_of_softmax(bench: Bench, dtype: str, axis: Any, keepdims: bool, size: Any) -> None:
    info = finfo(DTYPES[dtype])
    size = float(info.max) if size == "max" else size
    x = (np.array([[1.0, 1.0, -1.0], [1.0, 0.5, 1.0]]) * size).astype(DTYPES[dtype])
    exact = x.astype(np.float64)
    axes = (0, 1) if axis is None else axis
    with np.errstate(all="ignore"):
        parts = np.exp(np.maximum(exact - exact.max(axes, keepdims=True), -1e300))
        [gradient] = bench.apply("logsumexp", [x], {"axis": axis, "keepdims": keepdims})
    np.testing.assert_allclose(
        gradient.astype(float),
        parts / parts.sum(axes, keepdims=True),
        rtol=few(dtype) * (1 + min(size, 700) / 4),
        atol=float(info.smallest_subnormal),
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mask", ["min", "-inf"])
def test_what_is_masked_has_no_share(bench: Bench, dtype: str, mask: str) -> None:
    low = -np.inf if mask == "-inf" else float(finfo(DTYPES[dtype]).min)
    x = np.array([low, 1.0, 2.0, low]).astype(DTYPES[dtype])
    p = float(1 / (1 + mp.e))
    with np.errstate(all="ignore"):
        [gradient] = bench.apply("logsumexp", [x])
        values = bench.values({"x": x}, ["y = softmax(x)"], "y")["y"]
    for array in (gradient, values):
        np.testing.assert_allclose(array.astype(float), [0, p, 1 - p, 0], rtol=few(dtype))


def test_a_line_of_minus_infinity_is_nan_as_in_torch(bench: Bench) -> None:
    with np.errstate(all="ignore"):
        [gradient] = bench.apply("logsumexp", [np.full(3, -np.inf)])
    assert np.isnan(gradient).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1.0, 1e15, 1e19])
@pytest.mark.parametrize("correction", [0, 1, 3])
def test_variance_near_and_far_from_zero(bench: Bench, dtype: str, scale: float, correction: int) -> None:
    """Against exact rational arithmetic: first and last digits, squares that do not fit, means that are rounded."""
    scale = scale**8 if dtype == "float64" else scale
    for base in ([0, 16, 32, 80, -16], [2e8, 2e8 + 16, 2e8 + 32, 2e8, 2e8 + 64], [3.0, -2.5, 1.25, 0.5, 0.25]):
        x = (np.array(base) * 2.0 ** np.round(np.log2(scale))).astype(dtype)
        exact = [Fraction(float(v)) for v in x]
        centre = sum(exact) / len(exact)
        truth = sum((v - centre) ** 2 for v in exact) / (len(exact) - correction)
        info = np.finfo(dtype)
        if truth < Fraction(float(info.max)):
            with np.errstate(all="ignore"):
                got = bench.values({"x": x}, [("y = var(x)", {"correction": correction})], "y")["y"]
            np.testing.assert_allclose(
                float(got), float(truth), rtol=8 * float(info.eps), atol=float(info.smallest_subnormal)
            )
        slopes = [float(2 * (v - centre) / (len(exact) - correction)) for v in exact]
        [gradient] = bench.apply("var", [x], {"correction": correction})
        np.testing.assert_allclose(
            gradient, slopes, rtol=8 * float(info.eps), atol=8 * float(info.eps) * max(map(abs, slopes))
        )


def test_variance_of_halves_whose_squares_do_not_fit(bench: Bench) -> None:
    x = np.array([280, -280, 0, 5], np.float16)
    got = bench.values({"x": x}, ["y = var(x)"], "y")["y"]
    np.testing.assert_allclose(float(got), np.var(x.astype(float)), rtol=1e-3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mean_is_there_where_the_sum_is_not(bench: Bench, dtype: str) -> None:
    top = float(finfo(DTYPES[dtype]).max)
    x = np.array([top, top / 2, top]).astype(DTYPES[dtype])
    with np.errstate(all="ignore"):
        got = bench.values({"x": x}, ["y = mean(x)"], "y")["y"]
    np.testing.assert_allclose(float(got) / top, 5 / 6, rtol=few(dtype))


# determinants


def cofactors(matrix: Array) -> Array:
    """By Laplace, in exact rational arithmetic."""

    def det(rows: list[list[Fraction]]) -> Fraction:
        if not rows:
            return Fraction(1)
        minors = ([r[:k] + r[k + 1 :] for r in rows[1:]] for k in range(len(rows)))
        return sum(((-1) ** k * rows[0][k] * det(minor) for k, minor in enumerate(minors)), Fraction(0))

    rows = [[Fraction(float(v)) for v in row] for row in matrix]
    cells = np.empty(matrix.shape)
    for i, j in np.ndindex(matrix.shape):
        minor = [r[:j] + r[j + 1 :] for k, r in enumerate(rows) if k != i]
        cells[i, j] = float((-1) ** (i + j) * det(minor))
    return cells


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4, 5])
def test_the_gradient_of_det_is_the_matrix_of_cofactors(bench: Bench, dtype: str, n: int, rank: int) -> None:
    random = np.random.default_rng(n)
    left, right = random.integers(-3, 4, (2, n, min(rank, n))), random.integers(-3, 4, (2, min(rank, n), n))
    stack = (left @ right).astype(dtype)
    [gradient] = bench.apply("det", [stack])
    for matrix, got in zip(stack, gradient, strict=True):
        size = max(1.0, float(np.abs(matrix).max())) ** (n - 1)
        np.testing.assert_allclose(got, cofactors(matrix), rtol=1e-12, atol=64 * float(np.finfo(dtype).eps) * size)


@pytest.mark.parametrize("diagonal", [(1e-150, 1e-160, 1e280), (1e-150, 1e-160, 1e280, 3.0), (0.0, 1e-200, 1e150, 1e100)])
def test_cofactors_of_numbers_far_apart(bench: Bench, diagonal: tuple[float, ...]) -> None:
    [gradient] = bench.apply("det", [np.diag(diagonal)])
    expected = [float(np.prod([mp.mpf(v) for k, v in enumerate(diagonal) if k != j])) for j in range(len(diagonal))]
    np.testing.assert_allclose(np.diag(gradient), expected, rtol=1e-12)


@pytest.mark.parametrize("n", [2, 3])
def test_cofactors_of_a_singular_matrix_have_a_gradient(bench: Bench, n: int) -> None:
    matrix, seed = np.outer(np.arange(1.0, n + 1), np.arange(2.0, n + 2)), np.random.default_rng(1).normal(size=(n, n))
    [gradient] = bench.apply("cofactors", [matrix], seeds=[seed])
    for place in np.ndindex(n, n):
        step = np.zeros((n, n))
        step[place] = 0.5
        slope = np.sum(seed * (cofactors(matrix + step) - cofactors(matrix - step)))  # of second degree: exact
        np.testing.assert_allclose(gradient[place], slope, rtol=1e-11, atol=1e-11)


def test_cofactors_of_a_larger_matrix_have_a_gradient(bench: Bench) -> None:
    random = np.random.default_rng(2)
    matrix, seed = random.normal(size=(5, 5)), random.normal(size=(5, 5))
    [gradient] = bench.apply("cofactors", [matrix], seeds=[seed])
    for place in [(0, 0), (1, 3), (4, 2)]:
        step = np.zeros((5, 5))
        step[place] = 1e-4
        slope = np.sum(seed * (cofactors(matrix + step) - cofactors(matrix - step))) / 2e-4
        np.testing.assert_allclose(gradient[place], slope, rtol=1e-6)


# clip


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_sided_clips_have_right_numbers(bench: Bench, dtype: str) -> None:
    x = np.array([0.5, -2.0, 0.0]).astype(DTYPES[dtype])
    for low, high, expected in ((0.0, np.inf, [1, 0, 1]), (-np.inf, 0.0, [0, 1, 1]), (-np.inf, np.inf, [1, 1, 1])):
        bounds = [np.full(3, bound).astype(x.dtype) for bound in (low, high)]
        np.testing.assert_array_equal(bench.apply("clip", [x, *bounds])[0].astype(float), expected)


# classes


def key(op: str, *inputs: Any, **attributes: Any) -> Any:
    operation, case = REGISTRY.op(op), Case(inputs, attributes)
    inference = operation.inference(case.specs(), attributes)
    rule = REGISTRY.rule_of(operation, Case(inputs, inference.attributes))
    return key_of(REGISTRY, operation, inference.inputs or case.specs(), rule, inference.attributes)


WIDE, LONG = (5, 6, 7, 8, 9), (2, 3, 4, 5, 6, 7, 8, 9)
PLACES = np.zeros(4, np.int64)
LARGE: list[tuple[Any, ...]] = [
    ("transpose", (WIDE,), {"axes": (2, 0, 3, 1, 4)}),
    ("transpose", (LONG,), {"axes": (7, 1, 0, 3, 2, 5, 4, 6)}),
    ("matrix_transpose", (LONG,), {}),
    ("flip", (LONG,), {"axis": (6, 7)}),
    ("expand_dims", (LONG,), {"axis": (0, 3)}),
    ("squeeze", ((5, 6, 1, 7, 8, 9, 1, 4),), {"axis": (2, 6)}),
    ("astype", (LONG,), {"dtype": "float32"}),
    ("reshape", (WIDE,), {"shape": (30, 7, 72)}),
    ("broadcast_to", ((5, 1, 7, 1, 9),), {"shape": WIDE}),
    ("broadcast_to", (LONG,), {"shape": (3, *LONG)}),
    ("stack", ((3, 4, 5, 6),) * 9, {"axis": 2}),
    ("stack", ((),) * 40, {}),
    ("concat", ((3, 4, 5),) * 9, {"axis": 1}),
    ("concat", tuple((k, 4, 5) for k in range(1, 10)), {}),
    ("slice_scatter", (WIDE, (5, 6, 3, 8, 9)), {"start": (0, 0, 2, 0, 0), "stop": (5, 6, 5, 8, 9)}),
    ("unfold", (WIDE,), {"axis": 2, "size": 3, "step": 2}),
    ("overlap_add", ((*WIDE, 3),), {"axis": 4, "step": 2, "length": 19}),
    ("tril", (WIDE,), {"k": 1}),
    ("matmul", ((2, 3, 4, 5, 6), (6,)), {}),
    ("matmul", ((2, 3, 4, 5, 6), (2, 3, 4, 6, 7)), {}),
    ("take", (WIDE, PLACES), {"axis": 2}),
    ("index_add", (WIDE, PLACES, (5, 6, 4, 8, 9)), {"axis": 2}),
    ("index_copy", (WIDE, PLACES, (5, 6, 4, 8, 9)), {"axis": 2}),
    ("take_along_axis", (WIDE, np.zeros((5, 6, 3, 8, 9), np.int64)), {"axis": 2}),
    ("slice", ((*WIDE, 3),), {"start": (0, 0, 2, 0, 0, 1), "stop": (5, 6, 3, 8, 9, 2)}),
    ("unslice", (LONG,), {"shape": (LONG[0] + 1, *LONG[1:]), "start": (1, *[0] * 7), "step": (1,) * 8}),
    ("var", ((6,),), {"correction": 3}),
    ("var", ((4, 6),), {"correction": 5, "axis": 1}),
    ("var", ((3, 5),), {"correction": 12}),
    ("sum", (WIDE,), {"axis": (0, 2, 4)}),
    ("softmax", (WIDE,), {"axis": 2}),
]


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "inputs", "attributes"), LARGE)
def test_ops_of_high_rank_and_of_many_inputs_are_proved(op: str, inputs: tuple[Any, ...], attributes: Any) -> None:
    proof_key = key(op, *inputs, **attributes)
    assert proof_key is not None
    assert prove(REGISTRY, REGISTRY.op(op), proof_key.case).proved


def test_more_elements_than_the_correction_stay_more() -> None:
    for count, correction in ((6, 3), (6, 5), (40, 30), (7, 1)):
        case = key("var", (count,), correction=correction).case
        assert case.inputs[0][0] > correction


@pytest.mark.parametrize(
    "back",
    [
        lambda axes, shape: axes,
        lambda axes, shape: axes if len(set(shape)) == 1 else inverse(axes),
        lambda axes, shape: axes if len(set(shape)) == len(shape) else inverse(axes),
        lambda axes, shape: axes[::-1],
    ],
    ids=["itself", "itself where sizes are equal", "itself where sizes differ", "backwards"],
)
def test_an_order_of_axes_is_told_from_its_inverse(back: Any) -> None:
    shipped = REGISTRY.op("transpose")

    def rule(g: Any, y: Any, x: Any, *, axes: Any) -> Any:
        return ops.transpose(g, axes=back(axes, x.shape))

    words = {prove(REGISTRY, replace(shipped, rule=rule), proof_case).word for proof_case in shipped.proof_cases()}
    assert words & {
        RuleWord.REFUTED,
        RuleWord.NO_SPEC,
    }  # the latter where a shape is wrong, which is refused when it is registered


def inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(axes)), key=axes.__getitem__))
