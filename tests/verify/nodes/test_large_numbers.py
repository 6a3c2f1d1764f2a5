"""Hard numbers in large nodes: kinks, jumps, infinities and masks, and what rounding does to sums. None may be an alarm."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from tests.support.applications import applied, changed, checked, drawn
from tests.support.verdicts import judge, numbers

from gradproof.engine.registry import Registry
from gradproof.engine.spec import DType
from gradproof.engine.verify.verdict import SummaryWord, ValueWord

MANY = 5000
FLOATS = [np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
FULL = {np.dtype(np.float64): 1e-9, np.dtype(np.float32): 1e-3}


# ties


def test_ties_of_half_of_the_elements_are_judged_by_the_convention() -> None:
    x = np.maximum(drawn((300, 100), np.dtype(np.float64)), 0)
    application, rule = applied("relu", x, seed=drawn((300, 100), np.dtype(np.float64), 1))
    verdict = checked(application, rule).contributions[0]
    assert verdict is not None
    assert (verdict.word, verdict.checked, verdict.total) == (ValueWord.TIE, x.size, x.size)
    assert verdict.sampled < 200  # by Arb; all the others at once
    assert "the convention at a kink" in verdict.reason
    place = int(np.flatnonzero(x == 0)[100])
    bad, where = changed(application, 1, place, float(application.cotangents[0].flat[place]))
    off = checked(bad, rule).contributions[0]
    assert off is not None
    assert (off.word, off.element) == (ValueWord.OFF, where)
    assert "not the op's convention" in off.reason


def test_a_kink_between_two_moving_inputs_is_the_mean() -> None:
    a = np.round(drawn((MANY,), np.dtype(np.float64)), 1)
    b = np.round(drawn((MANY,), np.dtype(np.float64), 1), 1)
    assert 50 < (a == b).sum() < MANY / 2
    application, rule = applied("maximum", a, b, seed=drawn((MANY,), np.dtype(np.float64), 2))
    for verdict in checked(application, rule).contributions:
        assert verdict is not None
        assert (verdict.word, verdict.checked) == (ValueWord.TIE, MANY)
        assert verdict.sampled < 200
    place = int(np.flatnonzero(a == b)[20])
    bad, where = changed(application, 2, place, float(application.cotangents[0][place]))
    off = checked(bad, rule).contributions[1]
    assert off is not None
    assert (off.word, off.element) == (ValueWord.OFF, where)


def test_a_jump_is_a_tie() -> None:
    x = np.round(drawn((MANY,), np.dtype(np.float64)), 0)
    application, rule = applied("sign", x)
    verdict = checked(application, rule).contributions[0]
    assert verdict is not None
    assert (verdict.word, verdict.checked) == (ValueWord.TIE, MANY)


# numbers that are not finite, and masks


@pytest.mark.parametrize("masked", [-np.inf, -1e9, np.finfo(np.float64).min])
def test_a_masked_softmax_is_verified(registry: Registry, masked: float) -> None:
    x = drawn((80, 60), np.dtype(np.float64))
    x[np.random.default_rng(3).random(x.shape) < 0.4] = masked
    x[:, 0] = 1.0
    seed = drawn((80, 60), np.dtype(np.float64), 1)
    verdict = judge(registry, "softmax", x, seed=seed, axis=1)["x0"]
    assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
    for op in ("add", "where"):
        arrays = (x < 0, x, np.full_like(x, masked)) if op == "where" else (drawn((80, 60), x.dtype), x)
        for name, input_verdict in judge(registry, op, *arrays, seed=seed).items():
            assert input_verdict.summary is SummaryWord.VERIFIED, (op, name, input_verdict.reason)


@pytest.mark.slow
@pytest.mark.parametrize("masked", [-np.inf, -1e9])
@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_a_line_of_which_one_element_is_left_has_no_gradient(registry: Registry, op: str, masked: float) -> None:
    """Its contribution is 0, which balls of float64 do not tell from the rounding of 1 / 1."""
    x = np.where(np.tril(np.ones((64, 64))) > 0, drawn((64, 64), np.dtype(np.float64)), masked)
    if op == "log_softmax" and masked == -np.inf:
        x[:, 0] = 0.5
        x[0, 1] = 0.25
    seed = np.where(np.isfinite(x), drawn((64, 64), x.dtype, 1), 0.0)
    verdict = judge(registry, op, x, seed=seed, axis=1)["x0"]
    value = numbers(verdict)
    assert value.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED), value
    assert value.checked == x.size
    application, rule = applied(op, x, seed=seed, axis=1)
    place = 64 * 40 + 63 if masked == -np.inf else 0
    bad, where = changed(application, 1, place, 1e-9)
    off = checked(bad, rule).contributions[0]
    assert off is not None
    assert (off.word, off.element) == (ValueWord.OFF, where)


def test_infinities_that_matter_are_not_verified() -> None:
    x = drawn((MANY,), np.dtype(np.float64))
    x[::2] = np.inf
    application, rule = applied("exp", x)
    verdicts = checked(application, rule)
    assert verdicts.forward.word is ValueWord.ENCLOSED  # inf, as a limit
    assert verdicts.contributions[0] is not None
    assert verdicts.contributions[0].word is ValueWord.NONFINITE
    bad, where = changed(application, 0, 2, 1e308)
    assert checked(bad, rule).forward.word in (ValueWord.NONFINITE, ValueWord.OFF), where


def test_what_overflows_in_a_narrow_dtype_says_so() -> None:
    x = np.linspace(0, 20, MANY).astype(np.float16)
    application, rule = applied("exp", x)
    verdicts = checked(application, rule)
    assert (verdicts.forward.word, verdicts.forward.checked) == (ValueWord.OVERFLOWED, MANY)
    assert verdicts.forward.sampled < 200


# rounding


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("kind", ["equal", "alternating", "a huge number", "growing", "cancelling"])
def test_what_rounding_does_to_sums_is_no_fault(kind: str, dtype: DType) -> None:
    n = 20_000
    x = np.full(n, 0.1)
    if kind == "alternating":
        x = np.where(np.arange(n) % 2, 0.1, -0.1)
    elif kind == "a huge number":
        x[n // 3] = 3e4
    elif kind == "growing":
        x = np.linspace(0, 1, n) ** 3
    elif kind == "cancelling":
        x = np.concatenate([np.full(n // 2, 0.3), np.full(n // 2, -0.3)])
    x = x.astype(dtype)
    for op, options in (("sum", {"axis": (0,)}), ("mean", {"axis": (0,)}), ("cumsum", {"axis": 0})):
        application, rule = applied(op, np.stack([x, x[::-1]], axis=1), **options)
        verdicts = checked(application, rule)
        for verdict in (verdicts.forward, *verdicts.contributions):
            assert verdict is not None
            assert verdict.word is not ValueWord.OFF, (op, verdict)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_products_of_hard_numbers_raise_no_alarm(dtype: DType) -> None:
    a, b = drawn((40, 300), dtype), drawn((300, 40), dtype, 1)
    a[:, 150:] = -a[:, :150]
    b[150:] = b[:150]  # all sums cancel
    for x, y in ((a, b), (np.ones_like(a), np.ones_like(b)), (a * dtype.type(1e-3), b * dtype.type(1e3))):
        application, rule = applied("matmul", x, y, seed=drawn((40, 40), dtype, 2))
        verdicts = checked(application, rule)
        for verdict in (verdicts.forward, *verdicts.contributions):
            assert verdict is not None
            assert verdict.word is not ValueWord.OFF, verdict


def test_lost_digits_are_counted_and_located() -> None:
    x = drawn((MANY,), np.dtype(np.float32))
    x -= x.mean()
    x[17] -= x.astype(np.float64).sum()
    application, rule = applied("sum", x)
    verdict = checked(application, rule).forward
    assert verdict.word is ValueWord.ILL_CONDITIONED
    assert "digits" in verdict.reason
