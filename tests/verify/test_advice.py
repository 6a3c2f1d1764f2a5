"""Words that say little come with a reason, and the reason says what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY, Bench
from tests.support import stuck_plugin
from tests.support.proof_sources import NoProofs
from tests.support.registries import registry_of
from tests.support.verdicts import judge, numbers, verdicts_of

from gradproof.engine.cases import case
from gradproof.engine.engine import Engine
from gradproof.engine.extend import POSITIVE, REAL, ops, zeros_like
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Spec
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.verdict import GraphWord, RuleWord, ValueVerdict, ValueWord, advice
from gradproof.plugins import BUILTIN

STUCK = build_registry(BUILTIN, others=[stuck_plugin])


def value(op: str, *arrays: Any, registry: Registry = REGISTRY, of: str = "x0", **options: Any) -> ValueVerdict:
    return numbers(judge(registry, op, *arrays, proofs=NoProofs, **options)[of])


def defined(define: Callable[..., Any]) -> Registry:
    """An op x² with this definition."""
    return registry_of(Op("plain.square", lambda x: x * x, lambda g, y, x: 2 * g * x, define))


def without_arrays(name: str) -> Registry:
    """A built-in op as a plugin's, without its form for whole arrays."""
    return registry_of(replace(REGISTRY.op(name), name=f"plain.{name}", arrays=None, grad_fn=""))


def out_of_memory(f: Any, x: Any) -> Any:
    raise MemoryError


def cancelling() -> tuple[Any, Any]:
    """Two vectors whose product is nothing but rounding."""
    random = np.random.default_rng(5)
    x, g = random.uniform(1, 2, (40, 1)), random.uniform(-2, 2, (40, 1))
    exact = sum(Fraction(a) * Fraction(b) for a, b in zip(x[:-1, 0], g[:-1, 0], strict=True))
    g[-1] = -float(exact / Fraction(x[-1, 0]))
    return x, g


LONG = np.linspace(-1, 1, 5001)
HALF = np.array(0.5)
Asked = tuple[Callable[[], ValueVerdict], ValueWord, str]

NUMBERS: dict[str, Asked] = {
    "no ball form": (
        lambda: value("plain.square", HALF, registry=defined(lambda f, x: f.no_such_function(x))),
        ValueWord.UNCHECKED,
        advice.TABLE,
    ),
    "a definition that raises": (
        lambda: value("stuck.refuse_numbers", HALF, registry=STUCK),
        ValueWord.UNCHECKED,
        advice.AUTHOR,
    ),
    "memory": (
        lambda: value("plain.square", HALF, registry=defined(out_of_memory)),
        ValueWord.UNCHECKED,
        advice.MEMORY,
    ),
    "too many elements": (
        lambda: value("plain.softmax", LONG, axis=0, seed=LONG, registry=without_arrays("softmax")),
        ValueWord.UNCHECKED,
        advice.SMALLER,
    ),
    "a cut": (lambda: value("log", np.array(-4 + 0j)), ValueWord.UNCHECKED, advice.SIDE),
    "an input that is not finite": (lambda: value("sin", np.array(np.inf)), ValueWord.NONFINITE, advice.MADE),
    "an overflow": (lambda: value("exp", np.array(800.0)), ValueWord.OVERFLOWED, advice.RANGE),
    "cancellation": (
        lambda: value("matmul", cancelling()[0], np.ones((1, 1)), seed=cancelling()[1], of="x1"),
        ValueWord.ILL_CONDITIONED,
        advice.DIGITS,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_of_which_little_is_known_says_what_to_do(name: str) -> None:
    ask, word, what = NUMBERS[name]
    verdict = ask()
    assert verdict.word is word, verdict
    assert verdict.reason.endswith(what), verdict.reason


def test_a_large_sum_that_cancels_is_not_called_wrong() -> None:
    """Few elements of a large node are read; what rounding explains is held against nobody."""
    x = np.random.default_rng(0).normal(size=5001)
    x -= x.mean()
    for op, options in (("sum", {}), ("mean", {}), ("cumsum", {"axis": 0})):
        [verdict] = judge(REGISTRY, op, x, **options).values()
        forward = verdict.uses[0].forward
        assert forward.word in (ValueWord.ILL_CONDITIONED, ValueWord.ENCLOSED), (op, forward)
        assert verdict.summary != "wrong"


def test_a_large_sum_that_is_wrong_is_called_so() -> None:
    x = np.random.default_rng(0).normal(size=5001)
    wrong = Op(
        "planted.sum", lambda x: np.asarray(np.sum(x) * (1 + 1e-9), x.dtype), lambda g, y, x: g + 0 * x,
        lambda f, i, x: f.total(x.flat), lambda x: Inferred((Spec((), x.dtype),)), (case((3,)),),
    )  # fmt: skip
    [verdict] = judge(registry_of(wrong), "planted.sum", x).values()
    assert verdict.uses[0].forward.word is ValueWord.OFF


def test_what_is_skipped_says_what_to_do() -> None:
    bench = Bench(Engine(REGISTRY))
    verdict = verdicts_of(REGISTRY, bench.job({"x": np.array(0.0)}, ["y = sqrt(x)"], "y"))["x"].graph
    assert (verdict.word, verdict.reason.endswith(advice.MADE)) == (GraphWord.SKIPPED, True)
    late = verdicts_of(REGISTRY, bench.job({"x": np.array(1.0)}, ["s = sin(x)"], "s"), budget=0.0)["x"]
    assert late.reason.startswith("budget")
    assert late.reason.endswith(advice.TIME)


def test_what_is_not_proved_says_what_to_do() -> None:
    [pending] = judge(REGISTRY, "sin", np.array(1.0), proofs=NoProofs).values()
    assert pending.uses[0].rule.reason.endswith(advice.AGAIN)
    odd = Op(
        "odd.op", lambda a, b: a * (1 + (a * a < b)),
        lambda g, y, a, b: (g * ops.where(ops.less(ops.abs(a), ops.sqrt(b)), 2, 1), zeros_like(b)),
        lambda f, a, b: f.where(f.less(a * a, b), 2 * a, a), domains=(REAL, POSITIVE),
    )  # fmt: skip
    verdict = prove(registry_of(odd), odd, odd.uniform(()))
    assert (verdict.word, verdict.reason.endswith(advice.FORM)) == (RuleWord.UNDECIDED, True), verdict
