"""Conjugates, real and imaginary parts, and complex numbers composed of parts."""

from typing import Any

import numpy as np

from gradproof.engine.extend import Composite, Exact, InferenceError, Inferred, Spec, case, ops, registering, zeros_like
from gradproof.plugins.families import D
from gradproof.plugins.names import named

GRADPROOF_API = 1

COMPLEX_OF: dict[str, Any] = {"float32": np.dtype(np.complex64), "float64": np.dtype(np.complex128)}


def real_rule(g, y, x):
    return ops.astype(g, dtype=x.dtype.name)


def imag_rule(g, y, x):
    """i g, the direction in which the imaginary part grows; 0 for real numbers."""
    return ops.complex(zeros_like(g), g) if x.dtype.kind == "c" else zeros_like(x)


def complex_infer(real: Spec, imag: Spec) -> Inferred:
    """Both parts are converted to the wider of their dtypes, which must be float32 or float64."""
    part = np.result_type(real.dtype, imag.dtype)
    if part.name not in COMPLEX_OF:
        raise InferenceError(f"the parts are {real.dtype.name} and {imag.dtype.name}; they must be float32 or float64")
    try:
        shape = np.broadcast_shapes(real.shape, imag.shape)
    except ValueError:
        raise InferenceError(f"shapes {real.shape} and {imag.shape} do not broadcast") from None
    return Inferred((Spec(shape, COMPLEX_OF[part.name]),), {}, (Spec(shape, part), Spec(shape, part)))


def complex_forward(real, imag):
    """real + i imag, written part by part: ``real + 1j * imag`` is nan where a part is infinite."""
    out = np.empty(real.shape, COMPLEX_OF[real.dtype.name])
    out.real, out.imag = real, imag
    return out


def complex_rule(g, y, real, imag):
    return ops.real(g), ops.imag(g)


def complex_define(f, i, real, imag):
    return f.compose(real[i], imag[i])


def angle(x):
    """The argument; of a real number 0, π if it is negative, or nan, as in torch.angle."""
    if x.dtype.kind == "c":
        return ops.atan2(ops.imag(x), ops.real(x))
    return ops.where(x < 0, PI, ops.where(ops.isnan(x), x, 0))


def polar(modulus, angle):
    return ops.complex(modulus * ops.cos(angle), modulus * ops.sin(angle))


PI = Exact(lambda f: f.pi)
PAIRS = (case((), ()), case((2,), (2,)), case((2, 1), (3,)))

# fmt: off
COMPLEXES = (
    # op         forward          cotangents of the inputs     definition      shapes
    D("conj",    np.conj,         lambda g, y, x: ops.conj(g), lambda f, x: f.conj(x)),
    D("real",    np.real,         real_rule,                   lambda f, x: f.real(x)),
    D("imag",    np.imag,         imag_rule,                   lambda f, x: f.imag(x)),
    D("complex", complex_forward, complex_rule,                complex_define, complex_infer, PAIRS, doc="real + i imag"),
)

POLAR = (
    Composite("angle", angle, doc="the argument of x, from -π to π; 0 or π for a real number"),
    Composite("polar", polar, cases=PAIRS, doc="modulus (cos angle + i sin angle)"),
)
# fmt: on

register_ops = registering(*named(COMPLEXES + POLAR))
