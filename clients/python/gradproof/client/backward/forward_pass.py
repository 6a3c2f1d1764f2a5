"""Forward passes that are recorded: tangents that can be differentiated, also through nodes whose rules run here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradproof.client.backward.application import judged, mark
from gradproof.client.backward.derivation import Gradients, pushed_forward
from gradproof.client.backward.evidence import Evidence, Finder
from gradproof.client.backward.gradient_bundle import cast
from gradproof.client.backward.provenance import PassGradient, Provenance
from gradproof.client.backward.recorded_pass import backward_recorded
from gradproof.client.events import Array, Result, Verdict
from gradproof.client.recording.apply import apply, as_subclass
from gradproof.client.recording.client_rule import Reference
from gradproof.client.recording.evaluation import graph_of
from gradproof.client.recording.modes import enable_grad
from gradproof.client.recording.record import Node, next_number
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.runtime import current
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import encode_tensor


def forward_recorded(outputs: Sequence[Recorded], starts: Sequence[tuple[Recorded, Recorded]]) -> Gradients:
    """The tangents of ``outputs`` as tensors that can be differentiated; an output that no tangent reaches is missing.

    ``starts``: tensors, each with a tangent.
    """
    with enable_grad():
        own = {x: cast(tangent, x.dtype) for x, tangent in starts}
        rest = [y for y in dict.fromkeys(outputs) if y.requires_grad and y not in own]
        graph, given = graph_of(rest, backward=True), set(own.values())
        tangents = {y: own[y] for y in outputs if y in own}
        rules = [node.client_rule for node in graph.nodes if node.client_rule is not None]
        if rules and all(rule.push is None for rule in rules):
            return {**{y: with_pairing(own[y], shared=True) for y in tangents}, **_transposed_twice(rest, own)}
        if rules:
            through = _ThroughRules(own)
            pushed = through.tangents(rest, graph.nodes)
            return {y: with_pairing(t, shared=y in own, find=through.finder(y)) for y, t in {**tangents, **pushed}.items()}
        tangents.update(pushed_forward(graph, list(own.items())))
        return {y: with_pairing(tangent, shared=tangent in given) for y, tangent in tangents.items()}


def _transposed_twice(outputs: Sequence[Recorded], tangents: Mapping[Recorded, Recorded]) -> Gradients:
    """The tangents of ``outputs`` where rules run here, which the server cannot derive: the derivative of a backward pass
    in its cotangents, in which it is linear. (J. Townsend, "A new trick for calculating Jacobian vector products", 2017.)
    """
    cotangents = {y: y.leaf(np.ones(y.shape, y.dtype), requires_grad=True) for y in outputs}
    pulled = backward_recorded(outputs, list(cotangents.values()), list(tangents))
    pairs = [(g, tangents[x]) for x, g in pulled.items() if x in tangents and g.requires_grad]
    pushed = backward_recorded([g for g, _ in pairs], [v for _, v in pairs], list(cotangents.values()))
    return {y: pushed[cotangent] for y, cotangent in cotangents.items() if cotangent in pushed}


class _ThroughRules:
    """A forward pass that stops at nodes whose rules run here, and goes on from their outputs.

    Args:
        starts: tensors, each with a tangent.
    """

    def __init__(self, starts: Gradients) -> None:
        self._tangents = dict(starts)
        self._applications: list[_Push] = []

    def tangents(self, outputs: Sequence[Recorded], nodes: Iterable[Node]) -> Gradients:
        """The tangents of ``outputs``, behind which ``nodes`` are."""
        for node in nodes:
            if node.client_rule is not None:
                self._go_through(node)
        return self._pushed(outputs)

    def _go_through(self, node: Node) -> None:
        positions = {k: x for k, x in enumerate(node.inputs) if node.needs[k] and isinstance(x, Recorded)}
        found = self._pushed(list(dict.fromkeys(positions.values())))
        arrived = {k: found[x] for k, x in positions.items() if x in found}
        if not arrived:
            return
        application = _Push.of(node, arrived)
        self._applications.append(application)
        self._tangents.update({node.held(slot): tangent for slot, tangent in application.returned.items()})

    def _pushed(self, tensors: Sequence[Recorded]) -> Gradients:
        """The tangents of tensors between the last stops and the next."""
        found = {x: self._tangents[x] for x in tensors if x in self._tangents}
        rest = [x for x in tensors if x not in found and x.requires_grad]
        if rest:
            cut = [x for x in self._tangents if x.node is not None and x.node.client_rule is not None]
            found.update(pushed_forward(graph_of(rest, backward=True, cut=cut), list(self._tangents.items())))
        return found

    def finder(self, output: Recorded) -> Finder | None:
        """What is known of the rules that the tangent of ``output`` came through."""
        behind = {node.number for node in graph_of([output], backward=True).nodes}
        own = [application for application in self._applications if application.node.number in behind]
        return (lambda names: [found for application in own for found in application.findings()]) if own else None


@dataclass
class _Push:
    """Tangents that a rule that runs here has made.

    Attributes:
        node: the node.
        given: the tangents of its inputs, by their positions.
        returned: the tangents of its outputs, by their slots.
    """

    node: Node
    given: Mapping[int, Recorded]
    returned: Mapping[int, Recorded]
    _found: list[tuple[str, str]] | None = None

    @classmethod
    def of(cls, node: Node, given: Mapping[int, Recorded]) -> _Push:
        """Push tangents through a node: by a rule of its own, or by the derivative of its rule in its cotangents."""
        rule = node.client_rule
        assert rule is not None
        start = next_number()
        if rule.push is not None:
            returned = rule.push(node, given)
        else:
            cotangents = [node.leaf(np.ones(spec.shape, spec.dtype), requires_grad=True) for spec in node.specs]
            pulled = rule(node, cotangents, list(given))
            pairs = [(g, given[k]) for k, g in pulled.items() if g.requires_grad]
            pushed = backward_recorded([g for g, _ in pairs], [v for _, v in pairs], cotangents)
            returned = {slot: pushed[x] for slot, x in enumerate(cotangents) if x in pushed}
        if rule.name:
            mark(returned, start, rule.name)
        return cls(node, given, returned)

    def findings(self) -> list[tuple[str, str]]:
        """What is known of the tangents, by comparison with those of the recorded forward: words and reasons."""
        if self._found is None:
            assert self.node.client_rule is not None
            reference = self.node.client_rule.reference(self.node)
            name = f"{self.node.name()}, applied at {self.node.place}"
            if isinstance(reference, str):
                self._found = [("unchecked", f"{name}: {reference}")]
            else:
                self._found = [(word, f"{name}, {text}") for word, text in self._compared(reference)]
        return self._found

    def _compared(self, reference: Reference) -> Iterator[tuple[str, str]]:
        starts = {reference.inputs[k]: self.node.leaf(np.array(tangent.value())) for k, tangent in self.given.items()}
        true = forward_recorded(reference.outputs, list(starts.items()))
        for slot, tangent in self.returned.items():
            spec, expected = self.node.specs[slot], true.get(reference.outputs[slot])
            value: Array = np.zeros(spec.shape, spec.dtype) if expected is None else expected.value()
            verdict: Verdict | None = expected.verdict if expected is not None else None  # type: ignore[attr-defined]
            found, text = judged(tangent.value(), value, verdict, "tangent")
            yield found, f"output {slot}: {text}"


def with_pairing(derivative: Recorded, *, shared: bool, find: Finder | None = None) -> Recorded:
    """A recorded derivative with evidence of its own numbers: it is the gradient of its product with a tensor of ones, by
    that tensor. ``shared``: it was passed in, and the evidence is not of all that it is used for. ``find``: what is known
    of rules that run here."""
    copied = shared or derivative.provenance is not None or type(derivative) is not derivative.plain()
    result = as_subclass(derivative, derivative.plain()) if copied else derivative
    ones = np.ones(result.shape, result.dtype)
    weight = result.leaf(ones, requires_grad=True)
    product = apply("multiply", weight, apply("conj", result) if result.dtype.kind == "c" else result)
    graph = graph_of([product], backward=True)
    names = graph.names_of(weight)
    request = pb.DifferentiateRequest(gradients=names)
    request.seeds.add(output=graph.name(product), cotangent=encode_tensor(ones))
    evidence = Evidence(current(), graph, request, Result(), {id(weight): names}, recorded=True)
    evidence.find = find
    result.provenance = Provenance(result, [PassGradient(evidence, names, result)])
    return result
