"""What comes back, with NumPy arrays: events of a run, and their sum."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from numpy.typing import NDArray

from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import Assembler, decode_tensor

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class Accepted:
    """The request is sound. ``digest`` names its graph from now on."""

    digest: str
    nodes: int
    estimated_bytes: int


@dataclass(frozen=True)
class Value:
    """A value of the forward half (read-only)."""

    name: str
    value: Array


@dataclass(frozen=True)
class HookTrace:
    """What one hook did."""

    name: str
    result: Array
    changed: bool


@dataclass(frozen=True)
class Gradient:
    """A gradient: after all hooks, and raw. None where none reaches the value (which is not zeros)."""

    name: str
    gradient: Array | None
    raw: Array | None
    hooks: tuple[HookTrace, ...]
    grad_fn: str


@dataclass(frozen=True)
class Witness:
    """Where something is wrong: what was got, what the truth is."""

    input: str
    element: str
    point: str
    got: str
    expected: str


@dataclass(frozen=True)
class RuleVerdict:
    """What is known of a rule: PROVED, PROVED_AE, AGREED, UNDECIDED, REFUTED, NO_SPEC or PENDING."""

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
    """Whether the gradient is the sum over all uses: EXACT, ILL_CONDITIONED, OFF or UNCHECKED."""

    word: str
    uses: int
    reason: str


@dataclass(frozen=True)
class GraphVerdict:
    """What is known of the whole graph: CONSISTENT, INCONSISTENT, ILL_CONDITIONED, CUT or SKIPPED. ``ratio``: how far the
    gradient is from the derivative of the forward pass, in rounding units; time in seconds."""

    word: str
    reason: str
    ratio: float
    bits_lost: float
    directions: int
    nodes: int
    total: int
    seconds: float


@dataclass(frozen=True)
class Use:
    """One contribution, through one input of node ``node``. ``forward`` is of the node's own result."""

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
    element: str
    got: str


@dataclass(frozen=True)
class Verdict:
    """What is known of a gradient. ``summary``: verified, plausible, unchecked or wrong; ``reason`` decides it.
    ``nonfinite``: where what is not finite in the gradient was made."""

    name: str
    summary: str
    reason: str
    uses: tuple[Use, ...]
    accumulation: AccumulationVerdict
    graph: GraphVerdict
    hooked_by: tuple[str, ...]
    nonfinite: Origin | None = None


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
    """The run in numbers; times in seconds. ``weaker``: gradients that do not reach what was required; ``kept_bytes``:
    what the session keeps of the run; ``nodes_computed``: nodes whose values were not known from a run before."""

    verified: int
    plausible: int
    unchecked: int
    wrong: int
    elements_checked: int
    elements_total: int
    run_seconds: float
    verify_seconds: float
    weaker: int = 0
    kept_bytes: int = 0
    nodes_computed: int = 0


Event: TypeAlias = Accepted | Value | Gradient | Verdict | Fault | Summary


@dataclass
class Result:
    """Everything of one run, by name."""

    digest: str = ""
    values: dict[str, Array] = field(default_factory=dict)
    gradients: dict[str, Gradient] = field(default_factory=dict)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    summary: Summary | None = None

    def add(self, event: Event) -> None:
        """Take in one event."""
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
    """An op that the server knows. ``attributes``: defaults as text, empty where one must be given."""

    name: str
    plugin: str
    doc: str
    inputs: tuple[str, ...]
    variadic: bool
    attributes: dict[str, str]
    elementwise: bool
    differentiable: bool
    grad_fn: str
    domains: tuple[str, ...]
    tie_convention: str
    verdict: RuleVerdict | None


class EventDecoder:
    """Turns messages of one stream into events, putting tensors in chunks together."""

    def __init__(self) -> None:
        self._tensors = Assembler()

    def decode(self, message: pb.Event) -> Iterator[Event]:
        kind = message.WhichOneof("kind")
        if kind == "header":
            self._tensors.header(message.header)
        elif kind == "chunk":
            self._tensors.chunk(message.chunk)
        elif kind == "accepted":
            yield Accepted(message.accepted.digest, message.accepted.nodes, message.accepted.estimated_bytes)
        elif kind == "values":
            for named in message.values.values:
                yield Value(named.name, self.tensor(named.value))
        elif kind == "gradients":
            for one in message.gradients.gradients:
                yield self._gradient(one)
        elif kind == "verdicts":
            for verdict in message.verdicts.verdicts:
                yield decode_verdict(verdict)
        elif kind == "fault":
            f = message.fault
            yield Fault(f.node if f.HasField("node") else None, f.op, f.plugin, f.reason, f.message)
        elif kind == "summary":
            yield decode_summary(message.summary)

    def _gradient(self, one: pb.Gradient) -> Gradient:
        gradient = self.tensor(one.gradient) if one.HasField("gradient") else None
        raw = self.tensor(one.raw) if one.HasField("raw") else gradient
        hooks = tuple(HookTrace(h.name, self.tensor(h.result), h.changed) for h in one.hooks)
        return Gradient(one.value, gradient, raw, hooks, one.grad_fn)

    def tensor(self, message: tensor_pb2.Tensor) -> Array:
        """The array of a message, whose chunks have come."""
        array = decode_tensor(message, self._tensors.complete)
        if message.WhichOneof("body") == "upload":
            del self._tensors.complete[message.upload]
        return array


def _word(enum: Any, number: int, prefix: str) -> str:
    return str(enum.Name(number)).removeprefix(prefix)


def _witness(message: Any) -> Witness | None:
    if not message.HasField("witness"):
        return None
    w = message.witness
    return Witness(w.input, w.element, w.point, w.got, w.expected)


def decode_rule(one: verdict_pb2.RuleVerdict) -> RuleVerdict:
    """A rule verdict with its word as text."""
    word = _word(verdict_pb2.RuleWord, one.word, "RULE_WORD_")
    evidence = (one.op, one.shape_class, one.tactic, one.domain, one.tie_set, one.reason)
    return RuleVerdict(word, *evidence, _witness(one), one.seconds, one.cached, tuple(one.obligations))


def _value(v: verdict_pb2.ValueVerdict) -> ValueVerdict:
    word = _word(verdict_pb2.ValueWord, v.word, "VALUE_WORD_")
    numbers = (v.bits, v.screened, v.sampled, v.through_rule)
    return ValueVerdict(word, v.max_ulps, v.checked, v.total, v.reason, _witness(v), *numbers)


def _graph(g: verdict_pb2.GraphVerdict) -> GraphVerdict:
    word = _word(verdict_pb2.GraphWord, g.word, "GRAPH_WORD_")
    return GraphVerdict(word, g.reason, g.ratio, g.bits_lost, g.directions, g.nodes, g.total, g.seconds)


def decode_verdict(one: verdict_pb2.GradientVerdict) -> Verdict:
    """A gradient's verdict with its words as text."""
    uses = [
        Use(use.node, use.op, use.input, use.position, decode_rule(use.rule), _value(use.value), _value(use.forward))
        for use in one.uses
    ]
    total = one.accumulation
    return Verdict(
        one.value,
        _word(verdict_pb2.SummaryWord, one.summary, "SUMMARY_WORD_").lower(),
        one.reason,
        tuple(uses),
        AccumulationVerdict(
            _word(verdict_pb2.AccumulationWord, total.word, "ACCUMULATION_WORD_"), total.uses, total.reason
        ),
        _graph(one.graph),
        tuple(one.hooked_by),
        Origin(*(getattr(one.nonfinite, name) for name in ("node", "op", "rule", "element", "got")))
        if one.HasField("nonfinite")
        else None,
    )


def decode_summary(s: pb.RunSummary) -> Summary:
    """The run in numbers."""
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
        s.kept_bytes,
        s.nodes_computed,
    )


def decode_op(one: op_service_pb2.OpInfo) -> OpInfo:
    """An op of the catalogue."""
    return OpInfo(
        one.name,
        one.plugin,
        one.doc,
        tuple(one.inputs),
        one.variadic,
        dict(one.attributes),
        one.elementwise,
        one.differentiable,
        one.grad_fn,
        tuple(one.domains),
        one.tie_convention,
        decode_rule(one.verdict) if one.HasField("verdict") else None,
    )
