"""Activations where a float is denormal, against mpmath; slopes whose parts leave the range of a dtype."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.applications import applied, checked

from gradproof.engine.spec import DType
from gradproof.engine.verify.verdict import ValueWord

DTYPES = [np.dtype(kind) for kind in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16)]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + mpmath.exp(-x))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("op", "true"), [("sigmoid", sigmoid), ("silu", lambda x: x * sigmoid(x))])
def test_a_tail_has_its_denormal_numbers(op: str, true: Callable[[Any], Any], dtype: DType) -> None:
    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    low = {8: -760, 4: -110, 2: -20}[dtype.itemsize] if dtype.kind == "f" else -110
    x = np.concatenate([np.linspace(low, 40, 700), [-6e4, 6e4, -0.0]]).astype(dtype)
    y = REGISTRY.op(op).forward(x)
    assert y.dtype == dtype
    with mpmath.workprec(2000):
        for at, got in zip(x.astype(np.float64).tolist(), y.astype(np.float64).tolist(), strict=True):
            exact = true(mpmath.mpf(at))
            step = max(abs(exact) * float(info.eps), mpmath.mpf(float(info.smallest_subnormal)))
            assert abs(got - exact) <= 3 * step, (at, got)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_same_bits_are_written_to_an_output(dtype: DType) -> None:
    op = REGISTRY.op("sigmoid")
    assert op.into is not None
    for low in (-5, -760):
        x = np.linspace(low, 30, 301).astype(dtype)
        out = np.empty_like(x)
        op.into(out, x)
        assert out.tobytes() == op.forward(x).tobytes()


def test_limits_of_activations() -> None:
    ends = np.array([-np.inf, np.inf, np.nan])
    assert REGISTRY.op("sigmoid").forward(ends)[:2].tolist() == [0, 1]
    assert REGISTRY.op("silu").forward(ends)[:2].tolist() == [0, np.inf]
    for op in ("sigmoid", "silu"):
        assert np.isnan(REGISTRY.op(op).forward(ends)[2])
        assert REGISTRY.op(op).forward(np.zeros((0, 3))).shape == (0, 3)


def test_a_slope_of_tan_that_float16_does_not_hold() -> None:
    x = np.full(300, 1.57, np.float16)
    application, rule = applied("tan", x, seed=np.full(300, 2.0**-12, np.float16))
    verdict = checked(application, rule).contributions[0]
    assert verdict is not None
    assert (verdict.word, verdict.checked) == (ValueWord.ENCLOSED, 300)


@pytest.mark.parametrize("dtype", DTYPES[:2], ids=str)
def test_a_slope_of_logaddexp_that_is_denormal(dtype: DType) -> None:
    far = 720.0 if dtype == np.float64 else 95.0
    application, rule = applied("logaddexp", np.zeros(300, dtype), np.full(300, far, dtype))
    verdict = checked(application, rule).contributions[0]
    assert application.contributions[0] is not None
    assert (application.contributions[0] > 0).all()
    assert verdict is not None
    assert verdict.word is not ValueWord.OFF
