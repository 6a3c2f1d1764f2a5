"""Applications of rules that run here, and what is known of them by comparison with the record of their forward."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from gradproof.client.backward.agreement import NEAR, ORDER
from gradproof.client.backward.evidence import Evidence
from gradproof.client.events import Array, Verdict
from gradproof.client.recording.client_rule import Reference
from gradproof.client.recording.modes import enable_grad
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.subgraph import Subgraph

Pass = Callable[[Sequence[Recorded], Sequence[Array], Sequence[Recorded]], Evidence]
"""A backward pass: the roots, their cotangents and the inputs."""


@dataclass(frozen=True)
class Finding:
    """What is known of a gradient: the positions of the inputs it is for, a word and the reason."""

    positions: Sequence[int]
    word: str
    reason: str


@dataclass
class Application:
    """An application of a rule that runs here.

    Attributes:
        node: the node.
        grad_outputs: the gradients that the rule got.
        positions: the inputs that gradients were asked for.
        returned: the gradients that it returned, by the positions of inputs.
    """

    node: Node
    grad_outputs: Sequence[Recorded | None]
    positions: Sequence[int]
    returned: Mapping[int, Recorded]
    _found: list[Finding] | None = None

    @classmethod
    def of(cls, node: Node, grad_outputs: Sequence[Recorded | None], positions: Sequence[int]) -> Application:
        """Run the rule of a node."""
        assert node.client_rule is not None
        return cls(node, grad_outputs, positions, node.client_rule(node, grad_outputs, positions))

    def findings(self, run: Pass) -> list[Finding]:
        """What is known of the gradient of each input, by comparison with the gradient of the recorded forward."""
        if self._found is None:
            assert self.node.client_rule is not None
            reference = self.node.client_rule.reference(self.node)
            if isinstance(reference, str):
                reason = f"{self.node.name()}, applied at {self.node.place}: {reference}"
                self._found = [Finding(self.positions, "unchecked", reason)]
            else:
                self._found = list(self._compared(reference, run))
        return self._found

    def _compared(self, reference: Reference, run: Pass) -> Iterator[Finding]:
        """The findings of each input; of a tensor that was passed in several times, of the sum."""
        roots = [(y, self._seed(slot)) for slot, y in enumerate(reference.outputs) if y.requires_grad]
        inputs = list(dict.fromkeys(reference.inputs[k] for k in self.positions))
        evidence = run([y for y, _ in roots], [seed for _, seed in roots], inputs) if roots else None
        for x in inputs:
            places = [k for k in self.positions if reference.inputs[k] is x]
            total = evidence.total(x) if evidence is not None else None
            expected = np.zeros(x.shape, x.dtype) if total is None else total
            verdict = evidence.verdict(evidence.names_of(x), total) if evidence is not None and total is not None else None
            found, text = judged(self._returned(places, x), expected, verdict)
            first = " + ".join(str(reference.arguments.get(k, k)) for k in places)
            yield Finding(places, found, f"{self.node.name()}, applied at {self.node.place}, input {first}: {text}")

    def _seed(self, slot: int) -> Array:
        gradient, spec = self.grad_outputs[slot], self.node.specs[slot]
        return np.zeros(spec.shape, spec.dtype) if gradient is None else gradient.value()

    def _returned(self, places: Sequence[int], x: Recorded) -> Array:
        total = np.zeros(x.shape, x.dtype)
        for k in places:
            total = total + self.returned[k].value() if k in self.returned else total
        return np.asarray(total).astype(x.dtype)


def judged(returned: Array, expected: Array, verdict: Verdict | None, noun: str = "gradient") -> tuple[str, str]:
    """As `compared`, where the numbers that are expected have a verdict themselves, which is the best word there is."""
    word, reason = (verdict.summary, verdict.reason) if verdict is not None else (ORDER[-1], "")
    found, text = compared(returned, expected, noun)
    if found == "wrong" and word not in ("verified", "plausible"):
        found, text = "unchecked", f"{text}, of which nothing is known: {reason}"
    return (word, reason) if ORDER.index(word) < ORDER.index(found) else (found, text)


def compared(returned: Array, expected: Array, noun: str = "gradient") -> tuple[str, str]:
    """The word for a gradient (or another ``noun``) beside the one that is expected, with the reason: "verified" where they
    differ by rounding only, "plausible" where half of the digits agree, and otherwise "wrong"."""
    unit = float(ml_dtypes.finfo(expected.dtype).eps)  # type: ignore[no-untyped-call]
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    a, b = returned.astype(wide), expected.astype(wide)
    with np.errstate(all="ignore"):
        same = (a == b) | ((a != a) & (b != b))
        size = np.maximum(np.abs(a), np.abs(b))
        away = np.where(same, 0.0, np.abs(a - b))
        near = same | (away <= NEAR * unit * size)
        largest = np.max(np.abs(b), initial=0.0, where=np.isfinite(b))
        half = near | (away <= np.sqrt(unit) * np.abs(b) + NEAR * unit * largest)
    if near.all():
        return ORDER[-1], ""
    if half.all():
        worst = np.unravel_index(np.argmax(np.where(near, 0.0, away)), away.shape)
        return "plausible", f"{_place(worst)}{returned[worst]}, and {expected[worst]} by the record of its forward"
    worst = tuple(np.argwhere(~half)[0])
    return "wrong", f"{_place(worst)}{returned[worst]}, but {expected[worst]} is the {noun} of its forward"


def _place(index: Sequence[Any]) -> str:
    return f"element {list(map(int, index))}: " if len(index) else ""


def findings(
    graph: Subgraph, applications: Sequence[Application], run: Pass, names: Sequence[str]
) -> list[tuple[str, str]]:
    """What is known of the gradients under these names by the rules that they came through, as words and reasons."""
    found: list[tuple[str, str]] = []
    for application in applications:
        if _behind(graph, application.node, application.positions, names):
            own = application.findings(run)
            found += [(f.word, f.reason) for f in own if _behind(graph, application.node, f.positions, names)]
    for origin in dict.fromkeys(node.origin for node in graph.nodes if node.origin):
        nodes = [node for node in graph.nodes if node.origin == origin]
        if any(_behind(graph, node, range(len(node.inputs)), names) for node in nodes):
            found.append(("plausible", f"{origin} was differentiated: gradgradcheck compares it with its forward"))
    return found


def _behind(graph: Subgraph, start: Node, positions: Sequence[int], names: Sequence[str]) -> bool:
    """True if gradients of these inputs of a node come to one of the values ``names``."""
    reached = {graph.edge(start, k) for k in positions}
    for node in reversed(graph.nodes):
        if not reached.isdisjoint(graph.output_names(node)):
            reached.update(graph.edge(node, k) for k, needs in enumerate(node.needs) if needs)
    return not reached.isdisjoint(names)


def mark(gradients: Mapping[int, Recorded], start: int, origin: str) -> None:
    """Note on the nodes that a rule has recorded since ``start`` where they come from."""
    pending = [t.node for t in gradients.values()]
    while pending:
        node = pending.pop()
        if node is None or node.number < start or node.origin:
            continue
        node.origin = origin
        pending.extend(x.node for x in node.inputs if isinstance(x, Recorded))


def outputs_of(node: Node, stand_ins: Sequence[Any]) -> list[Recorded]:
    """The outputs of a node recorded once more on other inputs."""
    with enable_grad():
        return Node(node.kind, node.signature, stand_ins).outputs()
