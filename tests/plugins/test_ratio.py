"""`ratio` in chunks: right to the last digits where parts leave the range, and the same bits in any shape."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from gradproof.engine.spec import Array
from gradproof.plugins import ranges

ratio: Any = ranges.ratio
ratio_into: Any = ranges.ratio_into
whole_ratio: Any = ranges._whole


def wild(count: int, dtype: type, seed: int = 0) -> list[Array]:
    """Numbers of all magnitudes, zeros and numbers that are none."""
    random, info = np.random.default_rng(seed), np.finfo(dtype)
    numbers: list[Array] = []
    for _ in range(4):
        x = random.normal(size=count) * np.exp2(random.uniform(info.minexp, info.maxexp - 3, count))
        x[random.random(count) < 0.05] = 0
        x[random.random(count) < 0.02] = np.nan
        numbers.append(x.astype(dtype))
    return numbers


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_parts_may_leave_the_range(dtype: type) -> None:
    a, b, c, d = wild(600, dtype)
    got = ratio(a, b, c, d)
    for k in range(a.size):
        terms = [mpmath.mpf(float(x[k])) for x in (a, b, c, d)]
        if any(map(mpmath.isnan, terms)) or 0 in terms[2:]:
            continue
        exact = terms[0] * terms[1] / (terms[2] * terms[3])
        limits = np.finfo(dtype)
        if abs(exact) > float(limits.max) or (exact and abs(exact) < float(limits.smallest_normal)):
            continue
        assert abs(mpmath.mpf(float(got[k])) - exact) <= 4 * float(limits.eps) * abs(exact), k


@pytest.mark.parametrize("shape", [(1,), (0,), (0, 3), (3, 0), (9,), (1, 9), (9, 1), (4, 9), (3, 4, 5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_chunks_have_the_bits_of_the_whole(shape: tuple[int, ...], dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    count = int(np.prod(shape, dtype=int))
    inputs = [x.reshape(shape) for x in wild(count, dtype, seed=count)]
    whole = whole_ratio(*inputs)
    for chunk in (1, 3, 8, 1000):
        monkeypatch.setattr(ranges, "CHUNK", chunk)
        out: Array = np.full(shape, 7, dtype)
        ratio_into(out, *inputs)
        for got in (out, ratio(*inputs)):
            np.testing.assert_array_equal(got, whole)
            assert (np.signbit(got) == np.signbit(whole))[~np.isnan(whole)].all()
