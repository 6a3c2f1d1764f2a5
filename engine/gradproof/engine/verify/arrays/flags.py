"""The processor's flags: whether a computation with arrays underflowed, overflowed, or was invalid somewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradproof.engine.spec import Array


class Flags:
    """What was flagged (IEEE 754, section 7) by NumPy's arithmetic inside of a ``with`` block, without a pass over arrays.

    Attributes:
        under: a result that is not exact was smaller than normal numbers are.
        lost: an infinity or a nan was made of numbers that are none: overflow, a division by 0, an invalid operation.
    """

    __slots__ = ("_state", "lost", "under")

    def __init__(self) -> None:
        self.under = self.lost = not WORK
        self._state: Any = np.errstate(all="call", call=self._flagged)

    def _flagged(self, kind: str, flag: int) -> None:
        if kind == "underflow":
            self.under = True
        else:
            self.lost = True

    def __enter__(self) -> Flags:
        self._state.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._state.__exit__(*error)


WORK = True
"""Whether flags are raised here; else everything is taken to be flagged."""


def _work() -> bool:
    """Each flag, of arrays that are long enough for vector instructions; and denormal numbers, which some libraries take
    for 0 where they are loaded."""
    least, most = _array(2.0**-1074), _array(1.7e308)
    with Flags() as quiet:
        same = (least + least)[-1] == 2.0**-1073 and (least * _array(2.0**60))[-1] == 2.0**-1014
    found = [not (quiet.under or quiet.lost), bool(same)]
    for work in (lambda: least * _array(0.25), lambda: _array(2.0**-600) * _array(2.0**-600), lambda: least / _array(3.0)):
        with Flags() as flags:
            work()
        found.append(flags.under and not flags.lost)
    for work in (
        lambda: most * most,
        lambda: most + most,
        lambda: most / _array(0.5),
        lambda: _array(1.0) / _array(0.0),
        lambda: _array(0.0) / _array(0.0),
    ):
        with Flags() as flags:
            work()
        found.append(flags.lost)
    return all(found)


def _array(last: float) -> Array:
    """Ones, but for the last number: the tail of a vector loop."""
    found = np.ones(19)
    found[-1] = last
    return found


WORK = _work()
