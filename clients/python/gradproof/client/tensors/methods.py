"""Methods of tensors: ops by the names that PyTorch's users know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradproof.client import dtypes

if TYPE_CHECKING:
    from gradproof.client.drawing.pictures import Picture
    from gradproof.client.explanation import Explanation
    from gradproof.client.tensors.tensor import Tensor

UNARY = (
    "abs", "square", "reciprocal", "sqrt", "rsqrt", "sign", "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin",
    "cos", "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "sigmoid", "softplus", "silu",
    "relu", "gelu", "erf", "erfc", "logical_not", "floor", "ceil", "trunc", "round",
)  # fmt: skip
BINARY = {
    "subtract": "subtract", "mul": "multiply", "multiply": "multiply", "pow": "pow", "maximum": "maximum", "minimum":
    "minimum", "hypot": "hypot", "atan2": "atan2", "logaddexp": "logaddexp", "eq": "equal", "ne": "not_equal", "lt":
    "less", "le": "less_equal", "gt": "greater", "ge": "greater_equal", "logical_and": "logical_and", "logical_or":
    "logical_or", "matmul": "matmul", "mm": "matmul", "mv": "matmul", "dot": "matmul", "bmm": "matmul", "floor_divide":
    "floor_divide", "remainder": "remainder",
}  # fmt: skip
REDUCED = ("sum", "mean", "prod", "amax", "amin", "logsumexp")


def _apply(op: str, *inputs: Any, **attributes: Any) -> Tensor:
    from gradproof.client.recording.apply import apply

    return apply(op, *inputs, **attributes)


def _ints(first: Any, rest: Sequence[int]) -> tuple[int, ...]:
    """``f(2, 3)`` and ``f((2, 3))`` are the same."""
    return tuple(first) if isinstance(first, (tuple, list)) else (first, *rest)


class Methods:
    """What a tensor can do beside operators. ``dim`` and ``axis`` are the same, as are ``keepdim`` and ``keepdims``."""

    __slots__ = ()

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The methods that are made below, and what a tensor has."""

    def neg(self) -> Tensor:
        return _apply("negative", self)

    def clamp(self, min: Any = None, max: Any = None) -> Tensor:
        """Within bounds, of which one may be None. At a bound the gradient is 1, as in PyTorch 2.13."""
        if min is None and max is None:
            raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
        whole = self.dtype.kind in "iu"
        lowest, highest = (np.iinfo(self.dtype).min, np.iinfo(self.dtype).max) if whole else (-np.inf, np.inf)
        return _apply("clip", self, lowest if min is None else min, highest if max is None else max)

    clip = clamp

    def clamp_min(self, min: Any) -> Tensor:
        return self.clamp(min=min)

    def clamp_max(self, max: Any) -> Tensor:
        return self.clamp(max=max)

    def add(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """``self + alpha * other``."""
        return _apply("add", self, other if alpha == 1 else alpha * other)

    def sub(self, other: Any, *, alpha: Any = 1) -> Tensor:
        """``self - alpha * other``."""
        return _apply("subtract", self, other if alpha == 1 else alpha * other)

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Tensor:
        """``self / other``; ``rounding_mode`` "floor" or "trunc": the quotient rounded."""
        if rounding_mode == "floor":
            return _apply("floor_divide", self, other)
        if rounding_mode not in (None, "trunc"):
            raise RuntimeError(
                f"div expected rounding_mode to be one of None, 'trunc', or 'floor' but found '{rounding_mode}'"
            )
        quotient = _apply("divide", self, other)
        return quotient if rounding_mode is None else quotient.trunc()

    divide = div

    def frac(self) -> Tensor:
        """What is behind the point."""
        return _apply("subtract", self, _apply("trunc", self))

    def logical_xor(self, other: Any) -> Tensor:
        return _apply("not_equal", _apply("logical_not", self), _apply("logical_not", other))

    def isnan(self) -> Tensor:
        return _apply("not_equal", self, self)

    def isinf(self) -> Tensor:
        return _apply("equal", self.abs(), np.inf)

    def isfinite(self) -> Tensor:
        return _apply("less", self.abs(), np.inf)

    def all(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        """Whether all elements, over all axes or ``dim``, are true (not 0)."""
        return _apply("equal", _apply("logical_not", self).sum(dim, keepdim), 0)

    def any(self, dim: Any = None, keepdim: bool = False) -> Tensor:
        """Whether an element, over all axes or ``dim``, is true (not 0)."""
        return _apply("not_equal", _apply("not_equal", self, 0).sum(dim, keepdim), 0)

    def var(
        self,
        dim: Any = None,
        unbiased: bool = True,
        *,
        correction: int | None = None,
        keepdim: bool = False,
        axis: Any = None,
    ) -> Tensor:
        """The variance, divided by n - ``correction``, which is 1 unless it is given or ``unbiased`` is False."""
        less = int(unbiased) if correction is None else correction
        return _apply("var", self, axis=axis if dim is None else dim, correction=less, keepdims=keepdim)

    def std(
        self,
        dim: Any = None,
        unbiased: bool = True,
        *,
        correction: int | None = None,
        keepdim: bool = False,
        axis: Any = None,
    ) -> Tensor:
        """The root of the variance."""
        return _apply("sqrt", self.var(dim, unbiased, correction=correction, keepdim=keepdim, axis=axis))

    def norm(self, p: Any = 2, dim: Any = None, keepdim: bool = False) -> Tensor:
        """The norm of order ``p`` (2, 1 or infinity) of all elements, or over ``dim``."""
        if p in (1, np.inf):
            return _apply("sum" if p == 1 else "max", self.abs(), axis=dim, keepdims=keepdim)
        if p not in (2, "fro"):
            raise RuntimeError(f"norm() of order {p} is not there; 1, 2 and inf are")
        squares = _apply("square", self.abs() if self.is_complex() else self)
        return _apply("sqrt", _apply("sum", squares, axis=dim, keepdims=keepdim))

    def softmax(self, dim: int = -1) -> Tensor:
        return _apply("softmax", self, axis=dim)

    def log_softmax(self, dim: int = -1) -> Tensor:
        return _apply("log_softmax", self, axis=dim)

    def cumsum(self, dim: int = 0) -> Tensor:
        return _apply("cumsum", self, axis=dim)

    def cumprod(self, dim: int = 0) -> Tensor:
        return _apply("cumprod", self, axis=dim)

    # shapes

    def reshape(self, shape: Any, *rest: int) -> Tensor:
        """The same elements in another shape; one size may be -1."""
        given = wanted = _ints(shape, rest)
        if wanted.count(-1) > 1:
            raise RuntimeError("only one dimension can be inferred")
        if -1 in wanted:
            known = int(np.prod([n for n in wanted if n != -1], dtype=int))
            size = self.numel() // known if known else 0
            wanted = tuple(size if n == -1 else n for n in wanted)
        if int(np.prod(wanted, dtype=int)) != self.numel():
            raise RuntimeError(f"shape '{list(given)}' is invalid for input of size {self.numel()}")
        return _apply("reshape", self, shape=wanted)

    view = reshape

    def flatten(self, start_dim: int = 0, end_dim: int = -1) -> Tensor:
        """The axes from ``start_dim`` to ``end_dim`` as one."""
        first, last = self._axis(start_dim), self._axis(end_dim)
        if first > last:
            raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
        size = int(np.prod(self.shape[first : last + 1], dtype=int))
        return _apply("reshape", self, shape=(*self.shape[:first], size, *self.shape[last + 1 :]))

    def view_as(self, other: Tensor) -> Tensor:
        return self.reshape(other.shape)

    def expand_as(self, other: Tensor) -> Tensor:
        return self.expand(other.shape)

    def _axis(self, dim: int) -> int:
        """An axis, counted from the front. A 0-d tensor is taken to have one."""
        rank = max(1, self.ndim)
        if not -rank <= dim < rank:
            raise IndexError(f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got {dim})")
        return dim + rank if dim < 0 else dim

    def expand(self, shape: Any, *rest: int) -> Tensor:
        """Broadcast; -1 keeps a size."""
        wanted = _ints(shape, rest)
        if len(wanted) < self.ndim:
            raise RuntimeError(
                f"the number of sizes provided ({len(wanted)}) must be greater or equal to the number of dimensions in the "
                f"tensor ({self.ndim})"
            )
        own = (1,) * (len(wanted) - self.ndim) + self.shape
        return _apply("broadcast_to", self, shape=tuple(n if w == -1 else w for w, n in zip(wanted, own, strict=True)))

    broadcast_to = expand

    def unsqueeze(self, dim: int) -> Tensor:
        return _apply("expand_dims", self, axis=dim)

    def squeeze(self, dim: Any = None) -> Tensor:
        """Without the axes of size 1, or without those of ``dim`` whose size is 1."""
        if dim is None or not self.shape:
            return _apply("squeeze", self, axis=None)
        axes = {self._axis(one) for one in (dim if isinstance(dim, (tuple, list)) else (dim,))}
        return _apply("squeeze", self, axis=tuple(sorted(axis for axis in axes if self.shape[axis] == 1)))

    def permute(self, dims: Any, *rest: int) -> Tensor:
        return _apply("transpose", self, axes=_ints(dims, rest))

    def transpose(self, dim0: int, dim1: int) -> Tensor:
        """Two axes exchanged."""
        axes = list(range(self.ndim))
        first, second = self._axis(dim0), self._axis(dim1)
        if axes:
            axes[first], axes[second] = second, first
        return _apply("transpose", self, axes=tuple(axes))

    def t(self) -> Tensor:
        """The transpose of a matrix (a vector stays)."""
        if self.ndim > 2:
            raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {self.ndim}D")
        return _apply("transpose", self)

    @property
    def T(self) -> Tensor:
        """All axes in reverse."""
        return _apply("transpose", self)

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return _apply("matrix_transpose", self)

    def flip(self, dims: Any, *rest: int) -> Tensor:
        return _apply("flip", self, axis=_ints(dims, rest))

    @property
    def real(self) -> Any:
        """The real part; a tensor that is not complex is that itself."""
        return _apply("real", self) if self.is_complex() else self

    @property
    def imag(self) -> Tensor:
        """The imaginary part of a complex tensor."""
        if not self.is_complex():
            raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
        return _apply("imag", self)

    def conj(self) -> Any:
        """The complex conjugate; a tensor that is not complex is that itself."""
        return _apply("conj", self) if self.is_complex() else self

    def det(self) -> Tensor:
        return _apply("det", self)

    def inverse(self) -> Tensor:
        return _apply("inv", self)

    def tril(self, diagonal: int = 0) -> Tensor:
        return _apply("tril", self, k=diagonal)

    def triu(self, diagonal: int = 0) -> Tensor:
        return _apply("triu", self, k=diagonal)

    def sum_to_size(self, shape: Any, *rest: int) -> Tensor:
        """The reverse of broadcasting: summed down to ``shape``."""
        wanted = _ints(shape, rest)
        extra = self.ndim - len(wanted)
        own = self.shape[extra:] if extra >= 0 else ()
        if extra < 0 or any(w not in (1, n) for w, n in zip(wanted, own, strict=True)):
            raise RuntimeError(f"size {{{list(wanted)}}} is not expandable to size {{{list(self.shape)}}}.")
        result: Any = _apply("sum", self, axis=tuple(range(extra))) if extra else self
        kept = tuple(k for k, (w, n) in enumerate(zip(wanted, own, strict=True)) if w == 1 != n)
        return _apply("sum", result, axis=kept, keepdims=True) if kept else result

    def clone(self) -> Tensor:
        """A copy that a gradient flows through."""
        return _apply("reshape", self, shape=self.shape)

    def __getitem__(self: Any, key: Any) -> Tensor:
        from gradproof.client.tensors.indexing import index

        return index(self, key)

    def __setitem__(self: Any, key: Any, value: Any) -> None:
        from gradproof.client.tensors.indexing import assign

        assign(self, key, value)

    # dtypes

    def to(self: Any, dtype: Any) -> Any:
        """Another dtype (that of a tensor, if it is one); the tensor itself if it has it, or if ``dtype`` is "cpu"."""
        if isinstance(dtype, str) and dtype == "cpu":
            return self
        wanted = np.dtype(getattr(dtype, "dtype", dtype))
        return self if wanted == self.dtype else _apply("astype", self, dtype=wanted.name)

    type = type_as = to

    def half(self) -> Any:
        return self.to(dtypes.float16)

    def bfloat16(self) -> Any:
        return self.to(dtypes.bfloat16)

    def float(self) -> Any:
        return self.to(dtypes.float32)

    def double(self) -> Any:
        return self.to(dtypes.float64)

    def short(self) -> Any:
        return self.to(dtypes.int16)

    def int(self) -> Any:
        return self.to(dtypes.int32)

    def long(self) -> Any:
        return self.to(dtypes.int64)

    def bool(self) -> Any:
        return self.to(dtypes.bool_)

    def contiguous(self) -> Any:
        return self

    def cpu(self) -> Any:
        return self

    # what only Gradproof has

    def explain(self: Any) -> Explanation:
        """The formulas behind this tensor: of its own derivative and, if it is small, of whole gradients. Its leaves are
        called x0, x1 and so on, inner values v0, v1."""
        from gradproof.client.recording.runtime import current
        from gradproof.client.recording.subgraph import Subgraph

        graph = Subgraph([self], backward=True)
        message = graph.message()
        values = {one.name: one.value for one in graph.values()}
        for leaf in message.leaves:
            if not leaf.requires_grad and leaf.name in values:
                leaf.value.CopyFrom(values[leaf.name])
        return current().client.explain(message, graph.name(self))

    def graph(self: Any, **names: Tensor) -> Picture:
        """The computation behind this tensor, to look at; ``names`` are written on the boxes of these tensors."""
        from gradproof.client.drawing.pictures import draw

        return draw(self, **names)


def _unary(op: str) -> Any:
    def method(self: Any) -> Tensor:
        return _apply(op, self)

    method.__qualname__, method.__name__, method.__doc__ = f"Tensor.{op}", op, f"``{op}``, element by element."
    return method


def _binary(name: str, op: str) -> Any:
    def method(self: Any, other: Any) -> Tensor:
        return _apply(op, self, other)

    method.__qualname__, method.__name__, method.__doc__ = f"Tensor.{name}", name, f"``{op}`` with ``other``."
    return method


def _reduced(name: str) -> Any:
    op = {"amax": "max", "amin": "min"}.get(name, name)

    def method(
        self: Any, dim: Any = None, keepdim: Any = False, *, axis: Any = None, keepdims: Any = False, dtype: Any = None
    ) -> Tensor:
        x = self if dtype is None else self.to(dtype)
        return _apply(op, x, axis=axis if dim is None else dim, keepdims=bool(keepdim or keepdims))

    method.__qualname__, method.__name__, method.__doc__ = (
        f"Tensor.{name}",
        name,
        f"``{op}`` over all axes, or over ``dim``.",
    )
    return method


for _name in UNARY:
    if not hasattr(Methods, _name):
        setattr(Methods, _name, _unary(_name))
for _name, _op in BINARY.items():
    setattr(Methods, _name, _binary(_name, _op))
for _name in REDUCED:
    setattr(Methods, _name, _reduced(_name))
