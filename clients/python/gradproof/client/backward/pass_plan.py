"""The plan of a backward pass: its graph, the tensors that it reaches and the gradients that it returns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gradproof.client.events import Array
from gradproof.client.recording import modes
from gradproof.client.recording.evaluation import graph_of
from gradproof.client.recording.record import Node
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.subgraph import SMALL, Subgraph
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.wire import encode_tensor


class PassPlan:
    """Plan of a backward pass: its graph, its tensors and its request.

    Args:
        roots: the tensors that gradients are taken of.
        seeds: the cotangent of each root.
        inputs: the tensors whose gradients are asked for; None stands for all leaves.
        accumulates: gradients are added to ``.grad``; then prehooks of the nodes of ``inputs`` run too.

    Attributes:
        graph: the graph behind the roots.
        names: the names of tensors in the graph, by id.
        targets: the tensors of ``inputs`` that are in the graph.
        nodes: the nodes whose rules run, in the order they were recorded.
        reached: names and tensors that the pass comes to, in its order.
        retained: tensors that keep their gradients, and are no targets.
    """

    def __init__(
        self,
        roots: Sequence[Recorded],
        seeds: Sequence[Array],
        inputs: Sequence[Recorded] | None,
        *,
        accumulates: bool = False,
    ) -> None:
        self.accumulates = accumulates
        self._seeds = summed_seeds(roots, seeds)
        self.graph = graph_of([root for root, _ in self._seeds], backward=True)
        self.names: dict[int, list[str]] = {}
        self._tensors: dict[int, Recorded] = {}
        for name, tensor in [*self.graph.leaves.items(), *self.graph.inner()]:
            self.names.setdefault(id(tensor), []).append(name)
            self._tensors[id(tensor)] = tensor
        self.targets = list(self.graph.leaves.values()) if inputs is None else [t for t in inputs if id(t) in self.names]
        self.target_ids = {id(t) for t in self.targets}
        self.nodes = visited_nodes(self.graph, None if inputs is None else self.targets)
        self._order = self._in_order()
        on_path = {node.number for node in self.nodes}
        self.reached = [
            (name, tensor)
            for name, tensor in self._order
            if id(tensor) in self.target_ids
            or (tensor.requires_grad and tensor.node is not None and tensor.node.number in on_path)
        ]
        self.retained = [t for _, t in self.reached if t.retains_grad and id(t) not in self.target_ids]
        self._gradients = self._names_of(self.targets)

    def _names_of(self, tensors: Iterable[Recorded]) -> list[str]:
        return list(dict.fromkeys(name for t in tensors for name in self.names[id(t)]))

    def _in_order(self) -> list[tuple[str, Recorded]]:
        """Names and tensors as a pass comes to them: outputs of nodes in reverse, each leaf after all its uses."""
        places = {id(t): float(t.node.number) for t in self._tensors.values() if t.node is not None}
        for node in self.graph.nodes:
            for x in node.inputs:
                if isinstance(x, Recorded) and id(x) in self._tensors:
                    places.setdefault(id(x), node.number - 0.5)
        keys = sorted(self.names, key=lambda key: -places.get(key, float("inf")))
        return [(name, self._tensors[key]) for key in keys for name in self.names[key]]

    @property
    def empty(self) -> bool:
        """True if no gradient is asked for, kept, or given to a hook."""
        return not self._gradients and not self.retained and not any(t.hooks for _, t in self.reached)

    @property
    def freed(self) -> bool:
        """True if values that the rules need were given up after an earlier pass."""
        return any(node.freed and node.saves for node in self.nodes)

    def results(self) -> list[Recorded]:
        """The tensors whose gradients the pass returns, in its order."""
        tensors = [t for _, t in self.reached if id(t) in self.target_ids or t.retains_grad]
        return list({id(t): t for t in tensors}.values())

    def request(self, hooked: Iterable[str]) -> pb.DifferentiateRequest:
        """The request, without the graph. ``hooked``: names whose gradients hooks need afterwards."""
        retained = self._names_of(self.retained)
        request = pb.DifferentiateRequest(
            gradients=self._gradients or retained,
            retain=retained,
            verify=pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF),
            input=pb.RunInput(fetch=[name for name, t in self.graph.inner() if t.array is None and t.nbytes <= SMALL]),
        )
        requested = {*request.gradients, *request.retain}
        request.retain.extend(name for name in hooked if name not in requested)
        for (root, seed), name in zip(self._seeds, self.graph.outputs, strict=True):
            request.seeds.add(output=name, cotangent=encode_tensor(seed.astype(root.dtype)))
        if modes.is_anomaly_enabled():
            request.retain.extend(name for name, t in self._order if t.node is not None)
        return request


def summed_seeds(roots: Sequence[Recorded], seeds: Sequence[Array]) -> list[tuple[Recorded, Array]]:
    """Each root once, with the sum of its seeds."""
    totals: dict[int, tuple[Recorded, Array]] = {}
    for root, seed in zip(roots, seeds, strict=True):
        total = totals.get(id(root))
        totals[id(root)] = (root, seed if total is None else total[1] + seed)
    return list(totals.values())


def visited_nodes(graph: Subgraph, targets: Sequence[Recorded] | None) -> list[Node]:
    """The nodes whose rules run: those that a gradient flows through, to any of ``targets`` unless these are None."""
    flowing = graph.flowing()
    if targets is None:
        return flowing
    ids = {id(t) for t in targets}
    numbers: set[int] = set()
    for node in flowing:
        for x, needs in zip(node.inputs, node.needs, strict=True):
            if needs and (id(x) in ids or (isinstance(x, Recorded) and x.node is not None and x.node.number in numbers)):
                numbers.add(node.number)
    return [node for node in flowing if node.number in numbers]
