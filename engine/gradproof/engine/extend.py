"""Public interface for plugins: all names that are promised to stay."""

from gradproof.engine.attributes import Attributes
from gradproof.engine.caller import Caller
from gradproof.engine.cases import Case, case
from gradproof.engine.composite import Composite
from gradproof.engine.conventions import DIRECT, HOLOMORPHIC, REFUSED, Complex, Kink
from gradproof.engine.domains import ABOVE_MINUS_ONE, ABOVE_ONE, INTEGER, NONZERO, POSITIVE, PROPER, REAL, UNIT, Domain
from gradproof.engine.errors import DataFault
from gradproof.engine.hookspecs import API_VERSION, hookimpl
from gradproof.engine.implicit import LOWER, NEITHER, UPPER, Equation, Parametrisation, Triangle
from gradproof.engine.inference import InferenceError, Inferred, promoted
from gradproof.engine.kernels import Kernel
from gradproof.engine.named_hook import NamedHook
from gradproof.engine.op import NO_GRADIENT, Op
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
    "LOWER",
    "NEITHER",
    "NONZERO",
    "NO_GRADIENT",
    "POSITIVE",
    "PROPER",
    "REAL",
    "REFUSED",
    "UNIT",
    "UPPER",
    "Attributes",
    "Caller",
    "Case",
    "Complex",
    "Composite",
    "DataFault",
    "Domain",
    "Equation",
    "Exact",
    "InferenceError",
    "Inferred",
    "Kernel",
    "Kink",
    "Memory",
    "NamedHook",
    "Op",
    "Parametrisation",
    "Spec",
    "Triangle",
    "case",
    "full_like",
    "hookimpl",
    "ops",
    "promoted",
    "registering",
    "zeros_like",
]
