"""Decoding of responses: from messages to the types of `events`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from gradproof.client.events import (
    REQUIRED,
    Accepted,
    AccumulationVerdict,
    Array,
    Event,
    Fault,
    Gradient,
    GraphVerdict,
    HookTrace,
    NonfiniteOrigin,
    OpInfo,
    Progress,
    RuleVerdict,
    Summary,
    UseVerdict,
    Value,
    ValueVerdict,
    Verdict,
    Witness,
)
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import op_service_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import Assembler, decode_attributes, decode_tensor


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
        elif kind == "values":
            yield from (Value(named.name, self.tensor(named.value)) for named in message.values.values)
        elif kind == "gradients":
            yield from map(self._gradient, message.gradients.gradients)
        elif kind == "verdicts":
            yield from map(decode_verdict, message.verdicts.verdicts)
        elif kind in SINGLE:
            yield SINGLE[kind](getattr(message, kind))

    def _gradient(self, message: pb.Gradient) -> Gradient:
        gradient = self.tensor(message.gradient) if message.HasField("gradient") else None
        raw = self.tensor(message.raw) if message.HasField("raw") else gradient
        hook_traces = tuple(HookTrace(t.label, self.tensor(t.gradient), t.changed) for t in message.hook_traces)
        return Gradient(message.value, gradient, raw, hook_traces, message.grad_fn)

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
    numbers = (v.precision_bits, v.elements_screened, v.elements_sampled, v.through_rule)
    return ValueVerdict(word, v.max_ulps, v.elements_checked, v.elements_total, v.reason, _witness(v), *numbers)


def _accumulation(a: verdict_pb2.AccumulationVerdict) -> AccumulationVerdict:
    word = _word(verdict_pb2.AccumulationWord.DESCRIPTOR, a.word, "ACCUMULATION_WORD_", "UNCHECKED")
    return AccumulationVerdict(word, a.use_count, a.reason)


def _graph(g: verdict_pb2.GraphVerdict) -> GraphVerdict:
    word = _word(verdict_pb2.GraphWord.DESCRIPTOR, g.word, "GRAPH_WORD_", "SKIPPED")
    return GraphVerdict(word, g.reason, g.ratio, g.bits_lost, g.directions, g.nodes_read, g.nodes_total, g.seconds)


def decode_verdict(message: verdict_pb2.GradientVerdict) -> Verdict:
    """A gradient's verdict with its words as text."""
    uses = [
        UseVerdict(use.node, use.op, use.input, use.position, decode_rule(use.rule), _value(use.value), _value(use.forward))
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
        origin and NonfiniteOrigin(origin.node, origin.op, origin.backward, tuple(origin.element), origin.got),
    )


def decode_progress(message: verdict_pb2.Progress) -> Progress:
    """Progress with its stage as text."""
    stage = _word(verdict_pb2.CheckStage.DESCRIPTOR, message.stage, "CHECK_STAGE_", "").lower()
    return Progress(stage, message.proofs_done, message.proofs_total, message.nodes_read, message.nodes_total)


def decode_accepted(message: pb.Accepted) -> Accepted:
    """A request without faults."""
    return Accepted(message.digest, message.node_count, message.estimated_bytes, message.estimated_flops)


def decode_fault(message: pb.RunFault) -> Fault:
    """A node or hook that failed."""
    node = message.node if message.HasField("node") else None
    place = (message.value, tuple(message.element), message.incident)
    return Fault(node, message.op, message.plugin, message.reason, message.message, *place)


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


SINGLE: dict[str, Callable[[Any], Event]] = {
    "accepted": decode_accepted,
    "progress": decode_progress,
    "fault": decode_fault,
    "summary": decode_summary,
}
"""Decoders of messages that are an event each, by the kind of the message."""


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
