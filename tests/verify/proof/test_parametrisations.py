"""Charts: implicit ops are proved in free numbers; wrong rules are refuted there, and wrong charts prove nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import sympy
from flint import arb
from tests.conftest import REGISTRY
from tests.support.registries import registry_of
from tests.support.rule_proofs import derived, verdicts

from gradproof.engine.domains import Domain
from gradproof.engine.extend import NO_GRADIENT, NONZERO, POSITIVE, REAL, Inferred, Op, Parametrisation, Spec, case, ops
from gradproof.engine.verify.identities.rational import rational_zero
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.proof_cache.digest import digest_of
from gradproof.engine.verify.verdict import RuleWord
from gradproof.plugins import decompositions

CHOLESKY = REGISTRY.op("cholesky")
cholesky_chart: Callable[..., Any] = decompositions.cholesky_chart


@pytest.mark.slow
@pytest.mark.parametrize("op", ["solve", "inv", "det", "cholesky"])
def test_every_case_is_proved_everywhere_and_soon(op: str) -> None:
    for case_ in REGISTRY.op(op).proof_cases():
        verdict = prove(REGISTRY, REGISTRY.op(op), case_)
        assert verdict.word is RuleWord.PROVED, verdict.reason
        assert verdict.seconds < 5
        assert verdict.tactic.endswith("through the chart A = L Lᵀ + K") == (op == "cholesky")
        assert ("invertible" in verdict.domain) == (op not in ("cholesky", "det"))


@pytest.mark.slow
def test_larger_matrices_are_within_reach() -> None:
    for name, case_ in (("cholesky", case((4, 4))), ("solve", case((4, 4), (4,)))):
        verdict = prove(REGISTRY, REGISTRY.op(name), case_)
        assert verdict.word is RuleWord.PROVED
        assert verdict.seconds < 15


# planted rules


def T(x: Any) -> Any:
    return ops.matrix_transpose(x)


def cholesky(halves: Any = 1, *, first: bool = True, factor: int = 1, symmetric: bool = True) -> Callable[..., Any]:
    """cholesky's rule, with a single fault unless all arguments are left as they are."""

    def rule(g: Any, y: Any, a: Any, *, upper: bool) -> Any:
        g, y = (T(g), T(y)) if upper else (g, y)
        inner = (T(y) if first else y) @ g
        phi = ops.tril(inner) - halves * (ops.tril(inner) - ops.tril(inner, k=-1)) / 2
        s = factor * ops.solve(T(y), T(ops.solve(T(y), T(phi))))
        return (s + T(s)) / 2 if symmetric else s

    return rule


PLANTED: list[tuple[str, str, Callable[..., Any]]] = [
    ("inv: sign", "inv", lambda g, y, a: T(y) @ g @ T(y)),
    ("inv: first transpose", "inv", lambda g, y, a: -(y @ g @ T(y))),
    ("inv: both transposes", "inv", lambda g, y, a: -(y @ g @ y)),
    ("inv: once", "inv", lambda g, y, a: -(T(y) @ g)),
    ("det: transpose", "det", lambda g, y, a: ops.expand_dims(g * y, axis=(-2, -1)) * ops.inv(a)),
    ("det: own value", "det", lambda g, y, a: ops.expand_dims(g, axis=(-2, -1)) * T(ops.inv(a))),
    ("cholesky: half of the diagonal", "cholesky", cholesky(0)),
    ("cholesky: no diagonal", "cholesky", cholesky(2)),
    ("cholesky: transpose", "cholesky", cholesky(first=False)),
    ("cholesky: sign", "cholesky", cholesky(factor=-1)),
    ("cholesky: not symmetrised", "cholesky", cholesky(symmetric=False)),
]


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize(("name", "rule"), [row[1:] for row in PLANTED], ids=[row[0] for row in PLANTED])
def test_a_planted_fault_is_refuted_with_a_witness(name: str, rule: Callable[..., Any]) -> None:
    results = verdicts(derived(name, rule))
    assert results[2].case == "(3, 3)"
    for verdict in results[1:]:
        assert verdict.word is RuleWord.REFUTED
        assert verdict.input == "a"
        assert not arb(verdict.got).overlaps(arb(verdict.expected))
        assert verdict.point.startswith("A = L Lᵀ + K with L[" if name == "cholesky" else "a[")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "wrong"),
    [
        ("transpose", lambda a, b, gb, y: (-(gb @ T(y)), ops.solve(a, gb))),
        ("sign", lambda a, b, gb, y: (gb @ T(y), gb)),
        ("right side for solution", lambda a, b, gb, y: (-(gb @ T(b)), gb)),
        ("outer product turned", lambda a, b, gb, y: (-(y @ T(gb)), gb)),
    ],
)
def test_a_planted_fault_of_solve_is_refuted(fault: str, wrong: Callable[..., Any]) -> None:
    op = derived("solve", lambda g, y, a, b: wrong(a, b, ops.solve(T(a), g), y))
    op = replace(op, cases=(case((2, 2), (2, 2)), case((3, 3), (3, 1))))
    assert [verdict.word for verdict in verdicts(op)] == [RuleWord.REFUTED, RuleWord.REFUTED]


@pytest.mark.slow
def test_another_way_to_write_the_rule_is_proved_as_well() -> None:
    def by_inverses(g: Any, y: Any, a: Any, *, upper: bool) -> Any:
        g, y = (T(g), T(y)) if upper else (g, y)
        inverse, inner = ops.inv(y), ops.tril(T(y) @ g)
        s = T(inverse) @ (inner + T(ops.tril(inner, k=-1))) @ inverse
        return (s + T(s)) / 4

    for rule in (cholesky(), by_inverses):
        assert {verdict.word for verdict in verdicts(derived("cholesky", rule))} == {RuleWord.PROVED}


# planted charts


def charted(point: Callable[..., Any]) -> Op:
    return replace(CHOLESKY, name="planted.cholesky", chart=Parametrisation("planted", point), cases=(case((2, 2)),))


def altered(change: Callable[[Any, Any], tuple[Any, Any]]) -> Callable[..., Any]:
    def point(f: Any, free: Any, a: Any, *, upper: bool) -> Any:
        [x], [y] = cholesky_chart(f, free, a, upper=upper)
        x, y = change(x, y)
        return (x,), (y,)

    return point


def raised(array: Any, amount: Any) -> Any:
    array = array.copy()
    array[1, 1] += amount
    return array


def symmetric_only(f: Any, free: Any, a: Any, *, upper: bool) -> Any:
    def without(name: str, domain: Domain = REAL) -> Any:
        return f.number(0) if name.startswith("K") else free(name, domain)

    return cholesky_chart(f, without, a, upper=upper)


def tied(f: Any, free: Any, a: Any, *, upper: bool) -> Any:
    """Four free numbers; the last does not move the inputs."""
    free("M", REAL)
    return symmetric_only(f, free, a, upper=upper)


def one_name(f: Any, free: Any, a: Any, *, upper: bool) -> Any:
    return cholesky_chart(f, lambda name, domain=REAL: free("L", domain), a, upper=upper)


STUCK = Domain("stuck", {"real": True}, lambda t: sympy.Integer(1), REAL.sample)


def constant(f: Any, free: Any, a: Any, *, upper: bool) -> Any:
    def stuck(name: str, domain: Domain = REAL) -> Any:
        return free(name, STUCK if name.startswith("K") else domain)

    return cholesky_chart(f, stuck, a, upper=upper)


WRONG: list[tuple[Callable[..., Any], str]] = [
    (altered(lambda x, y: (x, raised(y, 1))), "output [1, 1] of the chart planted in L Lᵀ"),
    (altered(lambda x, y: (x, -y)), "number 0 that is positive at the solution of L Lᵀ"),
    (altered(lambda x, y: (raised(x, y[0, 0]), y)), "output [1, 1] of the chart planted in L Lᵀ"),
    (altered(lambda x, y: (x, y[0])), "the chart gives outputs of shapes [(2,)]; those of the op are [(2, 2)]"),
    (symmetric_only, "the chart has 3 free numbers for 4 elements of the inputs"),
    (tied, "do not move the inputs in all directions"),
    (one_name, "the chart draws L twice"),
    (constant, "the domain 'stuck' of the chart's K[1, 0] does not move with its symbol"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("point", "reason"), WRONG)
def test_a_wrong_chart_proves_nothing(point: Callable[..., Any], reason: str) -> None:
    [verdict] = verdicts(charted(point))
    assert verdict.word in (RuleWord.AGREED, RuleWord.UNDECIDED)
    assert reason in verdict.reason


def test_a_chart_that_suits_a_wrong_rule_does_not_save_it() -> None:
    """A chart of L L^T alone does not see that the rule is not symmetrised; it has too few free numbers to prove it."""
    op = replace(charted(symmetric_only), rule=cholesky(symmetric=False))
    [verdict] = verdicts(op)
    assert not verdict.proved


def test_the_proof_itself_sees_a_wrong_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof without the points that refute."""
    monkeypatch.setattr("gradproof.engine.verify.proof.proof.POINTS", 0)
    monkeypatch.setattr("gradproof.engine.verify.proof.behaviour.BehaviourChecks.run_all", lambda self: [])
    for rule in (cholesky(0), cholesky(symmetric=False)):
        [verdict] = verdicts(replace(charted(cholesky_chart), rule=rule))
        assert verdict.word is RuleWord.UNDECIDED
        assert "along L[" in verdict.reason or "along K[" in verdict.reason


def test_no_gradient_for_an_input_that_matters_is_refuted() -> None:
    op = replace(charted(cholesky_chart), rule=lambda g, y, a, *, upper: NO_GRADIENT)
    assert [verdict.word for verdict in verdicts(op)] == [RuleWord.REFUTED]


def test_the_digest_depends_on_the_chart() -> None:
    key = ProofKey("planted.cholesky", case((2, 2)))
    digests = {digest_of(registry_of(charted(point)), key) for point in (cholesky_chart, symmetric_only)}
    digests.add(digest_of(registry_of(replace(charted(cholesky_chart), chart=None)), key))
    assert len(digests) == 3


# charts of other ops


def root_point(f: Any, free: Any, b: Any, c: Any) -> Any:
    """The larger and the smaller root of t² + b t + c."""
    shape = b.shape
    b, c, y = np.empty(shape, object), np.empty(shape, object), np.empty(shape, object)
    for i in np.ndindex(shape):
        small, gap = free(f"s{list(i)}", REAL), free(f"d{list(i)}", POSITIVE)
        b[i], c[i], y[i] = -(2 * small + gap), small * (small + gap), small + gap
    return (b, c), (y,)


ROOT = Op(
    "planted.root",
    lambda b, c: (np.sqrt(b * b - 4 * c) - b) / 2,
    lambda g, y, b, c: (-g * y / (2 * y + b), -g / (2 * y + b)),
    lambda f, b, c: (f.sqrt(b * b - 4 * c) - b) / 2,
    chart=Parametrisation("t² + b t + c = (t - s) (t - s - d)", root_point),
)


def test_an_elementwise_op_with_two_inputs_has_a_chart() -> None:
    for verdict in verdicts(ROOT):
        assert verdict.word is RuleWord.PROVED, verdict.reason
        assert "through the chart t² + b t + c = (t - s) (t - s - d)" in verdict.tactic
    wrong = replace(ROOT, rule=lambda g, y, b, c: (-g * y / (2 * y + b), g / (2 * y + b)))
    for verdict in verdicts(wrong):
        assert verdict.word is RuleWord.REFUTED
        assert verdict.input == "c"


def eigen_point(f: Any, free: Any, a: Any) -> Any:
    """A rotation with tangent t of half its angle, eigenvalues l < l + d, and a free antisymmetric part."""
    t, low, gap, skew = free("t", NONZERO), free("l"), free("d", POSITIVE), free("k")
    c, s = (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)
    high = low + gap
    x = np.array([[c * c * low + s * s * high, c * s * (low - high)], [c * s * (low - high), s * s * low + c * c * high]])
    return (x + np.array([[0, skew], [-skew, 0]]),), (np.array([low, high]),)


def eigenvalue(f: Any, i: Any, a: Any) -> Any:
    mean, half, off = (a[0, 0] + a[1, 1]) / 2, (a[0, 0] - a[1, 1]) / 2, (a[0, 1] + a[1, 0]) / 2
    root = f.sqrt(half * half + off * off)
    return mean + root if i[0] else mean - root


@pytest.mark.slow
def test_a_chart_of_another_kind() -> None:
    """Eigenvalues of 2 by 2: a chart with quotients, outputs that are not inputs, and a rule that is rational in both."""

    def rule(g: Any, y: Any, a: Any) -> Any:
        s = (a + T(a)) / 2
        trace = ops.sum(ops.tril(ops.triu(s)), axis=(0, 1))
        weight = ops.expand_dims(g / (2 * y - trace), axis=(1, 2))
        adjugate = trace * ops.tril(ops.triu(s * 0 + 1)) - s
        parts = weight * (ops.expand_dims(y, axis=(1, 2)) * ops.tril(ops.triu(s * 0 + 1)) - adjugate)
        return ops.sum(parts, axis=0)

    op = Op(
        "planted.eigenvalues",
        lambda a: np.linalg.eigvalsh((a + a.T) / 2),
        rule,
        eigenvalue,
        lambda a: Inferred((Spec(a.shape[:-1], a.dtype),)),
        (case((2, 2)),),
        chart=Parametrisation("A = Q diag(l, l + d) Qᵀ + K", eigen_point),
    )
    [verdict] = verdicts(op)
    assert verdict.word is RuleWord.PROVED, verdict.reason
    [wrong] = verdicts(replace(op, rule=lambda g, y, a: rule(g, y, a) + a * 0 + T(a) - a))
    assert wrong.word is RuleWord.REFUTED


# fractions


def test_fractions_of_polynomials() -> None:
    x, y = sympy.symbols("x y", real=True)
    root, nested = sympy.sqrt(x), 1 / (1 + 1 / (x + 1 / y))
    for zero in (
        sympy.Integer(0),
        (x + y) ** 3 - (x**3 + 3 * x**2 * y + 3 * x * y**2 + y**3),
        1 / (2 * x + 2) + 1 / (3 * x + 3) - sympy.Rational(5, 6) / (x + 1),
        nested - (x * y + 1) / (x * y + 1 + y),
        1 / (root + 1) + 1 / (root - 1) + 2 * root / ((1 - root) * (1 + root)),
        sympy.exp(x) / (sympy.exp(x) + y) + y / (sympy.exp(x) + y) - 1,
        x**-3 * y - y / (x * x * x),
    ):
        assert rational_zero(sympy.sympify(zero))
    for factor in (sympy.Integer(1), x, nested, root**3 - x, x - y, 1 / x - 1 / y, (x + 1) ** 2 - x**2 - 1):
        assert not rational_zero(factor)


def test_an_exponential_is_the_product_of_those_of_its_terms() -> None:
    x, y = sympy.symbols("x y", real=True)
    e = sympy.exp
    for zero in (
        e(x - y) * e(y) - e(x),
        1 / (1 + e(-x)) + 1 / (1 + e(x)) - 1,
        e(3 * x - 2 * y) - e(x) ** 3 / e(y) ** 2,
        e(-(x**2) / 2) * e(x**2 / 2) - 1,
        e(2 * (x + y)) - e(x) ** 2 * e(2 * y),
    ):
        assert rational_zero(zero)
    for factor in (e(x) - e(y), e(2 * x) - 2 * e(x), e(x + y) - e(x) - e(y), e(x * y) - e(x) * e(y), e(x) - e(-x)):
        assert not rational_zero(factor)


def test_fractions_do_not_divide_by_zero() -> None:
    x = sympy.Symbol("x")
    hidden = (x + 1) ** 2 - x**2 - 2 * x - 1
    with pytest.raises(ValueError, match="a denominator is zero"):
        rational_zero(1 / hidden)


def test_fractions_are_bounded() -> None:
    x = sympy.symbols("x:30")
    with pytest.raises(ValueError, match="too many terms"):
        rational_zero(sympy.Add(*x) ** 20 - 1)
    assert not rational_zero(x[0] ** 1000 - x[1])  # a large power is a generator of its own
