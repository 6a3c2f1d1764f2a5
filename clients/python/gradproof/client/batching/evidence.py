"""Evidence of gradients that a vectorized function returned: the pass through the graph of all slices.

A slice of a result depends on the same slice of the arguments only. So the gradients of all slices, each by its own
argument, are the gradient of all results together by all arguments: a pass through the graph of all slices, which is the
graph that was computed. Its verdict is that of the gradients, as far as these are the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradproof.client.backward.evidence import Evidence
from gradproof.client.backward.provenance import PassGradient, Provenance
from gradproof.client.backward.recorded_pass import Completion
from gradproof.client.batching.replay import Replay
from gradproof.client.events import Array, HookTrace, Result, Verdict
from gradproof.client.recording.apply import apply
from gradproof.client.recording.evaluation import graph_of
from gradproof.client.recording.modes import enable_grad
from gradproof.client.recording.placeholders import Level
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.runtime import current
from gradproof.client.recording.subgraph import Subgraph
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import decode_tensor


def attach_provenance(batched: Recorded, tensor: Recorded, replay: Replay, level: Level) -> None:
    """Give ``batched``, which `Replay` gives for ``tensor``, the provenance of ``tensor`` for all slices."""
    provenance = tensor.provenance
    if not isinstance(provenance, Provenance):
        return
    parts = [None if part is None else _of_all_slices(part, replay, level) for part in provenance.parts]
    if any(parts):
        batched.provenance = Provenance(batched, parts, provenance.kind)


def _of_all_slices(part: PassGradient, replay: Replay, level: Level) -> PassGradient | None:
    replay.run([part.gradient])
    gradient = replay.batched(part.gradient)
    return None if gradient is None else _BatchedPassGradient(part, gradient, level)


class _BatchedPassGradient(PassGradient):
    """The gradient of all slices, by the pass of a slice.

    Args:
        part: the gradient of a slice, as its pass returned it.
        gradient: that of all slices.
        level: the function that was vectorized.
    """

    def __init__(self, part: PassGradient, gradient: Recorded, level: Level) -> None:
        self._part, self._level = part, level
        self.gradient = self.added = gradient.detach()
        self._built: tuple[Evidence, tuple[str, ...]] | None = None
        self._possible = True

    def evidence_of_all(self) -> tuple[Evidence, tuple[str, ...]] | None:
        """The evidence and the names of the gradient in its graph, made when it is first asked for; None where hooks
        changed gradients on the way."""
        if self._built is None and self._possible:
            self._built = _evidence(self._part, self._level)
            self._possible = self._built is not None
        return self._built

    def passes(self) -> list[Evidence]:
        """The evidence of the pass through the graph of all slices, as far as it is made."""
        return [] if self._built is None else [self._built[0]]

    def verdict(self) -> Verdict | None:
        """The verdict, requested now if it was not."""
        built = self.evidence_of_all()
        return None if built is None else built[0].verdict(built[1], self.gradient.value())

    def known(self) -> Verdict | None:
        """The verdict, if it is known already."""
        return None if self._built is None else self._built[0].known(self._built[1], self.gradient.value())

    def raw(self) -> Recorded | None:
        """The gradient before hooks: None, since the pass has no result of its own."""
        return None

    def traces(self) -> tuple[HookTrace, ...]:
        """The traces of its hooks: none."""
        return ()


def _evidence(part: PassGradient, level: Level) -> tuple[Evidence, tuple[str, ...]] | None:
    source = _source(part)
    if source is None or (
        isinstance(source[0].complete, Completion) and (source[0].complete.hooks or source[0].complete.passed)
    ):
        return None
    (evidence, names), values = source, Replay(level)
    graph = evidence.graph
    target = _tensor(graph, names[0])
    if target is None or len(names) != 1:
        return None
    values.run([target, *graph.open.values(), *(seed for _, seed in _seeds(evidence))])
    with enable_grad():
        stand_in = _spread(values, target, level).detach()
        stand_in.requires_grad = True
        replay = Replay(level, {target: stand_in})
        replay.run_through(graph.nodes)
        starts = [
            (root, _spread(values, seed, level))
            for old, seed in _seeds(evidence)
            if (root := replay.batched(old)) is not None
        ]
        whole = graph_of([root for root, _ in starts], backward=True)
    own = whole.names_of(stand_in)
    request = pb.DifferentiateRequest(gradients=own)
    complete = Completion(whole, starts, {}, ())
    return Evidence(current(), whole, request, Result(), {id(stand_in): own}, recorded=True, complete=complete), tuple(own)


def _source(part: PassGradient) -> tuple[Evidence, tuple[str, ...]] | None:
    return part.evidence_of_all() if isinstance(part, _BatchedPassGradient) else (part.evidence, part.names)


def _seeds(evidence: Evidence) -> Sequence[tuple[Recorded, Recorded]]:
    """The roots of a pass with their cotangents."""
    if isinstance(evidence.complete, Completion):
        return evidence.complete.seeds
    roots = dict(zip(evidence.graph.outputs, evidence.graph.roots, strict=True))
    return [(roots[seed.output], roots[seed.output].leaf(_array(seed))) for seed in evidence.request.seeds]


def _array(seed: pb.Seed) -> Array:
    return np.array(decode_tensor(seed.cotangent))


def _tensor(graph: Subgraph, name: str) -> Recorded | None:
    """The tensor of this name in a graph."""
    if name in graph.leaves:
        return graph.leaves[name]
    outputs = ((node, slot) for node in graph.nodes for slot in range(len(node.specs)) if graph.name_of(node, slot) == name)
    return next((node.held(slot) for node, slot in outputs), None)


def _spread(replay: Replay, x: Recorded, level: Level) -> Recorded:
    """A tensor for all slices, also if it is the same."""
    batched = replay.batched(x)
    return apply("broadcast_to", x.detach(), shape=(level.size, *x.shape)) if batched is None else batched
