"""A plugin whose ops and hooks misbehave while they run: what a server must survive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.engine.extend import NamedHook, Op, hookimpl, ops

GRADPROOF_API = 1
GRADPROOF_NAME = "misbehaving"


def raising(x: Any) -> Any:
    if x.size:
        raise LookupError("the forward gave up")
    return +x


def shrinking(x: Any) -> Any:
    return x[:1] if x.size > 1 else +x


def crooked_rule(g: Any, y: Any, x: Any) -> Any:
    """Right for the cases that are traced at registration, and not for rank 3."""
    return g if x.ndim < 3 else ops.sum(g)


def nagging(gradient: Any) -> Any:
    raise RuntimeError("no gradients on Mondays")


@hookimpl
def register_ops(register: Callable[[Op], None]) -> None:
    register(Op("odd.raising", raising, lambda g, y, x: g, lambda f, x: x))
    register(Op("odd.shrinking", shrinking, lambda g, y, x: g, lambda f, x: x))
    register(Op("odd.crooked", np.positive, crooked_rule, lambda f, x: x))


@hookimpl
def register_hooks(register: Callable[[NamedHook], None]) -> None:
    register(NamedHook("odd_shape", lambda gradient: np.zeros(gradient.size + 1)))
    register(NamedHook("odd_type", lambda gradient: gradient.astype(np.float32)))
    register(NamedHook("odd_nagging", nagging))
