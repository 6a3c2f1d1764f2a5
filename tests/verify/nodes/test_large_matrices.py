"""Matrices beyond what an expansion can read: verified, faults caught, no false alarm; determinants of any rank."""

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
from tests.conftest import REGISTRY, Bench
from tests.support.matrices import DECOMPOSITIONS, matrix
from tests.support.registries import with_rules
from tests.support.verdicts import judge, numbers, verdicts_of

from gradproof.engine.errors import DataFault
from gradproof.engine.extend import ops
from gradproof.engine.precision import precision
from gradproof.engine.spec import Array, Spec
from gradproof.engine.verify.readings import Tape, read_op
from gradproof.engine.verify.readings.determinants import Line, determinant_and_cofactors
from gradproof.engine.verify.verdict import GraphWord, SummaryWord, ValueWord


def operands(op: str, n: int, dtype: Any = np.float64) -> list[Array]:
    """A random matrix, positive definite for cholesky, with a right side for solve."""
    a = np.random.default_rng(n).normal(size=(n, n))
    if op == "cholesky":
        a = a @ a.T / n + np.eye(n)
    if op == "inv":  # well-conditioned: the bits lost on the way depend on the processor
        a = a + 2 * n**0.5 * np.eye(n)
    arrays = [a, np.random.default_rng(1).normal(size=(n, n))] if op == "solve" else [a]
    return [x.astype(dtype) for x in arrays]


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "n"), [*product((*DECOMPOSITIONS, "cofactors"), (9, 30)), ("solve", 100)])
def test_large_matrices_are_verified(op: str, n: int) -> None:
    """All elements are enclosed, and the whole graph is read. Time has a bound that only an expansion would miss."""
    started = time.process_time()
    for verdict in judge(REGISTRY, op, *operands(op, n)).values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
        assert verdict.graph.word is GraphWord.CONSISTENT
        assert verdict.graph.nodes == verdict.graph.total
        assert numbers(verdict).checked == numbers(verdict).total == n * n
    assert time.process_time() - started < (10 if n == 30 else 25)


@pytest.mark.slow
def test_what_comes_after_a_system_is_verified_too(bench: Bench) -> None:
    """A Gaussian log density: cholesky, log, solve, sums."""
    n = 24
    leaves = {"a": operands("cholesky", n)[0], "b": np.random.default_rng(2).normal(size=(n, 1))}
    lines: list[Any] = ["f = cholesky(a)", "d = det(a)", "l = log(d)", "z = solve(f, b)", "s = multiply(z, z)"]
    lines += [("q = sum(s)", {}), "y = add(q, l)"]
    for verdict in verdicts_of(REGISTRY, bench.job(leaves, lines, "y")).values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
        assert verdict.graph.word is GraphWord.CONSISTENT


def turn(x: Any) -> Any:
    return ops.matrix_transpose(x)


def factor_rule(g: Any, y: Any, a: Any, *, upper: bool = False, symmetric: bool = True) -> Any:
    g, y = (turn(g), turn(y)) if upper else (g, y)
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
    "cholesky: factor": ("cholesky", lambda g, y, a, *, upper: 1.0005 * factor_rule(g, y, a, upper=upper)),
    "cholesky: not symmetrised": (
        "cholesky",
        lambda g, y, a, *, upper: factor_rule(g, y, a, upper=upper, symmetric=False),
    ),
}


@pytest.mark.sweep(of=5)
@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 5, 30])
@pytest.mark.parametrize("fault", LARGE_FAULTS)
def test_a_planted_fault_is_wrong_at_any_size(fault: str, n: int) -> None:
    op, rule = LARGE_FAULTS[fault]
    seed = np.random.default_rng(7).normal(size=() if op == "det" else (n, n))
    [verdict] = judge(with_rules(**{op: rule}), f"planted.{op}", *operands(op, n), seed=seed).values()
    assert verdict.summary is SummaryWord.WRONG
    assert numbers(verdict).word is ValueWord.OFF


@pytest.mark.slow
def test_a_planted_fault_is_found_among_four_thousand_elements() -> None:
    rule = LARGE_FAULTS["inv: factor"][1]
    [verdict] = judge(with_rules(inv=rule), "planted.inv", *operands("inv", 64)).values()
    assert numbers(verdict).word is ValueWord.OFF


@pytest.mark.sweep(of=5, by_op=False)
@pytest.mark.slow
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
    for op in (*DECOMPOSITIONS[:3], "cofactors"):
        arrays = [a, np.ones((*a.shape[:-1], 2), dtype)] if op == "solve" else [a]
        for verdict in judge(REGISTRY, op, *arrays).values():
            assert verdict.summary in (SummaryWord.VERIFIED, SummaryWord.PLAUSIBLE), (op, verdict.reason)
            assert verdict.graph.word in (GraphWord.CONSISTENT, GraphWord.ILL_CONDITIONED)


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


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1, 2, 3, 4, 5])
def test_cofactors_and_their_derivative_are_those_of_sympy_at_any_rank(rank: int) -> None:
    random = np.random.default_rng(rank)
    a = random.integers(-3, 4, (5, rank)) @ random.integers(-3, 4, (rank, 5))
    d = random.integers(-3, 4, (5, 5))
    t = sympy.Symbol("t")
    line = (sympy.Matrix(a) + t * sympy.Matrix(d)).cofactor_matrix()
    with precision(192):
        size, cofactors = determinant_and_cofactors(
            Line(*(arb_mat(5, 5, [arb(x) for x in m.ravel().tolist()]) for m in (a, d)))
        )
    assert size[0].contains(int(sympy.Matrix(a).det()))
    for r, c in np.ndindex(5, 5):
        true = sympy.expand(line[r, c])
        assert cofactors.value[r, c].contains(int(true.coeff(t, 0)))
        assert cofactors.slope[r, c].contains(int(true.coeff(t, 1)))
        assert cofactors.slope[r, c].rad() < 1e-6


@pytest.mark.parametrize(
    "numbers_", [[1e-150, 1e-160, 1e280], [1e-150, 1e-160, 1e280, 1.0], [1e150, 1e100, 1e-200, 1e40, 1e-60]]
)
def test_numbers_far_apart_are_no_false_alarm(numbers_: list[float]) -> None:
    """A unit in the last place of the largest moves such a determinant beyond the floats."""
    for op in ("det", "cofactors"):
        for verdict in judge(REGISTRY, op, np.diag(numbers_)).values():
            assert verdict.summary is not SummaryWord.WRONG, (op, verdict.reason)


@pytest.mark.parametrize("op", ["inv", "solve"])
def test_a_matrix_that_is_singular_but_for_rounding_is_no_alarm(op: str) -> None:
    """A singular matrix is within a unit in the last place: results may be of any size."""
    for seed in range(8):
        random = np.random.default_rng(seed)
        arrays = [random.normal(size=(4, 3)) @ random.normal(size=(3, 4)), random.normal(size=(4, 2))]
        try:
            verdicts = judge(REGISTRY, op, *arrays[: 1 + (op == "solve")])
        except DataFault:
            continue
        assert all(verdict.summary in (SummaryWord.PLAUSIBLE, SummaryWord.UNCHECKED) for verdict in verdicts.values()), (
            verdicts
        )


@pytest.mark.parametrize("n", [1, 2, 3, 8])
@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e150])
def test_the_digits_of_a_determinant_do_not_depend_on_its_size(n: int, scale: float) -> None:
    rows = np.full(n, 1.0)
    rows[0] = scale
    a = np.random.default_rng(n).normal(size=(n, n)) * rows[:, None]
    exact = arb_mat(n, n, [arb(x) for x in a.ravel().tolist()]).det()
    assert float(abs(arb(float(REGISTRY.op("det").forward(a))) / exact - 1)) < 1e-14
    for verdict in judge(REGISTRY, "det", a).values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
