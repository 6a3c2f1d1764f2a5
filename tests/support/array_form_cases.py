"""Applications of every op that has an array form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradproof.engine.cases import Case
from gradproof.engine.extend import POSITIVE, Inferred, Op, case
from gradproof.engine.registry import build_registry
from gradproof.engine.spec import Array
from gradproof.plugins import BUILTIN

REGISTRY = build_registry(BUILTIN)
FORMS = sorted(op.name for op in REGISTRY.ops.values() if op.arrays is not None)
"""Names of the ops."""

RNG = np.random.default_rng(2)
INDICES = RNG.integers(-6, 6, (3, 4))
LINES = RNG.integers(-7, 7, (5, 9))
LARGER: dict[str, tuple[Case, ...]] = {
    "sum": (case((9, 7)), case((4, 5, 6), axis=(0, 2)), case((3, 40), axis=1, keepdims=True), case((40, 3), axis=0)),
    "mean": (case((9, 7)), case((4, 5, 6), axis=(1,)), case((3, 40), axis=1, keepdims=True)),
    "prod": (case((7,)), case((4, 5), axis=0), case((2, 3, 3), axis=(0, 2))),
    "max": (case((40,)), case((6, 7), axis=0), case((3, 4, 5), axis=(0, 2), keepdims=True)),
    "min": (case((40,)), case((6, 7), axis=1), case((3, 4, 5), axis=(0, 1))),
    "var": (case((9, 7)), case((5, 8), axis=1, correction=1), case((4, 3, 5), axis=(0, 2), keepdims=True)),
    "std": (case((9, 7)), case((5, 8), axis=1, correction=0.5), case((4, 3, 5), axis=(0, 2), keepdims=True)),
    **dict.fromkeys(
        ("any", "all", "count_nonzero"), (case((9, 7)), case((4, 5, 6), axis=(0, 2)), case((3, 40), axis=1, keepdims=True))
    ),
    "euclidean_norm": (case((9, 7)), case((4, 5, 6), axis=(0, 2)), case((3, 40), axis=1, keepdims=True)),
    "p_norm": (case((9, 7), p=3), case((4, 5, 6), axis=(0, 2), p=0.5), case((3, 40), axis=1, keepdims=True, p=-2.5)),
    "logsumexp": (
        case((9, 7)), case((5, 8), axis=0), case((4, 3, 5), axis=(0, 2), keepdims=True), case((9, 7), (7,)),
        case((4, 3, 5), (4, 3, 5), axis=(0, 2), keepdims=True),
    ),
    "softmax": (case((30,)), case((6, 9), axis=0), case((3, 4, 7), axis=1)),
    "log_softmax": (case((30,)), case((6, 9), axis=0), case((3, 4, 7), axis=1)),
    "cumsum": (case((30,)), case((6, 9), axis=0), case((3, 4, 7), axis=1)),
    "cumprod": (case((9,)), case((5, 6), axis=0), case((3, 4, 5), axis=1)),
    "arange": (case(start=90), case(start=3, stop=-70.5, step=-0.75)),
    "linspace": (case(start=-1.0, stop=2, num=90), case(start=0, stop=1, num=70, endpoint=False)),
    "eye": (case(n_rows=9), case(n_rows=8, n_cols=11, k=-2)),
    "logcumsumexp": (case((30,)), case((6, 9), axis=0), case((3, 4, 7), axis=1)),
    "recurrence": (case((30,), (30,)), case((6, 9), (6, 1)), case((3, 4, 7), (4, 7), axis=1)),
    "matmul": (
        case((6, 7), (7, 5)), case((9,), (9,)), case((4, 9), (9,)), case((9,), (9, 4)), case((2, 1, 3, 5), (4, 5, 2)),
        case((2, 3, 4), (4,)), case((5,), (3, 5, 2)),
    ),
    "tril": (case((6, 7), k=2), case((3, 4, 4), k=-1), case((3, 4), k=9)),
    "triu": (case((6, 7), k=2), case((3, 4, 4), k=-1), case((3, 4), k=-9)),
    "reshape": (case((6, 10), shape=(5, 3, 4)), case((6,), shape=(-1, 2))),
    "broadcast_to": (case((5, 1, 3), shape=(2, 5, 4, 3)), case((), shape=(4, 5))),
    "expand_dims": (case((5, 6), axis=(0, 3)), case((7,), axis=1)),
    "squeeze": (case((5, 1, 6, 1), axis=(1, 3)), case((1, 8))),
    "transpose": (case((3, 4, 5), axes=(2, 0, 1)), case((7, 8))),
    "matrix_transpose": (case((5, 3, 4)), case((6, 9))),
    "flip": (case((5, 6)), case((3, 4, 5), axis=(0, 2))),
    "checked": (case((9, 7), low=-8.5, high=8.5), case((40,))),
    "astype": (case((7, 8), dtype="float64"), case((30,), dtype="float32")),
    "concat": (case((5, 3), (2, 3), (4, 3)), case((3, 5), (3, 8), axis=1)),
    "stack": (case((5, 6), (5, 6), axis=1), case((9,), (9,), (9,), axis=-1)),
    "external": (case((9, 4), (7,)), case((5,), (4, 12), (30,), results=2)),
    "sections": (case((9, 4), sizes=(2, 3, 4)), case((4, 12), sizes=(3, 3, 3, 3), axis=1)),
    "slice": (case((9, 8), start=(1, 7), stop=(8, None), step=(3, -2)), case((12,), start=(None,), stop=(-2,))),
    "unslice": (case((3, 4), shape=(9, 8), start=(1, 7), step=(3, -2)), case((5,), shape=(12,), start=(2,), step=(2,))),
    "slice_scatter": (
        case((9, 8), (3, 4), start=(1, 7), stop=(8, None), step=(3, -2)), case((12,), (), start=(2,), stop=(9,)),
    ),
    "unfold": (case((3, 9, 4), axis=1, size=3, step=2), case((9,), axis=0, size=4)),
    "overlap_add": (
        case((5, 2, 3), length=12, axis=0, step=2), case((6, 4), length=9, axis=0), case((3, 2), length=9, axis=0, step=3),
    ),
    "take": (case((5, 6), INDICES, axis=1), case((6, 7), INDICES), case((9,), np.array(-9))),
    "index_add": (case((5, 6), INDICES, (5, 3, 4), axis=1), case((6, 2), INDICES, (3, 4, 2))),
    "index_copy": (case((5, 6), INDICES, (5, 3, 4), axis=1), case((6, 2), INDICES, (3, 4, 2))),
    "put_along_axis": (case((5, 7), LINES, (5, 9)), case((6, 4), INDICES, (3, 4), axis=0)),
    "ravel_multi_index": (case(INDICES, INDICES[0], shape=(6, 7)),),
    "flatnonzero": (case(INDICES > 0, count=int((INDICES > 0).sum())),),
    "number_true": (case(INDICES > 0),),
    "last_occurrence": (case(INDICES, size=6), case(LINES, size=7, axis=1)),
    "one_hot": (case(INDICES % 6, num_classes=6),),
    "take_along_axis": (case((5, 7), LINES), case((9, 8), INDICES[:, :1], axis=0)),
    "add_along_axis": (case((5, 7), LINES, (5, 9)), case((6, 4), INDICES, (3, 4), axis=0)),
    "argmax": (case((40,)), case((6, 7), axis=0), case((3, 4, 5), axis=2, keepdims=True)),
    "argmin": (case((40,)), case((6, 7), axis=1), case((3, 4, 5))),
    **dict.fromkeys(("argcummax", "argcummin"), (case((40,), axis=0), case((6, 7), axis=0), case((3, 4, 5), axis=1))),
    "argtopk": (case((40,), k=7), case((6, 7), axis=0, k=3, largest=False), case((3, 4, 5), axis=1, k=4)),
    "argkth": (case((40,), rank=7), case((6, 7), axis=0, rank=5), case((3, 4, 5), axis=1, rank=0)),
    "searchsorted": (case(np.arange(-20, 20), (5, 6)), case(np.sort(LINES.reshape(3, 15)), (3, 6), right=True)),
    "argsort": (case((40,)), case((6, 7), axis=0, descending=True), case((3, 4, 5), axis=1)),
}  # fmt: skip


def applications(name: str) -> Iterator[tuple[Case, Inferred, list[Array]]]:
    """Each case of an op, with its inference and numbers for its inputs."""
    op = REGISTRY.op(name)
    rng = np.random.default_rng(3)
    for declared in (*op.proof_cases(), *LARGER[name]):
        inference = op.inference(declared.specs(), declared.attributes)
        specs = inference.inputs or declared.specs()
        yield (
            declared,
            inference,
            [
                np.broadcast_to(x, spec.shape).astype(spec.dtype)
                if isinstance(x, np.ndarray)
                else drawn(rng, spec.shape, positive=op.domain(k) is POSITIVE)
                for k, (x, spec) in enumerate(zip(declared.inputs, specs, strict=True))
            ],
        )


def drawn(rng: np.random.Generator, shape: tuple[int, ...], *, positive: bool) -> Array:
    """Random numbers of any sign, or not below 1/8."""
    numbers = rng.standard_normal(shape)
    return np.maximum(np.abs(numbers), 0.125) if positive else numbers


def results_of(op: Op, inputs: Sequence[Array], inference: Inferred) -> list[Array]:
    """The results of the forward of an op."""
    outputs = op.forward(*inputs, **inference.attributes)
    return [np.asarray(y) for y in (outputs if isinstance(outputs, tuple) else (outputs,))]


def is_moving(x: Array) -> bool:
    """True if a perturbation can move the elements: not of integers and booleans."""
    return x.dtype.kind not in "biu"
