"""PyTorch's names of backward nodes, their edges, and the ops whose rules save nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from gradproof.client.events import OpInfo
from gradproof.client.recording.spec import Spec

SAVE_NOTHING = frozenset(
    {
        "add", "subtract", "negative", "sum", "mean", "reshape", "broadcast_to", "expand_dims", "squeeze", "transpose",
        "matrix_transpose", "flip", "astype", "concat", "stack", "split", "slice", "unslice", "pad", "cumsum", "sign",
        "tril", "triu", "floor", "ceil", "trunc", "round", "floor_divide",
    }
)  # fmt: skip
"""Ops whose rules use shapes only, so that their graph can be run again."""


class Application(Protocol):
    """An application of an op, as much of it as its name depends on."""

    op: str
    inputs: tuple[Any, ...]
    attributes: Mapping[str, Any]
    specs: tuple[Spec, ...]
    info: OpInfo


def saves(op: str) -> bool:
    """True if the rule of ``op`` needs values of the forward pass."""
    return op not in SAVE_NOTHING


def is_number(x: object) -> bool:
    """True if ``x`` is a Python number, which an op takes with a weak type."""
    return type(x) in (bool, int, float, complex)


def edges_of(node: Application) -> tuple[int, ...]:
    """The positions of the inputs that a backward node has an edge for, in PyTorch's order.

    Numbers count where they stand for tensors, and come second in commutative ops; exponents, bounds, conditions and
    indices do not count.
    """
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


_NO_EDGES = {"where": (0,), "take": (1,), "index_add": (1,)}
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
