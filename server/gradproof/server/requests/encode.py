"""From the engine's events and verdicts to messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from gradproof.engine.cancellation import watched
from gradproof.engine.engine import GradientEvent, Prepared, ValueEvent
from gradproof.engine.graph import Graph
from gradproof.engine.hooks import HookCall
from gradproof.engine.pullback import Derived
from gradproof.engine.spec import Array
from gradproof.engine.verify.readings.formulas import Explained, Formula
from gradproof.engine.verify.verdict import words
from gradproof.server.calls.status import element_of
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import CHUNK_BYTES, chunks, encode_attributes, encode_spec, encode_tensor

RULE = {word: getattr(verdict_pb2, f"RULE_WORD_{word.value}") for word in words.RuleWord}
VALUE = {word: getattr(verdict_pb2, f"VALUE_WORD_{word.value}") for word in words.ValueWord}
ACCUMULATION = {word: getattr(verdict_pb2, f"ACCUMULATION_WORD_{word.value}") for word in words.AccumulationWord}
GRAPH = {word: getattr(verdict_pb2, f"GRAPH_WORD_{word.value}") for word in words.GraphWord}
SUMMARY = {word: getattr(verdict_pb2, f"SUMMARY_WORD_{word.name}") for word in words.SummaryWord}
BATCH_BYTES = 1 << 20  # of verdicts in a message
MAX_TEXT = 4000  # characters of a reason
INLINE_BYTES = 3 << 20  # of tensors in an event, which ends below 4 MiB
NUMBERS_BYTES = 10  # of a number in a list of numbers, at most
KINDS = {
    "value": pb.FORMULA_KIND_VALUE,
    "local": pb.FORMULA_KIND_LOCAL,
    "gradient": pb.FORMULA_KIND_GRADIENT,
    "subexpression": pb.FORMULA_KIND_SUBEXPRESSION,
}
Format: TypeAlias = tensor_pb2.TensorFormat.ValueType


@dataclass
class Encoder:
    """Makes the events of a run. Where ``chunked``, a tensor above 1 MiB, or that its event has no room for, is sent in
    chunks ahead of the event: a gradient has a tensor for each of its hooks."""

    chunked: bool
    tensor_format: Format = tensor_pb2.TENSOR_FORMAT_BYTES
    next_tensor: int = 1
    room: int = 0

    def batch(self, events: Sequence[ValueEvent | GradientEvent]) -> Iterator[pb.Event]:
        """Values and gradients that became known together, in their order."""
        values: list[tensor_pb2.NamedTensor] = []
        gradients: list[pb.Gradient] = []
        self.room = INLINE_BYTES
        for event in events:
            parts: list[Iterator[pb.Event]] = []
            if isinstance(event, ValueEvent):
                values.append(tensor_pb2.NamedTensor(name=event.name, value=self._tensor(event.value, parts)))
            elif isinstance(event, GradientEvent):
                gradients.append(self._gradient(event, parts))
            yield from chain.from_iterable(parts)  # made as they are sent
        if values:
            yield pb.Event(values=pb.ValueBatch(values=values))
        if gradients:
            yield pb.Event(gradients=pb.GradientBatch(gradients=gradients))

    def hook(self, call: HookCall) -> Iterator[pb.Event]:
        """The request to run a hook at the client, behind the chunks of its gradient."""
        parts: list[Iterator[pb.Event]] = []
        self.room = INLINE_BYTES
        gradient = self._tensor(call.gradient, parts)
        message = pb.HookRequest(hook_id=call.hook_id, value=call.name, gradient=gradient, label=call.label)
        return chain(*parts, (pb.Event(hook_request=message),))

    def _gradient(self, event: GradientEvent, parts: list[Iterator[pb.Event]]) -> pb.Gradient:
        message = pb.Gradient(value=event.name, grad_fn=event.grad_fn or None)
        if event.gradient is not None:
            message.gradient.CopyFrom(self._tensor(event.gradient, parts))
        if event.raw is not None and event.traces:
            message.raw.CopyFrom(self._tensor(event.raw, parts))
        for trace in event.traces:
            message.hook_traces.add(label=trace.name, changed=trace.changed, gradient=self._tensor(trace.result, parts))
        return message

    def _tensor(self, array: Array, parts: list[Iterator[pb.Event]]) -> tensor_pb2.Tensor:
        """The array as a message; where it is large, or there is no room for it, its chunks are appended to ``parts``."""
        as_numbers = self.tensor_format == tensor_pb2.TENSOR_FORMAT_NUMBERS
        numbers = array.size * (2 if array.dtype.kind == "c" else 1)
        nbytes = NUMBERS_BYTES * numbers if as_numbers else array.nbytes
        if not self.chunked or nbytes <= min(self.room, CHUNK_BYTES):
            self.room -= nbytes
            return encode_tensor(array, self.tensor_format)
        number, self.next_tensor = self.next_tensor, self.next_tensor + 1
        parts.append(_frame(part) for part in chunks(array, number))
        return tensor_pb2.Tensor(spec=encode_spec(array.shape, array.dtype), tensor_id=number)


def accepted(prepared: Prepared, digest: str, request_id: str) -> pb.Accepted:
    """The answer to a request without faults, whose graph has this digest."""
    return pb.Accepted(
        digest=digest,
        request_id=request_id,
        node_count=len(prepared.job.graph.nodes),
        estimated_bytes=prepared.cost.nbytes,
        estimated_flops=prepared.cost.flops,
    )


def _frame(part: tensor_pb2.TensorHeader | tensor_pb2.TensorChunk) -> pb.Event:
    return pb.Event(header=part) if isinstance(part, tensor_pb2.TensorHeader) else pb.Event(chunk=part)


def graph_message(
    graph: Graph, values: Mapping[str, Array], tensor_format: Format = tensor_pb2.TENSOR_FORMAT_BYTES
) -> graph_pb2.Graph:
    """A graph, with the values of leaves in ``values``."""
    message = graph_pb2.Graph(outputs=graph.outputs)
    for leaf in watched(graph.leaves):
        entry = message.leaves.add(name=leaf.name, requires_grad=leaf.requires_grad)
        entry.spec.CopyFrom(encode_spec(leaf.spec.shape, leaf.spec.dtype))
        if leaf.name in values:
            entry.value.CopyFrom(encode_tensor(values[leaf.name], tensor_format))
            entry.value.weak = leaf.spec.weak
    for node in watched(graph.nodes):
        attributes = encode_attributes(node.attributes)
        message.nodes.add(op=node.op, inputs=node.inputs, outputs=node.outputs, attributes=attributes, rules=node.rules)
    for rule in watched(graph.rules):
        inputs = [encode_spec(spec.shape, spec.dtype) for spec in rule.inputs]
        message.rules.add(op=rule.op, inputs=inputs, attributes=encode_attributes(rule.attributes))
    return message


def explained(formulas: Explained) -> pb.ExplainResponse:
    """Formulas as a message."""
    own = [formula for formula in formulas.formulas if formula.kind == "value"]
    return pb.ExplainResponse(
        text="\n".join(f"{formula.of} = {formula.text}" for formula in own),
        latex="\n".join(formula.latex for formula in own),
        formulas=map(_formula, formulas.formulas),
        subexpressions=map(_formula, formulas.subexpressions),
    )


def _formula(formula: Formula) -> pb.Formula:
    kind = KINDS[formula.kind]
    return pb.Formula(kind=kind, of=formula.of, by=formula.by or None, text=formula.text, latex=formula.latex)


def derived(derivation: Derived, values: Mapping[str, Array], tensor_format: Format) -> pb.DeriveResponse:
    """A derived graph as a message; ``values``: those that its leaves carry."""
    return pb.DeriveResponse(
        graph=graph_message(derivation.graph, values, tensor_format),
        results=[
            pb.DerivedValue(by=result.by or None, output=result.output or None, value=result.value or None)
            for result in watched(derivation.derivatives)
        ],
        leaves=[pb.DerivedLeaf(of=of, leaf=leaf) for of, leaf in watched(derivation.leaves.items())],
    )


def verdict_batches(verdicts: Iterable[words.GradientVerdict]) -> Iterator[pb.VerdictBatch]:
    """Verdicts as messages of about a `BATCH_BYTES` each."""
    batch, size = pb.VerdictBatch(), 0
    for verdict in verdicts:
        message = _shortened(gradient_verdict(verdict))
        length = message.ByteSize()
        if size and size + length > BATCH_BYTES:
            yield batch
            batch, size = pb.VerdictBatch(), 0
        batch.verdicts.append(message)
        size += length
    if size:
        yield batch


def _shortened(message: verdict_pb2.GradientVerdict) -> verdict_pb2.GradientVerdict:
    """The verdict with as many of its first uses as `BATCH_BYTES` hold; the reason says of how many."""
    if message.ByteSize() <= BATCH_BYTES:
        return message
    count, size = len(message.uses), 0
    for k, use in enumerate(message.uses):
        size += use.ByteSize()
        if size > BATCH_BYTES:
            del message.uses[k:]
            message.reason += f"; {k} of {count} uses are listed"
            break
    return message


def shorten_verdicts(response: pb.DifferentiateResponse, most: int) -> None:
    """Remove the uses of all verdicts, and if that is not enough the verdicts, where they make a message longer than
    ``most`` bytes: gradients come first."""
    if response.ByteSize() > most:
        for verdict in response.verdicts:
            del verdict.uses[:]
    if response.ByteSize() > most:
        del response.verdicts[:]


def shortened_text(text: str) -> str:
    """A reason of at most `MAX_TEXT` characters: the texts of plugins may have any length."""
    return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "..."


def rule_verdict(verdict: words.RuleVerdict) -> verdict_pb2.RuleVerdict:
    """A rule verdict as a message."""
    message = verdict_pb2.RuleVerdict(
        word=RULE[verdict.word],
        op=verdict.op,
        shape_class=verdict.case,
        tactic=verdict.tactic,
        domain=verdict.domain,
        tie_set=verdict.tie_set,
        reason=shortened_text(verdict.reason),
        seconds=verdict.seconds,
        cached=verdict.cached,
        shipped=verdict.shipped,
        obligations=verdict.obligations,
    )
    if verdict.word is words.RuleWord.REFUTED:
        message.witness.CopyFrom(_witness(verdict, verdict.input, verdict.point))
    return message


def value_verdict(verdict: words.ValueVerdict, input_name: str) -> verdict_pb2.ValueVerdict:
    """A value verdict as a message; ``input_name``: the input that a contribution flows to, empty for a forward value."""
    message = verdict_pb2.ValueVerdict(
        word=VALUE[verdict.word],
        max_ulps=verdict.max_ulps,
        elements_checked=verdict.checked,
        elements_total=verdict.total,
        reason=shortened_text(verdict.reason),
        precision_bits=verdict.bits,
        elements_screened=verdict.screened,
        elements_sampled=verdict.sampled,
        through_rule=verdict.through_rule,
    )
    if verdict.word is words.ValueWord.OFF:
        message.witness.CopyFrom(_witness(verdict, input_name))
    return message


def _witness(verdict: words.RuleVerdict | words.ValueVerdict, input_name: str, point: str = "") -> verdict_pb2.Witness:
    return verdict_pb2.Witness(
        input=input_name or None,
        element=element_of(verdict.element),
        point=point or None,
        got=verdict.got,
        expected=verdict.expected,
    )


def gradient_verdict(verdict: words.GradientVerdict) -> verdict_pb2.GradientVerdict:
    """A gradient's verdict as a message."""
    accumulation = verdict.accumulation
    return verdict_pb2.GradientVerdict(
        value=verdict.name,
        summary=SUMMARY[verdict.summary],
        reason=shortened_text(verdict.reason),
        uses=[
            verdict_pb2.UseVerdict(
                node=use.node,
                op=use.op,
                input=use.input,
                position=use.position,
                rule=rule_verdict(use.rule),
                value=value_verdict(use.value, use.input),
                forward=value_verdict(use.forward, ""),
                kernels=use.kernels,
            )
            for use in verdict.uses
        ],
        accumulation=verdict_pb2.AccumulationVerdict(
            word=ACCUMULATION[accumulation.word], use_count=accumulation.uses, reason=shortened_text(accumulation.reason)
        ),
        graph=_graph_verdict(verdict.graph),
        hooked_by=verdict.hooked_by,
        nonfinite=None if verdict.nonfinite is None else _origin(verdict.nonfinite),
    )


def _graph_verdict(verdict: words.GraphVerdict) -> verdict_pb2.GraphVerdict:
    return verdict_pb2.GraphVerdict(
        word=GRAPH[verdict.word],
        reason=shortened_text(verdict.reason),
        ratio=verdict.ratio,
        bits_lost=verdict.bits_lost,
        directions=verdict.directions,
        nodes_read=verdict.nodes,
        nodes_total=verdict.total,
        seconds=verdict.seconds,
    )


def _origin(origin: words.Origin) -> verdict_pb2.NonfiniteOrigin:
    element = element_of(origin.element)
    return verdict_pb2.NonfiniteOrigin(
        node=origin.node, op=origin.op, backward=origin.rule, element=element, got=origin.got
    )
