"""Registries of the built-in ops, and of ops that a test plants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradproof.engine.extend import Op, hookimpl
from gradproof.engine.registry import Registry, build_registry
from gradproof.plugins import BUILTIN


def registry_of(*planted: Op, refused: bool = False) -> Registry:
    """The built-in ops, and those of a plugin named by their prefix, which is refused if ``refused`` and only then."""

    class Planted:
        GRADPROOF_API = 1
        GRADPROOF_NAME = planted[0].name.partition(".")[0]

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            for op in planted:
                register(op)

    registry = build_registry(BUILTIN, others=[Planted()])
    assert bool(registry.refused) == refused, registry.refused
    return registry


def with_rules(**rules: Callable[..., Any]) -> Registry:
    """The built-in ops, and for each name a copy of that op called ``planted.<name>`` with another rule."""
    base = build_registry(BUILTIN)

    class Planted:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            for name, rule in rules.items():
                op = base.op(name)
                extra = {"infer": op.infer, "cases": op.cases, "domains": op.domains, "promotes": op.promotes}
                register(Op(f"planted.{name}", op.forward, rule, op.define, **extra))  # type: ignore[arg-type]

    registry = build_registry(BUILTIN, others=[Planted()])
    assert not registry.refused
    return registry


def with_fields(**planted: dict[str, Any]) -> Registry:
    """The built-in ops, and copies of some with other fields, called ``planted.<name>``."""
    base = build_registry(BUILTIN)

    class Planted:
        GRADPROOF_API = 1

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            for name, fields in planted.items():
                op = base.op(name)
                kept = ("forward", "rule", "define", "infer", "cases", "domains", "promotes", "ties", "kink")
                register(Op(f"planted.{name}", **{**{k: getattr(op, k) for k in kept}, **fields}))

    registry = build_registry(BUILTIN, others=[Planted()])
    assert not registry.refused
    return registry
