"""Linear algebra that solves for something, against SciPy, mpmath and SymPy, which know nothing of its definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import sympy
from mpmath import mp
from tests.conftest import REGISTRY, Bench
from tests.support.matrices import DECOMPOSITIONS, matrix
from tests.support.registries import with_rules
from tests.support.verdicts import judge, numbers

from gradproof.engine.cases import case
from gradproof.engine.errors import DataFault
from gradproof.engine.extend import InferenceError, ops
from gradproof.engine.spec import Array, Spec, spec
from gradproof.engine.verify.proof_cache import key_of
from gradproof.engine.verify.verdict import SummaryWord, ValueWord


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [0, 1, 2, 6])
def test_the_upper_factor_is_that_of_numpy(bench: Bench, n: int, dtype: Any) -> None:
    """And its gradient is that of the lower factor for the transposed cotangent."""
    a, seed = matrix(n, n).astype(dtype), np.random.default_rng(n).normal(size=(n, n)).astype(dtype)
    got = bench.values({"a": a}, [("y = cholesky(a)", {"upper": True})], "y")["y"]
    true = np.linalg.cholesky((a + a.T) / 2, upper=True)
    np.testing.assert_allclose(got, true, rtol=1e-5 if dtype is np.float32 else 1e-13)
    [gradient] = bench.apply("cholesky", [a], {"upper": True}, [seed])
    np.testing.assert_array_equal(gradient, bench.apply("cholesky", [a], {"upper": False}, [seed.T.copy()])[0])


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 9, 30])
def test_the_upper_factor_is_verified_and_a_fault_is_wrong(n: int) -> None:
    a, seed = matrix(n, n), np.random.default_rng(n).normal(size=(n, n))
    [verdict] = judge(REGISTRY, "cholesky", a, seed=seed, upper=True).values()
    assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
    rule: Any = REGISTRY.op("cholesky").rule
    forgotten = with_rules(cholesky=lambda g, y, a, *, upper: rule(g, y, a, upper=not upper))
    [verdict] = judge(forgotten, "planted.cholesky", a, seed=seed, upper=True).values()
    assert numbers(verdict).word is ValueWord.OFF
    assert verdict.summary is SummaryWord.WRONG


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
    with pytest.raises(DataFault, match=f"graph.nodes\\[0\\] \\({op}, plugin decompositions\\): "):
        forward(bench, op, *arrays)


def test_the_gradient_of_det_needs_no_inverse(bench: Bench) -> None:
    """But that of the cofactors of 4 rows or more does: the second derivative of det."""
    [gradient] = bench.apply("det", [np.ones((2, 2))])
    np.testing.assert_array_equal(gradient, [[1, -1], [-1, 1]])
    with pytest.raises(DataFault):
        bench.apply("cofactors", [np.ones((4, 4))])


FLOAT, HALF = spec((3, 3)), spec((3, 3), "float16")


@pytest.mark.parametrize(
    ("op", "specs", "said"),
    [
        ("inv", [spec((2, 3))], r"a must be a square matrix or a stack of them, .*; its shape is \(2, 3\)"),
        ("det", [spec((3,))], r"square matrix"),
        ("cholesky", [spec(())], r"square matrix"),
        ("inv", [HALF], r"takes float32, float64, complex64 or complex128, and a is float16: convert it with astype"),
        ("det", [spec((2, 2), "int64")], r"a is int64"),
        ("cholesky", [spec((2, 2), "complex128")], r"takes float32 or float64, and a is complex128"),
        ("solve", [FLOAT, spec((3,), "int64")], r"takes float32, float64, complex64 or complex128, and b is int64"),
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
    inference = REGISTRY.op("solve").inference([spec((2, 2), "float32"), spec((3, 2, 1))], {})
    assert inference.outputs == (spec((3, 2, 1)),)
    assert inference.inputs == (spec((3, 2, 2)), spec((3, 2, 1)))


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
            result = value if isinstance(value, mp.matrix) else mp.matrix([[value]])
            return mp.fsum(mp.mpf(float(g)) * y for g, y in zip(seed.flat, result, strict=True))

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


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("op", DECOMPOSITIONS)
def test_gradient_is_that_of_mpmath(bench: Bench, op: str, n: int) -> None:
    random = np.random.default_rng(n)
    arrays = [matrix(n, n), random.normal(size=n)] if op == "solve" else [matrix(n, n)]
    seed = random.normal(size={"solve": (n,), "det": ()}.get(op, (n, n)))
    for got, true in zip(bench.apply(op, arrays, {}, [seed]), differences(ORACLES[op], arrays, seed), strict=True):
        np.testing.assert_allclose(got, true, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
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
    np.testing.assert_allclose(stacked[0], [solution[0] for solution in single], rtol=1e-12)
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


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", DECOMPOSITIONS)
def test_numbers_of_well_conditioned_matrices_are_enclosed(op: str, dtype: Any) -> None:
    for k in range(3):
        random = np.random.default_rng(k)
        arrays = [random.normal(size=(3, 3)) + 3 * np.eye(3)]
        arrays += [random.normal(size=(3, 2))] if op == "solve" else []
        shape = {"det": (), "solve": (3, 2)}.get(op, (3, 3))
        verdicts = judge(REGISTRY, op, *(x.astype(dtype) for x in arrays), seed=random.normal(size=shape))
        for verdict in verdicts.values():
            assert numbers(verdict).word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED, ValueWord.ILL_CONDITIONED), verdict
            assert verdict.summary is SummaryWord.VERIFIED


SCALES = np.diag([1e6, 1.0, 1e-6])
GRADED = SCALES @ np.array([[2.0, 1.0, 0.5], [1.0, 3.0, 1.0], [0.5, 1.0, 4.0]]) @ SCALES
TURN = scipy.linalg.expm([[0.0, 1.0, -2.0], [-1.0, 0.0, 0.5], [2.0, -0.5, 0.0]])
THIN = TURN @ np.diag([1.0, 1e-6, 1e-12]) @ TURN


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("a", [*map(scipy.linalg.hilbert, (3, 4, 5)), np.vander([0.1, 0.2, 0.3, 0.4]), GRADED, THIN])
def test_ill_conditioned_matrices_are_no_false_alarm(a: Array, dtype: Any) -> None:
    """Balls around their determinants contain 0: there is a pole for the checker, and none for the op."""
    definite = np.array_equal(a, a.T) and (dtype == np.float64 or len(a) < 5)
    for op in DECOMPOSITIONS if definite else DECOMPOSITIONS[:-1]:
        arrays = [a.astype(dtype), np.ones(len(a), dtype)] if op == "solve" else [a.astype(dtype)]
        for verdict in judge(REGISTRY, op, *arrays).values():
            assert numbers(verdict).word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED, ValueWord.ILL_CONDITIONED), (
                op,
                verdict,
            )


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [1, 3])
def test_on_the_border_of_the_positive_definite_matrices_numbers_are_conditioned(blocks: int) -> None:
    """A unit in the last place makes the matrix indefinite; of three such blocks, some are so in every direction."""
    block = np.array([[1.0, 1 / 3], [1 / 3, np.nextafter(1 / 9, 1)]])
    verdict = numbers(judge(REGISTRY, "cholesky", scipy.linalg.block_diag(*[block] * blocks))["x0"])
    assert verdict.word is ValueWord.ILL_CONDITIONED
    assert verdict.max_ulps > 1e6


@pytest.mark.sweep(of=3)
@pytest.mark.slow
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
    assert numbers(verdict).word is ValueWord.OFF
    assert verdict.summary is SummaryWord.WRONG


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
    operation, specs = REGISTRY.op(op), [spec(shape) for shape in shapes]
    key = key_of(REGISTRY, operation, specs, REGISTRY.rule_of(operation, case(*shapes)), {})
    assert str(key) == f"{op} {representative}"
