"""The processor's flags: whether a computation with arrays underflowed, overflowed, or was invalid somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import local

import numpy as np

from gradproof.engine.cancellation import look
from gradproof.engine.spec import Array


class Flags(local):
    """The flags (IEEE 754, section 7) that NumPy's arithmetic raised in a `watched` function, without a pass over arrays.
    Each thread has its own.

    Attributes:
        under: a result that is not exact was smaller than normal numbers are.
        tiny: what is charged for underflow (see `finely`).
        lost: an infinity or a nan was made of numbers that are none: overflow, a division by 0, an invalid operation.
    """

    under = lost = True
    tiny = 2.0**-1000

    def lower(self) -> None:
        """Begin to watch. Where flags do not work everything is taken to be flagged. Raises Cancelled where work that takes
        long is to end: arithmetic of large arrays is most of it."""
        look()
        self.under = self.lost = not WORK


FLAGS = Flags()
FINE = 2.0**-1073
"""As much as four roundings of the smallest numbers."""


@contextmanager
def finely() -> Iterator[None]:
    """Charge underflow no more than it costs. Radii are denormal numbers then, with which processors are slow."""
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
"""The decorator of a function in which flags are seen."""

WORK = True
"""Whether flags are raised here."""


@watched
def _raised(work: Callable[[], Array]) -> tuple[bool, bool, float]:
    FLAGS.lower()
    last = float(work()[-1])
    return FLAGS.under, FLAGS.lost, last


def _work() -> bool:
    """Each flag, of arrays that are long enough for vector instructions; and denormal numbers, which some libraries take
    for 0 where they are loaded."""
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
    """Ones, but for the last number: the tail of a vector loop."""
    array = np.ones(19)
    array[-1] = last
    return array


WORK = _work()
