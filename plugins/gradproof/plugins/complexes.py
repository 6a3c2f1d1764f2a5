"""Conjugates, parts, and complex numbers made of them."""

from typing import Any

import numpy as np

from gradproof.engine.extend import DIRECT, InferenceError, Inferred, Op, Spec, case, hookimpl, ops, zeros_like

GRADPROOF_API = 1

COMPLEX_OF: dict[str, Any] = {"float32": np.dtype(np.complex64), "float64": np.dtype(np.complex128)}


def real_rule(g, y, x):
    return ops.astype(g, dtype=x.dtype.name)


def imag_rule(g, y, x):
    """i g: the direction in which the imaginary part grows. A real number has none."""
    return ops.complex(zeros_like(g), g) if x.dtype.kind == "c" else zeros_like(x)


def complex_infer(real, imag):
    """Both parts in the wider of their dtypes, which must be one that a complex dtype is made of."""
    part = np.result_type(real.dtype, imag.dtype)
    if part.name not in COMPLEX_OF:
        raise InferenceError(f"the parts are {real.dtype.name} and {imag.dtype.name}; they must be float32 or float64")
    try:
        shape = np.broadcast_shapes(real.shape, imag.shape)
    except ValueError:
        raise InferenceError(f"shapes {real.shape} and {imag.shape} do not broadcast") from None
    return Inferred((Spec(shape, COMPLEX_OF[part.name]),), {}, (Spec(shape, part), Spec(shape, part)))


def complex_forward(real, imag):
    """Not real + 1j * imag, which is nan where a part is infinite."""
    out = np.empty(real.shape, COMPLEX_OF[real.dtype.name])
    out.real, out.imag = real, imag
    return out


COMPLEXES = (
    Op("conj", np.conj, lambda g, y, x: ops.conj(g), lambda f, x: f.conj(x), complex=DIRECT, doc="the conjugate"),
    Op("real", np.real, real_rule, lambda f, x: f.real(x), complex=DIRECT, doc="the real part"),
    Op("imag", np.imag, imag_rule, lambda f, x: f.imag(x), complex=DIRECT, doc="the imaginary part"),
    Op(
        "complex",
        complex_forward,
        lambda g, y, real, imag: (ops.real(g), ops.imag(g)),
        lambda f, i, real, imag: f.compose(real[i], imag[i]),
        complex_infer,
        (case((), ()), case((2,), (2,)), case((2, 1), (3,))),
        complex=DIRECT,
        doc="real + i imag",
    ),
)


@hookimpl
def register_ops(register):
    for op in COMPLEXES:
        register(op)
