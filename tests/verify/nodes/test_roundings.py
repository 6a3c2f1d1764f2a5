"""Contributions in narrow dtypes next to a zero: what arrays explain by rounding, Arb explains too, and a fault is left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from scipy import special
from tests.support.applications import applied, checked

from gradproof.engine.spec import DType
from gradproof.engine.verify.floats.compare import EXPLAINS, FORMULA
from gradproof.engine.verify.nodes import arb_reading
from gradproof.engine.verify.nodes.distances import Tally
from gradproof.engine.verify.nodes.elements import Elements
from gradproof.engine.verify.nodes.roundings import explained_by_rounding
from gradproof.engine.verify.numbers import Application, check_values
from gradproof.engine.verify.verdict import ValueWord

ROOT = -0.7517915246935645
"""Of gelu', where x Φ(x) has its least value."""
FLOAT32 = np.dtype(np.float32)
NARROW = [FLOAT32, np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]


def near_the_root(count: int, dtype: DType, low: float = 1e-5, high: float = 1e-2) -> Any:
    """Points beside the root of gelu', on both sides."""
    away = np.geomspace(low, high, count // 2)
    return (ROOT * (1 + np.concatenate([away, -away]))).astype(dtype)


def rounded_slopes(x: Any) -> Any:
    """The slopes of gelu in the dtype of ``x``, rounded after each step."""
    distribution, density = special.ndtr(x.astype(float)), np.exp(-0.5 * x.astype(float) ** 2) / np.sqrt(2 * np.pi)
    return distribution.astype(x.dtype) + x * density.astype(x.dtype)


def explained(application: Application) -> tuple[Any, Tally]:
    """The mask of what arrays explain, if all is in doubt, and what is noted of it."""
    at = np.arange(application.results[0].size)
    tally = Tally(application.results[0].shape, at.size)
    return explained_by_rounding(Elements(application), at, [np.ones(at.size, bool)], [tally]), tally


@pytest.mark.slow
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_what_arrays_explain_arb_explains(dtype: DType) -> None:
    """Each element by itself: Arb has the same word, or a better word for close floats."""
    low, high = {4: (1e-5, 1e-2), 2: (0.003, 0.3)}[dtype.itemsize]
    x = near_the_root(120, dtype, low, high)
    application = replace(applied("gelu", x)[0], contributions=[rounded_slopes(x)])
    words = set()
    for k in range(120):
        alone = application.part(np.array([k]))
        mask, tally = explained(alone)
        if not mask.any():
            continue
        verdict = check_values(alone).contributions[0]
        assert verdict is not None
        words.add(verdict.word)
        assert verdict.word in (tally.worst.word, ValueWord.ENCLOSED), (verdict, tally.worst)
        if verdict.word is tally.worst.word:
            assert verdict.reason.replace(FORMULA, EXPLAINS)[:20] == tally.worst.reason.replace(FORMULA, EXPLAINS)[:20]
            assert verdict.max_ulps == pytest.approx(tally.worst.max_ulps, rel=1e-2)
    assert ValueWord.ILL_CONDITIONED in words
    assert ValueWord.CONDITIONED in words or dtype != FLOAT32


def test_few_are_read_by_arb_where_arrays_explain(monkeypatch: pytest.MonkeyPatch) -> None:
    read = []

    def counted(part: Application) -> Any:
        read.append(part.results[0].size)
        return check_values(part)

    monkeypatch.setattr(arb_reading, "check_values", counted)
    for low, word in ((1e-5, ValueWord.ILL_CONDITIONED), (2e-3, ValueWord.CONDITIONED)):
        application, rule = applied("gelu", near_the_root(6000, FLOAT32, low))
        verdict = checked(application, rule).contributions[0]
        assert verdict is not None
        assert (verdict.word, verdict.checked) == (word, 6000), verdict
        assert sum(read) <= 2 * arb_reading.CHUNK
        read.clear()


@pytest.mark.parametrize("k", [1500, 2999, 4500, 5999])
def test_a_fault_that_rounding_does_not_explain_is_seen_among_many(k: int) -> None:
    """It is 1/1000 of the slope, of an element whose distance was among the smallest."""
    application, rule = applied("gelu", near_the_root(6000, FLOAT32, 1e-2, 0.2))
    claimed = np.array(application.contributions[0])
    claimed[k] *= np.float32(1 + 1e-3)
    verdict = checked(replace(application, contributions=[claimed]), rule).contributions[0]
    assert verdict is not None
    assert (verdict.word, verdict.element) == (ValueWord.OFF, f"[{k}]"), verdict


def test_a_fault_is_not_explained() -> None:
    """Each contribution is off by twice of what Arb allows: 32 times its movement by a unit of x."""
    x = near_the_root(400, FLOAT32, 1e-3, 1e-2)
    application, _ = applied("gelu", x)
    curvature = 2 * np.exp(-0.5 * ROOT**2) / np.sqrt(2 * np.pi) * (1 - ROOT**2 / 2)  # of x Φ(x)
    claimed = (application.contributions[0] + 2 * 32 * curvature * np.spacing(np.abs(x))).astype(np.float32)
    mask, tally = explained(replace(application, contributions=[claimed]))
    assert not mask.any()
    assert tally.worst.word is ValueWord.ENCLOSED


def test_a_wider_dtype_is_left_to_arb() -> None:
    application, _ = applied("gelu", near_the_root(400, np.dtype(np.float64)))
    assert not explained(application)[0].any()


def test_where_no_zero_is_crossed_digits_that_are_lost_verify_nothing() -> None:
    """1 - x² at 1 has an end, and no zero that is crossed in the domain of acos."""
    application, _ = applied("acos", (1 - np.geomspace(1e-6, 1e-3, 400)).astype(np.float32))
    claimed = (application.contributions[0] * np.float32(1 + 1e-5)).astype(np.float32)
    mask, tally = explained(replace(application, contributions=[claimed]))
    assert mask.any()
    assert tally.worst.word is ValueWord.ILL_CONDITIONED
    assert "another formula" in tally.worst.reason
    assert tally.worst.element
