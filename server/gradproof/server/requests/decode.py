"""From request messages to the engine's jobs. Every fault of decoding is collected, with its path."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.engine import Forward
from gradproof.engine.errors import InvalidRequest, Violation
from gradproof.engine.graph import Graph, Leaf, Node, Rule
from gradproof.engine.graph_hook import GraphHook
from gradproof.engine.hints import did_you_mean
from gradproof.engine.hooks import ClientHook, Hook
from gradproof.engine.job import Job
from gradproof.engine.lower import lower
from gradproof.engine.registry import Registry
from gradproof.engine.spec import Array, Spec
from gradproof.server.limits import Limits
from gradproof.server.requests.counts import check_counts
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import WireError, decode_attributes, decode_spec, decode_tensor

Request: TypeAlias = pb.DifferentiateRequest | pb.EvaluateRequest


@dataclass
class Decoder:
    """Decodes one request: ``uploads`` are the session's tensors by id, ``session`` says whether there is one, ``faults``
    what was wrong so far."""

    limits: Limits
    uploads: Mapping[int, Array] = field(default_factory=dict)
    session: bool = False
    faults: list[Violation] = field(default_factory=list)

    def tensor(self, path: str, message: tensor_pb2.Tensor) -> Array | None:
        """The array at ``path``, or None with the fault noted."""
        try:
            return decode_tensor(message, self.uploads)
        except WireError as error:
            self.faults.append(Violation(f"{path}.{error.path}", error.message, error.reason))
            return None

    def attributes(self, path: str, message: Mapping[str, graph_pb2.Attribute]) -> dict[str, Any]:
        try:
            return decode_attributes(message)
        except WireError as error:
            self.faults.append(Violation(f"{path}.{error.path}", error.message, error.reason))
            return {}

    def graph(self, message: graph_pb2.Graph, path: str = "graph") -> tuple[Graph, list[tuple[str, Array, str]]]:
        """The graph, and the values that its leaves carry, each with its path."""
        leaves, carried = [], []
        for k, leaf in enumerate(watched(message.leaves)):
            place = f"{path}.leaves[{k}]"
            label = self.name(f"{place}.name", leaf.name)
            spec = None
            if leaf.HasField("value"):
                array = self.tensor(f"{place}.value", leaf.value)
                if array is not None:
                    carried.append((label, array, f"{place}"))
                    spec = Spec(array.shape, array.dtype, leaf.value.weak and array.shape == ())
            if leaf.HasField("spec") or not leaf.HasField("value"):
                try:
                    shape, dtype = decode_spec(leaf.spec)
                    spec = Spec(shape, dtype, bool(spec and spec.weak))
                except WireError as error:
                    self.faults.append(Violation(f"{place}.{error.path}", error.message, error.reason))
            leaves.append(Leaf(label, spec or Spec((), np.dtype(np.float64)), leaf.requires_grad))
        nodes = []
        for k, node in enumerate(watched(message.nodes)):
            place = f"{path}.nodes[{k}]"
            attributes = self.attributes(place, node.attributes) if node.attributes else {}
            op = self.name(f"{place}.op", node.op)
            inputs, outputs = self.names(f"{place}.inputs", node.inputs), self.names(f"{place}.outputs", node.outputs)
            nodes.append(Node(op, inputs, outputs, attributes, tuple(node.rules)))
        rules = [self._rule(rule, f"{path}.rules[{k}]") for k, rule in enumerate(watched(message.rules))]
        outputs = self.names(f"{path}.outputs", message.outputs)
        return Graph(tuple(leaves), tuple(nodes), outputs, tuple(rules)), carried

    def _rule(self, message: graph_pb2.Rule, path: str) -> Rule:
        inputs = []
        for j, one in enumerate(message.inputs):
            try:
                inputs.append(Spec(*decode_spec(one)))
            except WireError as error:
                place = f"{path}.inputs[{j}]{error.path.removeprefix('spec')}"
                self.faults.append(Violation(place, error.message, error.reason))
                inputs.append(Spec((), np.dtype(np.float64)))
        return Rule(self.name(f"{path}.op", message.op), tuple(inputs), self.attributes(path, message.attributes))

    def name(self, path: str, name: str) -> str:
        """The name at ``path``. One that is too long is noted, and shortened: what is said of it later stays short."""
        most = self.limits.name_bytes
        if 4 * len(name) <= most or len(name.encode()) <= most:
            return name
        self.faults.append(Violation(path, f"a name is longer than {most} bytes", "NAME_LENGTH"))
        return f"{name[: min(most, 32)]}..."

    def names(self, path: str, names: Sequence[str]) -> tuple[str, ...]:
        """The names at ``path``."""
        found = tuple(names)
        if 4 * len(max(found, key=len, default="")) <= self.limits.name_bytes:
            return found
        return tuple(self.name(f"{path}[{k}]", name) for k, name in enumerate(found))

    def enum(self, path: str, kind: Any, number: int, reason: str) -> None:
        """Note a number that is none of an enum's."""
        if number not in kind.values():
            self.faults.append(Violation(path, f"{number} is none of {', '.join(kind.keys())}", reason))

    def verify(self, options: pb.VerifyOptions) -> None:
        """Faults of the options by which a run is to be checked."""
        self.enum("verify.level", pb.VerifyLevel, options.level, "VERIFY_LEVEL")
        self.enum("verify.required", verdict_pb2.SummaryWord, options.required, "VERIFY_REQUIRED")
        if options.required and options.level == pb.VERIFY_LEVEL_OFF:
            text = "a summary is required, and the level is OFF: nothing would be checked"
            self.faults.append(Violation("verify.required", text, "VERIFY_REQUIRED_OFF"))

    def hooks(self, messages: Sequence[graph_pb2.Hook]) -> list[Hook | GraphHook | ClientHook]:
        """The hooks, of all kinds. Those that run at the client are a fault where no session is."""
        hooks: list[Hook | GraphHook | ClientHook] = []
        ids: set[int] = set()
        for k, message in enumerate(watched(messages)):
            path, kind = f"hooks[{k}]", message.WhichOneof("action")
            label, value = self.name(f"{path}.label", message.label), self.name(f"{path}.value", message.value)
            if kind == "graph":
                graph, carried = self.graph(message.graph, f"{path}.graph")
                values = [(name, array) for name, array, _ in carried]
                hooks.append(GraphHook(value, graph, values, label or kind))
            elif kind == "client":
                hook_id = message.client.hook_id
                hooks.append(ClientHook(value, hook_id, label or kind))
                if hook_id in ids:
                    self.faults.append(Violation(f"{path}.client.hook_id", f"{hook_id} is taken", "HOOK_ID"))
                ids.add(hook_id)
                if not self.session:
                    text = "a hook that runs at the client needs a Session: only there can the client answer"
                    self.faults.append(Violation(f"{path}.client", text, "HOOK_NEEDS_SESSION"))
            elif kind == "named":
                attributes = self.attributes(f"{path}.named", message.named.attributes)
                name = self.name(f"{path}.named.name", message.named.name)
                hooks.append(Hook(value, name, attributes, label=label))
            else:
                text = "a hook needs an action: named, graph or client"
                self.faults.append(Violation(path, text, "HOOK_ACTION"))
        return hooks

    def keeping(self, request: Request) -> None:
        """Faults of what the request keeps, or takes from kept runs."""
        kept = request.WhichOneof("source") == "kept"
        self.name("keep", request.keep)
        for path, asked in (("keep", bool(request.keep)), ("kept", kept), ("reuse", bool(request.reuse))):
            if asked and not self.session:
                text = "values are kept for the requests of one Session; there is none"
                self.faults.append(Violation(path, text, "KEEP_NEEDS_SESSION"))
        if kept and (request.values or request.reuse):
            text = "the values of a kept run stay as they are: send the graph or its digest with other values"
            self.faults.append(Violation("values", text, "KEPT_VALUES"))

    def reused(self, request: Request, runs: Sequence[Forward]) -> Iterator[tuple[str, Array, str]]:
        """Names, values and paths of what the request takes from kept runs."""
        for k, (message, run) in enumerate(zip(request.reuse, runs, strict=False)):  # none without a session
            there = message.kept_values or message.values
            if len(there) != len(message.values):
                text = f"{len(there)} names for {len(message.values)} values"
                self.faults.append(Violation(f"reuse[{k}].kept_values", text, "REUSE_COUNT"))
                continue
            for j, (name, kept) in enumerate(zip(watched(message.values), there, strict=True)):
                value = run.value(kept)
                if value is None:
                    text = f"the kept run {message.kept!r} has no value named {kept!r}{did_you_mean(kept, run.numbers)}"
                    self.faults.append(Violation(f"reuse[{k}].kept_values[{j}]", text, "VALUE_UNKNOWN"))
                else:
                    yield name, value, f"reuse[{k}].values[{j}]"


@dataclass
class Decoded:
    """A job, and where its values came from: the engine's path of a value -> the request's."""

    job: Job
    paths: dict[str, str]

    def relocated(self, error: InvalidRequest) -> InvalidRequest:
        """``error`` with the paths of the request."""
        faults = []
        for fault in error.faults:
            head, dot, tail = fault.path.partition(".")
            faults.append(Violation(self.paths.get(head, head) + dot + tail, fault.message, fault.reason))
        return InvalidRequest(faults)


def decode_job(
    request: Request,
    known: Graph | None,
    limits: Limits,
    uploads: Mapping[int, Array],
    registry: Registry,
    *,
    session: bool = False,
    forward: Forward | None = None,
    reused: Sequence[Forward] = (),
) -> Decoded:
    """The job of a request; ``known`` is the graph that it named, ``forward`` the kept run, ``reused`` those that values
    are taken from. Raises InvalidRequest with all faults of decoding and of the graph, or LimitExceeded."""
    check_counts(request, limits)
    decoder = Decoder(limits, uploads, session)
    decoder.keeping(request)
    if isinstance(request, pb.DifferentiateRequest):
        decoder.verify(request.verify)
    if known is None and request.WhichOneof("source") == "kept":
        raise InvalidRequest(decoder.faults)
    graph, carried = (known, []) if known is not None else decoder.graph(request.graph)
    values, paths = list(forward.leaves.items()) if forward is not None else [], {}
    for k, named in enumerate(watched(request.values)):
        array = decoder.tensor(f"values[{k}].value", named.value)
        if array is not None:
            values.append((decoder.name(f"values[{k}].name", named.name), array))
            paths[f"values[{len(values) - 1}]"] = f"values[{k}]"
    leaves = {leaf.name for leaf in graph.leaves} if reused else set()
    results: list[tuple[str, Array]] = []
    for name, array, path in decoder.reused(request, reused):
        kind, found = ("values", values) if name in leaves else ("known", results)
        found.append((name, array))
        paths[f"{kind}[{len(found) - 1}]"] = path
    beside = {name for name, _ in values}
    for name, array, path in watched(carried):
        if name not in beside:  # a value beside the graph replaces the one that the leaf carries
            beside.add(name)
            values.append((name, array))
            paths[f"values[{len(values) - 1}]"] = path
    if isinstance(request, pb.EvaluateRequest):
        job = Job(graph, values, fetch=decoder.names("fetch", request.fetch), known=results)
    else:
        seeds = []
        for k, seed in enumerate(watched(request.seeds)):
            array = decoder.tensor(f"seeds[{k}].cotangent", seed.cotangent)
            if array is not None:
                seeds.append((decoder.name(f"seeds[{k}].output", seed.output), array))
        job = Job(
            graph,
            values,
            seeds,
            decoder.hooks(request.hooks),
            decoder.names("gradients", request.gradients),
            decoder.names("retain", request.retain),
            decoder.names("fetch", request.fetch),
            results,
        )
    if decoder.faults:
        raise InvalidRequest([*decoder.faults, *lower(graph, registry).faults])
    return Decoded(job, paths)
