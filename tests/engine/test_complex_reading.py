"""The reading of complex numbers as pairs: its formulas against mpmath, its arithmetic against Python's."""

from __future__ import annotations

import numpy as np
import pytest
from flint import arb
from mpmath import mp
from tests.support.complex_numbers import complex_numbers

from gradproof.engine.complexes import FORMULAS, Complexes, Pair
from gradproof.engine.precision import precision
from gradproof.engine.scalar_functions import Balls, Undecided


@pytest.mark.parametrize("name", FORMULAS)
def test_a_function_of_parts_is_the_function(name: str) -> None:
    oracles = {"expm1": lambda z: mp.exp(z) - 1, "log1p": lambda z: mp.log(1 + z)}
    random = np.random.default_rng(13)
    with mp.workdps(60), precision(256):
        f = Complexes(Balls())
        for _ in range(40):
            point = [complex(z) * 2 for z in complex_numbers(random, 2 if name == "power" else 1)]
            got = getattr(f, name)(*(Pair(arb(z.real), arb(z.imag)) for z in point))
            true = (oracles.get(name) or getattr(mp, name))(*map(mp.mpmathify, point))
            for part_ball, part in ((got.re, true.real), (got.im, true.imag)):
                middle = mp.mpf(part_ball.mid().str(60, radius=False))
                assert abs(middle - part) < mp.mpf(10) ** -50 * (1 + abs(true)), point
                assert part_ball.rad() < 1e-60 * (1 + abs(complex(true)))


class TestReading:
    def test_a_logarithm_has_no_value_on_its_cut(self) -> None:
        f = Complexes(Balls())
        for z in (Pair(arb(-2), arb(0)), Pair(arb(0), arb(0)), Pair(arb(-2), arb(0, 1e-9))):
            with pytest.raises(Undecided):
                f.log(z)
        assert f.log(Pair(arb(2), arb(0))).im == 0

    def test_functions_of_reals_only_say_so(self) -> None:
        f = Complexes(Balls())
        with pytest.raises(NotImplementedError, match="erf of complex numbers"):
            f.erf(Pair(arb(1), arb(1)))
        assert f.erf(Pair(arb(1))).re.overlaps(arb(1).erf())
        with pytest.raises(NotImplementedError, match="no order"):
            f.less(Pair(arb(1), arb(1)), 2)

    def test_arithmetic_is_that_of_python(self) -> None:
        random = np.random.default_rng(14)
        for _ in range(20):
            z, w = (complex(number) for number in complex_numbers(random, 2))
            a, b = Pair(z.real, z.imag), Pair(w.real, w.imag)
            for got, true in (
                (a + b, z + w), (a - b, z - w), (a * b, z * w), (a / b, z / w), (-a, -z), (2 + a, 2 + z), (2 - a, 2 - z),
                (2 / a, 2 / z), (a / 2, z / 2), (a**3, z**3), (a**-2, z**-2), (Pair(2.0) * a, 2 * z),
                (a * Pair(2.0), 2 * z),
            ):  # fmt: skip
                assert abs(complex(got.re, got.im) - true) < 1e-12 * (1 + abs(true))
