"""Backward passes that are recorded, so that their results can be differentiated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np

from gradproof.client.backward.application import Application, mark
from gradproof.client.backward.derivation import Gradients, accumulate, pulled_back, pulled_through
from gradproof.client.backward.evidence import Evidence
from gradproof.client.backward.gradient_bundle import cast
from gradproof.client.backward.hook_invocation import constant_hook
from gradproof.client.backward.hook_results import checked_result, checked_results
from gradproof.client.backward.hooked_node import HookedNode, positions_of, read_only
from gradproof.client.backward.multi_grad import MultiGradPass
from gradproof.client.backward.pass_plan import summed_seeds, visited_nodes
from gradproof.client.backward.passes import finder
from gradproof.client.backward.provenance import PassGradient, Provenance
from gradproof.client.events import Result
from gradproof.client.recording.apply import apply, as_subclass
from gradproof.client.recording.evaluation import graph_of
from gradproof.client.recording.hooks import NodeHooks, ServerHook, label_of
from gradproof.client.recording.modes import enable_grad
from gradproof.client.recording.names import edges_of
from gradproof.client.recording.record import Node, next_number
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.runtime import current
from gradproof.client.recording.subgraph import Subgraph
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import encode_tensor


def backward_recorded(
    roots: Sequence[Recorded],
    seeds: Sequence[Recorded],
    inputs: Sequence[Recorded] | None,
    kind: type[Recorded] | None = None,
    *,
    accumulates: bool = False,
) -> Gradients:
    """The gradients of ``roots`` as tensors that can be differentiated; gradients that nothing reaches are missing.

    Args:
        roots: the tensors that gradients are taken of.
        seeds: the cotangent of each root.
        inputs: the tensors whose gradients are returned, with those of tensors that retain theirs; None: all leaves.
        kind: the class of the gradients; None: the class of all tensors.
        accumulates: gradients are added to ``.grad``; then prehooks of the nodes of ``inputs`` run too.
    """
    if not roots:
        return {}
    with enable_grad():
        graph = graph_of(roots, backward=True)
        recorded = RecordedPass(graph, list(zip(roots, seeds, strict=True)), inputs, accumulates=accumulates)
        return recorded.with_provenance(recorded.run(), kind or roots[0].plain())


class RecordedPass:
    """A recorded pass.

    The pass is cut at hooked tensors and nodes: the gradients that arrive there are summed, given to the hooks, and go on
    from there.

    Args:
        graph: the graph behind the roots.
        starts: the roots with their cotangents.
        inputs: the tensors whose gradients are returned; None: all leaves.
        accumulates: as for `backward_recorded`.
    """

    def __init__(
        self,
        graph: Subgraph,
        starts: Sequence[tuple[Recorded, Recorded]],
        inputs: Sequence[Recorded] | None,
        *,
        accumulates: bool = False,
    ) -> None:
        self._graph, self._starts, self._accumulates = graph, starts, accumulates
        self._targets = dict.fromkeys(graph.leaves.values() if inputs is None else inputs)
        nodes = visited_nodes(graph, list(self._targets))
        target_ids = {id(t) for t in self._targets}
        self._hooked = {node: positions_of(node, nodes, target_ids) for node in nodes if node.stops}
        self._stops = self._stops_in_order()
        self._sums: Gradients = {}
        self._changed: dict[Recorded, Recorded | None] = {}
        self._applications: list[Application] = []
        self._passed: list[tuple[HookedNode, dict[int, Recorded]]] = []
        self._multi_grad = MultiGradPass({id(t) for t in (*self._stops, *self._targets)})

    def _stops_in_order(self) -> dict[Recorded, None]:
        """Inner tensors that the pass is cut at, in its order."""
        inner = [(t.node, t) for _, t in self._graph.inner() if t.requires_grad and t.node is not None]
        inner.sort(key=lambda pair: -pair[0].number)
        both = {root for root, _ in self._starts}.intersection(self._targets)
        return {t: None for node, t in inner if t.hooks or t.retains_grad or t in both or node in self._hooked}

    def run(self) -> Gradients:
        """The gradients of the targets, and of tensors that retain theirs, after hooks."""
        self._begin()
        for node, outputs in groupby(self._stops, key=lambda t: t.node):
            gradients = {t: self._hooked_gradient(t) for t in outputs if t in self._sums}
            self._sums.update(gradients)
            if node is not None and node in self._hooked:
                self._go_through(node, gradients)
            else:
                for stop, gradient in gradients.items():
                    self._go_on([(stop, gradient)], [t for t in self._stops if t is not stop])
        gradients = {}
        for t in {**self._stops, **self._targets}:
            if t in self._sums and (t.retains_grad or t in self._targets):
                gradients[t] = self._sums[t] if t in self._stops else self._hooked_gradient(t)
            if t.hooks:
                self._changed[t] = gradients.get(t, self._sums.get(t))
        return gradients

    def _hooked_gradient(self, tensor: Recorded) -> Recorded:
        """The gradient of a tensor after its hooks, and after prehooks of its node that cannot change it."""
        gradient = self._sums[tensor]
        for _, hook in tensor.hooks:
            if isinstance(hook, ServerHook):
                raise RuntimeError(f"the hook {hook.name!r} runs at the server, and a recorded pass does not go there")
            call = self._multi_grad.hook(hook)
            result = checked_result(call(gradient), tensor, label_of(call))
            gradient = gradient if result is None else result
        node = tensor.node
        if self._accumulates and tensor in self._targets and node is not None and node.hooks and node not in self._hooked:
            for _, hook in node.hooks.pre:
                read_only(hook, tensor)(gradient)
        return gradient

    def _begin(self) -> None:
        """Go from the roots to the first stops."""
        starts = []
        for root, seed in self._starts:
            seed = cast(seed, root.dtype)
            if root in self._stops or root.is_leaf:
                accumulate(self._sums, root, seed)
            else:
                starts.append((root, seed))
        if starts:
            self._go_on(starts, list(self._stops))

    def _go_on(self, starts: Sequence[tuple[Recorded, Recorded]], cut: Sequence[Recorded]) -> None:
        """Add the contributions of gradients to all sums, without going through ``cut``."""
        for tensor, contribution in pulled_back(starts, [*self._stops, *self._targets], cut).items():
            accumulate(self._sums, tensor, contribution)

    def _go_through(self, node: Node, gradients: Gradients) -> None:
        """Go on from the outputs of a node with hooks."""
        positions = self._hooked[node]
        contributions = dict(self._through(node, gradients, positions))
        name, slots = self._graph.name_of(node, 0), [t.slot for t in gradients]
        if slots and positions:
            self._passed.append((HookedNode(node, name, slots, positions), contributions))
        for k, contribution in contributions.items():
            x = node.inputs[k]
            assert isinstance(x, Recorded)
            if x in self._stops or x.node is None or x in self._targets:
                accumulate(self._sums, x, contribution)
            if x not in self._stops and x.node is not None:
                self._go_on([(x, contribution)], list(self._stops))

    def _through(self, node: Node, gradients: Gradients, positions: Sequence[int]) -> Iterator[tuple[int, Recorded]]:
        """The positions of inputs of a node, with the contributions that its rule and its hooks make of the gradients of
        its outputs."""
        hooks = node.hooks or NodeHooks()
        by_slot = {t.slot: gradient for t, gradient in gradients.items()}
        grad_outputs = tuple(by_slot.get(slot) for slot in range(len(node.specs)))
        for _, hook in hooks.pre:
            grad_outputs = checked_results(hook(grad_outputs), grad_outputs, label_of(hook)) or grad_outputs
        arrived = any(gradient is not None for gradient in grad_outputs)
        by_position = self._pulled_through(node, grad_outputs, positions) if arrived else {}
        edges = edges_of(node)
        grad_inputs = tuple(by_position.get(k) for k in edges)
        for _, hook in hooks.post:
            grad_inputs = checked_results(hook(grad_inputs, grad_outputs), grad_inputs, label_of(hook)) or grad_inputs
        for k, gradient in zip(edges, grad_inputs, strict=True):
            x = node.inputs[k]
            if gradient is not None and isinstance(x, Recorded):
                yield k, gradient

    def _pulled_through(
        self, node: Node, grad_outputs: Sequence[Recorded | None], positions: Sequence[int]
    ) -> Mapping[int, Recorded]:
        """The gradients that the rule of a node makes, by the positions of inputs."""
        if node.client_rule is None:
            return pulled_through(node, grad_outputs, positions)
        start = next_number()
        application = Application.of(node, grad_outputs, positions)
        self._applications.append(application)
        if node.client_rule.name:
            mark(application.returned, start, node.client_rule.name)
        return application.returned

    def with_provenance(self, gradients: Gradients, kind: type[Recorded]) -> Gradients:
        """The gradients as tensors of a class, with the evidence of the same pass unrecorded.

        That pass goes through the graph itself, with the same cotangents, and with hooks of tensors that return again what
        they did.
        """
        names = {id(t): self._graph.names_of(t) for t in gradients}
        request = pb.DifferentiateRequest(gradients=dict.fromkeys(name for own in names.values() for name in own))
        self._graph.surround({hooked.node.number: hooked for hooked, _ in self._passed})
        complete = Completion(self._graph, self._starts, self._changed, self._passed)
        evidence = Evidence(current(), self._graph, request, Result(), names, recorded=True, complete=complete)
        evidence.find = finder(self._graph, self._applications)
        evidence.rule_places = frozenset(hooked.rule_place for hooked, _ in self._passed if hooked.rule_place is not None)
        seeds = {seed for _, seed in self._starts}
        results = {}
        for t, gradient in gradients.items():
            # A cotangent that arrives as it was passed in becomes a tensor of its own: the evidence is of the gradient.
            shared = gradient in seeds or gradient.provenance is not None or type(gradient) is not kind
            result = _flowing(as_subclass(gradient, kind) if shared else gradient, t)
            if names[id(t)]:
                result.provenance = Provenance(result, [PassGradient(evidence, names[id(t)], result)])
            results[t] = result
        return results


class Completion:
    """Adds the values of a recorded pass to the request that runs it again: the cotangents, and the results of hooks.

    Attributes:
        seeds: the roots with their cotangents.
        hooks: the names of hooked tensors, with the results of their hooks.
        passed: the nodes with hooks, with the gradients that went on from there.
    """

    def __init__(
        self,
        graph: Subgraph,
        starts: Sequence[tuple[Recorded, Recorded]],
        changed: Mapping[Recorded, Recorded | None],
        passed: Sequence[tuple[HookedNode, Mapping[int, Recorded]]],
    ) -> None:
        self._graph = graph
        self.seeds = [(root, seed.detach()) for root, seed in starts]
        self.hooks = [(graph.names_of(t), result.detach()) for t, result in changed.items() if result is not None]
        self.passed = [(hooked, {k: g.detach() for k, g in gradients.items()}) for hooked, gradients in passed]

    def __call__(self, request: pb.DifferentiateRequest) -> None:
        roots = [root for root, _ in self.seeds]
        for root, seed in summed_seeds(roots, [seed.value().astype(root.dtype) for root, seed in self.seeds]):
            request.seeds.add(output=self._graph.name(root), cotangent=encode_tensor(seed.astype(root.dtype)))
        request.hooks.extend(constant_hook(names[0], "hook", result) for names, result in self.hooks if len(names) == 1)
        for hooked, gradients in self.passed:
            request.hooks.append(constant_hook(hooked.inside.bundle.name, "hook", hooked.joined(gradients)))
        request.retain.extend(name for names in self._graph.behind.values() for name in names)


def _flowing(gradient: Recorded, tensor: Recorded) -> Recorded:
    """A gradient that depends on ``tensor`` by conditions only (that of relu) as a result of ``tensor``, whose gradient is
    0: not None, as in PyTorch."""
    if gradient.requires_grad or gradient.node is None or not gradient.node.condition or not tensor.requires_grad:
        return gradient
    return apply("where", gradient.leaf(np.ones(gradient.shape, bool)), gradient, tensor)
