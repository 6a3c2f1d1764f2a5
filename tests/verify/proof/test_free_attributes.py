"""Free attributes: a single proof for all values, and none for a value at which the rule is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy
from tests.conftest import REGISTRY
from tests.support.attribute_ops import RIGHT
from tests.support.registries import registry_of
from tests.support.rule_proofs import live_key

from gradproof.engine.errors import RuleFault
from gradproof.engine.extend import POSITIVE, Inferred, Op, Spec, case, ops
from gradproof.engine.registry import Registry
from gradproof.engine.scalar_functions import TABLE
from gradproof.engine.sealed import Ledger, Sealed, ValueRequested, free_symbol
from gradproof.engine.verify.identities.branches import is_thin
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import ProofKey, keys_of
from gradproof.engine.verify.proof_cache.cache import case_from, case_text
from gradproof.engine.verify.readings.sealing import CRITICAL, ENTIRE
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord

NAME = "planted.op"
X, S, T = sympy.Symbol("x", real=True), free_symbol("s"), free_symbol("t")


def scaled(slope: Callable[[Any, Any], Any], s: Any = 0.3, **more: Any) -> Op:
    """s x, with another function of s and x as its rule."""
    return Op(
        NAME, lambda x, *, s=s: s * x, lambda g, y, x, *, s: g * slope(s, x), lambda f, x, *, s=s: s * x, **more
    )  # fmt: skip


def key_at(registry: Registry, **attributes: Any) -> ProofKey:
    key = live_key(registry, NAME, [(4, 3)], **attributes)
    assert isinstance(key, ProofKey)
    return key


def general_of(op: Op, **attributes: Any) -> RuleVerdict | None:
    """The verdict for all values that covers a node with these values; None if the node has no general key."""
    registry = registry_of(op)
    general = key_at(registry, **attributes).general
    return None if general is None else prove(registry, op, general.case)


def at(op: Op, **attributes: Any) -> RuleVerdict | None:
    """The verdict on a live node: that for all values where the rule is proved, else its own. None where no rule traces."""
    try:
        general = general_of(op, **attributes)
        if general is not None and general.proved:
            return general
        registry = registry_of(op)
        return prove(registry, op, key_at(registry, **attributes).case)
    except RuleFault:
        return None


# one proof for all values

FREE = [
    "Huber's loss", "a threshold", "a product of two", "a sum of two", "one over", "a width, squared", "an exponent of 0.1",
    "a slope", "two bounds", "huge",
]  # fmt: skip


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("name", FREE)
def test_one_key_serves_all_values_and_is_proved(name: str) -> None:
    op = RIGHT[name]
    registry = registry_of(op)
    values = (0.3, 0.31, -2.5, 1e-300, 12345.678)
    if name == "two bounds":
        settings = [{"low": low, "high": high} for low, high in [(-0.3, 2.5), (-7.0, -0.1), (0.25, 0.75)]]
    elif len(op.attributes) == 2:
        settings = [{"a": value, "b": 3 * value} for value in values]
    else:
        settings = [{next(iter(op.attributes)): value} for value in values]
    keys = [key_at(registry, **setting) for setting in settings]
    generals = {key.general for key in keys}
    assert len(set(keys)) == len(settings)
    assert len(generals) == 1
    [general] = generals
    assert general is not None
    verdict = prove(registry, op, general.case)
    assert verdict.proved, verdict
    for attribute in op.attributes:
        assert f"{attribute}=any real" in verdict.case
        assert f"{attribute} any real number but -1, 0 and 1" in verdict.domain
    assert any(
        line.startswith(f"input x, for every value of {' and '.join(sorted(op.attributes))}: ")
        for line in verdict.obligations
    )
    declared = keys_of(registry, op)
    assert general in declared
    assert declared[-1].case.is_owed


@pytest.mark.slow
def test_no_attribute_of_a_built_in_op_without_floats_is_free() -> None:
    for op in REGISTRY.ops.values():
        if any(isinstance(value, float) for value in op.attributes.values()):
            continue
        assert not any(key.case.free for key in keys_of(REGISTRY, op)), op.name


@pytest.mark.slow
@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 2, True, np.float32(0.25)])
def test_exceptional_values_and_other_kinds_of_numbers_have_their_own_proofs(value: Any) -> None:
    registry = registry_of(scaled(lambda s, x: s))
    assert key_at(registry, s=value).general is None


def test_one_of_two_attributes_is_free_where_the_other_is_asked_for_its_value() -> None:
    op = Op(
        NAME,
        lambda x, *, a=0.3, b=0.7: a * b * x,
        lambda g, y, x, *, a, b: g * a * b if b > 0 else g * b * a,
        lambda f, x, *, a=0.3, b=0.7: a * b * x,
    )
    registry = registry_of(op)
    general = key_at(registry, a=5.5, b=-2.5).general
    assert general is not None
    assert general.case.free == ("a",)
    assert general.case.attributes == {"a": 0.3, "b": -2.5}
    assert prove(registry, op, general.case).proved
    key = key_at(registry_of(RIGHT["two bounds"]), low=-math.inf, high=0.5)
    assert key.general is not None
    assert key.general.case.free == ("high",)


def test_attributes_of_ops_that_are_not_elementwise_are_free_too() -> None:
    op = Op(
        NAME,
        lambda x, *, s: np.asarray(np.sum(s * x * x, axis=0), x.dtype),
        lambda g, y, x, *, s: 2 * s * x * ops.broadcast_to(ops.expand_dims(g, axis=0), shape=x.shape),
        lambda f, i, x, *, s: f.total(s * t * t for t in x[:, i[0]]),
        infer=lambda x, *, s=0.3: Inferred((Spec(x.shape[1:], x.dtype),), {"s": s}),
        cases=(case((2, 3)),),
    )
    verdict = general_of(op, s=17.25)
    assert verdict is not None
    assert verdict.word is RuleWord.PROVED
    assert verdict.case == "(2, 3) s=any real" or verdict.case == "(3, 2) s=any real"


def test_a_free_case_survives_the_disk() -> None:
    key = key_at(registry_of(scaled(lambda s, x: s)), s=0.31).general
    assert key is not None
    again = case_from(case_text(key.case))
    assert again.text == key.case.text
    assert again.free == ("s",)


# rules that are wrong somewhere

HALF = 0.5


def raised(s: Any, x: Any) -> Any:
    try:
        return 3 if s == HALF else s
    except TypeError:
        return s


def at_half(slope: Callable[[Any, Any], Any], s: float = 0.3) -> tuple[Op, dict[str, Any]]:
    return scaled(slope, s), {"s": HALF}


WRONG_AT: dict[str, tuple[Op, dict[str, Any]]] = {
    "a question": at_half(lambda s, x: 3 if s == HALF else s),
    "a question whose exception is caught": at_half(raised),
    "an order": (scaled(lambda s, x: s if s < 100 else 100), {"s": 1000.0}),
    "an integer": (scaled(lambda s, x: s if int(s) != 7 else 8), {"s": 7.25}),
    "a function of numbers": (scaled(lambda s, x: s + math.floor(s / 100)), {"s": 250.0}),
    "a text": at_half(lambda s, x: 3 if str(s) == "0.5" else s),
    "a table": at_half(lambda s, x: {HALF: 3}.get(s, s)),
    "a type": at_half(lambda s, x: 3 * s if isinstance(s, float) else s),
    "a branch on tensors": at_half(lambda s, x: ops.where(ops.equal(0 * x + s, HALF), 3, 0 * x + s)),
    "a branch on literals": at_half(lambda s, x: ops.where(ops.equal(s, HALF), 0 * x + 3, 0 * x + s)),
    "a branch on a product": at_half(lambda s, x: ops.where(ops.equal((s - HALF) * x, 0), 3, 0 * x + s)),
    "a branch on a square": at_half(lambda s, x: ops.where((s - HALF) ** 2 * x * x > 0, 0 * x + s, 3)),
    "a branch through exp": at_half(lambda s, x: ops.where(ops.equal(ops.exp((s - HALF) * x), 1), 3, 0 * x + s), 0.75),
    "a branch through sin": at_half(lambda s, x: ops.where(ops.equal(ops.sin((s - HALF) * x), 0), 3, 0 * x + s)),
    "a sign": at_half(lambda s, x: (0 * x + s) * ops.abs(ops.sign(0 * x + s - HALF))),
    "a step": (scaled(lambda s, x: s * (ops.ceil(0 * x + s) - ops.floor(0 * x + s))), {"s": 7.0}),
    "a removable singularity": at_half(lambda s, x: (0 * x + s) * (x * (s - HALF)) / (x * (s - HALF))),
    "another": at_half(lambda s, x: s * ops.sin(x * (s - HALF)) / ops.sin(x * (s - HALF))),
    "one of exponents": at_half(lambda s, x: s * ops.pow(0 * x + s - HALF, 2) * ops.pow(0 * x + s - HALF, -2)),
    "the sign is lost": (scaled(lambda s, x: ops.abs(0 * x + s)), {"s": -2.5}),
    "the sign is lost in a root": (scaled(lambda s, x: ops.sqrt(0 * x + s * s)), {"s": -2.5}),
    "a square is forgotten": (
        Op(NAME, lambda x, *, s=0.3: s * s * x, lambda g, y, x, *, s: g * s, lambda f, x, *, s=0.3: s * s * x),
        {"s": HALF},
    ),
    "it is ignored": at_half(lambda s, x: Fraction(0.3)),
    "two that are equal": (
        Op(
            NAME,
            lambda x, *, a=0.3, b=0.7: a * b * x,
            lambda g, y, x, *, a, b: g * ops.where(ops.equal(0 * x + a, b), 3, 0 * x + a * b),
            lambda f, x, *, a=0.3, b=0.7: a * b * x,
        ),
        {"a": 2.5, "b": 2.5},
    ),
    "two at one point": (
        Op(
            NAME,
            lambda x, *, a=0.3, b=0.7: a * b * x,
            lambda g, y, x, *, a, b: (0 * x + a) * b * g * ((a - 2) * x + (b - 3)) / ((a - 2) * x + (b - 3)),
            lambda f, x, *, a=0.3, b=0.7: a * b * x,
        ),
        {"a": 2.0, "b": 3.0},
    ),
    "0 to a power": (
        Op(
            NAME,
            lambda x, *, s=0.3: np.power(0 * x, s) + s * x,
            lambda g, y, x, *, s: g * s + 0 * x * ops.pow(0 * x, s - 1),
            lambda f, x, *, s=0.3: f.power(0 * x, s) + s * x,
        ),
        {"s": HALF},
    ),
}  # fmt: skip


@pytest.mark.sweep(of=5)
@pytest.mark.slow
@pytest.mark.parametrize(("op", "attributes"), WRONG_AT.values(), ids=WRONG_AT.keys())
def test_a_rule_is_never_proved_where_it_is_wrong(op: Op, attributes: dict[str, Any]) -> None:
    verdict = at(op, **attributes)
    assert verdict is None or not verdict.proved, verdict


@pytest.mark.parametrize("slope", [lambda s, x: ops.exp(ops.log(0 * x + s)), lambda s, x: ops.square(ops.sqrt(0 * x + s))])
def test_a_function_that_has_a_real_value_for_some_attributes_only_is_not_proved_for_all(slope: Callable[..., Any]) -> None:
    verdict = general_of(scaled(slope), s=2.5)
    assert verdict is not None
    assert verdict.word is RuleWord.UNDECIDED
    assert "real value" in verdict.reason


@pytest.mark.slow
def test_what_python_squares_is_another_program() -> None:
    op = Op(
        NAME,
        lambda x, *, p=0.3: x**p,
        lambda g, y, x, *, p: p * g * x ** (p - 1),
        lambda f, x, *, p=0.3: f.power(x, p),
        domains=POSITIVE,
    )
    registry = registry_of(op)
    assert key_at(registry, p=2.5).general == key_at(registry, p=0.3).general is not None
    assert key_at(registry, p=3.0).general is None  # x ** 2 is recorded as a square
    assert all(verdict is not None and verdict.proved for verdict in (at(op, p=2.5), at(op, p=3.0)))


DEFINITIONS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "a question": lambda f, x, s: 3 * x if s == HALF else s * x,
    "a truth": lambda f, x, s: s * x if s else 3 * x,
    "a member": lambda f, x, s: 3 * x if s in (HALF, 7) else s * x,
    "a text": lambda f, x, s: 3 * x if f"{s}" in ("0.5", "1/2") else s * x,
    "a number of the reading": lambda f, x, s: 3 * x if f.number(s) == Fraction(1, 2) else s * x,
    "a function of it": lambda f, x, s: 3 * x if f.exp(s - HALF) == 1 else s * x,
    "an input": lambda f, x, s: 3 * x if x == s else s * x,
    "a condition": lambda f, x, s: 3 * x if f.equal(s, HALF) is True else s * x if f.less(s, s + 1) else 0 * x,
    "a step": lambda f, x, s: s * x + (f.floor(s) - f.floor(s)) * x,
    "a removable singularity": lambda f, x, s: s * (s - HALF) * x / (s - HALF),
    "a factor of it": lambda f, x, s: s * x * (f.exp((s - HALF) * x) - 1) / (f.exp((s - HALF) * x) - 1),
    "a logarithm of a square": lambda f, x, s: s * x + f.log((s - HALF) ** 2) - 2 * f.log(f.sqrt((s - HALF) ** 2)),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("define", DEFINITIONS.values(), ids=DEFINITIONS.keys())
def test_a_definition_that_asks_or_is_singular_leaves_each_value_its_own_proof(define: Callable[..., Any]) -> None:
    op = Op(
        NAME, lambda x, *, s=0.3: s * x, lambda g, y, x, *, s: g * s, lambda f, x, *, s=0.3: define(f, x, s)
    )  # fmt: skip
    verdict = general_of(op, s=0.31)
    assert verdict is not None
    assert verdict.word is RuleWord.UNDECIDED, verdict


def test_a_definition_that_catches_what_is_raised_is_seen() -> None:
    def define(f: Any, x: Any, *, s: float = 0.3) -> Any:
        try:
            return 3 * x if s == HALF else s * x
        except TypeError:
            return s * x

    verdict = general_of(Op(NAME, lambda x, *, s=0.3: s * x, lambda g, y, x, *, s: g * s, define), s=0.31)
    assert verdict is not None
    assert "asks for the value of s" in verdict.reason


def test_what_infer_makes_of_a_value_is_a_part_of_the_case() -> None:
    op = Op(
        NAME,
        lambda x, *, s, big=False: 3 * x if big else s * x,
        lambda g, y, x, *, s, big: g * s,
        lambda f, i, x, *, s, big=False: 3 * x[i] if big else s * x[i],
        infer=lambda x, *, s=0.3, big=False: Inferred((x,), {"s": s, "big": s > 2}),
        cases=(case((2, 3)),),
    )
    small = at(op, s=0.5)
    assert small is not None
    assert small.proved
    assert "any real" in small.case
    large = at(op, s=3.5)
    assert large is not None
    assert large.word is RuleWord.REFUTED


def test_a_condition_on_the_value_is_a_region_of_its_own() -> None:
    op = Op(
        NAME,
        lambda x, *, s=0.3: np.where(s < 0.7, x, x * x),
        lambda g, y, x, *, s: g * ops.where(0 * x + s < Fraction(0.7), 1, 2 * x),
        lambda f, x, *, s=0.3: f.where(f.less(s, 0.7), x, x * x),
    )
    verdict = general_of(op, s=0.7)
    assert verdict is not None
    assert verdict.word is RuleWord.PROVED, verdict


# sealed numbers

QUESTIONS: dict[str, Callable[[Any], Any]] = {
    "bool": bool, "float": float, "int": int, "complex": complex, "str": str, "repr": repr, "hash": hash, "abs": abs,
    "round": round, "floor": math.floor, "ceil": math.ceil, "trunc": math.trunc, "sqrt": math.sqrt,
    "isfinite": math.isfinite, "format": "{:g}".format, "equal": lambda s: s == 1, "another": lambda s: s != 1,
    "less": lambda s: s < 1, "greater": lambda s: s > 1, "member": lambda s: s in (1, 2), "key": lambda s: {1: 2}.get(s),
    "least": lambda s: min(s, 1), "range": range, "attribute": lambda s: s.is_integer(), "root": lambda s: s**0.5,
    "remainder": lambda s: s % 2, "quotient": lambda s: s // 2, "fraction": Fraction, "array": np.float64,
}  # fmt: skip


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS.keys())
def test_a_sealed_number_answers_no_question_and_notes_it(question: Callable[[Any], Any]) -> None:
    ledger = Ledger()
    with pytest.raises((ValueRequested, TypeError, ValueError)):
        question(2 * Sealed(S, ledger) + 1)
    assert ledger.is_asked or question is Fraction  # which takes no number that it does not know
    assert ledger.asked <= {"s"}


def test_arithmetic_with_sealed_numbers_is_exact_and_notes_divisors() -> None:
    ledger = Ledger()
    s = Sealed(S, ledger)
    result = (1 - s) ** 2 / (0.1 * s) + Fraction(1, 3) - s**-2
    for value in (Fraction(0.3), Fraction(-7, 2), Fraction(10) ** 40):
        expected = (1 - value) ** 2 / (Fraction(0.1) * value) + Fraction(1, 3) - value**-2
        assert result.at({"s": value}) == expected
    assert {sympy.Rational(Fraction(0.1)) * S, S} == ledger.critical


def test_every_function_is_known_to_be_entire_or_has_critical_points() -> None:
    assert set(TABLE) == ENTIRE | set(CRITICAL)
    assert not ENTIRE & set(CRITICAL)
    for name, critical in CRITICAL.items():  # where the derivative has a pole, or the function a cut, it is 0
        if name in ("log", "sqrt", "asin", "acos", "atanh", "acosh", "tan", "log1p"):
            z = sympy.Symbol("z")
            slope = sympy.diff(TABLE[name].symbolic(z), z)
            for place in (-1, 0, 1, sympy.pi / 2):
                if sympy.limit(slope**2, z, place) in (sympy.oo, sympy.zoo, -sympy.oo):
                    assert critical(sympy.sympify(place)) == 0, (name, place)


THIN = [
    S,
    S + 1,
    X - S,
    S * X,
    S * X - 1,
    X * X + S,
    S * X + T,
    X - S * T,
    S * S + 1,
    1 + sympy.exp(-S * X),
    (S - 1) * X + S,
]
NOT_THIN = [
    S - sympy.Rational(1, 2), S - T, (2 * S - 1) * X, S * S - 2, (S - 2) * X + T - 3, (S - 2) * X + (S - 2) ** 2,
    sympy.sin((S - 2) * X), sympy.exp(S) - 2, S * X - S * X + S - 7,
]  # fmt: skip


@pytest.mark.parametrize("expression", THIN, ids=str)
def test_what_is_thin_for_all_values_is_so_at_each(expression: Any) -> None:
    assert is_thin(expression)
    assert all(expression.subs({S: value, T: value + 1}) != 0 for value in (sympy.Rational(1, 2), 2, 3, -7))


@pytest.mark.parametrize("expression", NOT_THIN, ids=str)
def test_what_is_0_at_all_points_for_some_value_is_not_thin(expression: Any) -> None:
    assert not is_thin(expression)
