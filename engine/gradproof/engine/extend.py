"""Names for plugins: the interface that is promised to stay."""

from gradproof.engine.caller import Caller
from gradproof.engine.errors import DataFault
from gradproof.engine.hookspecs import API_VERSION, hookimpl
from gradproof.engine.implicit import Equation, Parametrisation
from gradproof.engine.named_hook import NamedHook
from gradproof.engine.op import (
    ABOVE_MINUS_ONE,
    ABOVE_ONE,
    DIRECT,
    HOLOMORPHIC,
    INTEGER,
    NO_GRADIENT,
    NONZERO,
    POSITIVE,
    REAL,
    REFUSED,
    UNIT,
    Attributes,
    Case,
    Complex,
    Domain,
    InferenceError,
    Inferred,
    Kink,
    Op,
    case,
)
from gradproof.engine.registering import Memory, registering
from gradproof.engine.spec import Spec
from gradproof.engine.trace import Exact, full_like, ops, zeros_like

__all__ = [
    "ABOVE_MINUS_ONE",
    "ABOVE_ONE",
    "API_VERSION",
    "DIRECT",
    "HOLOMORPHIC",
    "INTEGER",
    "NONZERO",
    "NO_GRADIENT",
    "POSITIVE",
    "REAL",
    "REFUSED",
    "UNIT",
    "Attributes",
    "Caller",
    "Case",
    "Complex",
    "DataFault",
    "Domain",
    "Equation",
    "Exact",
    "InferenceError",
    "Inferred",
    "Kink",
    "Memory",
    "NamedHook",
    "Op",
    "Parametrisation",
    "Spec",
    "case",
    "full_like",
    "hookimpl",
    "ops",
    "registering",
    "zeros_like",
]
