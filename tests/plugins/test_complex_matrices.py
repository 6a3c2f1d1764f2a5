"""Inverses, determinants and solutions of complex matrices: gradients against mpmath and against the real matrices
[[Re, -Im], [Im, Re]], verdicts, and faults that must be called wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.linalg
from mpmath import mp
from tests.conftest import REGISTRY, Bench
from tests.support.complex_numbers import complex_numbers
from tests.support.registries import registry_of
from tests.support.verdicts import judge, numbers, verdicts_of

from gradproof.engine.cases import case
from gradproof.engine.derive import Mode, derive
from gradproof.engine.engine import GradientEvent
from gradproof.engine.errors import DataFault
from gradproof.engine.extend import DIRECT, Op, ops
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array, spec
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.verdict import GraphWord, RuleWord, SummaryWord, ValueWord

HOLOMORPHIC_OPS = ("solve", "inv", "det", "cofactors")
DTYPES = (np.complex64, np.complex128)


def operands(op: str, n: int, dtype: Any = np.complex128, *batch: int) -> list[Array]:
    """A well-conditioned matrix, or a stack; for solve with two right sides."""
    random = np.random.default_rng(n)
    a = complex_numbers(random, *batch, n, n) + (n + 1) * (1 - 0.5j) * np.eye(n)
    arrays = [a, complex_numbers(random, *batch, n, 2)] if op == "solve" else [a]
    return [x.astype(dtype) for x in arrays]


def seed_of(op: str, arrays: Sequence[Array]) -> Array:
    shape = REGISTRY.op(op).inference([spec(x.shape, x.dtype) for x in arrays], {}).outputs[0].shape
    return complex_numbers(np.random.default_rng(99), *shape).astype(arrays[0].dtype)


# forward


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 3, 4, 7])
def test_forward_is_that_of_scipy(n: int, dtype: Any) -> None:
    a, b = operands("solve", n, dtype)
    wide, rtol = a.astype(np.complex128), 3e-5 if dtype is np.complex64 else 1e-12
    whole = scipy.linalg.det(wide)
    for op, arrays, true in (
        ("solve", [a, b], scipy.linalg.solve(wide, b)),
        ("solve", [a, b[:, 0]], scipy.linalg.solve(wide, b[:, 0])),
        ("inv", [a], scipy.linalg.inv(wide)),
        ("det", [a], whole),
        ("cofactors", [a], whole * scipy.linalg.inv(wide).T),
    ):
        got = np.asarray(REGISTRY.op(op).forward(*arrays))
        assert got.dtype == dtype
        np.testing.assert_allclose(got, true, rtol=rtol, atol=rtol * np.abs(true).max())


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_cofactors_of_singular_matrices_are_those_of_mpmath(rank: int) -> None:
    """Minors of Gaussian integers, which are exact."""
    random = np.random.default_rng(rank)
    left, right = (random.integers(-3, 4, (2, *shape)) for shape in ((4, rank), (rank, 4)))
    a = (left[0] + 1j * left[1]) @ (right[0] + 1j * right[1])
    got = REGISTRY.op("cofactors").forward(a)
    for r, c in np.ndindex(4, 4):
        with mp.workdps(40):
            minor = mp.matrix(np.delete(np.delete(a, r, 0), c, 1).tolist())
            true = complex(mp.det(minor)) * (-1) ** (r + c)
        np.testing.assert_allclose(got[r, c], true, atol=1e-9)


@pytest.mark.parametrize("scale", [1e-200, 1e-30, 1e30, 1e150])
def test_the_digits_of_a_determinant_do_not_depend_on_its_size(scale: float) -> None:
    a = operands("det", 5)[0] * np.array([scale, 1, 1 / scale, 1, 1])[:, None]
    np.testing.assert_allclose(REGISTRY.op("det").forward(a), scipy.linalg.det(operands("det", 5)[0]), rtol=1e-13)


def test_a_singular_matrix_of_a_stack_is_named(bench: Bench) -> None:
    a = np.stack([np.eye(2, dtype=complex), np.array([[1j, 1], [-1, 1j]])])
    for lines in (["y = inv(a)"], ["y = solve(a, a)"]):
        with pytest.raises(DataFault, match="Singular matrix") as caught:
            bench.values({"a": a}, lines, "y")
        assert caught.value.element == "[1]"


# gradients


def embedded(z: Array) -> Array:
    """The real matrix that multiplies real and imaginary parts as ``z`` multiplies complex numbers."""
    return np.block([[z.real, -z.imag], [z.imag, z.real]])


def by_embedding(function: Callable[..., Any], arrays: Sequence[Array], seed: Array) -> list[Array]:
    """dL/dRe + i dL/dIm for L = Re(sum conj(seed) output), by central differences of a real function of real matrices
    of twice the size, in mpmath; its first n columns are real and imaginary parts of the output."""

    def loss(parts: Sequence[Array]) -> Any:
        wide = [np.block([[re, -im], [im, re]]) for re, im in parts]
        result = np.array(function(*(mp.matrix(x.tolist()) for x in wide)).tolist(), object)
        rows, columns = seed.shape
        return np.sum(result[:rows, :columns] * seed.real) + np.sum(result[rows:, :columns] * seed.imag)

    with mp.workdps(50):
        step = mp.mpf(10) ** -16
        parts = [np.array([[[mp.mpf(float(x)) for x in row] for row in half] for half in (z.real, z.imag)]) for z in arrays]
        gradients = []
        for whole in parts:
            slopes = np.zeros(whole.shape)
            for index in np.ndindex(whole.shape):
                middle = whole[index]
                whole[index] = middle + step
                above = loss(parts)
                whole[index] = middle - step
                slopes[index] = float((above - loss(parts)) / (2 * step))
                whole[index] = middle
            gradients.append(slopes[0] + 1j * slopes[1])
    return gradients


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize(("op", "function"), [("inv", mp.inverse), ("solve", lambda a, b: mp.inverse(a) * b)])
def test_gradient_is_that_of_the_real_matrices(bench: Bench, op: str, function: Callable[..., Any], n: int) -> None:
    arrays = operands(op, n)
    seed = seed_of(op, arrays)
    for got, true in zip(bench.apply(op, arrays, {}, [seed]), by_embedding(function, arrays, seed), strict=True):
        np.testing.assert_allclose(got, true, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_the_determinant_of_the_real_matrix_is_the_square_of_the_modulus(bench: Bench, n: int) -> None:
    """The real op on the real matrix, and the complex op: gradients of the same loss."""
    [a] = operands("det", n)
    got = bench.gradients({"a": a}, ["d = det(a)", "m = abs(d)", "y = square(m)"], "y")["a"]
    whole = bench.gradients({"a": embedded(a)}, ["y = det(a)"], "y")["a"]
    real = whole[:n, :n] + whole[n:, n:]
    imag = whole[n:, :n] - whole[:n, n:]
    np.testing.assert_allclose(got, real + 1j * imag, rtol=1e-11)


@pytest.mark.parametrize(("a", "b"), [*product(("float32", "float64", "complex64", "complex128"), repeat=2)])
def test_solve_of_mixed_dtypes(bench: Bench, a: str, b: str) -> None:
    """A real input gets the real part of the gradient."""
    left, right = operands("solve", 3)

    def real(x: Array, dtype: Any) -> Array:
        return np.asarray(x if np.dtype(dtype).kind == "c" else x.real, dtype)

    leaves = {"a": real(left, a), "b": real(right, b)}
    common = np.result_type(a, b)
    y = bench.values(leaves, ["y = solve(a, b)"], "y")["y"]
    assert y.dtype == common
    rough = 1e-4 if "float32" in (a, b) or "complex64" in (a, b) else 1e-12
    np.testing.assert_allclose(leaves["a"] @ y, leaves["b"], rtol=rough, atol=rough)
    seed = complex_numbers(np.random.default_rng(1), 3, 2)
    gradients = bench.gradients(leaves, ["y = solve(a, b)"], "y", seeds={"y": real(seed, common)})
    wide = {name: x.astype(np.complex128) for name, x in leaves.items()}
    whole = bench.gradients(wide, ["y = solve(a, b)"], "y", seeds={"y": real(seed, common).astype(np.complex128)})
    for name, x in leaves.items():
        assert gradients[name].dtype == x.dtype
        np.testing.assert_allclose(gradients[name], real(whole[name], x.dtype), rtol=rough, atol=rough)


def test_a_mixed_system_is_verified(bench: Bench) -> None:
    left, right = operands("solve", 3)
    job = bench.job({"a": left.real, "b": right}, ["y = solve(a, b)", "r = abs(y)", "l = sum(r)"], "l")
    for verdict in verdicts_of(REGISTRY, job).values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
        assert verdict.graph.word is GraphWord.CONSISTENT


def test_stacks_broadcast(bench: Bench) -> None:
    [a], b = operands("inv", 3, np.complex128, 2, 1), complex_numbers(np.random.default_rng(4), 4, 3, 2)
    y = bench.values({"a": a, "b": b}, ["y = solve(a, b)"], "y")["y"]
    assert y.shape == (2, 4, 3, 2)
    seed = complex_numbers(np.random.default_rng(5), *y.shape)
    gradients = bench.gradients({"a": a, "b": b}, ["y = solve(a, b)"], "y", seeds={"y": seed})
    single = [[bench.apply("solve", [a[i, 0], b[j]], {}, [seed[i, j]]) for j in range(4)] for i in range(2)]
    for i in range(2):
        np.testing.assert_allclose(gradients["a"][i, 0], sum(single[i][j][0] for j in range(4)), rtol=1e-11, atol=1e-12)
    for j in range(4):
        np.testing.assert_allclose(gradients["b"][j], sum(single[i][j][1] for i in range(2)), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", HOLOMORPHIC_OPS)
def test_no_elements_and_a_single_element(bench: Bench, op: str, dtype: Any) -> None:
    for n in (0, 1):
        arrays = operands(op, n, dtype)
        seed = seed_of(op, arrays)
        gradients = bench.apply(op, arrays, {}, [seed])
        assert [(g.shape, g.dtype) for g in gradients] == [(x.shape, x.dtype) for x in arrays]
        for verdict in judge(REGISTRY, op, *arrays, seed=seed).values():
            assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
    assert arrays[0].shape == (1, 1)
    z, g = arrays[0].astype(np.complex128), seed.astype(np.complex128)
    slope: Any = {"inv": lambda: -1 / z**2, "det": lambda: np.ones((1, 1)), "cofactors": lambda: 0 * z}.get(op)
    if slope is not None:
        np.testing.assert_allclose(gradients[0], g * np.conj(slope()), rtol=1e-5)


def loss_in_mpmath(op: str, a: Any, rest: Sequence[Array], seed: Array) -> Any:
    """Re(sum conj(seed) y²)."""
    inverse = mp.det(a) if op == "det" else mp.inverse(a)
    cells = [inverse] if op == "det" else list(inverse * mp.matrix(rest[0].tolist()) if rest else inverse)
    return mp.fsum(mp.re(mp.conj(complex(g)) * y * y) for g, y in zip(seed.flat, cells, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("op", ["solve", "inv", "det"])
def test_second_derivatives_are_those_of_mpmath(bench: Bench, op: str) -> None:
    """The gradient of Re(sum conj(v) gradient of a loss), by differences of differences with 60 digits left."""
    a, *rest = operands(op, 2)
    seed, v = seed_of(op, [a, *rest]), complex_numbers(np.random.default_rng(3), 2, 2)
    leaves = dict(zip("ab", (a, *rest), strict=False)) | {"s": np.conj(seed, out=np.empty_like(seed))}
    lines = [f"y = {op}({', '.join(sorted(leaves.keys() - {'s'}))})", "q = square(y)", "p = multiply(s, q)", "r = real(p)"]
    graph = bench.graph(leaves, [*lines, "l = sum(r)"], "l", constants="b s" if rest else "s")
    derived = derive(graph, REGISTRY, Mode.GRADIENT, ["a"])
    [gradient] = [str(derivative.value) for derivative in derived.derivatives]
    known = {leaf.name for leaf in derived.graph.leaves}
    given = {name: x for name, x in (*leaves.items(), *derived.values) if name in known}
    job = Job(replace(derived.graph, outputs=(gradient,)), tuple(given.items()), ((gradient, v),))
    [second] = [e.gradient for e in bench.events(job)[0] if isinstance(e, GradientEvent) and e.name == "a"]
    assert second is not None
    for verdict in verdicts_of(REGISTRY, job).values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
    with mp.workdps(140):
        inner, outer_ = mp.mpf(10) ** -40, mp.mpf(10) ** -20
        direction = inner * mp.matrix(v.tolist())
        for place in np.ndindex(2, 2):
            slopes = []
            for turn in (outer_, mp.mpc(0, outer_)):
                corners = []
                for side, along in product((1, -1), repeat=2):
                    at = mp.matrix(a.tolist()) + along * direction
                    at[place] += side * turn
                    corners.append(side * along * loss_in_mpmath(op, at, rest, seed))
                slopes.append(float(mp.fsum(corners) / (4 * inner * outer_)))
            np.testing.assert_allclose(second[place], complex(*slopes), rtol=1e-10, atol=1e-11)


# verdicts


@pytest.mark.slow
@pytest.mark.parametrize("op", HOLOMORPHIC_OPS)
def test_rules_are_proved_on_the_real_line_and_compared_beyond(op: str) -> None:
    for case_ in REGISTRY.op(op).complex_cases():
        verdict = prove(REGISTRY, REGISTRY.op(op), case_)
        assert verdict.word is RuleWord.PROVED, verdict.reason
        assert verdict.tactic.endswith("continued from the real line")
        assert "through the equation" in verdict.tactic
        assert "the second derivative agrees at an exact point" in verdict.obligations
        assert verdict.seconds < 5


@pytest.mark.sweep(of=5, by_op=False)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("op", "n"), [*product(HOLOMORPHIC_OPS, (2, 3, 4, 9, 30))])
def test_well_conditioned_matrices_are_verified(op: str, n: int, dtype: Any) -> None:
    arrays = operands(op, n, dtype)
    if op in ("det", "cofactors"):
        size = np.abs(np.linalg.det(operands(op, n)[0])) ** (1 / n)
        arrays = [(x / size).astype(dtype) for x in arrays]
    for verdict in judge(REGISTRY, op, *arrays, seed=seed_of(op, arrays)).values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
        assert verdict.graph.word is GraphWord.CONSISTENT
        assert verdict.graph.nodes == verdict.graph.total
        assert numbers(verdict).checked == numbers(verdict).total


def unitary(n: int) -> Array:
    a = complex_numbers(np.random.default_rng(n), n, n)
    turn: Array = scipy.linalg.expm(a - a.conj().T)
    return turn


HILBERT = scipy.linalg.hilbert(8) * np.exp(1j * np.arange(8))[:, None]
KINDS: dict[str, Array] = {
    "Hilbert": HILBERT,
    "a part of it": HILBERT[:4, :4],
    "spread": unitary(12) @ np.diag(np.logspace(0, -12, 12)) @ unitary(12).T,
    "diagonal": 1j * np.diag(np.logspace(-8, 8, 9)),
    "unitary": unitary(6),
    "imaginary": 1j * np.random.default_rng(1).normal(size=(6, 6)),
    "real": np.random.default_rng(2).normal(size=(6, 6)).astype(complex),
    "triangular": np.tril(complex_numbers(np.random.default_rng(3), 9, 9)),
    "permutation": np.eye(7)[::-1].astype(complex),
    "stack": complex_numbers(np.random.default_rng(4), 3, 2, 5, 5),
    "nearly real": np.random.default_rng(5).normal(size=(4, 4)) * (1 + 1e-12j),
    "large": 1e150 * complex_numbers(np.random.default_rng(6), 3, 3),
}


@pytest.mark.sweep(of=5, by_op=False)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_false_alarm(kind: str, dtype: Any) -> None:
    if kind == "large" and dtype is np.complex64:
        pytest.skip("beyond the dtype")
    a = KINDS[kind].astype(dtype)
    for op in HOLOMORPHIC_OPS:
        arrays = [a, np.ones((*a.shape[:-1], 2), dtype)] if op == "solve" else [a]
        for verdict in judge(REGISTRY, op, *arrays).values():
            assert verdict.summary in (SummaryWord.VERIFIED, SummaryWord.PLAUSIBLE), (op, verdict.reason)
            assert verdict.graph.word in (GraphWord.CONSISTENT, GraphWord.ILL_CONDITIONED)


@pytest.mark.parametrize("rank", [0, 1, 2, 3])
def test_the_determinant_of_a_singular_matrix_is_no_alarm(rank: int) -> None:
    random = np.random.default_rng(rank)
    a = complex_numbers(random, 4, rank) @ complex_numbers(random, rank, 4)
    for verdict in judge(REGISTRY, "det", a).values():
        assert verdict.summary is not SummaryWord.WRONG, verdict.reason


# faults


def T(x: Any) -> Any:
    return ops.matrix_transpose(x)


def H(x: Any) -> Any:
    return ops.matrix_transpose(ops.conj(x))


def outer(g: Any, x: Any) -> Any:
    return ops.expand_dims(g, axis=(-2, -1)) * x


def solved(turn: Callable[[Any], Any], last: Callable[[Any], Any]) -> Callable[..., Any]:
    def rule(g: Any, y: Any, a: Any, b: Any) -> Any:
        back = ops.solve(turn(a), g)
        return -(back @ last(y)), back

    return rule


RIGHT: dict[str, Callable[..., Any]] = {
    "inv": lambda g, y, a: -(H(y) @ g @ H(y)),
    "det": lambda g, y, a: outer(g, ops.conj(ops.cofactors(a))),
    "solve": solved(H, H),
}
WRONG: dict[str, tuple[str, Callable[..., Any]]] = {
    "inv: transposes": ("inv", lambda g, y, a: -(T(y) @ g @ T(y))),
    "inv: the first is a transpose": ("inv", lambda g, y, a: -(T(y) @ g @ H(y))),
    "inv: the last is a transpose": ("inv", lambda g, y, a: -(H(y) @ g @ T(y))),
    "inv: conjugates": ("inv", lambda g, y, a: -(ops.conj(y) @ g @ ops.conj(y))),
    "inv: the cotangent is conjugated": ("inv", lambda g, y, a: -(H(y) @ ops.conj(g) @ H(y))),
    "inv: a factor of 1.0005": ("inv", lambda g, y, a: -1.0005 * (H(y) @ g @ H(y))),
    "det: cofactors": ("det", lambda g, y, a: outer(g, ops.cofactors(a))),
    "det: transposed": ("det", lambda g, y, a: outer(g, H(ops.cofactors(a)))),
    "solve: transposes": ("solve", solved(T, T)),
    "solve: the system is of the transpose": ("solve", solved(T, H)),
    "solve: the product is with the transpose": ("solve", solved(H, T)),
}


def direct(op: str, rule: Callable[..., Any]) -> Registry:
    """The op with a rule that is written for complex numbers, as ``planted.op``."""
    base = REGISTRY.op(op)
    cases = (case((1, 1), (1, 1)), case((2, 2), (2, 1))) if op == "solve" else (case((1, 1)), case((2, 2)))
    return registry_of(
        Op("planted.op", base.forward, rule, base.define, base.infer, complex=DIRECT, cases=cases, normwise=True)
    )


@pytest.mark.sweep(of=3, by_op=False)
@pytest.mark.slow
@pytest.mark.parametrize("op", RIGHT)
def test_a_rule_with_conjugates_is_proved_in_real_and_imaginary_parts(op: str) -> None:
    registry = direct(op, RIGHT[op])
    for case_ in registry.op("planted.op").complex_cases():
        proof = prove(registry, registry.op("planted.op"), case_)
        assert proof.word is RuleWord.PROVED, proof.reason
        assert "continued" not in proof.tactic
    arrays = operands(op, 4)
    for verdict in judge(registry, "planted.op", *arrays, seed=seed_of(op, arrays)).values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason


@pytest.mark.sweep(of=5, by_op=False)
@pytest.mark.slow
@pytest.mark.parametrize("fault", WRONG)
def test_a_forgotten_conjugate_is_wrong_at_any_size(fault: str) -> None:
    op, rule = WRONG[fault]
    registry = direct(op, rule)
    verdict = prove(registry, registry.op("planted.op"), registry.op("planted.op").complex_cases()[-1])
    assert verdict.word is RuleWord.REFUTED
    assert verdict.point.endswith(" i")
    for n in (2, 5, 20):
        arrays = operands(op, n)
        at_a = judge(registry, "planted.op", *arrays, seed=seed_of(op, arrays))["x0"]
        assert numbers(at_a).word is ValueWord.OFF
        assert at_a.graph.word is GraphWord.INCONSISTENT
        assert at_a.summary is SummaryWord.WRONG


def test_the_proof_in_parts_sees_a_forgotten_conjugate_without_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradproof.engine.verify.proof.proof.COMPLEX_POINTS", 0)
    monkeypatch.setattr("gradproof.engine.verify.proof.behaviour.BehaviourChecks.run_all", lambda self: [])
    for fault in ("inv: transposes", "solve: transposes"):
        registry = direct(*WRONG[fault])
        assert not prove(registry, registry.op("planted.op"), registry.op("planted.op").complex_cases()[0]).proved


def test_what_was_not_seen_at_a_complex_point_is_not_continued_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradproof.engine.verify.proof.proof.COMPLEX_POINTS", 0)
    verdict = prove(REGISTRY, REGISTRY.op("inv"), REGISTRY.op("inv").complex_cases()[1])
    assert verdict.word is RuleWord.UNDECIDED
    assert "no value at any complex point" in verdict.reason


def test_a_small_fault_in_a_product_of_decompositions_is_wrong() -> None:
    """The modulus of det(a⁻¹), with a fault of a thousandth in the imaginary part."""

    def rule(g: Any, y: Any, a: Any) -> Any:
        right = -(H(y) @ g @ H(y))
        return ops.complex(ops.real(right), ops.imag(right) * 1.001) if a.dtype.kind == "c" else right

    registry = direct("inv", rule)
    leaf = Leaf("a", spec((4, 4), "complex128"), True)
    nodes = (Node("planted.op", ("a",), ("x",)), Node("det", ("x",), ("d",)), Node("abs", ("d",), ("y",)))
    job = Job(Graph((leaf,), nodes, ("y",)), [("a", operands("inv", 4)[0])])
    assert verdicts_of(registry, job)["a"].summary is SummaryWord.WRONG
