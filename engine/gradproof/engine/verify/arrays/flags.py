"""Floating-point exception flags: whether a computation with arrays underflowed, overflowed, or was invalid somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local

import numpy as np

from gradproof.engine.cancellation import look
from gradproof.engine.spec import Array


class Flags(local):
    """Flags (IEEE 754, section 7) raised by NumPy's arithmetic in a `watched` function, without a pass over arrays. Each
    thread has its own.

    Attributes:
        under: an inexact result was smaller than the normal numbers.
        tiny: absolute error charged for underflow (see `finely`).
        lost: finite operands gave an infinity or nan: overflow, division by 0, or an invalid operation.
    """

    under = lost = True
    tiny = 2.0**-1000

    def lower(self) -> None:
        """Clear the flags; all count as raised if flags do not work here. Raises Cancelled if the computation was
        cancelled, as the arithmetic of large arrays takes most of its time."""
        look()
        self.under = self.lost = not WORK


FLAGS = Flags()
FINE = 2.0**-1073
"""Four times the rounding of the smallest denormal numbers."""


@contextmanager
def finely() -> Iterator[None]:
    """Charge underflow no more than it costs. Radii become denormal numbers, with which processors are slow."""
    before, FLAGS.tiny = FLAGS.tiny, FINE
    try:
        yield
    finally:
        FLAGS.tiny = before


def _raise(kind: str, flag: int) -> None:
    if kind == "underflow":
        FLAGS.under = True
    else:
        FLAGS.lost = True


watched = np.errstate(all="call", call=_raise)
"""Decorator of a function that reads the flags."""

WORK = True
"""False on a machine where flags are not raised as IEEE 754 requires."""


@watched
def _raised(work: Callable[[], Array]) -> tuple[bool, bool, float]:
    FLAGS.lower()
    last = float(work()[-1])
    return FLAGS.under, FLAGS.lost, last


def _work() -> bool:
    """Test each flag on arrays long enough for vector instructions, and denormal operands, which some libraries flush to
    0."""
    least, most, small, unit, zero = (_array(x) for x in (2.0**-1074, 1.7e308, 2.0**-600, 1.0, 0.0))
    quiet = _raised(lambda: least + least), _raised(lambda: least * _array(2.0**60))
    under = _raised(lambda: least * 0.25), _raised(lambda: small * small), _raised(lambda: least / _array(3.0))
    lost = (
        _raised(lambda: most * most),
        _raised(lambda: most + most),
        _raised(lambda: most / _array(0.5)),
        _raised(lambda: unit / zero),
        _raised(lambda: zero / zero),
    )
    return (
        quiet == ((False, False, 2.0**-1073), (False, False, 2.0**-1014))
        and all(flags[:2] == (True, False) for flags in under)
        and all(flags[1] for flags in lost)
    )


def _array(last: float) -> Array:
    """Ones with ``last`` as the last element, in the tail of a vector loop."""
    array = np.ones(19)
    array[-1] = last
    return array


WORK = _work()
