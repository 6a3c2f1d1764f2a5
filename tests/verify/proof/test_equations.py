"""Equations: ops of a plugin that are defined by equations are proved, enclosed and read in whole graphs; faults are
caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
from flint import arb, arb_series
from tests.conftest import REGISTRY
from tests.support.complex_numbers import complex_numbers
from tests.support.registries import registry_of
from tests.support.verdicts import finish, graph_of, judge, numbers

from gradproof.engine.engine import Engine
from gradproof.engine.extend import DIRECT, HOLOMORPHIC, UNIT, Equation, Inferred, Op, Spec, case, hookimpl, ops
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.scalar_functions import Balls
from gradproof.engine.spec import Array, parts
from gradproof.engine.verify.graphs import check_graph
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.proof_cache.digest import digest_of
from gradproof.engine.verify.readings import NoDefinition, Series, Tape, read_op
from gradproof.engine.verify.readings.complex_equations import ComplexSolution, in_parts, solver_in_parts
from gradproof.engine.verify.readings.equations import InMatrices, InNumbers, Solution, linearised
from gradproof.engine.verify.readings.matrices import matrix_of
from gradproof.engine.verify.readings.power_series import tangent
from gradproof.engine.verify.verdict import GraphWord, RuleWord, SummaryWord, ValueWord
from gradproof.plugins import BUILTIN


def T(x: Any) -> Any:
    return ops.matrix_transpose(x)


def like_the_last(*specs: Any) -> Inferred:
    return Inferred((Spec(specs[-1].shape, specs[-1].dtype),))


def sylvester_infer(a: Any, b: Any, c: Any) -> Inferred:
    return like_the_last(a, b, c)


def root_infer(a: Any) -> Inferred:
    return like_the_last(a)


def sylvester_rule(g: Any, y: Any, a: Any, b: Any, c: Any) -> Any:
    back = ops.strange.sylvester(T(a), T(b), g)
    return -(back @ T(y)), -(T(y) @ back), back


SYLVESTER = Op(
    "strange.sylvester",
    scipy.linalg.solve_sylvester,
    sylvester_rule,
    Equation("a x + x b = c", lambda f, x, a, b, c: a @ x + x @ b - c),
    sylvester_infer,
    cases=(case((1, 1), (1, 1), (1, 1)), case((2, 2), (2, 2), (2, 2)), case((2, 2), (1, 1), (2, 1))),
    normwise=True,
)


def right_half(f: Any, x: Any, a: Any) -> Any:
    """Positive if and only if both eigenvalues of a 2 by 2 matrix are in the right half plane."""
    return x[0, 0] + x[1, 1], f.det(x)


def principal_root(a: Array) -> Array:
    return np.real(scipy.linalg.sqrtm(a)).astype(a.dtype)


ROOT = Op(
    "strange.root",
    principal_root,
    lambda g, y, a: ops.strange.sylvester(T(y), T(y), g),
    Equation("x x = a, eigenvalues of x to the right", lambda f, x, a: x @ x - a, principal_root, right_half),
    root_infer,
    cases=(case((2, 2)),),
    normwise=True,
)


def fixed_point(a: Array) -> Array:
    y = np.full(np.shape(a), 0.75)
    for _ in range(60):
        y = y - (y - np.cos(a * y)) / (1 + a * np.sin(a * y))
    return np.asarray(y, np.asarray(a).dtype)


COSINE = Op(
    "strange.cosine",
    fixed_point,
    lambda g, y, a: -g * y * ops.sin(a * y) / (1 + a * ops.sin(a * y)),
    Equation("x = cos(a x)", lambda f, x, a: x - f.cos(a * x), fixed_point),
    domains=UNIT,
)

SQUARE_ROOT = Op(
    "strange.square_root",
    np.sqrt,
    lambda g, y, a: g / (2 * y),
    Equation("x² = a, x > 0", lambda f, x, a: x * x - a, np.sqrt, lambda f, x, a: x),
    domains=replace(
        UNIT, name="between 0 and 1", assumptions={"positive": True}, sample=lambda random: UNIT.sample(random) ** 2
    ),
)

STRANGE = (SYLVESTER, ROOT, COSINE, SQUARE_ROOT)


def strangers(*changed: Op) -> Registry:
    """The built-in ops and those above, some replaced by ops of the same names."""
    names = {op.name for op in changed}

    class Plugin:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            for op in (*(declared for declared in STRANGE if declared.name not in names), *changed):
                register(op)

    registry = build_registry(BUILTIN, others=[Plugin()])
    assert not registry.refused
    return registry


WHOLE = strangers()


def definite(n: int, seed: int = 0) -> Array:
    a = np.random.default_rng(seed).normal(size=(n, n))
    return np.asarray(a @ a.T / n + np.eye(n))


def points(op: str, n: int) -> list[Array]:
    random = np.random.default_rng(n)
    if op == "strange.sylvester":
        return [definite(n), definite(n, 1), random.normal(size=(n, n))]
    if op == "strange.root":
        return [definite(2) + np.array([[0, 0.25], [-0.25, 0]])]
    return [random.uniform(0.1, 0.9, (n,))]


# right ones


@pytest.mark.slow
@pytest.mark.parametrize("op", STRANGE, ids=lambda op: op.name)
def test_the_rule_is_proved_by_differentiating_the_equation(op: Op) -> None:
    for case_ in op.proof_cases():
        verdict = prove(WHOLE, op, case_)
        assert verdict.word is RuleWord.PROVED, verdict.reason
        assert f"through the equation {op.equation.formula}" in verdict.tactic  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 6])
@pytest.mark.parametrize("op", STRANGE, ids=lambda op: op.name)
def test_a_gradient_is_verified_and_the_whole_graph_agrees(op: Op, n: int) -> None:
    arrays = points(op.name, n)
    seed = np.random.default_rng(3).normal(size=op.forward(*arrays).shape)
    for verdict in judge(WHOLE, op.name, *arrays, seed=seed).values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
        assert verdict.graph.word is GraphWord.CONSISTENT
        assert verdict.graph.nodes == verdict.graph.total


def test_the_solution_and_its_slope_are_those_of_scipy() -> None:
    """The fixed point against brentq, its derivative against central differences of brentq."""

    def root(a: float) -> float:
        return float(scipy.optimize.brentq(lambda x: x - np.cos(a * x), 0, 1.5, xtol=1e-15))

    a = np.array(0.625)
    tape = Tape()
    variable = tape.variable(arb(0.625))
    [y] = read_op(COSINE, tape, [_cells(variable)], {}, [Spec((), np.dtype(np.float64))])
    [slope] = tape.gradient([y.item()], [arb(1)], [variable])
    assert float(y.item().ball) == pytest.approx(root(0.625), abs=1e-14)
    assert float(slope) == pytest.approx((root(0.626) - root(0.624)) / 0.002, rel=1e-5)
    assert fixed_point(a) == pytest.approx(root(0.625), abs=1e-14)


def _cells(*values: Any) -> Array:
    cells = np.empty(len(values), object)
    cells[:] = values
    return cells.reshape(()) if len(values) == 1 else cells


# planted faults


WRONG_RULES: list[tuple[str, Op, Callable[..., Any]]] = [
    ("sign", SYLVESTER, lambda g, y, a, b, c: tuple(-x for x in sylvester_rule(g, y, a, b, c))),
    ("factor", SYLVESTER, lambda g, y, a, b, c: tuple(x * 1.0005 for x in sylvester_rule(g, y, a, b, c))),
    ("transpose", SYLVESTER, lambda g, y, a, b, c: (*sylvester_rule(g, y, a, b, c)[:2], ops.strange.sylvester(a, b, g))),
    ("factor", ROOT, lambda g, y, a: ops.strange.sylvester(T(y), T(y), g) * 1.0005),
    ("transpose", ROOT, lambda g, y, a: ops.strange.sylvester(y, y, g)),
    ("inner slope", COSINE, lambda g, y, a: -g * y * ops.sin(a * y)),
    ("factor", COSINE, lambda g, y, a: -1.0005 * g * y * ops.sin(a * y) / (1 + a * ops.sin(a * y))),
    ("factor", SQUARE_ROOT, lambda g, y, a: g / y),
]


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "rule"), [row[1:] for row in WRONG_RULES], ids=[f"{row[1].name} {row[0]}" for row in WRONG_RULES]
)
def test_a_wrong_rule_is_refuted_and_its_numbers_are_off(op: Op, rule: Callable[..., Any]) -> None:
    registry = strangers(replace(op, rule=rule))
    case_ = registry.op(op.name).proof_cases()[1 if op is SYLVESTER else 0]
    assert prove(registry, registry.op(op.name), case_).word is RuleWord.REFUTED
    for n in (2, 5):
        arrays = points(op.name, n)
        seed = np.random.default_rng(3).normal(size=op.forward(*arrays).shape)
        verdicts = judge(registry, op.name, *arrays, seed=seed)
        assert SummaryWord.WRONG in {verdict.summary for verdict in verdicts.values()}


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(
    ("op", "forward"),
    [
        (SYLVESTER, lambda a, b, c: scipy.linalg.solve_sylvester(a, b.T, c)),
        (SYLVESTER, lambda a, b, c: scipy.linalg.solve_sylvester(a, b, c) * (1 + 1e-9)),
        (ROOT, lambda a: -principal_root(a)),
        (ROOT, lambda a: _other_root(a)),
        (SQUARE_ROOT, lambda a: -np.sqrt(a)),
        (COSINE, lambda a: fixed_point(a) + 1e-9),
    ],
    ids=["transpose", "a billionth", "the negative root", "another root", "the negative number", "a billionth more"],
)
def test_a_wrong_forward_is_wrong(op: Op, forward: Callable[..., Any]) -> None:
    """Also a forward that gives another of several solutions, at which the rule is right."""
    registry = strangers(replace(op, forward=forward))
    arrays = points(op.name, 2)
    if op is SYLVESTER:
        arrays[1] = np.array([[2.0, 1.0], [0.0, 3.0]])
    for verdict in judge(registry, op.name, *arrays).values():
        assert verdict.summary is SummaryWord.WRONG


def _other_root(a: Array) -> Array:
    """The root with one eigenvalue to the left."""
    values, vectors = np.linalg.eig(a)
    return np.real(vectors @ np.diag(np.sqrt(values) * [1, -1]) @ np.linalg.inv(vectors))


def test_another_root_of_a_symmetric_matrix_is_wrong() -> None:
    registry = strangers(replace(ROOT, forward=_other_root))
    [verdict] = judge(registry, "strange.root", definite(2)).values()
    assert verdict.summary is SummaryWord.WRONG


def test_a_start_that_leads_elsewhere_says_so_and_verifies_nothing() -> None:
    astray = replace(SQUARE_ROOT.equation, start=lambda a: -np.sqrt(a))  # type: ignore[type-var]
    [verdict] = judge(strangers(replace(SQUARE_ROOT, define=astray)), "strange.square_root", np.array([0.5])).values()
    assert numbers(verdict).word is ValueWord.UNCHECKED
    assert "the start leads to a solution of x² = a, x > 0 that is not the intended one" in numbers(verdict).reason
    assert verdict.summary is not SummaryWord.VERIFIED


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(
    "start", [lambda a: np.zeros_like(a), lambda a: np.full_like(a, np.nan), lambda a: 1 / 0, lambda a: np.ones(7), None]
)
def test_a_start_that_leads_nowhere_verifies_nothing(start: Any) -> None:
    lost = replace(SQUARE_ROOT.equation, start=start)  # type: ignore[type-var]
    [verdict] = judge(strangers(replace(SQUARE_ROOT, define=lost)), "strange.square_root", np.array([0.5])).values()
    assert verdict.summary not in (SummaryWord.VERIFIED, SummaryWord.WRONG)


def test_a_double_root_is_no_solution() -> None:
    """x² - 2x + a at a = 1: the slope is 0, and no box holds a unique solution."""
    touching = Equation("(x - 1)² = 1 - a", lambda f, x, a: x * x - 2 * x + a, lambda a: 1 + np.sqrt(1 - a))
    [y] = read_op(replace(COSINE, define=touching), Balls(), [_cells(arb(1))], {}, [Spec((), np.dtype(np.float64))])
    assert y.item().is_nan()


def test_a_nonlinear_equation_without_a_start_has_no_solution_to_speak_of() -> None:
    """The cubic has three roots; none of them is taken for the solution."""
    cubic = Equation("x³ = x", lambda f, x, a: x * x * x - x + a)
    [y] = read_op(replace(COSINE, define=cubic), Balls(), [_cells(arb(0))], {}, [Spec((), np.dtype(np.float64))])
    assert y.item().is_nan()


# complex numbers


def matrices_infer(a: Any, b: Any) -> Inferred:
    return like_the_last(a, b)


def conjugate_rule(g: Any, y: Any, a: Any, b: Any) -> Any:
    back = ops.solve(T(a), g)
    return -ops.conj(back @ T(ops.conj(y))), back


CONJUGATE = Op(
    "strange.conjugate",
    lambda a, b: np.linalg.solve(np.conj(a), b),
    conjugate_rule,
    Equation("ā x = b", lambda f, x, a, b: np.frompyfunc(f.conj, 1, 1)(a) @ x - b),
    matrices_infer,
    cases=(case((1, 1), (1, 1)), case((2, 2), (2, 1))),
    complex=DIRECT,
    normwise=True,
)
COMPLEX_ROOT = replace(
    SQUARE_ROOT,
    complex=HOLOMORPHIC,
    define=Equation("x² = a, x to the right", lambda f, x, a: x * x - a, np.sqrt, lambda f, x, a: f.real(x)),
)
COMPLEX = (CONJUGATE, COMPLEX_ROOT, replace(SYLVESTER, complex=HOLOMORPHIC))


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("op", COMPLEX, ids=lambda op: str(op.name))
def test_equations_of_complex_numbers_are_proved_and_verified(op: Op) -> None:
    """Neither holomorphic, nor linear, nor a single product."""
    registry = strangers(*COMPLEX)
    for case_ in registry.op(op.name).complex_cases():
        proof = prove(registry, registry.op(op.name), case_)
        assert proof.word is RuleWord.PROVED, proof.reason
        assert proof.tactic.endswith("continued from the real line") == (op.complex is HOLOMORPHIC)
    random = np.random.default_rng(2)
    shapes = [(3,)] if op.elementwise else [(3, 3)] * len(op.inputs)
    for verdict in judge(registry, op.name, *(complex_numbers(random, *shape) for shape in shapes)).values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
        assert verdict.graph.word is GraphWord.CONSISTENT


@pytest.mark.slow
def test_a_conjugate_that_the_rule_of_an_equation_forgets_is_wrong() -> None:
    def rule(g: Any, y: Any, a: Any, b: Any) -> Any:
        back = ops.solve(T(a), g)
        return -(back @ T(ops.conj(y))), back

    registry = registry_of(replace(CONJUGATE, rule=rule))
    op = registry.op(CONJUGATE.name)
    assert {prove(registry, op, case_).word for case_ in op.complex_cases()} == {RuleWord.REFUTED}
    random = np.random.default_rng(3)
    verdict = judge(registry, op.name, complex_numbers(random, 2, 2), complex_numbers(random, 2, 2))["x0"]
    assert numbers(verdict).word is ValueWord.OFF


def test_a_complex_solution_that_is_not_enclosed_is_nan_in_both_parts() -> None:
    """A matrix of balls that contains singular ones; the motion and the gradient of its inverse too."""
    equation = REGISTRY.op("inv").equation
    assert equation is not None
    wide = np.empty((2, 2, 2), object)
    wide[...] = arb(1, 2)
    solution = solver_in_parts(equation, (2, 2), [True, True], {})([wide])
    for cells in (solution.values, solution.push([wide]), *solution.pull(wide)):
        assert cells.shape == (2, 2, 2)
        assert all(x.is_nan() for x in cells.flat)


def test_whole_matrices_and_parts_of_complex_numbers_agree() -> None:
    random, equation = np.random.default_rng(4), REGISTRY.op("solve").equation
    assert equation is not None
    a, b, da, db, g = (_exact(parts(complex_numbers(random, 3, k))) for k in (3, 2, 3, 2, 2))
    kinds = [True, True, True]
    whole = ComplexSolution(equation, (3, 2), [a, b], kinds, {})
    single = Solution(in_parts(equation, kinds, {}), (3, 2, 2), [a, b], {})
    for one, other in (
        (whole.values, single.values),
        (whole.push([da, db]), single.push([da, db])),
        (whole.push([None, db]), single.push([None, db])),
        *zip(whole.pull(g), single.pull(g), strict=True),
    ):
        assert one.shape == other.shape
        assert all(x.overlaps(y) and x.is_finite() for x, y in zip(one.flat, other.flat, strict=True))


# readings


@pytest.mark.parametrize("n", [1, 2, 4])
@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        *((op, {}) for op in ("solve", "inv", "det", "cofactors")),
        *(("cholesky", {"upper": upper}) for upper in (False, True)),
    ],
)
def test_both_readings_of_an_equation_agree(op: str, attributes: dict[str, Any], n: int) -> None:
    """In whole matrices and number by number, at the solution: residual, both inverses, push and pull."""
    op_ = REGISTRY.op(op)
    assert op_.equation is not None
    arrays = [definite(n)] + ([np.ones((n, 2))] if op == "solve" else [])
    y = np.asarray(op_.forward(*arrays, **attributes))
    exact = [_exact(x) for x in (y, *arrays)]
    whole, single = (kind(op_.equation, exact[0], exact[1:], attributes) for kind in (InMatrices, InNumbers))
    random = np.random.default_rng(1)
    halves: dict[Any, Callable[..., Any]] = {False: np.tril, True: np.triu}
    half = halves.get(attributes.get("upper"), np.asarray)
    g = _exact(half(random.normal(size=y.shape)))
    along = [matrix_of(_exact(random.normal(size=x.shape))) for x in arrays]
    counts = half(np.ones((n, n)))
    pairs = [
        (whole.inverse.solve(matrix_of(g)), single.inverse.solve(matrix_of(g))),
        (whole.inverse.adjoint(matrix_of(g)), single.inverse.adjoint(matrix_of(g))),
        (whole.push(along), single.push(along)),
        *zip(whole.pull(matrix_of(g)), single.pull(matrix_of(g)), strict=True),
    ]
    for k, (a, b) in enumerate(pairs):
        for r, c in np.ndindex(a.nrows(), a.ncols()):
            assert (op == "cholesky" and k == 2 and not counts[r, c]) or a[r, c].overlaps(b[r, c])
            assert a[r, c].is_finite()


def _exact(x: Array) -> Array:
    cells = np.empty(np.shape(x), object)
    cells.reshape(-1)[:] = [arb(v) for v in np.asarray(x).ravel().tolist()]
    return cells


def test_what_is_no_sum_of_products_is_read_number_by_number() -> None:
    assert COSINE.equation is not None
    assert isinstance(linearised(COSINE.equation, _cells(arb(0.5)), [_cells(arb(0.5))], {}), InNumbers)


def test_too_many_unknowns_that_depend_on_each_other_are_refused_by_name() -> None:
    n = 17
    with pytest.raises(NoDefinition, match=r"a x \+ x b = c .*289 unknowns depend on each other; 256 are"):
        read_op(SYLVESTER, Balls(), [_exact(definite(n, k)) for k in range(3)], {}, [Spec((n, n), np.dtype(np.float64))])


def test_the_series_reading_is_the_forward_derivative() -> None:
    """The derivative along a direction against the tape: <g, J v> = <Jᵀ g, v>."""
    random = np.random.default_rng(0)
    arrays = [definite(3), definite(3, 1), random.normal(size=(3, 3))]
    g, along = random.normal(size=(3, 3)), [random.normal(size=(3, 3)) for _ in range(3)]
    spec = [Spec((3, 3), np.dtype(np.float64))]
    lines = [_exact(x) for x in arrays]
    for cells, d in zip(lines, along, strict=True):
        cells.reshape(-1)[:] = [arb_series([x, v], 2) for x, v in zip(cells.flat, d.ravel().tolist(), strict=True)]
    [pushed] = read_op(SYLVESTER, Series(), lines, {}, spec)
    forward = sum((w * tangent(x) for w, x in zip(g.ravel().tolist(), pushed.flat, strict=True)), arb(0))
    tape = Tape()
    inputs = [_exact(x) for x in arrays]
    variables = []
    for array in inputs:
        array.reshape(-1)[:] = [tape.variable(x) for x in array.flat]
        variables += list(array.flat)
    [y] = read_op(SYLVESTER, tape, inputs, {}, spec)
    back = tape.gradient(list(y.flat), [arb(w) for w in g.ravel().tolist()], variables)
    flat = [v for d in along for v in d.ravel().tolist()]
    assert forward.overlaps(sum((p * v for p, v in zip(back, flat, strict=True)), arb(0)))
    assert forward.rel_accuracy_bits() > 30


def test_the_digest_of_a_proof_depends_on_the_equation() -> None:
    equation = replace(SYLVESTER.equation, residual=lambda f, x, a, b, c: a @ x + x @ b - 2 * c)  # type: ignore[type-var]
    key = ProofKey("strange.sylvester", SYLVESTER.cases[0])
    assert digest_of(WHOLE, key) != digest_of(strangers(replace(SYLVESTER, define=equation)), key)


def test_a_wrong_equation_refutes_a_right_rule() -> None:
    equation = replace(SYLVESTER.equation, residual=lambda f, x, a, b, c: a @ x - x @ b - c)  # type: ignore[type-var]
    assert {verdict.word for verdict in verdicts_in(replace(SYLVESTER, define=equation))} == {RuleWord.REFUTED}


def verdicts_in(op: Op) -> list[Any]:
    registry = strangers(op)
    return [prove(registry, op, case_) for case_ in op.cases]


def test_an_integer_input_stays_what_it_is() -> None:
    """Rows of the unknown in the order of an index: it is no matrix, and does not move."""

    def infer(a: Any, order: Any) -> Inferred:
        return Inferred((Spec(a.shape, a.dtype),))

    order = np.array([2, 0, 1])
    permuted = Op(
        "strange.turned",
        lambda a, order: 2 * a[np.argsort(order)],
        lambda g, y, a, order: (ops.matmul(ops.matrix_transpose(ops.strange.place(order)), g) * 2, None),
        Equation("x[order] = 2 a", lambda f, x, a, order: x[[int(k) for k in order]] - 2 * a),
        infer,
    )
    cells = np.empty(3, object)
    cells[:] = order.tolist()
    a = np.array([1.5, -2.0, 3.0])
    tape = Tape()
    moving = _cells(*[tape.variable(arb(x)) for x in a.tolist()])
    [y] = read_op(permuted, tape, [moving, cells], {}, [Spec((3,), np.dtype(np.float64))])
    assert [float(x.ball) for x in y] == permuted.forward(a, order).tolist()
    slopes = tape.gradient(list(y), [arb(1), arb(10), arb(100)], list(moving))
    assert [float(x) for x in slopes] == [200, 2, 20]


def test_an_equation_that_raises_says_so() -> None:
    broken = replace(COSINE.equation, residual=lambda f, x, a: x.nonsense)  # type: ignore[type-var]
    with pytest.raises(AttributeError, match="nonsense"):
        read_op(replace(COSINE, define=broken), Balls(), [_cells(arb(0.5))], {}, [Spec((), np.dtype(np.float64))])


def test_a_node_that_takes_the_whole_graph_beyond_its_operations_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of 40 elements is a sum of as many, and there is no form for whole arrays."""
    whole = REGISTRY.op("softmax")
    registry = registry_of(replace(whole, name="planted.softmax", arrays=None))
    graph, values = graph_of("planted.softmax", np.linspace(0, 1, 40), axis=0)
    run = finish(Engine(registry), Job(graph, values, [("y", np.linspace(-1, 2, 40))]))
    assert check_graph(run, 60.0)["x0"].word is GraphWord.CONSISTENT
    monkeypatch.setattr("gradproof.engine.verify.graphs.wholegraph.MAX_OPERATIONS", 500)
    monkeypatch.setattr("gradproof.engine.verify.graphs.series_bridge.MAX_OPERATIONS", 500)
    verdict = check_graph(run, 60.0)["x0"]
    assert verdict.word is GraphWord.SKIPPED
    expected = "node 0 (planted.softmax) takes the reading beyond 500 operations; check a smaller batch of the same graph"
    assert verdict.reason == expected


# where an equation compares


COMPARING = [
    (
        Equation("y = x, or x / 2 below 0", lambda f, y, x: y - f.where(f.less(x, 0), x / 2, x)),
        lambda x: np.where(x < 0, x / 2, x),
        lambda g, y, x: ops.where(x < 0, g / 2, g),
        "x = 0",
    ),
    (
        Equation("y, or y / 2 below 0, = x", lambda f, y, x: f.where(f.less(y, 0), y / 2, y) - x, lambda x: x),
        lambda x: np.where(x < 0, 2 * x, x),
        lambda g, y, x: ops.where(y < 0, 2 * g, g),
        "_y = 0",
    ),
    (Equation("y = |x|", lambda f, y, x: y - f.modulus(x)), np.abs, lambda g, y, x: g * ops.sign(x), "x = 0"),
    (Equation("y = ⌊x⌋", lambda f, y, x: y - f.floor(x)), np.floor, lambda g, y, x: g * 0, "x - floor(x) = 0"),
    (
        Equation("y = x, or x + 1 from 1", lambda f, y, x: y - f.where(f.less(x, 1), x, x + 1)),
        lambda x: np.where(x < 1, x, x + 1),
        lambda g, y, x: 1 * g,
        "x - 1 = 0",
    ),
]


@pytest.mark.slow
@pytest.mark.parametrize(("equation", "forward", "rule", "ties"), COMPARING, ids=[row[0].formula for row in COMPARING])
def test_ties_of_an_equation_are_left_out_of_its_proof_by_name(
    equation: Equation, forward: Any, rule: Any, ties: str
) -> None:
    op = Op("strange.comparing", forward, rule, equation)
    verdict = prove(strangers(op), op, op.proof_cases()[0])
    assert (verdict.word, verdict.tie_set) == (RuleWord.PROVED_AE, ties)
