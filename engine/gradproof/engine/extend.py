"""All that a plugin needs, and all that is promised to stay."""

from gradproof.engine.hooks import NamedHook
from gradproof.engine.hookspecs import API_VERSION, hookimpl
from gradproof.engine.op import ABOVE_MINUS_ONE, ABOVE_ONE, INTEGER, NONZERO, POSITIVE, REAL, UNIT, Domain
from gradproof.engine.op import NO_GRADIENT, InferenceError, Inferred, Op, case
from gradproof.engine.spec import Spec
from gradproof.engine.trace import Exact, full_like, ops, zeros_like

__all__ = [
    *("API_VERSION", "NO_GRADIENT", "Exact", "InferenceError", "Inferred", "NamedHook", "Op", "Spec"),
    *("ABOVE_MINUS_ONE", "ABOVE_ONE", "INTEGER", "NONZERO", "POSITIVE", "REAL", "UNIT", "Domain"),
    *("case", "full_like", "hookimpl", "ops", "zeros_like"),
]
