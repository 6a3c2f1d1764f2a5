"""Evaluation: values of tensors, computed when somebody looks at them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gradproof.client.errors import RunError
from gradproof.client.recording.ancestry import Ancestry, RunOf
from gradproof.client.recording.kept import Lost
from gradproof.client.recording.reads import unwatched
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.runtime import current
from gradproof.client.recording.subgraph import SMALL, Subgraph


def graph_of(
    roots: Sequence[Recorded],
    *,
    backward: bool = False,
    cut: Sequence[Recorded] = (),
    argument: Recorded | None = None,
    run_of: RunOf | None = None,
) -> Subgraph:
    """The graph behind ``roots``, after its constants have been computed. For the arguments see `Ancestry`, `Subgraph`."""
    ancestry = Ancestry(roots, backward=backward, cut=cut, run_of=run_of)
    evaluate(ancestry.constants())
    return Subgraph(ancestry, argument)


def evaluate(tensors: Sequence[Recorded]) -> None:
    """Compute the values of ``tensors`` in a single request, and with them small values on the way that somebody holds.

    The server keeps the run if gradients may flow through it, or if there are values on the way that are too large to be
    brought along: then nothing of it is computed again when it is looked at, or gone back through.
    """
    with unwatched():
        _evaluate(tensors)


def _evaluate(tensors: Sequence[Recorded]) -> None:
    runtime = current()
    for tensor in tensors:
        tensor.require_value()
    while missing := [t for t in tensors if t.array is None]:
        run_of = runtime.cache.run_of
        graph = graph_of(missing, backward=True) if _is_new(missing, run_of) else graph_of(missing, run_of=run_of)
        fetch = dict(zip(graph.outputs, missing, strict=True))
        large = False
        for name, tensor in graph.inner():
            if tensor.array is None and tensor.nbytes <= SMALL:
                fetch[name] = tensor
            large = large or (tensor.array is None and name not in fetch)
        keep = large or any(node.requires_grad for node in graph.nodes)
        try:
            with naming_failed_node(graph):
                arrays = runtime.evaluate(graph, list(fetch), keep=keep)
        except Lost:
            continue
        for name, tensor in fetch.items():
            tensor.array = arrays[name]


@contextmanager
def naming_failed_node(graph: Subgraph) -> Iterator[None]:
    """Add to the error of a node that fails the place where it was recorded."""
    try:
        yield
    except RunError as error:
        if error.node is not None and (maker := graph.maker(error.node)) is not None:
            error.add_note(f"recorded at {maker.place}")
        raise


def _is_new(tensors: Sequence[Recorded], run_of: RunOf) -> bool:
    """True if a backward pass from ``tensors`` would send just the graph that is computed now: gradients flow to them, and
    nothing that gradients flow through has been computed before."""
    pending, seen = [t.node for t in tensors], set[int]()
    if not all(t.requires_grad for t in tensors):
        return False
    while pending:
        node = pending.pop()
        if node is None or node.number in seen:
            continue
        seen.add(node.number)
        if run_of(node) is not None:
            return False
        for x, flows in _inner_inputs(node):
            if (flows and x.array is not None) or (not flows and x.array is None and x.tainted):
                return False
            if x.array is None:
                pending.append(x.node)
    return True


def _inner_inputs(node: Node) -> Iterator[tuple[Recorded, bool]]:
    """The inputs of a node that nodes made, each with whether it is more than a constant of a backward pass."""
    for x, needs, moves in zip(node.inputs, node.needs, node.moves, strict=True):
        if isinstance(x, Recorded) and x.node is not None:
            yield x, needs or moves or x.node.condition
