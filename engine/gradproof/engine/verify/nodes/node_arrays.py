"""The arrays of an elementwise node beside their enclosures, with the results of comparisons."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradproof.engine.conventions import Kink
from gradproof.engine.spec import Array, DType, part_dtype
from gradproof.engine.verify.nodes.distances import Tally
from gradproof.engine.verify.nodes.elements import Elements


@dataclass
class NodeArray:
    """An array of the node, a result or a contribution: its parts, the rows of the enclosures for them, and its doubtful
    elements."""

    got: Array
    rows: slice
    tally: Tally
    dtype: DType
    kink: Kink | None = None
    forward: bool = False
    doubts: list[Array] = field(default_factory=list)
    weights: list[Array] = field(default_factory=list)
    worst: list[tuple[float, int]] = field(default_factory=list)

    def doubt(self, at: Array, weight: Array) -> None:
        """Collect doubtful elements, whose distance is their weight."""
        self.doubts.append(at)
        self.weights.append(weight)


def node_arrays(elements: Elements) -> list[NodeArray]:
    """The results and the contributions of a node."""
    application = elements.application
    arrays, row = [], 0
    for got, y in zip(elements.results, application.results, strict=True):
        width = got.shape[1]
        dtype = y.dtype if y.dtype.kind in "biu" else part_dtype(y.dtype)
        arrays.append(NodeArray(got, slice(row, row + width), Tally(y.shape, y.size), dtype, forward=True))
        row += width
    row = 0
    for got, k in zip(elements.claimed, elements.slots, strict=True):
        width = got.shape[1]
        claimed = application.contributions[k]
        assert claimed is not None
        tally = Tally(claimed.shape, claimed.size)
        arrays.append(NodeArray(got, slice(row, row + width), tally, part_dtype(claimed.dtype), application.op.kink_of(k)))
        row += width
    return arrays
