"""Live programs: a proof is of the program that runs, with its dtype, its sizes, its process and its numbers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support import elsewhere_plugin
from tests.support.registries import registry_of
from tests.support.rule_proofs import live, live_key

from gradproof.engine.cases import Case
from gradproof.engine.extend import Exact, Inferred, Op, Spec, case, full_like, ops
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import BFLOAT16
from gradproof.engine.verify.processes.tasks import OTHER_PROGRAM
from gradproof.engine.verify.proof import proof, prove
from gradproof.engine.verify.proof_cache import ProofKey, keys_of
from gradproof.engine.verify.proof_cache.checker import checker_modules, imported_modules
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord
from gradproof.plugins import BUILTIN

DTYPES = [np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16), BFLOAT16]


def exp(factor: Callable[[Any], Any]) -> Op:
    return Op("planted.exp", np.exp, lambda g, y, x: g * y * factor(x), lambda f, x: f.exp(x))


# dtypes

STEERED: dict[str, Callable[[Any], Any]] = {
    "another factor": lambda x: Fraction(1001, 1000) if x.dtype == np.float16 else 1,
    "one more factor": lambda x: Fraction(1001, 1000) * (x * 0 + 1) if x.dtype == np.float16 else 1,
    "an exact number": lambda x: Exact(lambda f: f.number(3 if x.dtype == np.float16 else 1)),
    "a branch": lambda x: ops.where(x > 3, full_like(x, 2), full_like(x, 1)) if x.dtype == np.float16 else 1,
    "by the name": lambda x: 2 if "16" in x.dtype.name and "b" not in x.dtype.name else 1,
}  # fmt: skip


@pytest.mark.sweep(of=5)
@pytest.mark.slow
@pytest.mark.parametrize("factor", STEERED.values(), ids=STEERED.keys())
def test_a_rule_that_is_another_in_one_dtype_is_refuted_there_and_proved_elsewhere(factor: Callable[[Any], Any]) -> None:
    op = exp(factor)
    for dtype in DTYPES:
        for shape in ((), (5,), (40, 30)):
            verdict = live(op, shape, dtype)
            assert verdict is not None
            assert verdict.word is (RuleWord.REFUTED if dtype == np.float16 else RuleWord.PROVED), verdict
            assert bool(verdict.point) is (dtype == np.float16)


def test_all_programs_of_an_op_are_to_be_proved() -> None:
    registry = registry_of(exp(STEERED["another factor"]))
    assert list(map(str, keys_of(registry, registry.op("planted.exp")))) == [
        "planted.exp ()",
        "planted.exp () float16",
        "planted.exp (1, 2)",
        "planted.exp (1, 2) float16",
    ]
    assert {key.case.dtype for key in keys_of(REGISTRY, REGISTRY.op("exp"))} == {np.dtype(float)}


@pytest.mark.slow
def test_a_right_rule_that_steers_by_dtype_is_proved_in_each() -> None:
    def rule(g: Any, y: Any, x: Any) -> Any:
        return g * (ops.exp(ops.astype(x, dtype="float32")) if x.dtype == np.float32 else ops.exp(x))

    for dtype in DTYPES:
        verdict = live(Op("planted.exp", np.exp, rule, lambda f, x: f.exp(x)), (5,), dtype)
        assert verdict is not None
        assert verdict.word is RuleWord.PROVED


# sizes


def scalar(x: Spec, **attributes: Any) -> Inferred:
    return Inferred((Spec((), x.dtype),), attributes)


def energy(factor: Callable[[Any], Any]) -> Op:
    return Op(
        "planted.energy",
        lambda x: np.asarray(np.sum(x * x), x.dtype),
        lambda g, y, x: factor(x) * g * x,
        lambda f, i, x: f.total(t * t for t in x.flat),
        scalar,
        (case((3,)), case((2,))),
    )


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(4,), (7,), (5, 6), (4, 4, 4)])
@pytest.mark.parametrize(
    "factor",
    [
        lambda x: 2 if x.size <= 3 else 4,
        lambda x: 2 if x.shape[-1] <= 3 else Fraction(2001, 1000),
        lambda x: Fraction(2 * max(x.size, 3), 3) if x.ndim == 1 or x.size > 9 else 2,
        lambda x: 2 if x.size <= 3 else 2 * ops.exp(0 * x) * 2,
    ],
)
def test_a_rule_that_steers_by_size_is_refuted_where_it_is_wrong(factor: Any, shape: tuple[int, ...]) -> None:
    verdict = live(energy(factor), shape)
    assert verdict is None or verdict.word is RuleWord.REFUTED
    assert verdict is not None


@pytest.mark.slow
@pytest.mark.parametrize("size", [65, 1001, 2000, 100_000])
def test_no_small_case_stands_for_a_rule_that_is_another_beyond(size: int) -> None:
    for limit, factor in ((64, 4), (1000, 3), (1000, Fraction(5, 2))):
        verdict = live(energy(lambda x, limit=limit, factor=factor: factor if x.size > limit else 2), (size,))  # type: ignore[misc]
        if size > limit:
            assert verdict is None
        else:
            assert verdict is not None
            assert verdict.word is RuleWord.PROVED


def test_an_elementwise_rule_that_steers_by_size_is_not_proved_by_its_small_case() -> None:
    small = live(exp(lambda x: 2 if x.size > 3 else 1), (8,))
    assert small is not None
    assert small.word is RuleWord.REFUTED
    assert live(exp(lambda x: 2 if x.size > 100 else 1), (101,)) is None
    assert live(exp(lambda x: Exact(lambda f: f.number(2 if x.size > 100 else 1))), (101,)) is None


def mean(factor: Callable[[int], Any]) -> Op:
    return Op(
        "planted.mean",
        lambda x: np.asarray(np.mean(x), x.dtype),
        lambda g, y, x: ops.broadcast_to(g * factor(x.size), shape=x.shape),
        lambda f, i, x: f.total(x.flat) / x.size,
        scalar,
        (case((3,)), case((2,))),
    )


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(5,), (1000,), (30, 40), (2, 1, 7)])
def test_numbers_that_follow_from_sizes_are_known_as_such(shape: tuple[int, ...]) -> None:
    right = live(mean(lambda n: Fraction(1, n)), shape)
    assert right is not None
    assert right.word is RuleWord.PROVED
    for wrong in (
        live(mean(lambda n: Fraction(1, n) if n < 5 else Fraction(2, n)), shape),
        live(mean(lambda n: Fraction(1, min(n, 4))), shape),
    ):
        assert wrong is None or wrong.word is RuleWord.REFUTED


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "shapes", "attributes"),
    [
        ("transpose", [(4, 5, 6, 7, 8)], {}),
        ("transpose", [(4, 5, 6, 7, 8)], {"axes": (3, 0, 4, 1, 2)}),
        ("transpose", [(3, 3, 3, 3, 3, 3)], {}),
        ("stack", [(2, 1, 2, 2)] * 9, {"axis": 0}),
        ("flip", [(4, 5, 6, 7, 8)], {}),
        ("matrix_transpose", [(3, 4, 5, 6, 7)], {}),
        ("concat", [(9, 4)] * 12, {"axis": 0}),
        ("var", [(100, 3)], {"correction": 3}),
    ],
)
def test_a_case_stands_for_high_ranks_and_many_inputs(name: str, shapes: Any, attributes: dict[str, Any]) -> None:
    key = live_key(REGISTRY, name, shapes, **attributes)
    assert key is not None
    assert prove(REGISTRY, REGISTRY.op(name), key.case).proved


# attributes


@pytest.mark.slow
def test_a_rule_that_forgets_an_attribute_is_not_proved_by_its_default() -> None:
    def scaled_tanh(x: Any, *, width: float = 1.0) -> Any:
        return np.tanh(x / width)

    def many(x: Any, *, a: float = 1.0, b: float = 1.0) -> Any:
        return np.sin(a * b * x)

    forgets = Op(
        "planted.op",
        scaled_tanh,
        lambda g, y, x, *, width: g * (1 - y * y),
        lambda f, x, *, width=1.0: f.tanh(x / width),
    )
    halves = Op(
        "planted.op",
        many,
        lambda g, y, x, *, a, b: g * a * ops.cos(a * b * x),
        lambda f, x, *, a=1.0, b=1.0: f.sin(a * b * x),
    )
    swaps = Op(
        "planted.op",
        lambda x, *, p=0.5, q=0.5: p * x * x + q * x,
        lambda g, y, x, *, p, q: g * (2 * q * x + p),
        lambda f, x, *, p=0.5, q=0.5: p * x * x + q * x,
    )
    power = Op(
        "planted.op", lambda x, *, n=2: x**n, lambda g, y, x, *, n: 2 * g * x, lambda f, x, *, n=2: f.power(x, f.number(n))
    )
    wide = Op(
        "planted.op",
        lambda x, *, width=1.0: np.asarray(np.sum(x * x) / width, x.dtype),
        lambda g, y, x, *, width: 2 * g * x,
        lambda f, i, x, *, width=1.0: f.total(t * t for t in x.flat) / width,
        lambda x, *, width=1.0: Inferred((Spec((), x.dtype),), {"width": width}),
        (case((3,)), case((2,))),
    )
    for op in (forgets, halves, swaps, power, wide):
        registry = registry_of(op)
        words = [prove(registry, op, key.case).word for key in keys_of(registry, op)]
        assert RuleWord.REFUTED in words, op
        assert RuleWord.PROVED in words, op


def test_a_right_rule_with_attributes_stays_proved() -> None:
    scaled = Op(
        "planted.op",
        lambda x, *, slope=0.01, width=2.0: np.where(x < 0, slope * x, x / width).astype(x.dtype),
        lambda g, y, x, *, slope, width: ops.where(x < 0, slope * g, g / width),
        lambda f, x, *, slope=0.01, width=2.0: f.where(f.less(x, 0), slope * x, x / width),
    )
    powers = Op(
        "planted.op",
        lambda x, *, n=2: x**n,
        lambda g, y, x, *, n: n * g * ops.pow(x, n - 1),
        lambda f, x, *, n=2: f.power(x, f.number(n)),
    )
    for op in (scaled, powers):
        registry = registry_of(op)
        assert all(prove(registry, op, key.case).proved for key in keys_of(registry, op))
    verdict = live(scaled, (4, 5), slope=0.3, width=7.0)
    assert verdict is not None
    assert verdict.proved
    assert "slope=0.3" in verdict.case


def test_neighbours_that_an_op_does_not_take_are_no_cases() -> None:
    def infer(x: Spec, *, p: float = 0.5) -> Inferred:
        if p != 0.5:
            raise ValueError("p is 0.5")
        return Inferred((x,), {"p": p})

    op = Op(
        "planted.op",
        lambda x, *, p: p * x,
        lambda g, y, x, *, p: p * g,
        lambda f, i, x, *, p: p * x[i],
        infer,
        (case((2,)),),
    )
    assert op.proof_cases() == op.declared_cases()

    def picky(g: Any, y: Any, x: Any, *, p: float) -> Any:
        assert p == 0.5
        return p * g

    strict = Op("planted.op", lambda x, *, p=0.5: p * x, picky, lambda f, x, *, p=0.5: p * x)
    registry = registry_of(strict)
    assert [str(key) for key in keys_of(registry, strict)] == ["planted.op ()", "planted.op (1, 2)"]


# processes


@pytest.fixture(scope="module")
def elsewhere() -> Registry:
    return build_registry(BUILTIN, others=[elsewhere_plugin])


@pytest.fixture(scope="module")
def pool(elsewhere: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProofPool]:
    pool_ = ProofPool(elsewhere, tmp_path_factory.mktemp("proofs"))
    pool_.start()
    yield pool_
    pool_.close()


def proved(pool: ProofPool, name: str) -> RuleVerdict:
    key = ProofKey(name, Case(((),)))
    pool.request(key)
    pool.wait([key], 60)
    verdict = pool.lookup(key)
    assert verdict is not None
    return verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", ["number_of_process", "main", "process", "thread", "exact"])
def test_a_rule_that_is_another_in_the_proof_process_is_not_proved_there(pool: ProofPool, name: str) -> None:
    verdict = proved(pool, f"elsewhere.{name}")
    assert (verdict.word, verdict.reason) == (RuleWord.UNDECIDED, OTHER_PROGRAM)


def test_what_changes_in_the_server_is_another_program(pool: ProofPool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert proved(pool, "elsewhere.environment").word is RuleWord.PROVED
    assert proved(pool, "elsewhere.number").word is RuleWord.PROVED
    monkeypatch.setenv("GRADPROOF_TEST_FACTOR", "3")
    monkeypatch.setitem(elsewhere_plugin.NUMBERS, "two", 3)
    for name in ("elsewhere.environment", "elsewhere.number"):
        verdict = proved(pool, name)
        assert (verdict.word, verdict.reason) == (RuleWord.UNDECIDED, OTHER_PROGRAM)


def test_the_same_rule_is_proved_there(pool: ProofPool) -> None:
    assert proved(pool, "elsewhere.same").word is RuleWord.PROVED
    assert proved(pool, "elsewhere.same_exact").word is RuleWord.PROVED


# the checker


@pytest.mark.slow
def test_every_module_that_a_proof_imports_is_in_the_key() -> None:
    """Walks the files themselves: each import of the engine leads to a file that is in the key."""
    root = Path(proof.__file__).parents[2]
    for name in checker_modules():
        path = root.joinpath(*name.split(".")[2:])
        file = path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py"
        package = name if file.stem == "__init__" else name.rpartition(".")[0]
        for module in imported_modules(ast.parse(file.read_text(encoding="utf-8")), package):
            inner = root.joinpath(*module.split(".")[2:])
            if module.startswith("gradproof.engine.") and inner.with_suffix(".py").is_file():
                assert module in checker_modules(), f"{name} imports {module}"
    for name in (
        "op",
        "trace",
        "verify.floats.balls",
        "verify.floats.conditioning",
        "verify.identities.branches",
        "verify.proof.behaviour",
    ):
        assert f"gradproof.engine.{name}" in checker_modules()
