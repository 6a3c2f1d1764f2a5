"""Backward passes that are recorded: the server derives a graph from the graph, and its nodes join the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gradproof.client.handles import label_of
from gradproof.client.hooking import Named, checked
from gradproof.client.modes import enable_grad
from gradproof.client.record import Node, is_tensor
from gradproof.client.runtime import current
from gradproof.client.subgraph import Subgraph
from gradproof.client.tensor import Tensor
from gradproof.v1 import graph_pb2
from gradproof.wire import decode_attributes, decode_tensor


def backward_recorded(
    roots: Sequence[Tensor], seeds: Sequence[Tensor], wanted: Sequence[Tensor] | None
) -> dict[Tensor, Tensor]:
    """The gradients of ``roots`` with respect to ``wanted`` (None: all leaves) and to tensors that retain theirs, as
    tensors that can be differentiated. Those that nothing reaches are missing.

    The pass is cut at hooked tensors: what arrives there is summed, given to the hooks, and goes on from there.
    """
    with enable_grad():
        graph = Subgraph(roots, backward=True)
        inner = [t for _, t in graph.inner() if t.requires_grad]
        inner.sort(key=lambda t: -t._node.number)  # type: ignore[union-attr]
        stops = [t for t in inner if t._hooks or t._retains]
        aims = list({id(t): t for t in (graph.leaves.values() if wanted is None else wanted)}.values())
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
                if any(root is t for t in aims):
                    add(root, seed)
        if starts:
            go_on(starts, stops)
        for stop in stops:
            if id(stop) in sums:
                sums[id(stop)] = _hooked(stop, sums[id(stop)])
                go_on([(stop, sums[id(stop)])], [t for t in stops if t is not stop])
        found = {t: sums[id(t)] for t in [*stops, *aims] if id(t) in sums and (t._retains or any(t is a for a in aims))}
        return {t: g if id(t) in stop_ids else _hooked(t, g) for t, g in found.items()}


def _hooked(tensor: Tensor, gradient: Tensor) -> Tensor:
    """What the hooks of a tensor make of its gradient."""
    for _, hook in tensor._hooks:
        if isinstance(hook, Named):
            raise RuntimeError(f"the hook {hook.name!r} runs at the server, and a recorded pass does not go there")
        result = checked(hook(gradient), tensor, label_of(hook))
        gradient = gradient if result is None else result
    return gradient


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
            aim, part = by[one.by], environment[one.value]
            found[aim] = part if aim not in found else found[aim] + part
    return found


def _join(graph: graph_pb2.Graph, environment: dict[str, Any]) -> None:
    """Record the nodes of ``graph`` whose outputs ``environment`` does not have yet; leaves with values are added."""
    runtime = current()
    for leaf in graph.leaves:
        if leaf.name not in environment and leaf.HasField("value"):
            array = decode_tensor(leaf.value)
            environment[leaf.name] = array.item() if leaf.value.weak else Tensor(array.copy())
    for message in graph.nodes:
        if all(name in environment for name in message.outputs):
            continue
        inputs = [environment[name] for name in message.inputs]
        attributes = decode_attributes(message.attributes)
        info = runtime.op(message.op)
        if not any(map(is_tensor, inputs)):
            inputs = [Tensor(np.asarray(x)) for x in inputs]
        node = Node(message.op, inputs, attributes, runtime.infer(info, inputs, attributes), info)
        environment.update(zip(message.outputs, node.outputs(), strict=True))


def tangent(outputs: Sequence[Tensor], inputs: Sequence[Tensor], tangents: Sequence[Tensor]) -> list[Tensor | None]:
    """How ``outputs`` move when ``inputs`` move by ``tangents``: the derivative of a backward pass in its cotangents, which
    it is linear in."""
    from gradproof.client.constructors import zeros_like

    dummies = [zeros_like(y, requires_grad=True) for y in outputs]
    pulled = backward_recorded(outputs, dummies, inputs)
    pairs = [(pulled[x], v) for x, v in zip(inputs, tangents, strict=True) if x in pulled and pulled[x].requires_grad]
    if not pairs:
        return [None] * len(outputs)
    pushed: Mapping[Tensor, Tensor] = backward_recorded([g for g, _ in pairs], [v for _, v in pairs], dummies)
    return [pushed.get(u) for u in dummies]
