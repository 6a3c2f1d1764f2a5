"""What PyTorch calls the backward nodes, where the op alone does not tell, and which of them save nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradproof.client.recording.record import Node

SAVE_NOTHING = frozenset(
    {
        "add", "subtract", "negative", "sum", "mean", "reshape", "broadcast_to", "expand_dims", "squeeze", "transpose",
        "matrix_transpose", "flip", "astype", "concat", "stack", "split", "slice", "unslice", "pad", "cumsum", "sign",
        "tril", "triu", "floor", "ceil", "trunc", "round", "floor_divide",
    }
)  # fmt: skip
"""Their rules use shapes only, so that their graph can be run again."""


def saves(op: str) -> bool:
    """Whether the rule of ``op`` needs values of the forward pass."""
    return op not in SAVE_NOTHING


def edges_of(node: Node) -> tuple[int, ...]:
    """The inputs that a backward node has an edge for, in PyTorch's order: numbers count where they stand for tensors, and
    come second where that is the same; exponents, bounds, conditions and indices do not count."""
    numbers = _numbers(node)
    if numbers == [True, False] and node.op in ("add", "multiply"):
        return (1, 0)
    skipped = _NO_EDGES.get(node.op, ())
    plain = node.op in _PARAMETERS or name_of(node) == "RsubBackward1"
    return tuple(k for k, number in enumerate(numbers) if k not in skipped and not (number and plain))


def name_of(node: Node) -> str:
    """The name of a backward node, as PyTorch has it where PyTorch has the op."""
    special = _SPECIAL.get(node.op)
    return special(node) if special else node.info.grad_fn


def _over_axes(stem: str) -> Callable[[Node], str]:
    def name(node: Node) -> str:
        return f"{stem}Backward{0 if node.attributes.get('axis') is None else 1}"

    return name


def _numbers(node: Node) -> list[bool]:
    return [type(x) in (bool, int, float, complex) for x in node.inputs]


def _subtract(node: Node) -> str:
    return "RsubBackward1" if _numbers(node)[0] else "SubBackward0"


def _power(node: Node) -> str:
    base, exponent = _numbers(node)
    return "PowBackward0" if exponent else ("PowBackward2" if base else "PowBackward1")


def _matmul(node: Node) -> str:
    ranks = tuple(len(getattr(x, "shape", ())) for x in node.inputs)
    names: dict[tuple[int, ...], str] = {(2, 2): "MmBackward0", (2, 1): "MvBackward0", (1, 1): "DotBackward0"}
    return names.get(ranks, "BmmBackward0")


def _transpose(node: Node) -> str:
    axes = node.attributes.get("axes")
    rank = len(node.specs[0].shape)
    return "TBackward0" if rank <= 2 and axes is None else "PermuteBackward0"


_NO_EDGES = {"where": (0,), "take": (1,), "scatter_add": (1,)}
_PARAMETERS = frozenset({"pow", "clip"})

_SPECIAL: dict[str, Callable[[Node], str]] = {
    "sum": _over_axes("Sum"),
    "mean": _over_axes("Mean"),
    "prod": _over_axes("Prod"),
    "subtract": _subtract,
    "pow": _power,
    "matmul": _matmul,
    "transpose": _transpose,
}
