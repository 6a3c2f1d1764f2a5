"""Text of tensors, as PyTorch prints them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradproof.client import dtypes
from gradproof.client.events import Array

BRIEF = 6
"""The number of elements that a line has room for."""


def show(array: Array, note: str = "") -> str:
    """A tensor with this value as PyTorch prints it: ``tensor([1., 2.], requires_grad=True)``.

    The dtype is printed where it is not a default; ``note``, unless it is "", at the end.
    """
    parts = [_elements(array, "tensor(")]
    if array.size == 0 and array.shape != (0,):
        parts.append(f"size={array.shape}")
    default = dtypes.get_default_dtype()
    usual = array.dtype in (default, dtypes.complex_of(default), dtypes.int64, dtypes.bool_)
    if not usual or (array.size == 0 and array.dtype != dtypes.get_default_dtype()):
        parts.append(f"dtype={array.dtype.name}")
    if note:
        parts.append(note)
    return f"tensor({', '.join(parts)})"


def brief(array: Array) -> str:
    """An array on a single line: its elements if it is small, otherwise dtype and shape."""
    if array.size > BRIEF:
        return f"{array.dtype.name} {array.shape}"
    return " ".join(_elements(array, "").split())


def _elements(array: Array, prefix: str) -> str:
    if array.dtype == dtypes.bfloat16:
        array = array.astype(np.float32)
    if array.ndim == 0:
        return _number(array.item())
    form: Any = {"complex_kind": _complex} if array.dtype.kind == "c" else None
    kind = array.dtype.kind
    if kind == "b":
        width = 4 if array.all() else 5
        form = {"bool": lambda v: str(bool(v)).rjust(width)}
    finite = array[np.isfinite(array)] if kind == "f" else array
    whole = kind == "f" and bool((finite == np.trunc(finite)).all()) and (finite.size > 0 or not array.size)
    with np.printoptions(precision=4, suppress=_plain(array), floatmode="fixed", nanstr="nan", infstr="inf"):
        if whole and _plain(array):
            return np.array2string(array, separator=", ", prefix=prefix, formatter={"float_kind": _whole(array)})
        return np.array2string(array, separator=", ", prefix=prefix, formatter=form)


def _whole(array: Array) -> Callable[[Any], str]:
    """Numbers without decimals, as wide as the widest that is finite."""

    def text(v: Any) -> str:
        return f"{v:.0f}." if np.isfinite(v) else f"{v:.0f}"

    finite = array[np.isfinite(array)]
    width = max(len(text(v)) for v in (finite.min(), finite.max())) if finite.size else 0
    return lambda v: text(v).rjust(width)


def _plain(array: Array) -> bool:
    """True if the numbers are readable without exponents."""
    if array.dtype.kind != "f" or not array.size:
        return True
    sizes = np.abs(array[np.isfinite(array) & (array != 0)].astype(np.float64))
    return not sizes.size or bool(sizes.max() < 1e8 and sizes.max() / sizes.min() <= 1000 and sizes.min() >= 1e-4)


def _number(x: object) -> str:
    if isinstance(x, float):
        if x != x or x in (float("inf"), float("-inf")):
            return str(x)
        if x == int(x) and abs(x) < 1e8:
            return f"{x:.0f}."
        return f"{x:.4f}" if 1e-4 <= abs(x) < 1e8 else f"{x:.4e}"
    return _complex(x) if isinstance(x, complex) else str(x)


def _complex(x: complex) -> str:
    return (
        f"{_number(float(x.real))}{'+' if not str(_number(float(x.imag))).startswith('-') else ''}{_number(float(x.imag))}j"
    )
