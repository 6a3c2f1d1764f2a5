"""A plugin that stays, of which an op and a kernel are refused: their exceptions are about the server's inside."""

from __future__ import annotations

from typing import Any

from gradproof.engine.extend import Kernel, Op, registering

GRADPROOF_API = 1
GRADPROOF_NAME = "leaky"

SECRET = "/secret/path"
"""A text of the exceptions, for operators only."""


def _double(x: Any) -> Any:
    return 2 * x


def _fails(*given: Any) -> Any:
    raise KeyError(SECRET)


register_ops = registering(
    Op("leaky.kept", _double, lambda g, y, x: 2 * g, lambda f, x: 2 * x),
    Op("leaky.broken", _double, _fails, lambda f, x: 2 * x),
)
register_kernels = registering(Kernel("exp", _fails, ("float64",), "broken exp"))
