"""The one lock around Arb: python-flint's working precision is global to the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from flint import ctx

_LOCK = RLock()


@contextmanager
def precision(bits: int) -> Iterator[None]:
    """Compute in balls with ``bits`` bits, alone."""
    with _LOCK:
        previous, ctx.prec = ctx.prec, bits
        try:
            yield
        finally:
            ctx.prec = previous
