"""Backward passes that are recorded: the server derives a graph from the graph, and its nodes join the record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from gradproof.client.backward.around import positions_of
from gradproof.client.backward.handles import label_of
from gradproof.client.backward.hooking import Named, constant_hook
from gradproof.client.backward.passes import Evidence, together, visited_nodes
from gradproof.client.backward.results import checked, checked_all
from gradproof.client.backward.standing import Part, Standing
from gradproof.client.events import Result
from gradproof.client.recording.modes import enable_grad
from gradproof.client.recording.names import edges_of
from gradproof.client.recording.record import Node, is_tensor
from gradproof.client.recording.runtime import current
from gradproof.client.recording.subgraph import Subgraph
from gradproof.client.tensors.tensor import Tensor
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2
from gradproof.wire import decode_attributes, decode_tensor, encode_tensor


def backward_recorded(
    roots: Sequence[Tensor], seeds: Sequence[Tensor], wanted: Sequence[Tensor] | None
) -> dict[Tensor, Tensor]:
    """The gradients of ``roots`` with respect to ``wanted`` (None: all leaves) and to tensors that retain theirs, as
    tensors that can be differentiated. Those that nothing reaches are missing.

    The pass is cut at hooked tensors and nodes: what arrives there is summed, given to the hooks, and goes on from there.
    """
    with enable_grad():
        graph = Subgraph(roots, backward=True)
        inner = [t for _, t in graph.inner() if t.requires_grad]
        inner.sort(key=lambda t: -t._node.number)  # type: ignore[union-attr]
        aims = list({id(t): t for t in (graph.leaves.values() if wanted is None else wanted)}.values())
        visited = visited_nodes(graph, aims)
        hooked = {node: positions_of(node, visited, {id(t) for t in aims}) for node in visited if node.hooks}
        both = {id(t) for t in roots}.intersection(id(t) for t in aims)
        stops = [t for t in inner if t._hooks or t._retains or id(t) in both or t._node in hooked]
        sums: dict[int, Tensor] = {}

        def add(tensor: Tensor, part: Tensor) -> None:
            before = sums.get(id(tensor))
            sums[id(tensor)] = part if before is None else before + part

        def go_on(starts: Sequence[tuple[Tensor, Tensor]], cut: Sequence[Tensor]) -> None:
            for tensor, part in _flow(starts, [*stops, *aims], cut).items():
                add(tensor, part)

        starts = []
        stop_ids = {id(t) for t in stops}
        for root, seed in zip(roots, seeds, strict=True):
            seed = seed.to(root.dtype)
            if id(root) in stop_ids or root.is_leaf:
                add(root, seed)
            else:
                starts.append((root, seed))
        if starts:
            go_on(starts, stops)
        for node, outputs in groupby(stops, key=lambda t: t._node):
            gradients = {t: _hooked(t, sums[id(t)]) for t in outputs if id(t) in sums}
            sums.update((id(t), gradient) for t, gradient in gradients.items())
            if node not in hooked:
                for stop, gradient in gradients.items():
                    go_on([(stop, gradient)], [t for t in stops if t is not stop])
                continue
            for x, part in _through(node, gradients, hooked[node]):
                if id(x) in stop_ids or x._node is None or any(x is t for t in aims):
                    add(x, part)
                if id(x) not in stop_ids and x._node is not None:
                    go_on([(x, part)], stops)
        found = {t: sums[id(t)] for t in [*stops, *aims] if id(t) in sums and (t._retains or any(t is a for a in aims))}
        gradients = {t: g if id(t) in stop_ids else _hooked(t, g) for t, g in found.items()}
        changed = {t: gradients.get(t, sums.get(id(t))) for t in [*stops, *aims] if t._hooks}
        return _known(graph, list(zip(roots, seeds, strict=True)), gradients, changed)


def _known(
    graph: Subgraph,
    starts: Sequence[tuple[Tensor, Tensor]],
    gradients: Mapping[Tensor, Tensor],
    changed: Mapping[Tensor, Tensor | None],
) -> dict[Tensor, Tensor]:
    """The gradients, with the evidence of a pass through the graph itself, unrecorded: with the same cotangents, and hooks
    of tensors that return again what they did (``changed``)."""
    names = {id(t): graph.names_of(t) for t in gradients}
    seeds = [(root, seed.detach()) for root, seed in starts]
    hooks = [(graph.names_of(t), result.detach()) for t, result in changed.items() if result is not None]

    def complete(request: pb.DifferentiateRequest) -> None:
        totals = together([root for root, _ in seeds], [seed.value().astype(root.dtype) for root, seed in seeds])
        for root, seed in totals:
            request.seeds.add(output=graph.name(root), cotangent=encode_tensor(seed.astype(root.dtype)))
        request.hooks.extend(constant_hook(own[0], "hook", result.value()) for own, result in hooks if len(own) == 1)

    request = pb.DifferentiateRequest(gradients=dict.fromkeys(name for own in names.values() for name in own))
    evidence = Evidence(current(), graph, request, Result(), names, True, complete)
    given = {id(seed) for _, seed in starts}
    found = {}
    for t, gradient in gradients.items():
        # A cotangent that arrives as it was given is a tensor of its own: what is known is of the gradient.
        own = gradient.clone() if id(gradient) in given or gradient._evidence is not None else gradient
        if names[id(t)]:
            own._evidence = Standing(own, [Part(evidence, names[id(t)], own)])
        found[t] = own
    return found


def _hooked(tensor: Tensor, gradient: Tensor) -> Tensor:
    """What the hooks of a tensor make of its gradient."""
    for _, hook in tensor._hooks:
        if isinstance(hook, Named):
            raise RuntimeError(f"the hook {hook.name!r} runs at the server, and a recorded pass does not go there")
        result = checked(hook(gradient), tensor, label_of(hook))
        gradient = gradient if result is None else result
    return gradient


def _through(node: Node, gradients: Mapping[Tensor, Tensor], positions: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
    """What the rule of a node and its hooks make of the gradients of its outputs: inputs, and what is added to theirs."""
    assert node.hooks is not None
    by_slot = {t._slot: gradient for t, gradient in gradients.items()}
    given = tuple(by_slot.get(slot) for slot in range(len(node.specs)))
    for _, hook in node.hooks.before:
        given = checked_all(hook(given), given, label_of(hook)) or given
    parts = _pulled(node, given, positions) if any(one is not None for one in given) else {}
    edges = edges_of(node)
    results = tuple(parts.get(k) for k in edges)
    for _, hook in node.hooks.after:
        results = checked_all(hook(results, given), results, label_of(hook)) or results
    for k, part in zip(edges, results, strict=True):
        if part is not None:
            yield node.inputs[k], part  # type: ignore[misc]


def _pulled(node: Node, given: Sequence[Tensor | None], positions: Sequence[int]) -> dict[int, Tensor]:
    """What the rule of one node makes of the gradients of its outputs, recorded; for each use of an input by itself."""
    stand_ins = [
        Tensor(np.broadcast_to(np.zeros((), x.dtype), x.shape), k in positions) if is_tensor(x) else x
        for k, x in enumerate(node.inputs)
    ]
    copy = Node(node.op, stand_ins, node.attributes, node.specs, node.info, node.rules)
    outputs = copy.outputs()
    graph = Subgraph(outputs, backward=True)
    derived = current().derive(graph, [graph.edge(copy, k) for k in positions])
    environment: dict[str, Any] = {}
    for k, (x, array) in enumerate(zip(node.inputs, node.arrays, strict=True)):
        environment[graph.edge(copy, k)] = x if array is None or x._value is array else Tensor(array)  # type: ignore[union-attr]
    seeds = {}
    for slot, (spec, gradient) in enumerate(zip(node.specs, given, strict=True)):
        environment[graph.name_of(copy, slot)] = node.held(slot)
        seeds[graph.name_of(copy, slot)] = Tensor(np.zeros(spec.shape, spec.dtype)) if gradient is None else gradient
    for of, leaf in derived.leaves.items():
        environment[leaf] = seeds[of]
    _join(derived.graph, environment)
    values = {one.by: environment[one.value] for one in derived.results if one.value is not None}
    return {k: values[name] for k in positions if (name := graph.edge(copy, k)) in values}


def _flow(starts: Sequence[tuple[Tensor, Tensor]], aims: Sequence[Tensor], cut: Sequence[Tensor]) -> dict[Tensor, Tensor]:
    """What the cotangents of ``starts`` contribute to each of ``aims``, without going through ``cut``."""
    totals: dict[int, tuple[Tensor, Tensor]] = {}
    for root, seed in starts:
        before = totals.get(id(root))
        totals[id(root)] = (root, seed if before is None else before[1] + seed)
    roots = [root for root, _ in totals.values()]
    graph = Subgraph(roots, backward=True, cut=cut)
    by = {}
    root_ids = {id(root) for root in roots}
    for aim in aims:
        for name in graph.names_of(aim):
            if id(aim) not in root_ids or aim.is_leaf:
                by[name] = aim
    if not by:
        return {}
    derived = current().derive(graph, list(by))
    environment: dict[str, Any] = graph.environment()
    seeds = {graph.name(root): seed for root, seed in totals.values()}
    for of, leaf in derived.leaves.items():
        environment[leaf] = seeds[of]
    _join(derived.graph, environment)
    found: dict[Tensor, Tensor] = {}
    for one in derived.results:
        if one.value is not None:
            aim, part = by[str(one.by)], environment[one.value]
            found[aim] = part if aim not in found else found[aim] + part
    return found


def _join(graph: graph_pb2.Graph, environment: dict[str, Any]) -> None:
    """Record the nodes of ``graph`` whose outputs ``environment`` does not have yet; leaves with values are added."""
    runtime = current()
    for leaf in graph.leaves:
        if leaf.name not in environment and leaf.HasField("value"):
            array = decode_tensor(leaf.value)
            environment[leaf.name] = array.item() if leaf.value.weak else Tensor(array.copy())
    rules = [rule.SerializeToString(deterministic=True) for rule in graph.rules]
    for message in graph.nodes:
        if all(name in environment for name in message.outputs):
            continue
        inputs = [environment[name] for name in message.inputs]
        attributes = decode_attributes(message.attributes)
        info = runtime.op(message.op)
        if not any(map(is_tensor, inputs)):
            inputs = [Tensor(np.asarray(x)) for x in inputs]
        own = tuple(rules[k] for k in message.rules)
        node = Node(message.op, inputs, attributes, runtime.infer(info, inputs, attributes), info, own)
        environment.update(zip(message.outputs, node.outputs(), strict=True))


def tangent(outputs: Sequence[Tensor], inputs: Sequence[Tensor], tangents: Sequence[Tensor]) -> list[Tensor | None]:
    """How ``outputs`` move when ``inputs`` move by ``tangents``: the derivative of a backward pass in its cotangents, which
    it is linear in."""
    from gradproof.client.tensors.constructors import zeros_like

    dummies = [zeros_like(y, requires_grad=True) for y in outputs]
    pulled = backward_recorded(outputs, dummies, inputs)
    pairs = [(pulled[x], v) for x, v in zip(inputs, tangents, strict=True) if x in pulled and pulled[x].requires_grad]
    if not pairs:
        return [None] * len(outputs)
    pushed: Mapping[Tensor, Tensor] = backward_recorded([g for g, _ in pairs], [v for _, v in pairs], dummies)
    return [pushed.get(u) for u in dummies]
