"""PyTorch's names of backward nodes, their edges, and the ops whose rules save nothing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Container, Mapping
from typing import Any, Protocol

from gradproof.client.events import OpInfo
from gradproof.client.recording.spec import Spec

SAVE_NOTHING = frozenset(
    {
        "add", "subtract", "negative", "positive", "deg2rad", "rad2deg", "sum", "mean", "diff", "cumsum", "reshape",
        "broadcast_to", "expand_dims", "squeeze", "transpose", "matrix_transpose", "permute_dims", "moveaxis", "swapaxes",
        "adjoint", "ravel", "flatten", "unflatten", "flip", "fliplr", "flipud", "rot90", "roll", "astype", "real", "imag",
        "conj", "complex", "concat", "stack", "hstack", "vstack", "dstack", "column_stack", "block_diag", "split",
        "array_split", "vsplit", "hsplit", "dsplit", "unstack", "slice", "unslice", "select", "pad", "tile", "repeat",
        "unfold", "overlap_add", "sliding_window_view", "broadcast_arrays", "meshgrid", "atleast_1d", "atleast_2d",
        "atleast_3d", "diag", "diagflat", "diagonal", "diag_embed", "tril", "triu", "select_scatter", "slice_scatter",
        "diagonal_scatter", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle", "sign", "floor", "ceil", "trunc",
        "round", "frac", "floor_divide",
    }
)  # fmt: skip
"""Ops whose rules use shapes only, so that their graph can be run again."""


VIEWS = frozenset(
    {
        "reshape",
        "broadcast_to",
        "expand_dims",
        "squeeze",
        "transpose",
        "matrix_transpose",
        "permute_dims",
        "moveaxis",
        "swapaxes",
        "flatten",
        "unflatten",
        "split",
        "array_split",
        "vsplit",
        "hsplit",
        "dsplit",
        "unstack",
        "slice",
        "diagonal",
        "sliding_window_view",
        "unfold",
        "real",
        "imag",
    }
)
"""Ops whose results share memory with their first input in PyTorch."""


class Application(Protocol):
    """An application of an op, as much of it as its name depends on."""

    @property
    def op(self) -> str:
        """The name of the op."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The attributes of the op."""

    @property
    def specs(self) -> tuple[Spec, ...]:
        """Shapes and dtypes of the outputs."""

    @property
    def info(self) -> OpInfo:
        """The op."""

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The tensors and numbers that it was applied to."""


def saves(op: str) -> bool:
    """True if the rule of ``op`` needs values of the forward pass."""
    return op not in SAVE_NOTHING


def is_view(node: Application) -> bool:
    """True if PyTorch has a view of the first input where this node was applied; a reshape to the same shape is a copy."""
    return node.op in VIEWS and not (node.op == "reshape" and node.inputs[0].shape == node.specs[0].shape)


_NUMBERS = frozenset({bool, int, float, complex})


def is_number(x: object) -> bool:
    """True if ``x`` is a Python number, which an op takes with a weak type."""
    return type(x) in _NUMBERS


def edges_of(node: Application) -> tuple[int, ...]:
    """The positions of the inputs that a backward node has an edge for, in PyTorch's order.

    Numbers count where they stand for tensors, and come second in commutative ops; exponents, bounds, conditions and
    indices do not count.
    """
    if node.op == "external":
        return tuple(range(node.attributes["results"], len(node.inputs)))
    numbers = _numbers(node)
    if numbers == [True, False] and node.op in ("add", "multiply"):
        return (1, 0)
    skipped = _NO_EDGES.get(node.op, ())
    plain = node.op in _PARAMETERS or name_of(node) == "RsubBackward1"
    return tuple(k for k, number in enumerate(numbers) if k not in skipped and not (number and plain))


def name_of(node: Application) -> str:
    """The name of a backward node; PyTorch's where PyTorch has the op."""
    special = _SPECIAL.get(node.op)
    return special(node) if special else node.info.grad_fn


def _over_axes(stem: str) -> Callable[[Application], str]:
    def name(node: Application) -> str:
        return f"{stem}Backward{0 if node.attributes.get('axis') is None else 1}"

    return name


def _numbers(node: Application) -> list[bool]:
    return [is_number(x) for x in node.inputs]


def _subtract(node: Application) -> str:
    return "RsubBackward1" if _numbers(node)[0] else "SubBackward0"


def _power(node: Application) -> str:
    base, exponent = _numbers(node)
    return "PowBackward0" if exponent else ("PowBackward2" if base else "PowBackward1")


def _matmul(node: Application) -> str:
    ranks = tuple(len(getattr(x, "shape", ())) for x in node.inputs)
    return {(2, 2): "MmBackward0", (2, 1): "MvBackward0", (1, 1): "DotBackward0"}.get((ranks[0], ranks[1]), "BmmBackward0")


def _transpose(node: Application) -> str:
    rank = len(node.specs[0].shape)
    return "TBackward0" if rank <= 2 and node.attributes.get("axes") is None else "PermuteBackward0"


_INDEX_SECOND = (
    "take", "take_along_axis", "gather", "embedding", "masked_select", "masked_fill", "masked_scatter", "put_along_axis",
    "add_along_axis", "scatter", "scatter_add", "index_add", "index_copy", "index_fill", "put",
)  # fmt: skip
"""Ops whose second input is an index or a mask."""

_NO_EDGES: Mapping[str, Container[int]] = {
    "where": (0,),
    "getitem": range(1, sys.maxsize),
    "index_put": range(2, sys.maxsize),
    **dict.fromkeys(_INDEX_SECOND, (1,)),
}
"""The positions of conditions, indices and masks."""

_PARAMETERS = frozenset({"pow", "clip"})

_SPECIAL: dict[str, Callable[[Application], str]] = {
    "sum": _over_axes("Sum"),
    "mean": _over_axes("Mean"),
    "prod": _over_axes("Prod"),
    "subtract": _subtract,
    "pow": _power,
    "matmul": _matmul,
    "transpose": _transpose,
}
