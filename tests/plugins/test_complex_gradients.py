"""Gradients of complex tensors, dL/da + i dL/db for z = a + ib, against differences of mpmath's functions in a and in b;
and what the checks say of right and wrong ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mpmath import mp
from tests.conftest import REGISTRY, Bench, Line
from tests.support.complex_numbers import complex_numbers
from tests.support.fault_injection import registry_with
from tests.support.matrices import solved
from tests.support.proof_sources import NoProofs
from tests.support.rule_proofs import known
from tests.support.server_fixture import serving
from tests.support.sweeps import share
from tests.support.verdicts import finish, graph_of, verdicts_of

from gradproof.client import GraphBuilder
from gradproof.engine import rules
from gradproof.engine.cases import Case
from gradproof.engine.engine import Engine
from gradproof.engine.errors import DataFault, HookFault, InvalidRequest, NoRule, RuleFault
from gradproof.engine.extend import DIRECT, HOLOMORPHIC, REFUSED, Op, hookimpl, ops, zeros_like
from gradproof.engine.hooks import Hook
from gradproof.engine.job import Job
from gradproof.engine.lru import LRUCache
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Array, Spec
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.runs import check_sum
from gradproof.engine.verify.verdict import AccumulationWord, GraphWord, RuleWord, SummaryWord, ValueWord
from gradproof.engine.verify.verifier import Verifier
from gradproof.plugins import BUILTIN

HELD = ("stop_gradient",)  # in test_elementwise.py
COMPLEX_OPS = [
    op for op in REGISTRY.ops.values() if op.differentiable and op.complex is not REFUSED and op.name not in HELD
]
CASES = [
    pytest.param(op, case, id=f"{op.name} {case}")
    for op in COMPLEX_OPS
    for case in op.complex_cases() or op.proof_cases()  # of `complex` the parts are real
]


def cast(z: Array, dtype: Any) -> Array:
    """In ``dtype``, if that is real of the real part."""
    return z.astype(dtype) if np.dtype(dtype).kind == "c" else z.real.astype(dtype)


# the oracle: mpmath's functions, and NumPy's on arrays of mpmath's numbers


def each(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` of each element."""
    return lambda *arrays, **_: np.frompyfunc(function, len(arrays), 1)(*arrays)


def sinc(z: Any, order: int) -> Any:
    """A derivative of sin(πz) / (πz), the integral of cos(πzt) over t from 0 to 1."""
    if not order:
        return mp.sincpi(z)
    return mp.quad(lambda t: (mp.pi * t) ** order * mp.cos(mp.pi * (z * t + mp.mpf(order) / 2)), [0, 1])


def in_steps(a: Array, x: Array) -> list[Array]:
    """The recurrence along the first axis."""
    return list(accumulate(range(1, len(x)), lambda y, k: a[k] * y + x[k], initial=x[0]))


def of_matrices(op: str) -> Callable[..., Any]:
    """An op that is defined by an equation, in mpmath."""

    def function(*arrays: Array, **attributes: Any) -> Array:
        specs = [Spec(x.shape, np.dtype(np.complex128)) for x in arrays]
        return solved(op, list(arrays), attributes, REGISTRY.op(op).inference(specs, attributes).outputs[0].shape)

    return function


ORACLES: dict[str, Callable[..., Any]] = {
    **{name: each(getattr(mp, name)) for name in ("exp", "sin", "cos", "tan", "asin", "acos", "atan", "sinh", "cosh")},
    **{name: each(getattr(mp, name)) for name in ("tanh", "asinh", "acosh", "atanh", "log", "sqrt", "conj", "sign")},
    "expm1": each(lambda z: mp.exp(z) - 1),
    "exp2": each(lambda z: mp.power(2, z)),
    "log1p": each(lambda z: mp.log(1 + z)),
    "log2": each(lambda z: mp.log(z) / mp.log(2)),
    "log10": each(lambda z: mp.log(z) / mp.log(10)),
    "rsqrt": each(lambda z: 1 / mp.sqrt(z)),
    "reciprocal": each(lambda z: 1 / z),
    "pow": each(mp.power),
    "sinc": lambda x, order=0: each(lambda z: sinc(z, order))(x),
    "lerp": each(lambda start, end, weight: start + weight * (end - start)),
    "abs": each(mp.fabs),
    "real": each(mp.re),
    "imag": each(mp.im),
    "complex": each(mp.mpc),
    "astype": each(mp.re),
    "matmul": lambda a, b: np.asarray(a @ b),
    "euclidean_norm": lambda x, axis, keepdims: each(mp.sqrt)(
        np.sum(each(lambda z: mp.re(z) ** 2 + mp.im(z) ** 2)(x), axis=axis, keepdims=keepdims)
    ),
    **{name: of_matrices(name) for name in ("solve", "inv", "det", "cofactors")},
    "recurrence": lambda a, x, axis: np.stack(in_steps(np.moveaxis(a, axis, 0), np.moveaxis(x, axis, 0)), axis),
}


def oracle(op: Op, inputs: list[Array], seeds: list[Array], attributes: Any) -> list[Array | None]:
    """dL/da + i dL/db by central differences with 40 digits left, for L = Re(sum conj(seed) output)."""
    function = ORACLES.get(op.name, op.forward)

    def loss(arrays: list[Array]) -> Any:
        try:
            results = function(*arrays, **attributes)
        except (AttributeError, TypeError) as error:
            message = f"add a row to ORACLES for {op.name}: its forward does not take arrays of mpmath's numbers"
            raise AssertionError(message) from error
        outputs = results if isinstance(results, tuple) else (results,)
        return mp.fsum(
            mp.re(mp.conj(complex(g)) * y)
            for seed, out in zip(seeds, outputs, strict=True)
            for g, y in zip(seed.flat, np.asarray(out).flat, strict=True)
        )

    gradients: list[Array | None] = []
    with mp.workdps(60):
        arrays: list[Array] = [x if x.dtype.kind in "biu" else each(mp.mpmathify)(x.astype(object)) for x in inputs]
        arrays = [np.asarray(x) for x in arrays]
        step = mp.mpf(10) ** -20
        for array, operand in zip(arrays, inputs, strict=True):
            if operand.dtype.kind in "biu":
                gradients.append(None)
                continue
            gradient = np.zeros(array.shape, operand.dtype)
            for index in np.ndindex(array.shape):
                middle, slopes = array[index], []
                for turn in (1, mp.mpc(0, 1))[: 1 + (operand.dtype.kind == "c")]:
                    array[index] = middle + turn * step
                    above = loss(arrays)
                    array[index] = middle - turn * step
                    slopes.append(float((above - loss(arrays)) / (2 * step)))
                array[index] = middle
                gradient[index] = complex(*slopes) if len(slopes) == 2 else slopes[0]
            gradients.append(gradient)
    return gradients


def drawn(op: Op, case: Case, random: np.random.Generator) -> tuple[list[Array], list[Array]]:
    """Inputs of the shapes that the op sees, and seeds."""
    inference = op.inference(case.specs(), case.attributes)
    inputs = []
    for operand, spec in zip(case.inputs, inference.inputs or case.specs(), strict=True):
        z = complex_numbers(random, *spec.shape)
        inputs.append(np.broadcast_to(operand, spec.shape) if isinstance(operand, np.ndarray) else cast(z, spec.dtype))
    return inputs, [cast(complex_numbers(random, *out.shape), out.dtype) for out in inference.outputs]


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "case"), CASES)
def test_gradient_is_the_derivative_in_both_parts(bench: Bench, op: Op, case: Case) -> None:
    random = np.random.default_rng(5)
    attributes = op.inference(case.specs(), case.attributes).attributes
    for _ in range(3):
        inputs, seeds = drawn(op, case, random)
        gradients = bench.apply(op.name, inputs, attributes, seeds)
        for got, true in zip(gradients, oracle(op, inputs, seeds, attributes), strict=True):
            if true is None:
                assert got is None
            else:
                assert got.dtype == true.dtype
                np.testing.assert_allclose(got, true, rtol=1e-11, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("op", [op for op in COMPLEX_OPS if op.elementwise], ids=lambda op: str(op.name))
def test_gradient_in_complex64(bench: Bench, op: Op) -> None:
    random = np.random.default_rng(6)
    inputs, seeds = drawn(op, op.complex_cases()[0], random)
    narrow = [x if x.dtype.kind in "biu" else x.astype(np.complex64) for x in inputs]
    out = op.inference(op.complex_cases()[0].specs(np.complex64), {}).outputs[0]
    gradients = bench.apply(op.name, narrow, {}, [cast(seeds[0], out.dtype)])
    wide = [x if x.dtype.kind in "biu" else x.astype(np.complex128) for x in narrow]
    for got, true in zip(gradients, oracle(op, wide, [cast(seeds[0], out.dtype)], {}), strict=True):
        if true is not None:
            assert got.dtype == np.complex64
            np.testing.assert_allclose(got, true, rtol=2e-5, atol=2e-6)


# torch's convention (2.13), number by number


@pytest.mark.parametrize(
    ("point", "lines", "seed", "gradient"),
    [
        (3 + 4j, ["a = abs(z)", "y = square(a)"], None, 6 + 8j),
        (3 + 4j, ["y = real(z)"], None, 1 + 0j),
        (3 + 4j, ["y = imag(z)"], None, 1j),
        (3 + 4j, ["y = multiply(z, z)"], 1 + 0j, 6 - 8j),
        (1 + 2j, ["s = square(z)", "c = multiply(s, z)", "y = real(c)"], None, -9 - 12j),
        (0j, ["y = abs(z)"], None, 0j),
        (0j, ["y = sign(z)"], 1 + 1j, 0j),
    ],
)
def test_what_torch_gives(bench: Bench, point: complex, lines: list[Line], seed: Any, gradient: complex) -> None:
    seeds = {} if seed is None else {"y": seed}
    assert bench.gradients({"z": point}, lines, "y", seeds=seeds)["z"] == gradient


def test_a_real_leaf_gets_the_real_part(bench: Bench) -> None:
    gradients = bench.gradients({"x": 2.0, "i": 1j}, ["y = multiply(x, i)"], "y", seeds={"y": 1j}, constants="i")
    assert gradients["x"] == 1.0
    assert gradients["x"].dtype == np.float64


@pytest.mark.parametrize(
    ("real", "common"), [("float32", "complex64"), ("float64", "complex128"), ("float16", "complex64")]
)
def test_broadcast_and_mixed_dtypes(bench: Bench, real: str, common: str) -> None:
    random = np.random.default_rng(7)
    z, x = complex_numbers(random, 3).astype(common), random.normal(size=(2, 1)).astype(real)
    g = complex_numbers(random, 2, 3).astype(common)
    gradients = bench.gradients({"z": z, "x": x}, ["y = multiply(z, x)"], "y", seeds={"y": g})
    rough = {"float16": 2e-3, "float32": 1e-5, "float64": 1e-13}[real]
    assert (gradients["z"].dtype, gradients["x"].dtype) == (np.dtype(common), np.dtype(real))
    np.testing.assert_allclose(gradients["z"], (g * x).sum(axis=0), rtol=rough)
    np.testing.assert_allclose(gradients["x"], (g * z.conj()).real.sum(axis=1, keepdims=True), rtol=rough, atol=rough)


def test_a_cast_to_a_real_dtype_takes_the_real_part(bench: Bench) -> None:
    gradients = bench.gradients({"z": 3 + 4j}, [("y = astype(z)", {"dtype": "float32"})], "y")
    assert bench.values({"z": 3 + 4j}, [("y = astype(z)", {"dtype": "float32"})], "y")["y"] == 3.0
    assert gradients["z"] == 1 + 0j


# seeds


def faults(bench: Bench, seeds: dict[str, Any], point: Any = 3 + 4j) -> set[str]:
    with pytest.raises(InvalidRequest) as caught:
        bench.gradients({"z": np.asarray(point)}, ["y = square(z)"], "y", seeds=seeds)
    return {fault.reason for fault in caught.value.faults}


def test_a_complex_output_needs_a_complex_seed(bench: Bench) -> None:
    assert faults(bench, {}) == {"SEED_MISSING"}
    assert faults(bench, {"y": 1.0}) == {"SEED_DTYPE"}
    assert faults(bench, {"y": 1j}, 2.0) == {"SEED_DTYPE"}
    assert bench.gradients({"z": 3 + 4j}, ["y = square(z)"], "y", seeds={"y": np.complex64(1j)})["z"] == 1j * (6 - 8j)


# what is refused


@pytest.mark.parametrize("name", ["relu", "maximum", "clip", "erf"])
def test_a_rule_for_reals_only_is_refused_by_name(bench: Bench, name: str) -> None:
    inputs = " ".join(["z"] * len(REGISTRY.op(name).inputs))
    with pytest.raises(NoRule, match=rf"the rule of op '{name}' \(plugin '\w+'\) is not for complex numbers.*complex64"):
        bench.gradients({"z": np.complex64(1 + 1j)}, [f"y = {name}({inputs})"], "y", seeds={"y": np.complex64(1)})


LESS: Any = ({"z": 1 + 2j, "w": 2 + 1j}, ["c = less(z, w)", "y = where(c, z, w)", "r = real(y)"], "r")


def test_an_order_of_complex_numbers_has_no_gradient_and_no_definition(bench: Bench) -> None:
    assert bench.gradients(*LESS)["z"] == 1 + 0j
    for verdict in verdicts_of(REGISTRY, bench.job(*LESS)).values():
        assert verdict.summary is SummaryWord.PLAUSIBLE, verdict.reason
        assert "node 0 (less): a rule reads its value, which is UNCHECKED" in verdict.reason


def test_an_op_declared_holomorphic_must_be_so(bench: Bench) -> None:
    for rule, why in (
        (lambda g, y, x: g * ops.conj(x), "uses 'conj' of a complex number"),
        (lambda g, y, x: g * ops.abs(x), "uses 'abs' of a complex number"),
    ):
        registry = planted(np.square, rule, lambda f, x: x * x, HOLOMORPHIC)
        with pytest.raises(RuleFault, match=why):
            registry.rule_of(registry.op("planted.op"), Case(((),)).over(np.complex128))
    registry = planted(np.abs, lambda g, y, x: g * x, lambda f, x: f.modulus(x), HOLOMORPHIC)
    with pytest.raises(RuleFault, match="whose result is float64"):
        registry.rule_of(registry.op("planted.op"), Case(((),)).over(np.complex128))


# verdicts on what is right


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "case"), CASES)
def test_every_rule_is_proved_in_complex_numbers(op: Op, case: Case) -> None:
    verdict = known(ProofKey(op.name, case))
    assert verdict.proved, verdict
    seen = " ".join(verdict.obligations)
    assert "linear in the cotangent" in seen
    assert "the second derivative agrees" in seen
    if op.complex is HOLOMORPHIC:
        assert verdict.tactic.endswith("continued from the real line")
        assert "complex128, complex64" in seen


NET: tuple[dict[str, Any], list[Line]] = (
    {
        "a": complex_numbers(np.random.default_rng(1), 3, 2),
        "b": complex_numbers(np.random.default_rng(2), 2, 2),
        "x": np.random.default_rng(3).normal(size=2),
    },
    [
        "p = matmul(a, b)",
        "q = multiply(p, x)",
        "h = tanh(q)",
        "k = conj(h)",
        "m = multiply(h, k)",
        "r = real(m)",
        "l = sum(r)",
    ],
)


def test_a_small_graph_is_verified_and_consistent(bench: Bench) -> None:
    verdicts = verdicts_of(REGISTRY, bench.job(*NET, "l"))
    assert set(verdicts) == {"a", "b", "x"}
    for verdict in verdicts.values():
        assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
        assert verdict.graph.word is GraphWord.CONSISTENT
        assert verdict.graph.nodes == verdict.graph.total
        assert all(use.value.word is ValueWord.ENCLOSED and use.forward.word is ValueWord.ENCLOSED for use in verdict.uses)


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize("op", [op for op in COMPLEX_OPS if len(op.definitions) < 2], ids=lambda op: str(op.name))
def test_no_right_number_is_called_wrong(op: Op, dtype: Any) -> None:
    narrow = {np.dtype(np.float64): np.float32, np.dtype(np.complex128): np.complex64} if dtype is np.complex64 else {}
    special = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-8, 5e-324, 6e-8, -1e-3, 20.0, -20.0, 300.0)
    for seed in share(range(12), f"{op.name} {dtype}", of=3):
        random = np.random.default_rng(seed)
        cases = op.complex_cases() or op.proof_cases()
        case = cases[int(random.integers(len(cases)))]
        inputs, _ = drawn(op, case, random)
        for x in inputs:
            if x.dtype.kind in "fc" and seed % 2:
                x[...] = random.choice(special, x.shape) + (
                    1j * random.choice(special, x.shape) if x.dtype.kind == "c" else 0
                )
        arrays = [x.astype(narrow.get(x.dtype, x.dtype)) for x in inputs]
        graph, values = graph_of(op.name, *arrays, **case.attributes)
        out = Engine(REGISTRY).infer(graph).specs()["y"]
        seeds = [("y", cast(complex_numbers(random, *out.shape), out.dtype))]
        try:
            with np.errstate(all="ignore"):
                run = finish(Engine(REGISTRY), Job(graph, values, seeds))
        except DataFault:  # a singular matrix
            continue
        for verdict in Verifier(REGISTRY, NoProofs(REGISTRY)).check(run, budget=100.0):
            assert verdict.summary is not SummaryWord.WRONG, (arrays, verdict.reason)


def test_fan_out_is_summed_and_the_sum_is_checked(bench: Bench) -> None:
    z = complex_numbers(np.random.default_rng(8), 4)
    job = bench.job({"z": z}, ["s = multiply(z, z)", "e = exp(z)", "t = add(s, e)", "r = real(t)", "y = sum(r)"], "y")
    [verdict] = verdicts_of(REGISTRY, job).values()
    assert (verdict.accumulation.word, verdict.accumulation.uses) == (AccumulationWord.EXACT, 3)
    assert verdict.summary is SummaryWord.VERIFIED, verdict.reason


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_a_wrong_sum_is_off(dtype: Any) -> None:
    random = np.random.default_rng(9)
    some = [complex_numbers(random, 3).astype(dtype) for _ in range(3)]
    total = np.asarray(some[0] + some[1] + some[2])
    assert check_sum(some, total, 3).word is AccumulationWord.EXACT
    assert check_sum(some, total.conj(), 3).word is AccumulationWord.OFF
    assert check_sum(some, np.asarray(some[0] + some[1]), 3).word is AccumulationWord.OFF
    assert check_sum(some, np.asarray(total * (1 + 1e-4j)).astype(dtype), 3).word is AccumulationWord.OFF


def test_on_a_cut_nothing_is_said_of_the_number(bench: Bench) -> None:
    job = bench.job({"z": -4 + 0j}, ["s = sqrt(z)", "y = imag(s)"], "y")
    [verdict] = verdicts_of(REGISTRY, job).values()
    [use] = verdict.uses
    assert use.value.word is ValueWord.UNCHECKED
    assert use.value.reason.startswith("on the cut of a complex logarithm, or root; ")
    assert use.rule.word is RuleWord.PROVED
    assert verdict.summary is SummaryWord.PLAUSIBLE


@pytest.mark.slow
def test_a_large_node_is_enclosed_or_projected(bench: Bench) -> None:
    random = np.random.default_rng(10)
    job = bench.job({"z": complex_numbers(random, 3000)}, ["e = exp(z)", "y = sum(e)"], "y", seeds={"y": 1 - 1j})
    [verdict] = verdicts_of(REGISTRY, job).values()
    value = verdict.uses[0].value
    assert value.word is ValueWord.ENCLOSED
    assert value.checked == value.total
    assert verdict.summary is SummaryWord.PLAUSIBLE  # as its sum is projected
    a, b = complex_numbers(random, 60, 50), complex_numbers(random, 50, 60)
    job = bench.job({"a": a, "b": b}, ["p = matmul(a, b)", "y = sum(p)"], "y", seeds={"y": 1 - 1j})
    for verdict in verdicts_of(REGISTRY, job).values():
        assert verdict.uses[0].value.word is ValueWord.SCREENED
        assert verdict.uses[0].value.screened == 3000


# verdicts on what is wrong


def planted(forward: Any, rule: Any, define: Any, kind: Any, **rest: Any) -> Registry:
    class Plugin:
        GRADPROOF_API = 1
        GRADPROOF_NAME = "planted"

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            register(Op("planted.op", forward, rule, define, complex=kind, **rest))

    registry = build_registry(BUILTIN, others=[Plugin()])
    assert not registry.refused, registry.refused
    return registry


def only_imaginary(z: Any) -> Any:
    return ops.complex(zeros_like(ops.imag(z)), ops.imag(z)) if z.dtype.kind == "c" else z


FAULTS: dict[str, tuple[Any, Any, Any]] = {
    "forgotten conj": (np.sin, lambda g, y, x: g * ops.cos(x), lambda f, x: f.sin(x)),
    "conj of all": (np.sin, lambda g, y, x: ops.conj(g * ops.cos(x)), lambda f, x: f.sin(x)),
    "conj twice": (np.exp, lambda g, y, x: g * ops.conj(ops.conj(y)), lambda f, x: f.exp(x)),
    "conj of the cotangent": (np.square, lambda g, y, x: 2 * ops.conj(g) * ops.conj(x), lambda f, x: x * x),
    "real part dropped": (np.sin, lambda g, y, x: only_imaginary(g * ops.conj(ops.cos(x))), lambda f, x: f.sin(x)),
    "sign of imag": (
        np.imag,
        lambda g, y, x: ops.complex(zeros_like(g), -g) if x.dtype.kind == "c" else zeros_like(x),
        lambda f, x: f.imag(x),
    ),
    "conj without conj": (np.conj, lambda g, y, x: g, lambda f, x: f.conj(x)),
    "abs: sign of x conjugated": (
        np.abs,
        lambda g, y, x: g * ops.conj(ops.sign(x)),
        lambda f, x: f.modulus(x),
    ),
    "a factor of 1.0005": (np.square, lambda g, y, x: 2 * g * ops.conj(x) * 1.00048828125, lambda f, x: x * x),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_refuted_and_wrong(name: str) -> None:
    registry = planted(*FAULTS[name], DIRECT)
    op = registry.op("planted.op")
    verdict = prove(registry, op, op.complex_cases()[0])
    assert verdict.word is RuleWord.REFUTED, verdict
    assert verdict.point.endswith(" i")
    random = np.random.default_rng(11)
    graph, values = graph_of("planted.op", complex_numbers(random, 3))
    out = Engine(registry).infer(graph).specs()["y"]
    [gradient_verdict] = verdicts_of(
        registry, Job(graph, values, [("y", cast(complex_numbers(random, 3), out.dtype))])
    ).values()
    assert gradient_verdict.uses[0].value.word is ValueWord.OFF
    assert "+ i " in gradient_verdict.uses[0].value.expected
    assert gradient_verdict.graph.word is GraphWord.INCONSISTENT
    assert gradient_verdict.summary is SummaryWord.WRONG


def test_a_right_rule_written_for_complex_numbers_is_proved() -> None:
    registry = planted(np.square, lambda g, y, x: 2 * g * ops.conj(x), lambda f, x: x * x, DIRECT)
    op = registry.op("planted.op")
    assert prove(registry, op, op.complex_cases()[0]).word is RuleWord.PROVED
    assert prove(registry, op, op.proof_cases()[0]).word is RuleWord.PROVED


def test_a_wrong_forward_is_seen_in_complex_numbers_only() -> None:
    forward = lambda x: np.sin(np.conj(x))  # noqa: E731
    registry = planted(forward, lambda g, y, x: g * ops.cos(x), lambda f, x: f.sin(x), HOLOMORPHIC)
    op = registry.op("planted.op")
    assert prove(registry, op, op.proof_cases()[0]).word is RuleWord.PROVED
    verdict = prove(registry, op, op.complex_cases()[0])
    assert verdict.word is RuleWord.REFUTED
    assert verdict.reason == "in complex128 the forward does not compute the definition"


@pytest.mark.parametrize("name", ["sin", "exp", "multiply", "matmul", "tanh", "pow", "solve", "inv", "det"])
def test_an_engine_that_forgets_to_conjugate_is_refuted(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(rules, "_conj", lambda x: x)
    monkeypatch.setattr(REGISTRY, "traced", LRUCache(1000))  # and not what was traced before
    op = REGISTRY.op(name)
    assert prove(REGISTRY, op, op.complex_cases()[-1]).word is RuleWord.REFUTED
    inputs = {f"x{k}": complex_numbers(np.random.default_rng(k), 2, 2) for k in range(len(op.inputs))}
    job = Bench(Engine(REGISTRY)).job(inputs, [f"y = {name}({', '.join(inputs)})", "r = real(y)", "l = sum(r)"], "l")
    for verdict in verdicts_of(REGISTRY, job).values():
        assert verdict.summary is SummaryWord.WRONG
        assert verdict.graph.word is GraphWord.INCONSISTENT


@pytest.mark.slow
def test_a_fault_in_a_large_product_is_found_by_projections() -> None:
    base = REGISTRY.op("matmul")
    rest: dict[str, Any] = {"infer": base.infer}

    rest["cases"] = base.cases[:2]

    def rule(g: Any, y: Any, a: Any, b: Any) -> Any:
        return g @ ops.matrix_transpose(b), ops.matrix_transpose(ops.conj(a)) @ g

    registry = planted(base.forward, rule, base.define, DIRECT, **rest)
    random = np.random.default_rng(12)
    graph, values = graph_of("planted.op", complex_numbers(random, 60, 50), complex_numbers(random, 50, 60))
    verdicts = verdicts_of(registry, Job(graph, values, [("y", complex_numbers(random, 60, 60))]))
    assert verdicts["x0"].uses[0].value.word is ValueWord.OFF
    assert verdicts["x1"].uses[0].value.word is ValueWord.SCREENED


def test_a_rule_on_another_branch_is_refuted_off_the_real_line() -> None:
    """√(x²) is x where x > 0, and -x in the left half of the plane."""
    rest = {"domains": REGISTRY.op("log").domains}
    registry = planted(np.log, lambda g, y, x: g / ops.sqrt(x * x), lambda f, x: f.log(x), HOLOMORPHIC, **rest)
    op = registry.op("planted.op")
    assert prove(registry, op, op.proof_cases()[0]).word is RuleWord.PROVED
    assert prove(registry, op, op.complex_cases()[0]).word is RuleWord.REFUTED


# hooks


def test_hooks_get_complex_gradients(bench: Bench) -> None:
    seen: list[Array] = []
    hooks = (
        Hook("s", "scale", {"factor": 2.0}),
        Hook("z", "clip", {"max_norm": 1.0}),
        Hook("z", "look", {}, seen.append),
    )
    job = bench.job({"z": 3 + 4j}, ["s = square(z)", "y = real(s)"], "y", hooks=hooks)
    events, _ = bench.events(job)
    [event] = [event for event in events if getattr(event, "name", "") == "z"]
    assert event.raw == 12 - 16j  # type: ignore[union-attr]
    assert np.allclose(event.gradient, 0.6 - 0.8j)  # type: ignore[union-attr, arg-type]
    assert seen == [event.gradient]  # type: ignore[union-attr]
    [verdict] = verdicts_of(REGISTRY, job).values()
    assert (verdict.graph.word, verdict.summary) == (GraphWord.CUT, SummaryWord.VERIFIED)


def test_a_hook_may_not_change_the_dtype_nor_order_complex_numbers(bench: Bench) -> None:
    part, clip = Hook("z", "part", {}, lambda g: g.real), Hook("z", "clip", {"min_value": 0.0})
    for hook, error, text in ((part, HookFault, "type of value"), (clip, DataFault, "no order")):
        with pytest.raises(error, match=text):
            bench.gradients({"z": 3 + 4j}, ["s = square(z)", "y = real(s)"], "y", hooks=(hook,))


# through the server


@pytest.mark.slow
def test_the_gradient_of_a_complex_leaf_through_the_server(tmp_path: Path) -> None:
    g = GraphBuilder()
    z = g.leaf("z", np.array([3 + 4j, 1 - 2j], np.complex64), requires_grad=True)
    w = g.leaf("w", 2.0, requires_grad=True)
    size = g.apply("abs", z * w)
    g.output(g.apply("sum", size * size, name="y"))
    with serving(tmp_path) as served:
        result = served.client.differentiate(g, budget=60.0)
    gradient: Any = result.gradients["z"].gradient
    assert gradient.dtype == np.complex64
    np.testing.assert_allclose(gradient, np.array([24 + 32j, 8 - 16j]), rtol=1e-6)
    assert result.verdicts["z"].summary == "verified", result.verdicts["z"].reason
    assert result.verdicts["z"].graph.word == "CONSISTENT"
    assert result.verdicts["w"].summary == "verified", result.verdicts["w"].reason


def test_one_element_on_a_cut_takes_nothing_from_the_others(registry: Registry) -> None:
    """1 + z² of the last number has few digits, which its rounding explains; the first number lies on the cut of atan."""
    z = np.array([1e-30 + 1e20j, -0.90 + 0.26j, -1e-4 - 1j], np.complex64)
    graph, values = graph_of("atan", z)
    (verdict,) = verdicts_of(registry, Job(graph, values, [("y", np.ones(3, np.complex64))]))["x0"].uses
    assert verdict.value.word in (ValueWord.ENCLOSED, ValueWord.ILL_CONDITIONED)
    assert (verdict.value.checked, verdict.value.total) == (3, 3)
    doubled = replace(REGISTRY.op("atan"), name="planted.op", rule=lambda g, y, x: 2 * g / (1 + x * x))
    planted = registry_with(doubled)
    graph, values = graph_of("planted.op", z)
    (verdict,) = verdicts_of(planted, Job(graph, values, [("y", np.ones(3, np.complex64))]))["x0"].uses
    assert verdict.value.word is ValueWord.OFF
    assert verdict.value.element in ("[0]", "[1]", "[2]")
