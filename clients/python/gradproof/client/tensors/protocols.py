"""NumPy's protocols: ufuncs and functions of NumPy on tensors record ops, instead of computing values without gradients."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from inspect import signature
from typing import Any

import numpy as np

from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.arguments import weakly_complex

Function = Callable[..., Any]
NO_VALUE = np._NoValue  # noqa: SLF001 - the default of arguments of NumPy


def pairs(names: str) -> Iterator[tuple[str, str]]:
    """The names in a text, each with the op of that name, or with the op behind a ``=``."""
    for word in names.split():
        name, _, op = word.partition("=")
        yield name, op or name.rpartition(".")[2]


UFUNCS = dict(
    pairs(
        """
        absolute=abs add arccos=acos arccosh=acosh arcsin=asin arcsinh=asinh arctan=atan arctan2=atan2 arctanh=atanh
        bitwise_and bitwise_or bitwise_xor cbrt ceil conjugate=conj copysign cos cosh deg2rad degrees=rad2deg divide
        equal exp exp2 expm1 fabs=abs float_power floor floor_divide fmax fmin fmod greater greater_equal heaviside
        hypot invert=bitwise_invert isfinite isinf isnan ldexp left_shift=bitwise_left_shift less less_equal log log10
        log1p log2 logaddexp logaddexp2 logical_and logical_not logical_or logical_xor matmul maximum minimum multiply
        negative nextafter not_equal positive power=pow rad2deg radians=deg2rad reciprocal remainder
        right_shift=bitwise_right_shift rint=round sign signbit sin sinh sqrt square subtract tan tanh trunc
        """
    )
)
"""The op of each ufunc of NumPy."""

SPECIAL = dict(
    pairs(
        """
        beta betaln cbrt entr erf erfc erfcinv erfcx erfinv exp2 expit=sigmoid expm1 gamma gammainc gammaincc gammaln
        i0 i0e i1 i1e j0 j1 log1p log_expit=logsigmoid log_ndtr logit ndtr ndtri psi=digamma digamma xlog1py xlogy y0 y1
        """
    )
)
"""The op of each ufunc of `scipy.special`."""

COMPOSED: dict[str, Function] = {
    "divmod": lambda a, b: (apply("floor_divide", a, b), apply("remainder", a, b)),
    "modf": lambda x: (apply("frac", x), apply("trunc", x)),
    "vecdot": lambda a, b: apply("sum", apply("multiply", apply("conj", a), b), axis=-1),
    "matvec": lambda a, b: apply("squeeze", apply("matmul", a, apply("expand_dims", b, axis=-1)), axis=-1),
    "vecmat": lambda a, b: apply("squeeze", apply("matmul", apply("expand_dims", apply("conj", a), axis=-2), b), axis=-2),
}
"""Ufuncs that are made of several ops."""

REDUCED = dict(pairs("add=sum multiply=prod maximum=max minimum=min logical_and=all logical_or=any logaddexp=logsumexp"))
"""The op of ``reduce`` of a ufunc."""

ACCUMULATED = dict(pairs("add=cumsum multiply=cumprod logaddexp=logcumsumexp"))
"""The op of ``accumulate`` of a ufunc."""

FUNCTIONS: dict[str, Function] = {}
"""Functions of NumPy by their names behind ``np.``, each with a function of tensors. `numpy_functions` fills it."""

ON_VALUES: set[str] = set()
"""Functions of NumPy that are about values only: texts, files, dtypes and sets. `numpy_functions` fills it."""


def call_ufunc(ufunc: np.ufunc, method: str, inputs: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """The result of a ufunc, or of a method of a ufunc, on tensors; NotImplemented beside objects of other libraries.

    Raises TypeError for a ufunc without an op, and for arguments that would change an array (``out``, ``at``) or leave
    elements undefined (``where``).
    """
    if not all(isinstance(x, (Recorded, np.ndarray, np.generic, bool, int, float, complex, list, tuple)) for x in inputs):
        return NotImplemented
    name = f"np.{ufunc.__name__}{'' if method == '__call__' else f'.{method}'}"
    given = {key: value for key, value in keywords.items() if value is not None and not (key == "where" and value is True)}
    if method in ("__call__", "outer"):
        refuse(name, given)
        return _called(ufunc, _outer(*inputs) if method == "outer" else inputs)
    op = {"reduce": REDUCED, "accumulate": ACCUMULATED}.get(method, {}).get(ufunc.__name__)
    if op is None or getattr(np, ufunc.__name__, None) is not ufunc:
        raise TypeError(f"{name} is not for tensors: {_INSTEAD[method]}")
    typed = ("dtype",) if op in ("sum", "prod", "cumsum", "cumprod") else ()
    return apply(op, inputs[0], **{"axis": keywords.get("axis", 0)} | refuse(name, given, "axis", "keepdims", *typed))


_INSTEAD = {
    "at": "nothing is written into arrays and tensors; write x.index_put(indices, values, accumulate=True)",
    "reduceat": "write the sums of slices, np.add.reduce(x[a:b])",
    "reduce": "np.add, multiply, maximum, minimum, logical_and, logical_or and logaddexp have a reduction",
    "accumulate": "np.add, multiply and logaddexp have an accumulation",
}


def _outer(a: Any, b: Any) -> tuple[Any, Any]:
    """The operands of an outer ufunc, with axes that broadcast to those of both."""
    rank = np.ndim(b) if not isinstance(b, Recorded) else b.ndim
    if not isinstance(a, Recorded):
        return np.asarray(a)[(..., *(None,) * rank)], b
    return apply("reshape", a, shape=(*a.shape, *(1,) * rank)), b


def _called(ufunc: np.ufunc, inputs: Sequence[Any]) -> Any:
    """The result of a ufunc. Raises TypeError if it has no op."""
    name = ufunc.__name__
    numpys = getattr(np, name, None) is ufunc
    if numpys and name in COMPOSED:
        return COMPOSED[name](*inputs)
    specials = not numpys and getattr(sys.modules.get("scipy.special"), name, None) is ufunc
    op = UFUNCS.get(name) if numpys else SPECIAL.get(name) if specials else None
    if op is None:
        library = "np." if numpys else "scipy.special." if specials else ""
        raise TypeError(_absent(f"{library}{name}"))
    if op.startswith("bitwise"):  # a weak bool would count as an integer
        return apply(op, *(np.asarray(x) if isinstance(x, bool) else x for x in inputs))
    dtype = next((x.dtype for x in inputs if isinstance(x, Recorded)), None)
    return apply(op, *(inputs if dtype is None else [weakly_complex(x, dtype) for x in inputs]))


def call_function(function: Function, types: Sequence[type], arguments: Sequence[Any], keywords: Mapping[str, Any]) -> Any:
    """The result of a function of NumPy on tensors; NotImplemented beside arrays of other libraries.

    Raises TypeError for a function that `FUNCTIONS` has not, and for an argument that is not for tensors.
    """
    if not all(issubclass(kind, (Recorded, np.ndarray)) for kind in types):
        return NotImplemented
    module = function.__module__.rpartition(".")[2]
    name = function.__name__ if module == "numpy" else f"{module}.{function.__name__}"
    given = {key: value for key, value in keywords.items() if value is not NO_VALUE}
    if name in ON_VALUES:
        return function(*_values(arguments), **dict(zip(given, _values(list(given.values())), strict=True)))
    if name not in FUNCTIONS:
        raise TypeError(_absent(f"np.{name}"))
    client_function = FUNCTIONS[name]
    try:
        signature(client_function).bind(*arguments, **given)
    except TypeError as error:
        accepted = signature(client_function).parameters
        refuse(f"np.{name}", {key: value for key, value in given.items() if key not in accepted})
        raise TypeError(f"np.{name} of tensors: {error}; its arguments are {', '.join(accepted)}") from None
    return client_function(*arguments, **given)


def refuse(name: str, given: Mapping[str, Any], *accepted: str) -> dict[str, Any]:
    """The arguments that are given. Raises TypeError for an argument that is not accepted, and says what to write."""
    for key, value in given.items():
        if key not in accepted and value is not None:
            hint = _HINTS.get(key, "leave it out")
            raise TypeError(f"{name}({key}=...) is not for tensors: {hint}")
    return dict(given)


_HINTS = {
    "out": "nothing is written into arrays and tensors, so y = y + x instead of y += x",
    "where": "write np.where(condition, result, other)",
    "dtype": "convert by x.to(dtype)",
    "initial": "combine the result with it by another op",
}


def _absent(name: str) -> str:
    """The text about a function without an op."""
    return (
        f"{name} has no op, so that no gradient would flow through it. gp.ops lists the ops; on the values alone, write "
        f"{name}(x.detach().numpy())"
    )


def _values(x: Any) -> Any:
    """Arguments with arrays in place of tensors."""
    if isinstance(x, Recorded):
        return np.asarray(x)
    return type(x)(map(_values, x)) if type(x) in (list, tuple) else x
