"""Linear algebra that solves for something, against SciPy, mpmath and SymPy, which know nothing of its definitions."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import sympy
from flint import arb, arb_mat
from mpmath import mp
from tests.conftest import REGISTRY, Bench
from tests.test_value import judge, numbers, verdicts_of, with_rules

from gradproof.engine.errors import ForwardFault
from gradproof.engine.extend import InferenceError, ops
from gradproof.engine.op import case
from gradproof.engine.precision import precision
from gradproof.engine.spec import Array, Spec, spec
from gradproof.engine.verify.classes import key_of
from gradproof.engine.verify.determinants import Line, expanded
from gradproof.engine.verify.reading import read_op
from gradproof.engine.verify.tape import Tape
from gradproof.engine.verify.verdict import Graph, Summary, Value

NAMES = ("solve", "inv", "det", "cholesky")


def matrix(n: int, seed: int, *batch: int) -> Array:
    """Well-conditioned, with a positive definite symmetric part, and not symmetric."""
    return np.random.default_rng(seed).uniform(-1, 1, (*batch, n, n)) + (n + 1) * np.eye(n)


def forward(bench: Bench, op: str, *arrays: Array) -> Array:
    leaves = {f"x{k}": x for k, x in enumerate(arrays)}
    value: Array = bench.values(leaves, [f"y = {op}({', '.join(leaves)})"], "y")["y"]
    return value


# forward


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_forward_is_that_of_scipy(bench: Bench, n: int, dtype: Any) -> None:
    a, b = matrix(n, n).astype(dtype), np.random.default_rng(0).normal(size=(n, 2)).astype(dtype)
    rtol, atol = (2e-5, 1e-6) if dtype == np.float32 else (1e-12, 1e-13)
    wide = a.astype(np.float64)
    for got, true in (
        (forward(bench, "solve", a, b), scipy.linalg.solve(wide, b)),
        (forward(bench, "solve", a, b[:, 0]), scipy.linalg.solve(wide, b[:, 0])),
        (forward(bench, "inv", a), scipy.linalg.inv(wide)),
        (forward(bench, "det", a), np.asarray(scipy.linalg.det(wide))),
        (forward(bench, "cholesky", a), scipy.linalg.cholesky((wide + wide.T) / 2, lower=True)),
    ):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, true, rtol=rtol, atol=atol)


def test_a_stack_is_its_matrices(bench: Bench) -> None:
    a, b, v = matrix(3, 1, 2, 2), np.arange(12.0).reshape(2, 1, 3, 2), np.array([1.0, -2.0, 3.0])
    solved, vectors, inverses = forward(bench, "solve", a, b), forward(bench, "solve", a, v), forward(bench, "inv", a)
    dets, factors = forward(bench, "det", a), forward(bench, "cholesky", a)
    assert (solved.shape, vectors.shape, dets.shape) == ((2, 2, 3, 2), (2, 2, 3), (2, 2))
    for i in np.ndindex(2, 2):
        np.testing.assert_allclose(a[i] @ solved[i], b[i[0], 0], atol=1e-12)
        np.testing.assert_allclose(a[i] @ vectors[i], v, atol=1e-12)
        np.testing.assert_allclose(a[i] @ inverses[i], np.eye(3), atol=1e-12)
        np.testing.assert_allclose(dets[i], scipy.linalg.det(a[i]), rtol=1e-12)
        np.testing.assert_allclose(factors[i] @ factors[i].T, (a[i] + a[i].T) / 2, atol=1e-12)
        assert factors[i][0, 2] == 0.0


@pytest.mark.parametrize(
    ("op", "arrays"),
    [
        ("solve", [np.ones((2, 2)), np.ones(2)]),
        ("inv", [np.zeros((3, 3))]),
        ("inv", [np.array([np.eye(2), np.ones((2, 2))])]),
        ("cholesky", [-np.eye(2)]),
        ("cholesky", [np.array([[1.0, 3.0], [0.0, 1.0]])]),
    ],
)
def test_where_there_is_no_answer_the_run_ends_and_says_which_node(bench: Bench, op: str, arrays: list[Array]) -> None:
    with pytest.raises(ForwardFault, match=f"{op}.*LinAlgError"):
        forward(bench, op, *arrays)


def test_the_gradient_of_det_needs_no_inverse(bench: Bench) -> None:
    """But that of the cofactors of 4 rows or more does: the second derivative of det."""
    [found] = bench.apply("det", [np.ones((2, 2))])
    np.testing.assert_array_equal(found, [[1, -1], [-1, 1]])
    with pytest.raises(ForwardFault):
        bench.apply("cofactors", [np.ones((4, 4))])


FLOAT, HALF = spec((3, 3)), spec((3, 3), "float16")


@pytest.mark.parametrize(
    ("op", "specs", "said"),
    [
        ("inv", [spec((2, 3))], r"a must be a square matrix or a stack of them, .*; its shape is \(2, 3\)"),
        ("det", [spec((3,))], r"square matrix"),
        ("cholesky", [spec(())], r"square matrix"),
        ("inv", [HALF], r"takes float32 or float64, and a is float16: convert it with astype"),
        ("det", [spec((2, 2), "int64")], r"a is int64"),
        ("cholesky", [spec((2, 2), "complex128")], r"a is complex128"),
        ("solve", [FLOAT, spec((3,), "int64")], r"b is int64"),
        ("solve", [FLOAT, spec((2,))], r"shapes \(3, 3\) and \(2,\) do not match"),
        ("solve", [FLOAT, spec(())], r"shapes \(3, 3\) and \(\) do not match"),
        ("solve", [FLOAT, spec((2, 3))], r"do not match"),
        ("solve", [spec((2, 3, 3)), spec((4, 3, 1))], r"leading axes .* do not broadcast"),
    ],
)
def test_what_does_not_fit_is_refused(op: str, specs: list[Spec], said: str) -> None:
    with pytest.raises(InferenceError, match=said):
        REGISTRY.op(op).inference(specs, {})


def test_solve_promotes() -> None:
    found = REGISTRY.op("solve").inference([spec((2, 2), "float32"), spec((3, 2, 1))], {})
    assert found.outputs == (spec((3, 2, 1)),)
    assert found.inputs == (spec((3, 2, 2)), spec((3, 2, 1)))


@pytest.mark.parametrize("n", [0, 1])
def test_empty_and_single(bench: Bench, n: int) -> None:
    a = 4 * np.eye(n)
    [gradient] = bench.apply("det", [a])
    assert gradient.tolist() == [[1.0]] * n
    [gradient] = bench.apply("inv", [a])
    assert gradient.tolist() == [[-1 / 16]] * n
    [gradient] = bench.apply("cholesky", [a])
    assert gradient.tolist() == [[1 / 4]] * n
    assert bench.apply("solve", [a, np.ones((n, 2))])[1].tolist() == [[1 / 4, 1 / 4]] * n


# gradients


def differences(function: Callable[..., Any], arrays: list[Array], seed: Array) -> list[Array]:
    """Central differences of sum(seed * function) in mpmath, of its own algorithms (LU, Gauss, Cholesky)."""
    with mp.workdps(60):
        step = mp.mpf(10) ** -20
        matrices = [mp.matrix(x.tolist()) for x in arrays]

        def weighted() -> Any:
            value = function(*(x.copy() for x in matrices))
            found = value if isinstance(value, mp.matrix) else mp.matrix([[value]])
            return mp.fsum(mp.mpf(float(g)) * y for g, y in zip(seed.flat, found, strict=True))

        gradients = []
        for array, moving in zip(arrays, matrices, strict=True):
            gradient = np.zeros(array.shape)
            for index in np.ndindex(array.shape):
                place, sides = (*index, 0)[:2], []
                for sign in (1, -1):
                    moving[place] += sign * step
                    sides.append(weighted())
                    moving[place] -= sign * step
                gradient[index] = float((sides[0] - sides[1]) / (2 * step))
            gradients.append(gradient)
        return gradients


ORACLES: dict[str, Callable[..., Any]] = {
    "solve": mp.lu_solve,
    "inv": lambda a: a**-1,
    "det": mp.det,
    "cholesky": lambda a: mp.cholesky((a + a.T) / 2),
}


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("op", NAMES)
def test_gradient_is_that_of_mpmath(bench: Bench, op: str, n: int) -> None:
    random = np.random.default_rng(n)
    arrays = [matrix(n, n), random.normal(size=n)] if op == "solve" else [matrix(n, n)]
    seed = random.normal(size={"solve": (n,), "det": ()}.get(op, (n, n)))
    for got, true in zip(bench.apply(op, arrays, {}, [seed]), differences(ORACLES[op], arrays, seed), strict=True):
        np.testing.assert_allclose(got, true, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("op", ["inv", "det", "cholesky"])
def test_gradient_is_that_of_sympy(bench: Bench, op: str) -> None:
    """SymPy's own methods, differentiated by SymPy, at rational points."""
    a = np.array([[3.0, 1.0, -0.5], [0.25, 2.0, 0.5], [1.0, -0.75, 4.0]])
    symbols = sympy.Matrix(3, 3, sympy.symbols("a:9", real=True))
    at = dict(zip(symbols, map(sympy.Rational, a.ravel().tolist()), strict=True))
    symmetric = (symbols + symbols.T) / 2
    whole = {"inv": symbols.adjugate() / symbols.det(), "det": sympy.Matrix([[symbols.det()]])}
    value = whole[op] if op in whole else symmetric.cholesky(hermitian=False)
    seed = np.arange(1.0, 1.0 + len(value)).reshape(value.shape if len(value) > 1 else ())
    total = sum(int(g) * y for g, y in zip(seed.flat, value, strict=True))
    true = [float(sympy.diff(total, x).subs(at)) for x in symbols]
    [got] = bench.apply(op, [a], {}, [seed])
    np.testing.assert_allclose(got.ravel(), true, rtol=1e-12, atol=1e-13)


def test_gradients_of_stacks_are_those_of_their_matrices(bench: Bench) -> None:
    """With a right side that is broadcast, its gradient is the sum."""
    a, v = matrix(3, 5, 2), np.array([1.0, -2.0, 0.5])
    seed = np.random.default_rng(3).normal(size=(2, 3))
    stacked = bench.apply("solve", [a, v], {}, [seed])
    single = [bench.apply("solve", [a[k], v], {}, [seed[k]]) for k in range(2)]
    np.testing.assert_allclose(stacked[0], [one[0] for one in single], rtol=1e-12)
    np.testing.assert_allclose(stacked[1], single[0][1] + single[1][1], rtol=1e-12)
    columns = bench.apply("solve", [a, v[:, None]], {}, [seed[..., None]])
    np.testing.assert_allclose(columns[0], stacked[0], rtol=1e-12)
    np.testing.assert_allclose(columns[1][:, 0], stacked[1], rtol=1e-12)


def test_the_gradient_of_cholesky_is_symmetric(bench: Bench) -> None:
    """Also where the matrix is not, and whatever stands above the diagonal of the cotangent."""
    a, seed = matrix(4, 2), np.random.default_rng(1).normal(size=(4, 4))
    [whole] = bench.apply("cholesky", [a], {}, [seed])
    [lower] = bench.apply("cholesky", [(a + a.T) / 2], {}, [np.tril(seed)])
    np.testing.assert_array_equal(whole, whole.T)
    np.testing.assert_allclose(whole, lower, rtol=1e-12, atol=1e-14)


# values


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", NAMES)
def test_numbers_of_well_conditioned_matrices_are_enclosed(op: str, dtype: Any) -> None:
    for k in range(3):
        random = np.random.default_rng(k)
        arrays = [random.normal(size=(3, 3)) + 3 * np.eye(3)]
        arrays += [random.normal(size=(3, 2))] if op == "solve" else []
        shape = {"det": (), "solve": (3, 2)}.get(op, (3, 3))
        found = judge(REGISTRY, op, *(x.astype(dtype) for x in arrays), seed=random.normal(size=shape))
        for verdict in found.values():
            assert numbers(verdict).word in (Value.ENCLOSED, Value.CONDITIONED, Value.ILL_CONDITIONED), verdict
            assert verdict.summary is Summary.VERIFIED


SCALES = np.diag([1e6, 1.0, 1e-6])
GRADED = SCALES @ np.array([[2.0, 1.0, 0.5], [1.0, 3.0, 1.0], [0.5, 1.0, 4.0]]) @ SCALES
TURN = scipy.linalg.expm([[0.0, 1.0, -2.0], [-1.0, 0.0, 0.5], [2.0, -0.5, 0.0]])
THIN = TURN @ np.diag([1.0, 1e-6, 1e-12]) @ TURN


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("a", [*map(scipy.linalg.hilbert, (3, 4, 5)), np.vander([0.1, 0.2, 0.3, 0.4]), GRADED, THIN])
def test_ill_conditioned_matrices_are_no_false_alarm(a: Array, dtype: Any) -> None:
    """Balls around their determinants contain 0: there is a pole for the checker, and none for the op."""
    definite = np.array_equal(a, a.T) and (dtype == np.float64 or len(a) < 5)
    for op in NAMES if definite else NAMES[:-1]:
        arrays = [a.astype(dtype), np.ones(len(a), dtype)] if op == "solve" else [a.astype(dtype)]
        for verdict in judge(REGISTRY, op, *arrays).values():
            assert numbers(verdict).word in (Value.ENCLOSED, Value.CONDITIONED, Value.ILL_CONDITIONED), (op, verdict)


@pytest.mark.parametrize("blocks", [1, 3])
def test_on_the_border_of_the_positive_definite_matrices_numbers_are_conditioned(blocks: int) -> None:
    """A unit in the last place makes the matrix indefinite; of three such blocks, some are so in every direction."""
    block = np.array([[1.0, 1 / 3], [1 / 3, np.nextafter(1 / 9, 1)]])
    found = numbers(judge(REGISTRY, "cholesky", scipy.linalg.block_diag(*[block] * blocks))["x0"])
    assert found.word is Value.ILL_CONDITIONED
    assert found.max_ulps > 1e6


def operands(op: str, n: int, dtype: Any = np.float64) -> list[Array]:
    """A random matrix, for cholesky a positive definite one, and for solve a right side."""
    a = np.random.default_rng(n).normal(size=(n, n))
    if op == "cholesky":
        a = a @ a.T / n + np.eye(n)
    arrays = [a, np.random.default_rng(1).normal(size=(n, n))] if op == "solve" else [a]
    return [x.astype(dtype) for x in arrays]


@pytest.mark.parametrize(("op", "n"), [*product((*NAMES, "cofactors"), (9, 30)), ("solve", 100)])
def test_large_matrices_are_verified(op: str, n: int) -> None:
    """All elements are enclosed, and the whole graph is read. Time has a bound that only an expansion would miss."""
    started = time.process_time()
    for verdict in judge(REGISTRY, op, *operands(op, n)).values():
        assert verdict.summary is Summary.VERIFIED, verdict.reason
        assert verdict.graph.word is Graph.CONSISTENT
        assert verdict.graph.nodes == verdict.graph.total
        assert numbers(verdict).checked == numbers(verdict).total == n * n
    assert time.process_time() - started < (10 if n == 30 else 25)


def test_what_comes_after_a_system_is_verified_too(bench: Bench) -> None:
    """A Gaussian log density: cholesky, log, solve, sums."""
    n = 24
    leaves = {"a": operands("cholesky", n)[0], "b": np.random.default_rng(2).normal(size=(n, 1))}
    lines: list[Any] = ["f = cholesky(a)", "d = det(a)", "l = log(d)", "z = solve(f, b)", "s = multiply(z, z)"]
    lines += [("q = sum(s)", {}), "y = add(q, l)"]
    for verdict in verdicts_of(REGISTRY, bench.job(leaves, lines, "y")).values():
        assert verdict.summary is Summary.VERIFIED, verdict.reason
        assert verdict.graph.word is Graph.CONSISTENT


def turn(x: Any) -> Any:
    return ops.matrix_transpose(x)


def factor_rule(g: Any, y: Any, a: Any, *, symmetric: bool = True) -> Any:
    inner = turn(y) @ g
    phi = (ops.tril(inner) + ops.tril(inner, k=-1)) / 2
    s = ops.solve(turn(y), turn(ops.solve(turn(y), turn(phi))))
    return (s + turn(s)) / 2 if symmetric else s


LARGE_FAULTS: dict[str, tuple[str, Callable[..., Any]]] = {
    "inv: transpose forgotten": ("inv", lambda g, y, a: -(turn(y) @ g @ y)),
    "inv: sign": ("inv", lambda g, y, a: turn(y) @ g @ turn(y)),
    "inv: factor": ("inv", lambda g, y, a: -1.0005 * (turn(y) @ g @ turn(y))),
    "det: transpose forgotten": ("det", lambda g, y, a: g * turn(ops.cofactors(a))),
    "det: factor": ("det", lambda g, y, a: 1.0005 * g * ops.cofactors(a)),
    "cholesky: factor": ("cholesky", lambda g, y, a: 1.0005 * factor_rule(g, y, a)),
    "cholesky: not symmetrised": ("cholesky", lambda g, y, a: factor_rule(g, y, a, symmetric=False)),
}


@pytest.mark.parametrize("n", [2, 5, 30])
@pytest.mark.parametrize("fault", LARGE_FAULTS)
def test_a_planted_fault_is_wrong_at_any_size(fault: str, n: int) -> None:
    op, rule = LARGE_FAULTS[fault]
    seed = np.random.default_rng(7).normal(size=() if op == "det" else (n, n))
    [verdict] = judge(with_rules(**{op: rule}), f"planted.{op}", *operands(op, n), seed=seed).values()
    assert verdict.summary is Summary.WRONG
    assert numbers(verdict).word is Value.OFF


def test_a_planted_fault_is_found_among_ten_thousand_elements() -> None:
    rule = LARGE_FAULTS["inv: factor"][1]
    [verdict] = judge(with_rules(inv=rule), "planted.inv", *operands("inv", 100)).values()
    assert numbers(verdict).word is Value.OFF


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["Hilbert", "spread", "diagonal", "triangular", "permutation", "stack"])
def test_no_false_alarm(kind: str, dtype: Any) -> None:
    turn_, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(12, 12)))
    a = {
        "Hilbert": scipy.linalg.hilbert(8),
        "spread": turn_ @ np.diag(np.logspace(0, -12, 12)) @ turn_.T[::-1],
        "diagonal": np.diag(np.arange(1.0, 13)),
        "triangular": np.tril(matrix(12, 3)),
        "permutation": np.eye(12)[::-1],
        "stack": matrix(5, 1, 2, 3),
    }[kind].astype(dtype)
    for op in (*NAMES[:3], "cofactors"):
        arrays = [a, np.ones((*a.shape[:-1], 2), dtype)] if op == "solve" else [a]
        for verdict in judge(REGISTRY, op, *arrays).values():
            assert verdict.summary in (Summary.VERIFIED, Summary.PLAUSIBLE), (op, verdict.reason)
            assert verdict.graph.word in (Graph.CONSISTENT, Graph.ILL_CONDITIONED)


@pytest.mark.parametrize("n", [4, 6])
def test_the_determinant_of_a_singular_matrix_is_verified(n: int) -> None:
    """Of rank n - 1 in exact numbers; its gradient, the cofactors, by SymPy."""
    a = np.random.default_rng(n).integers(-4, 5, (n, n)).astype(object)
    a[-1] = a[0] + a[1]
    floats = a.astype(np.float64)
    true = np.array(sympy.Matrix(a).cofactor_matrix()).astype(np.float64)
    tape = Tape()
    cells = np.empty((n, n), object)
    cells.reshape(-1)[:] = [tape.variable(arb(x)) for x in floats.ravel().tolist()]
    with precision(192):
        [y] = read_op(REGISTRY.op("det"), tape, [cells], {}, [Spec((), np.dtype(np.float64))])
        slopes = tape.gradient([y.item()], [arb(1)], list(cells.flat))
    assert y.item().ball.contains(0)
    np.testing.assert_allclose([float(x) for x in slopes], true.ravel(), rtol=1e-12, atol=1e-25)
    assert np.abs(true).max() > 0


@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4, 5])
def test_cofactors_and_their_derivative_are_those_of_sympy_at_any_rank(rank: int) -> None:
    random = np.random.default_rng(rank)
    a = random.integers(-3, 4, (5, rank)) @ random.integers(-3, 4, (rank, 5))
    d = random.integers(-3, 4, (5, 5))
    t = sympy.Symbol("t")
    line = (sympy.Matrix(a) + t * sympy.Matrix(d)).cofactor_matrix()
    with precision(192):
        size, found = expanded(Line(*(arb_mat(5, 5, [arb(x) for x in m.ravel().tolist()]) for m in (a, d))))
    assert size[0].contains(int(sympy.Matrix(a).det()))
    for r, c in np.ndindex(5, 5):
        true = sympy.expand(line[r, c])
        assert found.value[r, c].contains(int(true.coeff(t, 0)))
        assert found.slope[r, c].contains(int(true.coeff(t, 1)))
        assert found.slope[r, c].rad() < 1e-6


@pytest.mark.parametrize(
    ("op", "rule"),
    [
        ("inv", lambda g, y, a: -(ops.matrix_transpose(y) @ g @ y)),
        ("inv", lambda g, y, a: -(ops.matrix_transpose(y) @ g @ ops.matrix_transpose(y)) * (1 + 2**-30)),
        ("det", lambda g, y, a: g * y * ops.inv(a)),
    ],
    ids=["transpose", "a billionth", "det's transpose"],
)
@pytest.mark.parametrize("a", [matrix(3, 4), matrix(4, 4)])
def test_a_wrong_number_is_off(op: str, rule: Callable[..., Any], a: Array) -> None:
    verdict = judge(with_rules(**{op: rule}), f"planted.{op}", a)["x0"]
    assert numbers(verdict).word is Value.OFF
    assert verdict.summary is Summary.WRONG


# shape classes


@pytest.mark.parametrize(
    ("op", "shapes", "representative"),
    [
        ("inv", [(7, 7)], "(3, 3)"),
        ("inv", [(2, 2)], "(2, 2)"),
        ("det", [(5, 7, 7)], "(2, 2, 2)"),
        ("cholesky", [(1, 4, 4)], "(1, 2, 2)"),
        ("solve", [(7, 7), (7,)], "(3, 3) (3)"),
        ("solve", [(7, 7), (7, 7)], "(3, 3) (3, 3)"),
        ("solve", [(7, 7), (7, 4)], "(3, 3) (3, 2)"),
        ("solve", [(7, 7), (7, 1)], "(3, 3) (3, 1)"),
        ("solve", [(2, 2), (2, 7)], "(2, 2) (2, 3)"),
        ("solve", [(5, 4, 4), (5, 4, 9)], "(2, 2, 2) (2, 2, 3)"),
        ("solve", [(5, 4, 4), (4,)], "(2, 2, 2) (2)"),
    ],
)
def test_a_small_case_stands_for_larger_matrices(op: str, shapes: list[tuple[int, ...]], representative: str) -> None:
    one, specs = REGISTRY.op(op), [spec(shape) for shape in shapes]
    key = key_of(REGISTRY, one, specs, REGISTRY.rule_of(one, case(*shapes)), {})
    assert str(key) == f"{op} {representative}"


@pytest.mark.parametrize(
    "numbers_", [[1e-150, 1e-160, 1e280], [1e-150, 1e-160, 1e280, 1.0], [1e150, 1e100, 1e-200, 1e40, 1e-60]]
)
def test_numbers_far_apart_are_no_false_alarm(numbers_: list[float]) -> None:
    """A unit in the last place of the largest moves such a determinant beyond the floats."""
    for op in ("det", "cofactors"):
        for verdict in judge(REGISTRY, op, np.diag(numbers_)).values():
            assert verdict.summary is not Summary.WRONG, (op, verdict.reason)
