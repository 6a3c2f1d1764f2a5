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
            yield from (Value(name=named.name, value=self.tensor(named.value)) for named in message.values.values)
        elif kind == "gradients":
            yield from (decode_gradient(gradient, self.tensor) for gradient in message.gradients.gradients)
        elif kind == "verdicts":
            yield from map(decode_verdict, message.verdicts.verdicts)
        elif kind in SINGLE:
            yield SINGLE[kind](getattr(message, kind))

    def tensor(self, message: tensor_pb2.Tensor) -> Array:
        """The array of a message, whose chunks have come."""
        array = decode_tensor(message, self._tensors.complete)
        if message.WhichOneof("body") == "tensor_id":
            del self._tensors.complete[message.tensor_id]
        return array


def decode_gradient(message: pb.Gradient, tensor: Callable[[tensor_pb2.Tensor], Array]) -> Gradient:
    """A gradient, whose tensors ``tensor`` decodes."""
    gradient = tensor(message.gradient) if message.HasField("gradient") else None
    raw = tensor(message.raw) if message.HasField("raw") else gradient
    hook_traces = tuple(
        HookTrace(label=trace.label, gradient=tensor(trace.gradient), changed=trace.changed)
        for trace in message.hook_traces
    )
    return Gradient(value=message.value, gradient=gradient, raw=raw, hook_traces=hook_traces, grad_fn=message.grad_fn)


def _word(enum: Any, number: int, prefix: str, unknown: str) -> str:
    """The word of a verdict; ``unknown`` for a word that this client does not know."""
    name = enum.values_by_number.get(number)
    return unknown if name is None or not number else str(name.name).removeprefix(prefix)


def _witness(message: Any) -> Witness | None:
    if not message.HasField("witness"):
        return None
    w = message.witness
    return Witness(input=w.input, element=tuple(w.element), point=w.point, got=w.got, expected=w.expected)


def decode_rule(message: verdict_pb2.RuleVerdict) -> RuleVerdict:
    """A rule verdict with its word as text."""
    return RuleVerdict(
        word=_word(verdict_pb2.RuleWord.DESCRIPTOR, message.word, "RULE_WORD_", "UNDECIDED"),
        op=message.op,
        shape_class=message.shape_class,
        tactic=message.tactic,
        domain=message.domain,
        tie_set=message.tie_set,
        reason=message.reason,
        witness=_witness(message),
        seconds=message.seconds,
        cached=message.cached,
        shipped=message.shipped,
        obligations=tuple(message.obligations),
    )


def _value(v: verdict_pb2.ValueVerdict) -> ValueVerdict:
    return ValueVerdict(
        word=_word(verdict_pb2.ValueWord.DESCRIPTOR, v.word, "VALUE_WORD_", "UNCHECKED"),
        max_ulps=v.max_ulps,
        elements_checked=v.elements_checked,
        elements_total=v.elements_total,
        reason=v.reason,
        witness=_witness(v),
        precision_bits=v.precision_bits,
        elements_screened=v.elements_screened,
        elements_sampled=v.elements_sampled,
        through_rule=v.through_rule,
    )


def _accumulation(a: verdict_pb2.AccumulationVerdict) -> AccumulationVerdict:
    word = _word(verdict_pb2.AccumulationWord.DESCRIPTOR, a.word, "ACCUMULATION_WORD_", "UNCHECKED")
    return AccumulationVerdict(word=word, use_count=a.use_count, reason=a.reason)


def _graph(g: verdict_pb2.GraphVerdict) -> GraphVerdict:
    return GraphVerdict(
        word=_word(verdict_pb2.GraphWord.DESCRIPTOR, g.word, "GRAPH_WORD_", "SKIPPED"),
        reason=g.reason,
        ratio=g.ratio,
        bits_lost=g.bits_lost,
        directions=g.directions,
        nodes_read=g.nodes_read,
        nodes_total=g.nodes_total,
        seconds=g.seconds,
    )


def _use(use: verdict_pb2.UseVerdict) -> UseVerdict:
    return UseVerdict(
        node=use.node,
        op=use.op,
        input=use.input,
        position=use.position,
        rule=decode_rule(use.rule),
        value=_value(use.value),
        forward=_value(use.forward),
        kernels=tuple(use.kernels),
    )


def _origin(o: verdict_pb2.NonfiniteOrigin) -> NonfiniteOrigin:
    return NonfiniteOrigin(node=o.node, op=o.op, backward=o.backward, element=tuple(o.element), got=o.got)


def decode_verdict(message: verdict_pb2.GradientVerdict) -> Verdict:
    """A gradient's verdict with its words as text."""
    return Verdict(
        value=message.value,
        summary=_word(verdict_pb2.SummaryWord.DESCRIPTOR, message.summary, "SUMMARY_WORD_", "UNCHECKED").lower(),
        reason=message.reason,
        uses=tuple(map(_use, message.uses)),
        accumulation=_accumulation(message.accumulation),
        graph=_graph(message.graph),
        hooked_by=tuple(message.hooked_by),
        nonfinite=_origin(message.nonfinite) if message.HasField("nonfinite") else None,
    )


def decode_progress(message: verdict_pb2.Progress) -> Progress:
    """Progress with its stage as text."""
    return Progress(
        stage=_word(verdict_pb2.CheckStage.DESCRIPTOR, message.stage, "CHECK_STAGE_", "").lower(),
        proofs_done=message.proofs_done,
        proofs_total=message.proofs_total,
        nodes_read=message.nodes_read,
        nodes_total=message.nodes_total,
    )


def decode_accepted(message: pb.Accepted) -> Accepted:
    """A request without faults."""
    return Accepted(
        digest=message.digest,
        node_count=message.node_count,
        estimated_bytes=message.estimated_bytes,
        estimated_flops=message.estimated_flops,
    )


def decode_fault(message: pb.RunFault) -> Fault:
    """A node or hook that failed."""
    return Fault(
        node=message.node if message.HasField("node") else None,
        op=message.op,
        plugin=message.plugin,
        reason=message.reason,
        message=message.message,
        value=message.value,
        element=tuple(message.element),
        incident=message.incident,
    )


def decode_summary(s: pb.RunSummary) -> Summary:
    """Counts and times of a run."""
    return Summary(
        verified=s.verified,
        plausible=s.plausible,
        unchecked=s.unchecked,
        wrong=s.wrong,
        elements_checked=s.elements_checked,
        elements_total=s.elements_total,
        run_seconds=s.run_seconds,
        verify_seconds=s.verify_seconds,
        weaker=s.weaker,
        saved_bytes=s.saved_bytes,
        nodes_computed=s.nodes_computed,
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
        name=message.name,
        plugin=message.plugin,
        doc=message.doc,
        inputs=tuple(message.inputs),
        variadic=message.variadic,
        attributes={attribute.name: values.get(attribute.name, REQUIRED) for attribute in message.attributes},
        elementwise=message.elementwise,
        differentiable=message.differentiable,
        grad_fn=message.grad_fn,
        domains=tuple(message.domains),
        tie_convention=message.tie_convention,
        verdict=decode_rule(message.verdict) if message.HasField("verdict") else None,
        optional_inputs=message.optional_inputs,
        composite=message.composite,
    )
