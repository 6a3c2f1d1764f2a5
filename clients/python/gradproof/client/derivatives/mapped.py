"""Products along many vectors at once: the product along a slice is recorded, and its ops are applied to all slices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, cast

from gradproof.client.backward.forward_pass import with_pairing
from gradproof.client.batching.slices import Slices, joined
from gradproof.client.derivatives.products import Derivatives, Product, Vectors
from gradproof.client.recording.apply import apply_multiple
from gradproof.client.recording.evaluation import graph_of
from gradproof.client.recording.modes import enable_grad
from gradproof.client.recording.subgraph import Subgraph
from gradproof.client.tensors.tensor import Tensor

MAX_BYTES: Final = 1 << 28
"""The most bytes of all values that are computed at once; more vectors go in several chunks."""


def along_all(
    product: Product,
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    vectors: Vectors,
    chunk_size: int | None = None,
) -> Derivatives:
    """``product`` along each of ``vectors``, which have a batch axis in front, as have the derivatives.

    A graph with hooks, or with rules that run here, is gone through once for each vector.

    Args:
        product: the product along a vector.
        outputs: its outputs.
        inputs: its inputs.
        vectors: batches of vectors; at least one is not None.
        chunk_size: the number of vectors at once; default: all, as long as the values fit into `MAX_BYTES`.
    """
    size = next(v.shape[0] for v in vectors if v is not None)
    if chunk_size == 1 or stops(graph_of(outputs, backward=True)):
        return _joined([product(outputs, inputs, own) for own in _rows(vectors)], "stack", "row")
    slices = Slices(size)
    results = _of_slice(product, outputs, inputs, vectors, slices)
    most = max(1, MAX_BYTES // max(1, slices.nbytes([y for y in results if y is not None])))
    count = min(size, most if chunk_size is None else chunk_size)
    if count == size:
        return _of_all(results, slices)
    chunks = []
    for start in range(0, size, count):
        own = [None if v is None else v[start : start + count] for v in vectors]
        slices = Slices(min(count, size - start))
        chunks.append(_of_all(_of_slice(product, outputs, inputs, own, slices), slices))
    return _joined(chunks, "concat", "chunk")


def stops(graph: Subgraph) -> bool:
    """True if a pass stops on its way, for hooks or a rule that run here."""
    tensors = [*graph.leaves.values(), *(x for _, x in graph.inner())]
    return any(node.stops for node in graph.nodes) or any(x.hooks or x.retains_grad for x in tensors)


def _of_slice(
    product: Product, outputs: Sequence[Tensor], inputs: Sequence[Tensor], vectors: Vectors, slices: Slices
) -> Derivatives:
    return product(outputs, inputs, [None if v is None else slices.slice_of(v) for v in vectors])


def _of_all(results: Derivatives, slices: Slices) -> Derivatives:
    """The derivatives along all slices, with evidence of the numbers of all of them, not of a slice."""
    present = [y for y in results if y is not None]
    slices.run(present)
    for y in present:
        y.provenance = None
    with enable_grad():
        return [None if y is None else _judged(slices.spread(y)) for y in results]


def _judged(derivative: Tensor) -> Tensor:
    return cast("Tensor", with_pairing(derivative, shared=derivative.node is None))


def _rows(vectors: Vectors) -> list[list[Tensor | None]]:
    """The vectors of each row."""
    size = next(v.shape[0] for v in vectors if v is not None)
    columns = [[None] * size if v is None else apply_multiple("unstack", v, axis=0) for v in vectors]
    return [list(row) for row in zip(*columns, strict=True)]


def _joined(parts: Sequence[Derivatives], op: str, kind: str) -> Derivatives:
    """The derivatives of all rows or chunks."""
    columns = [[y for y in column if y is not None] for column in zip(*parts, strict=True)]
    return [cast("Tensor", joined(present, op, kind)) if present else None for present in columns]
