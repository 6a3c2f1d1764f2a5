"""Free attributes: from a case at its values to the case in which float attributes are free, which stands for all of
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import isfinite
from typing import Any

from gradproof.engine.cases import Case
from gradproof.engine.errors import NoRule, RuleFault
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry
from gradproof.engine.sealed import ValueRequested, may_be_free
from gradproof.engine.verify.proof_cache.programs import program_digest


def with_free_attributes(registry: Registry, op: Op, case: Case) -> Case | None:
    """The case with free float attributes whose proof stands for ``case``: with the values that the op declares, at which
    its behaviour is checked, so that it is the same case for all live values. None if no attribute can be free.

    It stands for ``case`` if the values enter only as numbers in the place of symbols: the rule is the same program but
    for literals, which are exactly those of ``case`` at its values, and the shapes, dtypes and other attributes are the
    same.
    """
    if case.free or case.sampled or case.dtype.kind == "c" or op.chart is not None or op.equation is not None:
        return None
    try:
        declared = {**op.attributes, **op.declared_cases()[0].attributes}
        attributes = op.inference(case.specs(), case.attributes).attributes
        values = {
            name: value for name, value in attributes.items() if may_be_free(value) and _is_like(declared.get(name), value)
        }
        while values:
            try:
                return _freed(registry, op, case, values, declared)
            except RuleFault as fault:
                if not isinstance(fault.__cause__, ValueRequested) or values.keys().isdisjoint(fault.__cause__.names):
                    return None
                values = {name: value for name, value in values.items() if name not in fault.__cause__.names}
    except (InferenceError, NoRule):  # values that do not fit the declared ones
        return None
    return None


def _is_like(declared: Any, value: Any) -> bool:
    """True if an op declares a finite number of the same type, at which its behaviour can be checked."""
    return type(declared) is type(value) and isfinite(declared)


def _freed(registry: Registry, op: Op, case: Case, values: Mapping[str, Any], declared: Mapping[str, Any]) -> Case | None:
    """The case with the attributes in ``values`` free; None where its rule is another program."""
    beside = None if case.beside is None else _freed(registry, op, case.beside, values, declared)
    inference = op.inference(case.specs(), case.attributes)
    attributes = {**inference.attributes, **{name: declared[name] for name in values}}
    general = replace(case, attributes=attributes, free=tuple(sorted(values)), beside=beside)
    general_inference = op.inference(general.specs(), attributes)
    texts = [
        repr((result.outputs, result.inputs, {**result.attributes, **values})) for result in (inference, general_inference)
    ]
    unchanged = all(repr(general_inference.attributes.get(name)) == repr(declared[name]) for name in values)
    if texts[0] != texts[1] or not unchanged or (beside is None and case.beside is not None):
        return None
    exact = {name: Fraction(value) for name, value in values.items()}
    rule, free_rule = registry.rule_of(op, case), registry.rule_of(op, general)
    return general if program_digest(free_rule.at(exact)) == program_digest(rule) else None
