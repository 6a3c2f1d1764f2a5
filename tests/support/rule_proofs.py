"""Proofs of planted rules, and of rules that ran."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from tests.conftest import REGISTRY
from tests.support.registries import registry_of

from gradproof.engine.extend import Op, Spec
from gradproof.engine.registry import Registry
from gradproof.engine.rules import trace_rule
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import ProofKey, ShippedProofs, key_of
from gradproof.engine.verify.verdict import RuleVerdict

SHIPPED = ShippedProofs(REGISTRY)


@cache
def known(key: ProofKey) -> RuleVerdict:
    """The verdict on a built-in rule: the shipped one, if it is of this rule and this checker, or else a proof. `make
    check` proves all that is shipped anew."""
    general = SHIPPED.of_case(key.general.op, key.general.case) if key.general else None
    if general is not None and general.proved:
        return general
    return SHIPPED.of_case(key.op, key.case) or prove(REGISTRY, REGISTRY.op(key.op), key.case)


def derived(name: str, rule: Callable[..., Any]) -> Op:
    """A built-in op with another rule, called ``planted.<name>``."""
    return replace(REGISTRY.op(name), name=f"planted.{name}", rule=rule)


def verdicts(op: Op) -> list[RuleVerdict]:
    """The verdicts on the rule of an op in each of its cases."""
    registry = registry_of(op)
    return [prove(registry, op, case) for case in op.proof_cases()]


def live_key(registry: Registry, name: str, shapes: list[tuple[int, ...]], dtype: Any = float, **attributes: Any) -> Any:
    """The key of the proof of the rule that runs for inputs of these shapes; None if no case stands for it."""
    op, specs = registry.op(name), [Spec(shape, np.dtype(dtype)) for shape in shapes]
    inference = op.inference(specs, attributes)
    inputs = list(inference.inputs or specs)
    rule = trace_rule(registry.ops, op, inputs, inference.outputs, inference.attributes)
    return key_of(registry, op, inputs, rule, inference.attributes)


def live(op: Op, shape: tuple[int, ...], dtype: Any = float, **attributes: Any) -> RuleVerdict | None:
    """The verdict on the rule that runs for an input of this shape; None if no case stands for it."""
    registry = registry_of(op)
    key = live_key(registry, op.name, [shape], dtype, **attributes)
    return None if key is None else prove(registry, op, key.case)
