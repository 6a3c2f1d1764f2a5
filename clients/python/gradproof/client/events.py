"""Response types: run events, and the `Result` that collects them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from numpy.typing import NDArray

from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import Assembler, decode_attributes, decode_tensor

Array: TypeAlias = NDArray[Any]
Element: TypeAlias = tuple[int, ...]
REQUIRED = inspect.Parameter.empty
"""The default of an attribute that each node must set."""


@dataclass(frozen=True)
class Accepted:
    """The request has no faults. ``digest`` names its graph from now on."""

    digest: str
    node_count: int
    estimated_bytes: int


@dataclass(frozen=True)
class Value:
    """A value of the forward half (read-only)."""

    name: str
    value: Array


@dataclass(frozen=True)
class HookTrace:
    """Effect of a hook: the gradient after it, and whether any bit changed."""

    name: str
    result: Array
    changed: bool


@dataclass(frozen=True)
class Gradient:
    """A gradient: after all hooks, and raw. None where no gradient reaches the value (which is not zeros). ``grad_fn``: the
    name of the backward node, empty for a leaf."""

    name: str
    gradient: Array | None
    raw: Array | None
    hooks: tuple[HookTrace, ...]
    grad_fn: str


@dataclass(frozen=True)
class Witness:
    """An element that is wrong: the number that was computed, and the true value. ``input`` is empty for a forward value,
    ``element`` for a 0-d tensor, ``point`` for a verdict on the numbers of a run."""

    input: str
    element: Element
    point: str
    got: str
    expected: str


@dataclass(frozen=True)
class RuleVerdict:
    """What is known of a rule: PROVED, PROVED_AE, AGREED, UNDECIDED, NO_SPEC, PENDING or REFUTED; time in seconds."""

    word: str
    op: str
    shape_class: str
    tactic: str
    domain: str
    tie_set: str
    reason: str
    witness: Witness | None
    seconds: float
    cached: bool
    obligations: tuple[str, ...] = ()


@dataclass(frozen=True)
class ValueVerdict:
    """What is known of the numbers: ENCLOSED, SCREENED, TIE, CONDITIONED, ILL_CONDITIONED,
    OVERFLOWED, NONFINITE, UNCHECKED or OFF."""

    word: str
    max_ulps: float
    checked: int
    total: int
    reason: str
    witness: Witness | None
    bits: int
    screened: int = 0
    sampled: int = 0
    through_rule: bool = False


@dataclass(frozen=True)
class AccumulationVerdict:
    """Whether the gradient is the sum over all uses: EXACT, ILL_CONDITIONED, UNCHECKED or OFF."""

    word: str
    uses: int
    reason: str


@dataclass(frozen=True)
class GraphVerdict:
    """What is known of the whole graph: CONSISTENT, ILL_CONDITIONED, CUT, SKIPPED or INCONSISTENT. ``ratio``: distance of the
    gradient from the derivative of the forward pass, in rounding units; time in seconds."""

    word: str
    reason: str
    ratio: float
    bits_lost: float
    directions: int
    nodes_read: int
    nodes_total: int
    seconds: float


@dataclass(frozen=True)
class Use:
    """A contribution, through an input of node ``node``. ``forward`` is the check of the node's own result."""

    node: int
    op: str
    input: str
    position: int
    rule: RuleVerdict
    value: ValueVerdict
    forward: ValueVerdict


@dataclass(frozen=True)
class Origin:
    """The node that first made a number which is not finite out of finite ones; ``rule``: its backward rule did."""

    node: int
    op: str
    rule: bool
    element: Element
    got: str


@dataclass(frozen=True)
class Verdict:
    """What is known of a gradient. ``summary``: verified, plausible, unchecked or wrong; ``reason`` decides it.
    ``nonfinite``: the origin of a number in the gradient that is not finite."""

    name: str
    summary: str
    reason: str
    uses: tuple[Use, ...]
    accumulation: AccumulationVerdict
    graph: GraphVerdict
    hooked_by: tuple[str, ...]
    nonfinite: Origin | None = None


@dataclass(frozen=True)
class Progress:
    """How far the checks of a run, or the proofs of an op, are. ``stage``: numbers, proofs, or empty for a stage that this
    client does not know."""

    stage: str
    proofs_done: int
    proofs_total: int
    nodes_read: int
    nodes_total: int


@dataclass(frozen=True)
class Fault:
    """A node or hook failed; the call then raises."""

    node: int | None
    op: str
    plugin: str
    reason: str
    message: str


@dataclass(frozen=True)
class Summary:
    """Counts and times of a run, in seconds. ``weaker``: gradients below the required summary; ``saved_bytes``: bytes that the
    session saved of the run; ``nodes_computed``: nodes whose values were not saved before."""

    verified: int
    plausible: int
    unchecked: int
    wrong: int
    elements_checked: int
    elements_total: int
    run_seconds: float
    verify_seconds: float
    weaker: int = 0
    saved_bytes: int = 0
    nodes_computed: int = 0


Event: TypeAlias = Accepted | Value | Gradient | Verdict | Progress | Fault | Summary


@dataclass
class Result:
    """All values, gradients and verdicts of a run, by name."""

    digest: str = ""
    values: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Gradient] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    summary: Summary | None = None

    def add(self, event: Event) -> None:
        """Add an event."""
        if isinstance(event, Accepted):
            self.digest = event.digest
        elif isinstance(event, Value):
            self.values[event.name] = event.value
        elif isinstance(event, Gradient):
            self.gradients[event.name] = event
        elif isinstance(event, Verdict):
            self.verdicts[event.name] = event
        elif isinstance(event, Summary):
            self.summary = event


@dataclass(frozen=True)
class OpInfo:
    """An op that the server knows. ``attributes``: defaults by name, `REQUIRED` where each node must set the attribute;
    ``grad_fn``: the name of the backward node, empty where the op is not differentiable."""

    name: str
    plugin: str
    doc: str
    inputs: tuple[str, ...]
    variadic: bool
    attributes: dict[str, Any]
    elementwise: bool
    differentiable: bool
    grad_fn: str
    domains: tuple[str, ...]
    tie_convention: str
    verdict: RuleVerdict | None


class EventDecoder:
    """Turns messages of a stream into events, and puts tensors in chunks together."""

    def __init__(self) -> None:
        self._tensors = Assembler()

    def decode(self, message: pb.Event) -> Iterator[Event]:
        """The events of a message; none for a part of a tensor, and for a kind that this client does not know."""
        kind = message.WhichOneof("kind")
        if kind == "header":
            self._tensors.header(message.header)
        elif kind == "chunk":
            self._tensors.chunk(message.chunk)
        elif kind == "accepted":
            yield Accepted(message.accepted.digest, message.accepted.node_count, message.accepted.estimated_bytes)
        elif kind == "values":
            for named in message.values.values:
                yield Value(named.name, self.tensor(named.value))
        elif kind == "gradients":
            for gradient in message.gradients.gradients:
                yield self._gradient(gradient)
        elif kind == "verdicts":
            for verdict in message.verdicts.verdicts:
                yield decode_verdict(verdict)
        elif kind == "progress":
            yield decode_progress(message.progress)
        elif kind == "fault":
            f = message.fault
            yield Fault(f.node if f.HasField("node") else None, f.op, f.plugin, f.reason, f.message)
        elif kind == "summary":
            yield decode_summary(message.summary)

    def _gradient(self, message: pb.Gradient) -> Gradient:
        gradient = self.tensor(message.gradient) if message.HasField("gradient") else None
        raw = self.tensor(message.raw) if message.HasField("raw") else gradient
        hooks = tuple(HookTrace(h.name, self.tensor(h.result), h.changed) for h in message.hooks)
        return Gradient(message.value, gradient, raw, hooks, message.grad_fn)

    def tensor(self, message: tensor_pb2.Tensor) -> Array:
        """The array of a message, whose chunks have come."""
        array = decode_tensor(message, self._tensors.complete)
        if message.WhichOneof("body") == "tensor_id":
            del self._tensors.complete[message.tensor_id]
        return array


def _word(enum: Any, number: int, prefix: str, unknown: str) -> str:
    """The word of a verdict; ``unknown`` for a word that this client does not know."""
    name = enum.values_by_number.get(number)
    return unknown if name is None or not number else str(name.name).removeprefix(prefix)


def _witness(message: Any) -> Witness | None:
    if not message.HasField("witness"):
        return None
    w = message.witness
    return Witness(w.input, tuple(w.element), w.point, w.got, w.expected)


def decode_rule(message: verdict_pb2.RuleVerdict) -> RuleVerdict:
    """A rule verdict with its word as text."""
    word = _word(verdict_pb2.RuleWord.DESCRIPTOR, message.word, "RULE_WORD_", "UNDECIDED")
    evidence = (message.op, message.shape_class, message.tactic, message.domain, message.tie_set, message.reason)
    obligations = tuple(message.obligations)
    return RuleVerdict(word, *evidence, _witness(message), message.seconds, message.cached, obligations)


def _value(v: verdict_pb2.ValueVerdict) -> ValueVerdict:
    word = _word(verdict_pb2.ValueWord.DESCRIPTOR, v.word, "VALUE_WORD_", "UNCHECKED")
    numbers = (v.bits, v.screened, v.sampled, v.through_rule)
    return ValueVerdict(word, v.max_ulps, v.checked, v.total, v.reason, _witness(v), *numbers)


def _accumulation(a: verdict_pb2.AccumulationVerdict) -> AccumulationVerdict:
    word = _word(verdict_pb2.AccumulationWord.DESCRIPTOR, a.word, "ACCUMULATION_WORD_", "UNCHECKED")
    return AccumulationVerdict(word, a.uses, a.reason)


def _graph(g: verdict_pb2.GraphVerdict) -> GraphVerdict:
    word = _word(verdict_pb2.GraphWord.DESCRIPTOR, g.word, "GRAPH_WORD_", "SKIPPED")
    return GraphVerdict(word, g.reason, g.ratio, g.bits_lost, g.directions, g.nodes_read, g.nodes_total, g.seconds)


def decode_verdict(message: verdict_pb2.GradientVerdict) -> Verdict:
    """A gradient's verdict with its words as text."""
    uses = [
        Use(use.node, use.op, use.input, use.position, decode_rule(use.rule), _value(use.value), _value(use.forward))
        for use in message.uses
    ]
    origin = message.nonfinite if message.HasField("nonfinite") else None
    return Verdict(
        message.value,
        _word(verdict_pb2.SummaryWord.DESCRIPTOR, message.summary, "SUMMARY_WORD_", "UNCHECKED").lower(),
        message.reason,
        tuple(uses),
        _accumulation(message.accumulation),
        _graph(message.graph),
        tuple(message.hooked_by),
        origin and Origin(origin.node, origin.op, origin.rule, tuple(origin.element), origin.got),
    )


def decode_progress(message: verdict_pb2.Progress) -> Progress:
    """Progress with its stage as text."""
    stage = _word(verdict_pb2.CheckStage.DESCRIPTOR, message.stage, "CHECK_STAGE_", "").lower()
    return Progress(stage, message.proofs_done, message.proofs_total, message.nodes_read, message.nodes_total)


def decode_summary(s: pb.RunSummary) -> Summary:
    """Counts and times of a run."""
    return Summary(
        s.verified,
        s.plausible,
        s.unchecked,
        s.wrong,
        s.elements_checked,
        s.elements_total,
        s.run_seconds,
        s.verify_seconds,
        s.weaker,
        s.saved_bytes,
        s.nodes_computed,
    )


def decode_op(message: op_service_pb2.OpInfo) -> OpInfo:
    """An op of the catalogue."""
    defaults = {a.name: a.default_value for a in message.attributes if a.HasField("default_value")}
    values = decode_attributes(defaults)
    return OpInfo(
        message.name,
        message.plugin,
        message.doc,
        tuple(message.inputs),
        message.variadic,
        {attribute.name: values.get(attribute.name, REQUIRED) for attribute in message.attributes},
        message.elementwise,
        message.differentiable,
        message.grad_fn,
        tuple(message.domains),
        message.tie_convention,
        decode_rule(message.verdict) if message.HasField("verdict") else None,
    )
