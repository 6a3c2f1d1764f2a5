"""Sampled attributes: a rule that ignores or misuses an attribute is refuted, a right rule never; and numbers are exact."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from flint import arb
from tests.conftest import REGISTRY
from tests.support.attribute_ops import RIGHT, flagged, leaky, line, op_of, polynomial, power, rolled, worded
from tests.support.registries import registry_of
from tests.support.rule_proofs import known, live

from gradproof.engine.attributes import ExactFloat, ExactInt, in_rule, plain
from gradproof.engine.cases import Case
from gradproof.engine.extend import POSITIVE, Inferred, Op, Spec, case, ops
from gradproof.engine.inference import InferenceError
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof.sampled_attributes import sampled_cases
from gradproof.engine.verify.proof_cache import keys_of
from gradproof.engine.verify.proof_cache.proof_key import sampled_keys
from gradproof.engine.verify.readings.attributes import in_balls, in_symbols
from gradproof.engine.verify.verdict import RuleWord

TWO = np.float64(2)


def scalar(x: Spec, **attributes: Any) -> Inferred:
    return Inferred((Spec((), x.dtype),), attributes)


WRONG: dict[str, Op] = {
    "forgotten": line(lambda s: 1, 1.0),
    "the default, written down": line(lambda s: 2, 2.0),
    "without its sign": leaky(abs),
    "at most 1": line(lambda s: min(s, 1), 0.1),
    "at most 10": line(lambda s: min(s, 10), 0.1),
    "nothing where it is small": line(lambda s: s if s > 1e-2 else 0, 0.1),
    "something where it is 0": op_of(
        lambda x, *, s=2.0: s * x * x, lambda g, y, x, *, s: 2 * g * (s or 1) * x, lambda f, x, *, s=2.0: s * x * x
    ),
    "0 by default": op_of(
        lambda x, *, s=0.0: x + s * x * x, lambda g, y, x, *, s: 1 * g, lambda f, x, *, s=0.0: x + s * x * x
    ),
    "huge": line(lambda s: Fraction(10) ** 300, 1e300),
    "right at 0 and at 1, which are its cases": op_of(
        lambda x, *, s=1.0: s * s * x,
        lambda g, y, x, *, s: s * g,
        lambda f, x, *, s=1.0: s * s * x,
        cases=(case((), s=0.0), case((), s=1.0)),
    ),
    "a half": op_of(
        lambda x, *, a=0.5: a * x * x,
        lambda g, y, x, *, a: g * x,
        lambda f, x, *, a=0.5: a * x * x,
    ),
    "a number of NumPy": op_of(
        lambda x, *, s=TWO: s * x * x, lambda g, y, x, *, s: 4 * g * x, lambda f, x, *, s=TWO: s * x * x
    ),
    "an exponent": power(lambda n: 3),
    "an exponent, at most 5": power(lambda n: min(n, 5)),
    "an exponent that is 1": power(lambda n: n if n != 1 else 0),
    "an exponent without its sign": power(abs, domains=POSITIVE),
    "a flag": flagged(lambda turned, x: ops.cos(x)),
    "a text": worded(lambda mode, x: ops.cos(x)),
    "None, or a number": op_of(
        lambda x, *, k=None: x * x * (1 if k is None else k),
        lambda g, y, x, *, k: 2 * g * x,
        lambda f, x, *, k=None: x * x * (1 if k is None else k),
    ),
    "a tuple": polynomial(lambda c, x: 1 + 4 * x, (1.0, 2.0)),
    "one of a tuple": polynomial(lambda c, x: 1 + 2 * c[1] * x, (1.0, 2.0)),
    "a list": polynomial(lambda c, x: 1 + 4 * x, [1.0, 2.0]),
    "an epsilon": op_of(
        lambda x, *, eps=1e-5: 1 / np.sqrt(x * x + eps),
        lambda g, y, x, *, eps: -g * x * ops.pow(x * x + Fraction(1e-5), Fraction(-3, 2)),
        lambda f, x, *, eps=1e-5: 1 / f.sqrt(x * x + eps),
    ),
    "a shift": rolled(lambda k: 1),
    "a shift, the other way": rolled(lambda k: -k),
    "an axis": op_of(
        lambda x, *, axis: np.asarray(np.sum(x * x, axis=axis), x.dtype),
        lambda g, y, x, *, axis: 2 * x * ops.broadcast_to(ops.expand_dims(g, axis=0), shape=x.shape),
        lambda f, i, x, *, axis: f.total(t * t for t in (x[:, i[0]] if axis == 0 else x[i[0], :])),
        infer=lambda x, *, axis=0: Inferred((Spec((x.shape[1 - axis],), x.dtype),), {"axis": axis}),
        cases=(case((2, 2)),),
    ),
    "an exponent of a sum": op_of(
        lambda x, *, p: np.asarray(np.sum(x**p), x.dtype),
        lambda g, y, x, *, p: 2 * g * x,
        lambda f, i, x, *, p: f.total(f.power(t, f.number(p)) for t in x.flat),
        infer=lambda x, *, p=2: scalar(x, p=p),
        cases=(case((3,)), case((2,))),
    ),
}


def verdicts(op: Op) -> Iterator[tuple[Case, Any]]:
    registry = registry_of(op)
    for key in (*keys_of(registry, op), *sampled_keys(registry, op)):
        yield key.case, prove(registry, op, key.case)


@pytest.mark.sweep(of=5)
@pytest.mark.slow
@pytest.mark.parametrize("op", WRONG.values(), ids=WRONG.keys())
def test_a_rule_that_misuses_an_attribute_is_refuted(op: Op) -> None:
    assert RuleWord.REFUTED in {verdict.word for _, verdict in verdicts(op)}


@pytest.mark.sweep(of=5)
@pytest.mark.slow
@pytest.mark.parametrize("op", RIGHT.values(), ids=RIGHT.keys())
def test_a_right_rule_is_proved_at_its_attributes_and_refuted_at_none(op: Op) -> None:
    results = list(verdicts(op))
    assert all(verdict.proved for case_, verdict in results if case_.is_owed), results
    assert all(verdict.word is not RuleWord.REFUTED for _, verdict in results), results


def test_no_rule_of_ours_is_refuted_by_sampled_attributes() -> None:
    for op in REGISTRY.ops.values():
        for key in sampled_keys(REGISTRY, op):
            assert known(key).proved, key


def test_bounds_are_sampled_in_their_order() -> None:
    attributes = [{"low": -1.0, "high": 1.0} | dict(sampled.attributes) for sampled in sampled_cases(RIGHT["two bounds"])]
    assert attributes
    assert all(sampled["low"] < sampled["high"] for sampled in attributes)


def test_an_order_of_erfcx_that_it_has_no_meaning_for_is_a_fault() -> None:
    op = REGISTRY.op("erfcx")
    for order in (-1, 10**9):
        with pytest.raises(InferenceError, match=f"order is {order}; it must be from 0 to 100"):
            op.inference([Spec((), np.dtype(float))], {"order": order})


# sizes


def variance() -> Op:
    """The variance as a plugin's op, without a shrink of its own."""

    def forward(x: Any, *, correction: int) -> Any:
        with np.errstate(all="ignore"):
            return np.asarray(np.sum((x - x.mean()) ** 2) / max(x.size - correction, 0), x.dtype)

    def define(f: Any, i: Any, x: Any, *, correction: int) -> Any:
        centre = f.total(x.flat) / x.size
        return f.total((t - centre) * (t - centre) for t in x.flat) / (x.size - correction)

    return op_of(
        forward,
        lambda g, y, x, *, correction: 2 * g * (x - ops.mean(x, keepdims=True)) * Fraction(1, x.size - correction),
        define,
        infer=lambda x, *, correction=0: scalar(x, correction=correction),
        cases=(case((3,)), case((3,), correction=1)),
    )


def first(k_of: Callable[[int], int] = lambda k: k) -> Op:
    """The sum of the first k elements."""

    def infer(x: Spec, *, k: int = 1) -> Inferred:
        if k > x.shape[0]:
            raise InferenceError(f"k is {k}; there are {x.shape[0]}")
        return scalar(x, k=k)

    return op_of(
        lambda x, *, k: np.asarray(x[:k].sum(), x.dtype),
        lambda g, y, x, *, k: ops.unslice(ops.broadcast_to(g, shape=(k_of(k),)), shape=x.shape, start=(0,), step=(1,)),
        lambda f, i, x, *, k: f.total(x[j] for j in range(k)),
        infer=infer,
        cases=(case((3,), k=2), case((3,), k=1)),
    )


@pytest.mark.slow
@pytest.mark.parametrize("correction", [0, 1, 2, 3, 5])
def test_a_correction_of_as_many_as_the_shrunken_axis_has_is_no_alarm(correction: int) -> None:
    for op in (variance(), REGISTRY.op("var")):
        verdict = live(op, (10,), correction=correction) if op.name != "var" else live_of_ours("var", (10,), correction)
        assert verdict is not None
        assert verdict.word is RuleWord.PROVED, verdict


def live_of_ours(name: str, shape: tuple[int, ...], correction: int) -> Any:
    from tests.support.rule_proofs import live_key

    key = live_key(REGISTRY, name, [shape], correction=correction)
    return None if key is None else prove(REGISTRY, REGISTRY.op(name), key.case)


@pytest.mark.parametrize(("size", "correction"), [(3, 3), (3, 5), (1, 1), (100, 99)])
def test_no_case_stands_for_what_has_no_meaning_or_is_too_large(size: int, correction: int) -> None:
    assert live_of_ours("var", (size,), correction) is None


@pytest.mark.slow
@pytest.mark.parametrize(("size", "k"), [(10, 1), (10, 5), (1000, 7), (60, 20)])
def test_sizes_grow_until_the_op_takes_them(size: int, k: int) -> None:
    verdict = live(first(), (size,), k=k)
    assert verdict is not None
    assert verdict.word is RuleWord.PROVED


@pytest.mark.slow
@pytest.mark.parametrize("size", [5, 7, 100])
@pytest.mark.parametrize("factor", [lambda n: n, lambda n: min(n, 2), lambda n: Fraction(2 * max(n, 3), 3)])
def test_a_number_that_is_right_at_the_chosen_size_only_is_refuted(factor: Callable[[int], Any], size: int) -> None:
    """2 x is the derivative of x²; n x and similar rules equal it for the sizes to which a shape is shrunk."""
    wrong = op_of(
        lambda x: np.asarray(np.sum(x * x), x.dtype),
        lambda g, y, x: g * factor(x.size) * x,
        lambda f, i, x: f.total(t * t for t in x.flat),
        infer=scalar,
        cases=(case((2,)),),
    )
    verdict = live(wrong, (size,))
    if factor(size) == 2:
        assert verdict is None or verdict.word in (RuleWord.PROVED, RuleWord.UNDECIDED)
    else:
        assert verdict is None or verdict.word is RuleWord.REFUTED


# exact numbers


def test_arithmetic_of_attributes_is_not_rounded() -> None:
    attributes = in_rule({"w": 3.0, "d": 0.1, "n": 7, "c": (0.1, 2)})
    w, d, n = attributes["w"], attributes["d"], attributes["n"]
    tenth = Fraction(0.1)
    assert (1 / w, w * 2, type(w * 2), d * d, d + 0.2) == (Fraction(1, 3), 6.0, ExactFloat, tenth**2, tenth + Fraction(0.2))
    assert (1 / n, n / 2, n**-1, type(n + 1), n // 2) == (Fraction(1, 7), 3.5, Fraction(1, 7), ExactInt, 3)
    assert (1 - d, 2 - n / 7, d**2, w**-2) == (1 - tenth, 1, tenth**2, Fraction(1, 9))
    assert attributes["c"] == (0.1, 2)
    assert math.copysign(1, -in_rule({"z": 0.0})["z"]) == -1
    assert repr(d) == "0.1"
    assert math.isinf(in_rule({"i": math.inf})["i"] * 2)
    with pytest.raises(ZeroDivisionError):
        1 / in_rule({"z": 0.0})["z"]
    assert ((1 / w) * d, (d * d) - d, -(1 / n), abs(-n) / 3) == (
        tenth / 3,
        tenth**2 - tenth,
        Fraction(-1, 7),
        Fraction(7, 3),
    )
    assert ((n + 1) / 3, -n / 3, n // 2 / 7, round(w * d) / 7) == (
        *(Fraction(a, b) for a, b in ((8, 3), (-7, 3), (3, 7))),
        0,
    )
    assert in_rule({"s": 1e200})["s"] ** 2 == Fraction(1e200) ** 2


def test_readings_get_the_numbers_that_they_compute_with() -> None:
    among_balls = in_balls({"w": 3.0, "n": 3, "half": Fraction(1, 2)})
    for third in (1 / among_balls["w"], 1 / among_balls["n"]):
        assert isinstance(third, arb)
        assert (3 * third).contains(1)
    assert among_balls["half"] == arb(0.5)
    symbolic = in_symbols({"d": 0.1, "n": 3, "flag": True, "name": "a", "nothing": None, "far": math.inf})
    assert Fraction(int(symbolic["d"].p), int(symbolic["d"].q)) == Fraction(0.1)
    assert (symbolic["n"], symbolic["flag"], symbolic["name"], symbolic["nothing"]) == (3, True, "a", None)
    assert symbolic["far"] == math.inf


def test_ops_in_rules_get_plain_attributes() -> None:
    attributes = in_rule({"w": 3.0, "n": 2, "shape": (2, 3)})
    values = plain(
        {"a": 1 / attributes["w"], "b": attributes["n"], "c": attributes["w"], "d": (attributes["n"],)}, {"a": 0.0}
    )
    assert values == {"a": 1 / 3, "b": 2, "c": 3.0, "d": (2,)}
    assert [type(value) for value in values.values()] == [float, int, float, tuple]
    assert type(values["d"][0]) is int
    assert plain({"a": Fraction(1, 3)}, {"a": Fraction(1, 2)}) == {"a": Fraction(1, 3)}
    assert isinstance(attributes["n"], ExactInt)


@pytest.mark.slow
def test_a_region_whose_simplest_point_is_no_witness_is_looked_at_beside_it() -> None:
    """The point between the two diamonds has y = 0, where x y has no slope in x; beside it there is a slope."""

    def rule(g: Any, z: Any, x: Any, y: Any) -> Any:
        inside = ops.abs(x) + ops.abs(y) < Fraction(10001, 10000)
        return ops.where(inside, g * y, 0), ops.where(inside, g * x, 0)

    op = op_of(
        lambda x, y: np.where(abs(x) + abs(y) < 1, x * y, 0),
        rule,
        lambda f, x, y: f.where(f.less(f.modulus(x) + f.modulus(y), 1), x * y, 0),
    )
    verdict = prove(registry_of(op), op, op.proof_cases()[0])
    assert verdict.word is RuleWord.REFUTED
    assert "cut out by branches" in verdict.reason
