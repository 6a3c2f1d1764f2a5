"""Lock around Arb, since the working precision of python-flint is global to the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from flint import ctx

_LOCK = RLock()


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute in balls with ``bits`` bits; other threads wait."""
    with _LOCK:
        previous, ctx.prec = ctx.prec, bits
        try:
            yield
        finally:
            ctx.prec = previous
