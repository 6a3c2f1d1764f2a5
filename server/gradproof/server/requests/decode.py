"""From request messages to the engine's jobs. All faults of decoding are collected, with their paths."""

from __future__ import annotations

import math
import re
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
INPUT = frozenset(field.name for field in pb.RunInput.DESCRIPTOR.fields)


def request_path(path: str) -> str:
    """The path in a request of a field of RunInput, or of the request itself."""
    return f"input.{path}" if re.split(r"[.\[]", path, maxsplit=1)[0] in INPUT else path


@dataclass
class Decoder:
    """Decodes a request. ``chunked``: tensors that came in chunks, by id; ``session``: whether the request is on a session;
    ``faults``: faults so far."""

    limits: Limits
    chunked: Mapping[int, Array] = field(default_factory=dict)
    session: bool = False
    faults: list[Violation] = field(default_factory=list)

    def tensor(self, path: str, message: tensor_pb2.Tensor) -> Array | None:
        """The array at ``path``, or None with the fault noted."""
        try:
            return decode_tensor(message, self.chunked)
        except WireError as error:
            self.faults.append(Violation(f"{path}.{error.path}", error.message, error.reason))
            return None

    def attributes(self, path: str, message: Mapping[str, graph_pb2.Attribute]) -> dict[str, Any]:
        """The attributes below ``path``, or none of them with the fault noted."""
        try:
            return decode_attributes(message)
        except WireError as error:
            self.faults.append(Violation(f"{path}.{error.path}", error.message, error.reason))
            return {}

    def graph(self, message: graph_pb2.Graph, path: str = "graph") -> tuple[Graph, list[tuple[str, Array, str]]]:
        """The graph, and the values that its leaves carry, each with its path."""
        carried: list[tuple[str, Array, str]] = []
        leaves = [self._leaf(leaf, f"{path}.leaves[{k}]", carried) for k, leaf in enumerate(watched(message.leaves))]
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

    def _leaf(self, leaf: graph_pb2.Leaf, path: str, carried: list[tuple[str, Array, str]]) -> Leaf:
        """A leaf; the value that it carries is appended to ``carried``."""
        name, spec = self.name(f"{path}.name", leaf.name), None
        if leaf.HasField("value"):
            array = self.tensor(f"{path}.value", leaf.value)
            if array is not None:
                carried.append((name, array, path))
                spec = Spec(array.shape, array.dtype, leaf.value.weak and array.shape == ())
        if leaf.HasField("spec") or not leaf.HasField("value"):
            try:
                shape, dtype = decode_spec(leaf.spec)
                spec = Spec(shape, dtype, bool(spec and spec.weak))
            except WireError as error:
                self.faults.append(Violation(f"{path}.{error.path}", error.message, error.reason))
        return Leaf(name, spec or Spec((), np.dtype(np.float64)), leaf.requires_grad)

    def _rule(self, message: graph_pb2.Rule, path: str) -> Rule:
        inputs = []
        for j, spec in enumerate(message.inputs):
            try:
                inputs.append(Spec(*decode_spec(spec)))
            except WireError as error:
                place = f"{path}.inputs[{j}]{error.path.removeprefix('spec')}"
                self.faults.append(Violation(place, error.message, error.reason))
                inputs.append(Spec((), np.dtype(np.float64)))
        return Rule(self.name(f"{path}.op", message.op), tuple(inputs), self.attributes(path, message.attributes))

    def name(self, path: str, name: str) -> str:
        """The name at ``path``. A name that is too long is noted, and shortened: texts of later faults name it too."""
        most = self.limits.name_bytes
        if 4 * len(name) <= most or len(name.encode()) <= most:
            return name
        self.faults.append(Violation(path, f"a name is longer than {most} bytes", "NAME_LENGTH"))
        return f"{name[: min(most, 32)]}..."

    def names(self, path: str, names: Sequence[str]) -> tuple[str, ...]:
        """The names at ``path``."""
        if 4 * len(max(names, key=len, default="")) <= self.limits.name_bytes:
            return tuple(names)
        return tuple(self.name(f"{path}[{k}]", name) for k, name in enumerate(names))

    def enum(self, path: str, kind: Any, number: int, reason: str) -> None:
        """Note a number that an enum does not have."""
        if number not in kind.values():
            self.faults.append(Violation(path, f"{number} is none of {', '.join(kind.keys())}", reason))

    def verify(self, options: pb.VerifyOptions) -> None:
        """Note faults of the options by which a run is checked."""
        self.enum("verify.level", pb.VerifyLevel, options.level, "VERIFY_LEVEL")
        self.enum("verify.required", verdict_pb2.SummaryWord, options.required, "VERIFY_REQUIRED")
        if not 0 <= options.budget_seconds < math.inf:
            text = f"{options.budget_seconds} is no time in seconds"
            self.faults.append(Violation("verify.budget_seconds", text, "VERIFY_BUDGET"))
        if options.required and options.level == pb.VERIFY_LEVEL_OFF:
            text = "a summary is required, and the level is OFF: nothing would be checked"
            self.faults.append(Violation("verify.required", text, "VERIFY_REQUIRED_OFF"))

    def hooks(self, messages: Sequence[graph_pb2.Hook]) -> list[Hook | GraphHook | ClientHook]:
        """The hooks, of all kinds. A hook that runs at the client is a fault where there is no session."""
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

    def saving(self, run_input: pb.RunInput) -> None:
        """Note faults of names under which the request saves values, or takes them."""
        saved = run_input.WhichOneof("source") == "saved"
        self.name("save_as", run_input.save_as)
        for path, used in (("save_as", bool(run_input.save_as)), ("saved", saved), ("reuse", bool(run_input.reuse))):
            if used and not self.session:
                text = "values are saved for the requests of a Session; there is none"
                self.faults.append(Violation(path, text, "SAVE_NEEDS_SESSION"))
        if saved and (run_input.values or run_input.reuse):
            text = "the values of a saved run stay as they are: send the graph or its digest with other values"
            self.faults.append(Violation("values", text, "SAVED_VALUES"))

    def reused(self, run_input: pb.RunInput, runs: Sequence[Forward]) -> Iterator[tuple[str, Array, str]]:
        """Names, values and paths of the values that the request takes from saved runs."""
        for k, (message, run) in enumerate(zip(run_input.reuse, runs, strict=False)):  # there are none without a session
            saved_names = message.saved_values or message.values
            if len(saved_names) != len(message.values):
                text = f"{len(saved_names)} names for {len(message.values)} values"
                self.faults.append(Violation(f"reuse[{k}].saved_values", text, "REUSE_COUNT"))
                continue
            for j, (name, saved) in enumerate(zip(watched(message.values), saved_names, strict=True)):
                value = run.value(saved)
                if value is None:
                    near = did_you_mean(saved, run.numbers)
                    text = f"the saved run {message.saved!r} has no value named {saved!r}{near}"
                    self.faults.append(Violation(f"reuse[{k}].saved_values[{j}]", text, "VALUE_UNKNOWN"))
                else:
                    yield name, value, f"reuse[{k}].values[{j}]"

    def seeds(self, messages: Sequence[pb.Seed]) -> list[tuple[str, Array]]:
        """Cotangents by the names of outputs."""
        seeds = []
        for k, seed in enumerate(watched(messages)):
            array = self.tensor(f"seeds[{k}].cotangent", seed.cotangent)
            if array is not None:
                seeds.append((self.name(f"seeds[{k}].output", seed.output), array))
        return seeds


@dataclass(frozen=True)
class Source:
    """The part of a run that the server has already: the graph that a request names, the saved run that it goes on from,
    and the saved runs whose values it reuses."""

    graph: Graph | None = None
    forward: Forward | None = None
    reused: Sequence[Forward] = ()


@dataclass
class _Values:
    """Values of leaves, and of results that are not computed; ``paths``: the request's path of each, by the engine's."""

    leaves: list[tuple[str, Array]]
    results: list[tuple[str, Array]] = field(default_factory=list)
    paths: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, array: Array, path: str, *, result: bool = False) -> None:
        """Note a value that stands at ``path`` in the request."""
        kind, values = ("known", self.results) if result else ("values", self.leaves)
        values.append((name, array))
        self.paths[f"{kind}[{len(values) - 1}]"] = path


@dataclass
class Decoded:
    """A job, and the request's path of each of its values, by the engine's path."""

    job: Job
    paths: dict[str, str]

    def relocated(self, error: InvalidRequest) -> InvalidRequest:
        """``error`` with the paths of the request."""
        faults = []
        for fault in error.faults:
            head, dot, tail = fault.path.partition(".")
            path = request_path(self.paths.get(head, head) + dot + tail)
            faults.append(Violation(path, fault.message, fault.reason))
        return InvalidRequest(faults)


def decode_job(
    request: Request,
    source: Source,
    limits: Limits,
    chunked: Mapping[int, Array],
    registry: Registry,
    *,
    session: bool = False,
) -> Decoded:
    """The job of a request. Raises InvalidRequest with all faults of decoding and of the graph, or LimitExceeded."""
    check_counts(request, limits)
    decoder, run_input = Decoder(limits, chunked, session), request.input
    decoder.saving(run_input)
    decoder.enum("tensor_format", tensor_pb2.TensorFormat, run_input.tensor_format, "TENSOR_FORMAT")
    if isinstance(request, pb.DifferentiateRequest):
        decoder.verify(request.verify)
    if source.graph is None and run_input.WhichOneof("source") == "saved":
        raise _invalid(decoder.faults)
    graph, carried = (source.graph, []) if source.graph is not None else decoder.graph(run_input.graph)
    values = _values(decoder, run_input, source, graph, carried)
    fetch = decoder.names("fetch", run_input.fetch)
    if isinstance(request, pb.EvaluateRequest):
        job = Job(graph, values.leaves, fetch=fetch, known=values.results)
    else:
        job = Job(
            graph,
            values.leaves,
            decoder.seeds(request.seeds),
            decoder.hooks(request.hooks),
            decoder.names("gradients", request.gradients),
            decoder.names("retain", request.retain),
            fetch,
            values.results,
        )
    if decoder.faults:
        raise _invalid([*decoder.faults, *lower(graph, registry).faults])
    return Decoded(job, values.paths)


def _values(
    decoder: Decoder, run_input: pb.RunInput, source: Source, graph: Graph, carried: list[tuple[str, Array, str]]
) -> _Values:
    """The values of a run, wherever they come from."""
    values = _Values(list(source.forward.leaves.items()) if source.forward is not None else [])
    for k, named in enumerate(watched(run_input.values)):
        array = decoder.tensor(f"values[{k}].value", named.value)
        if array is not None:
            values.add(decoder.name(f"values[{k}].name", named.name), array, f"values[{k}]")
    leaves = {leaf.name for leaf in graph.leaves} if source.reused else set()
    for name, array, path in decoder.reused(run_input, source.reused):
        values.add(name, array, path, result=name not in leaves)
    beside = {name for name, _ in values.leaves}
    for name, array, path in watched(carried):
        if name not in beside:  # a value beside the graph replaces the value that the leaf carries
            beside.add(name)
            values.add(name, array, path)
    return values


def _invalid(faults: Sequence[Violation]) -> InvalidRequest:
    return InvalidRequest([Violation(request_path(fault.path), fault.message, fault.reason) for fault in faults])
