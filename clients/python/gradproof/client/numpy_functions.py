"""Functions of NumPy on tensors: ``np.mean(x, axis=0)`` records the op mean.

The tables give the op, or a function of tensors, for each name behind ``np.``.
A name that is not here is refused with a text.
"""
# ruff: noqa: A002 - arguments have the names of NumPy

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from gradproof.client import linalg
from gradproof.client.recording.apply import apply_as
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.runtime import current
from gradproof.client.tensors import linear_algebra, protocols
from gradproof.client.tensors.arguments import axes_of
from gradproof.client.tensors.constructors import as_tensor, ones, zeros
from gradproof.client.tensors.protocols import NO_VALUE, Function, pairs, refuse
from gradproof.client.tensors.tensor import Tensor

OPS = """
    all amax=max amin=min any argmax argmin around=round broadcast_to count_nonzero cumulative_prod cumulative_sum
    diag diagflat diagonal expand_dims fix=trunc flip fliplr flipud i0 imag isclose isneginf isposinf isreal
    matrix_transpose max mean median min moveaxis nan_to_num nanmax nanmean nanmedian nanmin nanprod nanquantile
    nansum prod ptp quantile real repeat roll rot90 round sinc sort squeeze std stride_tricks.sliding_window_view sum
    swapaxes take_along_axis tile trace transpose tril triu var linalg.det linalg.inv linalg.matrix_norm
    linalg.matrix_transpose linalg.norm linalg.solve linalg.vector_norm
"""
"""Functions that are an op: arrays are its inputs in order, other arguments its attributes, by these names or `RENAMED`."""

RENAMED = {"ddof": "correction", "reps": "repetitions"}
"""Attributes of ops by the names of arguments of NumPy."""

IGNORED = {"copy", "overwrite_input", "subok", "writeable", "order", "kind", "stable"}
"""Arguments about memory, and about ways to the same result."""

SEVERAL = "array_split=array_split dsplit=dsplit hsplit=hsplit vsplit=vsplit unstack=unstack"
"""Functions with several results that are an op with these."""

JOINING = "block_diag column_stack dstack hstack vstack"
"""Functions of a sequence of arrays, which are inputs of an op."""

VALUES = """
    array2string array_equiv array_repr array_str bincount can_cast common_type digitize histogram histogram2d histogramdd
    histogram_bin_edges intersect1d isin lexsort may_share_memory min_scalar_type packbits result_type save savetxt savez
    savez_compressed setdiff1d setxor1d shares_memory trim_zeros union1d unique unique_all unique_counts unique_inverse
    unique_values
"""
"""Functions that NumPy computes on the values, which must not require grad: nothing is recorded."""


def _apply(op: str, *inputs: Any, **attributes: Any) -> Any:
    return apply_as(Tensor, op, *inputs, **attributes)[0]


def _by_op(name: str, op: str, several: bool = False) -> Function:
    """A function of NumPy as an op: its arguments are bound as NumPy would."""
    path, _, last = name.rpartition(".")
    home = getattr(np.lib if path == "stride_tricks" else np, path) if path else np
    function = getattr(home, last, None)
    if function is None:  # of a later version of NumPy
        return lambda *arguments, **keywords: _apply(op, *arguments, **keywords)
    parameters = inspect.signature(function)

    def called(*arguments: Any, **keywords: Any) -> Any:
        bound = parameters.bind(*arguments, **keywords)
        bound.apply_defaults()
        info = current().op(op)
        named = {key: x for key, x in bound.arguments.items() if x is not NO_VALUE and key not in IGNORED}
        inputs = [named.pop(key) for key in list(named)[: len(info.inputs)]]
        attributes = {RENAMED.get(key, key): _plain(x) for key, x in named.items()}
        if isinstance(attributes.get("axis"), (int, tuple)) and info.attributes.get("axis", 0) is None:
            attributes["axis"] = axes_of(as_tensor(inputs[0]), attributes["axis"])
        usual = {key for key, p in parameters.parameters.items() if p.default is named.get(key)}
        known = {key: x for key, x in attributes.items() if key in info.attributes or key not in usual}
        results = apply_as(Tensor, op, *inputs, **refuse(f"np.{name}", known, *info.attributes))
        return results if several else results[0]

    called.__signature__ = parameters  # type: ignore[attr-defined]
    return called


def _plain(x: Any) -> Any:
    """An attribute, with lists in place of arrays and tensors."""
    return np.asarray(x).tolist() if isinstance(x, (np.ndarray, np.generic, Recorded)) else x


def _all(arrays: Sequence[Any]) -> list[Tensor]:
    return [as_tensor(x) for x in arrays]


def _ravelled(x: Any, axis: int | None) -> tuple[Tensor, int]:
    """A tensor and an axis: all elements as a vector and 0, if ``axis`` is None."""
    return (as_tensor(x).reshape(-1), 0) if axis is None else (as_tensor(x), axis)


# joining and taking apart


def _concatenate(arrays: Sequence[Any], axis: int | None = 0, *, dtype: Any = None) -> Tensor:
    parts = [_ravelled(x, axis)[0] for x in arrays]
    joined = cast("Tensor", _apply("concat", *parts, axis=axis or 0))
    return joined if dtype is None else joined.to(dtype)


def _block(arrays: Any) -> Tensor:
    """Nested lists of arrays: the innermost are joined along the last axis, those around along the axes before."""

    def depth(part: Any) -> int:
        return 1 + max(map(depth, part)) if isinstance(part, list) else 0

    def leaves(part: Any) -> list[Tensor]:
        return [x for inner in part for x in leaves(inner)] if isinstance(part, list) else [as_tensor(part)]

    rank = max(depth(arrays), *(x.ndim for x in leaves(arrays)))

    def joined(part: Any, level: int) -> Tensor:
        if isinstance(part, list):
            return cast("Tensor", _apply("concat", *(joined(inner, level - 1) for inner in part), axis=-level))
        x = as_tensor(part)
        return x.reshape((1,) * (rank - x.ndim) + x.shape)

    return joined(arrays, depth(arrays))


def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Tensor]:
    x = as_tensor(ary)
    if np.ndim(indices_or_sections) == 0 and x.shape[axis] % int(indices_or_sections):
        raise ValueError("array split does not result in an equal division")
    return apply_as(Tensor, "array_split", x, indices_or_sections=_plain(indices_or_sections), axis=axis)


def _atleast(op: str) -> Function:
    def function(*arys: Any) -> Any:
        results = tuple(apply_as(Tensor, op, *arys))
        return results if len(results) > 1 else results[0]

    return function


def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Tensor, ...]:
    refuse("np.meshgrid", {"sparse": sparse or None})
    return tuple(apply_as(Tensor, "meshgrid", *(as_tensor(x).reshape(-1) for x in xi), indexing=indexing))


def _pad(array: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Tensor:
    x = as_tensor(array)
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    return cast("Tensor", _apply("pad", x, widths=widths, mode=mode, value=_plain(constant_values)))


# selecting


def _where(condition: Any, x: Any = None, y: Any = None) -> Any:
    return as_tensor(condition).nonzero(as_tuple=True) if x is None or y is None else _apply("where", condition, x, y)


def _clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Tensor:
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    return as_tensor(a).clone() if low is None and high is None else as_tensor(a).clamp(low, high)


def _take(a: Any, indices: Any, axis: int | None = None) -> Tensor:
    x, along = _ravelled(a, axis)
    return cast("Tensor", _apply("take", x, indices if isinstance(indices, Recorded) else np.asarray(indices), axis=along))


def _compress(condition: Any, a: Any, axis: int | None = None) -> Tensor:
    x, along = _ravelled(a, axis)
    return _take(x, np.flatnonzero(_plain(condition)), along)


def _delete(arr: Any, obj: Any, axis: int | None = None) -> Tensor:
    x, along = _ravelled(arr, axis)
    return _take(x, np.delete(np.arange(x.shape[along]), obj), along)


def _select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> Any:
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = _apply("where", condition, choice, result)
    return result


def _searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Tensor:
    line = a if sorter is None else _take(a, sorter)
    return cast("Tensor", _apply("searchsorted", line, v, right=side == "right"))


def _argsort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Tensor:
    x, along = _ravelled(a, axis)
    return x.argsort(along)


def _nan_as(value: float, function: Function) -> Function:
    """A function of the tensor with ``value`` in place of nans."""

    def called(a: Any, axis: int | None = None, **keywords: Any) -> Any:
        x = as_tensor(a)
        return function(_apply("where", x.isnan(), value, x), axis, **keywords)

    return called


# reductions


def _running(op: str) -> Function:
    def called(a: Any, axis: int | None = None, dtype: Any = None) -> Tensor:
        x, along = _ravelled(a, axis)
        return cast("Tensor", _apply(op, x, axis=along, dtype=dtype))

    return called


def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Tensor:
    refuse("np.average", {"returned": returned or None})
    x = as_tensor(a)
    if weights is None:
        return x.mean(axis, keepdims)
    w = as_tensor(weights)
    if w.ndim == 1 < x.ndim and isinstance(axis, int):
        w = w.reshape([-1 if k == axis % x.ndim else 1 for k in range(x.ndim)]).expand(x.shape)
    return cast("Tensor", _apply("average", x, w, axis=axis, keepdims=keepdims))


def _percentile(function: str) -> Function:
    def called(a: Any, q: Any, axis: Any = None, *, method: str = "linear", keepdims: bool = False) -> Tensor:
        return cast(
            "Tensor", protocols.FUNCTIONS[function](a, np.true_divide(q, 100), axis, method=method, keepdims=keepdims)
        )

    return called


def _nanvar(a: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False) -> Tensor:
    x = as_tensor(a)
    count = x.isnan().logical_not().sum(axis, keepdims)
    centred = x - cast("Tensor", _apply("nanmean", x, axis=axis, keepdims=True))
    return cast("Tensor", _apply("nansum", centred * centred, axis=axis, keepdims=keepdims) / (count - ddof))


def _trapezoid(y: Any, x: Any = None, dx: float = 1.0, axis: int = -1) -> Tensor:
    return cast("Tensor", _apply("trapezoid", y, *([] if x is None else [x]), dx=dx, axis=axis))


def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    x = as_tensor(a)
    line = [1 if k == axis % x.ndim else size for k, size in enumerate(x.shape)]
    ends = [None if e is None else as_tensor(e) if np.ndim(e) else as_tensor(e).expand(line) for e in (prepend, append)]
    return x.diff(n, axis, *ends)


def _ediff1d(ary: Any) -> Tensor:
    return as_tensor(ary).reshape(-1).diff()


# products


def _dot(a: Any, b: Any) -> Any:
    x, y = as_tensor(a), as_tensor(b)
    if not x.ndim or not y.ndim:
        return x * y
    return x @ y if y.ndim < 3 else linear_algebra.tensordot(x, y, ((-1,), (-2,)))


def _tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    dims = axes if isinstance(axes, int) else [(part,) if isinstance(part, int) else part for part in axes]
    return linear_algebra.tensordot(as_tensor(a), as_tensor(b), dims)


def _einsum(*operands: Any, optimize: Any = False, order: str = "K", casting: str = "safe") -> Tensor:
    """``optimize`` and the like change no number: the order of the products is always chosen."""
    return linear_algebra.einsum(*operands)


def _cross(a: Any, b: Any, axis: int = -1) -> Tensor:
    return as_tensor(a).cross(as_tensor(b), axis)


def _same_values(a: Any, b: Any, equal_nan: bool = False) -> bool:
    x, y = (x.value() if isinstance(x, Recorded) else x for x in (a, b))
    return np.array_equal(x, y, equal_nan=equal_nan)


def _like(make: Callable[..., Tensor]) -> Function:
    def called(a: Any, dtype: Any = None, *, shape: Any = None, **ignored: Any) -> Tensor:
        return make(a.shape if shape is None else shape, dtype=a.dtype if dtype is None else dtype)

    return called


def _full_like(a: Any, fill_value: Any, dtype: Any = None) -> Tensor:
    kind = a.dtype if dtype is None else dtype
    return cast("Tensor", _apply("broadcast_to", as_tensor(fill_value).to(kind), shape=a.shape))


WRITTEN: dict[str, Function] = {
    "allclose": lambda a, b, rtol=1e-5, atol=1e-8, equal_nan=False: as_tensor(a).allclose(b, rtol, atol, equal_nan),
    "angle": lambda z, deg=False: as_tensor(z).angle().rad2deg() if deg else as_tensor(z).angle(),
    "append": lambda arr, values, axis=None: _concatenate((arr, values), axis),
    "argsort": _argsort,
    "argwhere": lambda a: as_tensor(a).argwhere(),
    "array_equal": _same_values,
    "astype": lambda x, dtype, /, *, copy=True: as_tensor(x).to(dtype),
    "average": _average,
    "block": _block,
    "broadcast_arrays": lambda *args, subok=False: tuple(apply_as(Tensor, "broadcast_arrays", *args)),
    "clip": _clip,
    "compress": _compress,
    "concatenate": _concatenate,
    "copy": lambda a, order="K", subok=False: as_tensor(a).clone(),
    "cross": _cross,
    "cumprod": _running("cumprod"),
    "cumsum": _running("cumsum"),
    "delete": _delete,
    "diff": _diff,
    "dot": _dot,
    "ediff1d": _ediff1d,
    "einsum": _einsum,
    "empty_like": _like(zeros),
    "extract": lambda condition, arr: _compress(as_tensor(condition).reshape(-1), arr),
    "flatnonzero": lambda a: as_tensor(a).reshape(-1).nonzero(as_tuple=True)[0],
    "full_like": _full_like,
    "inner": lambda a, b: as_tensor(a).inner(as_tensor(b)),
    "iscomplexobj": lambda x: x.dtype.kind == "c",
    "isrealobj": lambda x: x.dtype.kind != "c",
    "kron": lambda a, b: as_tensor(a).kron(as_tensor(b)),
    "meshgrid": _meshgrid,
    "nanargmax": _nan_as(-np.inf, lambda a, axis, **keywords: _apply("argmax", a, axis=axis, **keywords)),
    "nanargmin": _nan_as(np.inf, lambda a, axis, **keywords: _apply("argmin", a, axis=axis, **keywords)),
    "nancumprod": _nan_as(1.0, _running("cumprod")),
    "nancumsum": _nan_as(0.0, _running("cumsum")),
    "nanpercentile": _percentile("nanquantile"),
    "nanstd": lambda *args, **keywords: _nanvar(*args, **keywords).sqrt(),
    "nanvar": _nanvar,
    "ndim": lambda a: a.ndim,
    "nonzero": lambda a: as_tensor(a).nonzero(as_tuple=True),
    "outer": lambda a, b: as_tensor(a).reshape(-1).outer(as_tensor(b).reshape(-1)),
    "pad": _pad,
    "percentile": _percentile("quantile"),
    "ravel": lambda a, order="C": as_tensor(a).reshape(-1),
    "reshape": lambda a, shape, order="C", *, copy=None: as_tensor(a).reshape(shape),
    "rollaxis": lambda a, axis, start=0: as_tensor(a).moveaxis(axis, start - (axis % a.ndim < start)),
    "searchsorted": _searchsorted,
    "select": _select,
    "shape": lambda a: a.shape,
    "size": lambda a, axis=None: a.numel() if axis is None else a.shape[axis],
    "split": _split,
    "stack": lambda arrays, axis=0: _apply("stack", *_all(arrays), axis=axis),
    "take": _take,
    "tensordot": _tensordot,
    "trapezoid": _trapezoid,
    "ones_like": _like(ones),
    "vdot": lambda a, b: as_tensor(a).reshape(-1).vdot(as_tensor(b).reshape(-1)),
    "where": _where,
    "zeros_like": _like(zeros),
    "linalg.cholesky": lambda a, /, *, upper=False: linear_algebra.cholesky(as_tensor(a), upper=upper),
    "linalg.cross": lambda x1, x2, /, *, axis=-1: _cross(x1, x2, axis),
    "linalg.diagonal": lambda x, /, *, offset=0: linalg.diagonal(as_tensor(x), offset=offset),
    "linalg.matmul": lambda x1, x2, /: _apply("matmul", x1, x2),
    "linalg.matrix_power": lambda a, n: as_tensor(a).matrix_power(n),
    "linalg.multi_dot": lambda arrays: linear_algebra.multi_dot(_all(arrays)),
    "linalg.outer": lambda x1, x2, /: as_tensor(x1).outer(as_tensor(x2)),
    "linalg.tensordot": lambda x1, x2, /, *, axes=2: _tensordot(x1, x2, axes),
    "linalg.trace": lambda x, /, *, offset=0, dtype=None: _apply("trace", x, offset=offset, dtype=dtype),
    "linalg.vecdot": lambda x1, x2, /, *, axis=-1: linear_algebra.vecdot(as_tensor(x1), as_tensor(x2), dim=axis),
}
"""Functions with a signature or with defaults that no op has."""

protocols.FUNCTIONS.update({name: _by_op(name, op) for name, op in pairs(OPS)})
protocols.FUNCTIONS.update({name: _by_op(name, op, several=True) for name, op in pairs(SEVERAL)})
protocols.FUNCTIONS.update({name: _atleast(name) for name in ("atleast_1d", "atleast_2d", "atleast_3d")})
protocols.FUNCTIONS.update({name: (lambda op: lambda tup: _apply(op, *_all(tup)))(name) for name in JOINING.split()})
protocols.FUNCTIONS.update(WRITTEN)
protocols.ON_VALUES.update(VALUES.split())
