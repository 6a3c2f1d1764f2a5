"""Kernels on the vector functions of Intel's Math Kernel Library: a faster `exp`, `cos`, `tanh`... for Gradproof.

The functions are called in the library itself, in its most accurate mode and without threads of its own. The ufuncs of
the package ``mkl_umath`` are not used: for arrays of up to 8192 elements, for strided arrays, and where the result has
the memory of the argument they take other loops, which have other bits. Gradproof refuses such kernels."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, NamedTuple

import cffi
import numpy as np

from gradproof.engine.extend import Kernel, registering

GRADPROOF_API = 1
GRADPROOF_NAME = "mkl"
__version__ = "0.1.0"

MODE = 0x2 | 0x140000 | 0x100  # VML_HA, VML_FTZDAZ_OFF, VML_ERRMODE_IGNORE
SEQUENTIAL = 1  # MKL_THREADING_SEQUENTIAL

FUNCTIONS = {
    "exp": "Exp", "exp2": "Exp2", "expm1": "Expm1", "log": "Ln", "log1p": "Log1p", "log2": "Log2", "log10": "Log10",
    "sin": "Sin", "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "atan2": "Atan2",
    "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "cbrt": "Cbrt", "pow": "Pow",
}  # fmt: skip
"""By op the function of the library that is faster than NumPy's and SciPy's in float64, on a processor with AVX2."""
OF_TWO = ("pow", "atan2")
FASTER_WITH_AVX512 = ("sin", "cos")
"""Ops that are faster even where NumPy has loops for AVX-512, which it has for the rest."""
LOWEST = {"float64": -708.0, "float32": -87.0}
"""Below, e to the power of -x may leave the range, and the sigmoid of x is e to the power of x to the last bit."""


class Library(NamedTuple):
    """The loaded library, with the name and the version of its package."""

    functions: Any
    buffer: Callable[..., Any]
    build: str


def load() -> Library:
    """Load the library of the installed package ``mkl``. Raises ImportError where there is none, or another processor."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        raise ImportError(f"MKL is for x86-64, and this is {platform.machine()}")
    try:
        package = distribution("mkl")
    except PackageNotFoundError:
        raise ImportError("the package mkl is not installed: pip install mkl") from None
    names = ("libmkl_rt.so", "mkl_rt.", "libmkl_rt.dylib")
    found = [Path(str(file.locate())).resolve() for file in package.files or () if file.name.startswith(names)]
    if not found:
        raise ImportError("the package mkl has no library mkl_rt")
    interface = cffi.FFI()
    for kind, letter in (("double", "d"), ("float", "s")):
        for op, name in FUNCTIONS.items():
            inputs = f"const {kind} *a, const {kind} *b" if op in OF_TWO else f"const {kind} *a"
            interface.cdef(f"void vm{letter}{name}_64(int64_t n, {inputs}, {kind} *r, int64_t mode);")
    interface.cdef("int MKL_Set_Threading_Layer(int layer); int MKL_Domain_Set_Num_Threads(int count, int domain);")
    library = interface.dlopen(str(found[0]))
    if "MKL_THREADING_LAYER" not in os.environ:
        library.MKL_Set_Threading_Layer(SEQUENTIAL)
    library.MKL_Domain_Set_Num_Threads(1, 3)  # vector functions; a run has threads of its own
    return Library(library, interface.from_buffer, f"mkl {package.version}")


def kernels() -> list[Kernel]:
    """The kernels of this processor."""
    library = load()
    features: dict[str, bool] = sys.modules["numpy._core._multiarray_umath"].__cpu_features__
    fast = features.get("AVX512_SKX")
    made = []
    for dtype in ("float64", "float32"):
        calls = {op: _call(library, op, dtype) for op in FUNCTIONS if not fast or op in FASTER_WITH_AVX512}
        made += [Kernel(op, call, (dtype,), f"mkl {_name(op, dtype)}", library.build) for op, call in calls.items()]
        if "exp" in calls:
            sigmoid = partial(_sigmoid, calls["exp"], LOWEST[dtype])
            made.append(Kernel("sigmoid", sigmoid, (dtype,), f"mkl 1 / (1 + {_name('exp', dtype)})", library.build))
    return made


def _name(op: str, dtype: str) -> str:
    """The name of the function of an op in the library."""
    return f"vm{'d' if dtype == 'float64' else 's'}{FUNCTIONS[op]}"


def _call(library: Library, op: str, dtype: str) -> Callable[..., None]:
    """The function of an op in the library, called with NumPy's arrays."""
    compute, buffer = getattr(library.functions, f"{_name(op, dtype)}_64"), library.buffer
    kind = "double[]" if dtype == "float64" else "float[]"

    def of_one(x: np.ndarray, out: np.ndarray) -> None:
        if not x.flags.c_contiguous:
            x = np.ascontiguousarray(x)
        compute(x.size, buffer(kind, x), buffer(kind, out), MODE)

    def of_two(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
        x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
        compute(x.size, buffer(kind, x), buffer(kind, y), buffer(kind, out), MODE)

    return of_two if op in OF_TWO else of_one


def _sigmoid(exp: Callable[..., None], lowest: float, x: np.ndarray, out: np.ndarray) -> None:
    """1 / (1 + e^-x), and e^x where that leaves the range."""
    low = x < lowest
    tail = x[low] if low.any() else None
    np.negative(x, out)
    exp(out, out)
    np.add(out, 1, out)
    np.reciprocal(out, out)
    if tail is not None:
        exp(tail, tail)
        out[low] = tail


register_kernels = registering(*kernels())
