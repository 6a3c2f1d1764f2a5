"""From the engine's events and verdicts to messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain

from gradproof.engine.cancellation import watched
from gradproof.engine.engine import GradientEvent, ValueEvent
from gradproof.engine.graph import Graph
from gradproof.engine.hooks import HookCall
from gradproof.engine.spec import Array
from gradproof.engine.verify.readings.formulas import Explained
from gradproof.engine.verify.verdict import words
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import CHUNK_BYTES, chunks, encode_attributes, encode_spec, encode_tensor

RULE = {word: getattr(verdict_pb2, f"RULE_WORD_{word.value}") for word in words.RuleWord}
VALUE = {word: getattr(verdict_pb2, f"VALUE_WORD_{word.value}") for word in words.ValueWord}
ACCUMULATION = {word: getattr(verdict_pb2, f"ACCUMULATION_WORD_{word.value}") for word in words.AccumulationWord}
GRAPH = {word: getattr(verdict_pb2, f"GRAPH_WORD_{word.value}") for word in words.GraphWord}
SUMMARY = {word: getattr(verdict_pb2, f"SUMMARY_WORD_{word.name}") for word in words.SummaryWord}
BATCH_BYTES = 1 << 20  # of verdicts in a message
MOST_SAID = 4000  # characters of a reason


@dataclass
class Encoder:
    """Makes the events of one run. Where ``chunked``, a tensor above 1 MiB goes ahead in chunks of its own."""

    chunked: bool
    next_tensor: int = 1

    def batch(self, events: Sequence[ValueEvent | GradientEvent]) -> Iterator[pb.Event]:
        """Values and gradients that became known together, in their order."""
        values: list[tensor_pb2.NamedTensor] = []
        gradients: list[pb.Gradient] = []
        for event in events:
            ahead: list[Iterator[pb.Event]] = []
            if isinstance(event, ValueEvent):
                values.append(tensor_pb2.NamedTensor(name=event.name, value=self._tensor(event.value, ahead)))
            elif isinstance(event, GradientEvent):
                gradients.append(self._gradient(event, ahead))
            yield from chain.from_iterable(ahead)  # made as they are sent
        if values:
            yield pb.Event(values=pb.ValueBatch(values=values))
        if gradients:
            yield pb.Event(gradients=pb.GradientBatch(gradients=gradients))

    def hook(self, call: HookCall) -> Iterator[pb.Event]:
        """The request to run a hook at the client, its gradient ahead of it."""
        ahead: list[Iterator[pb.Event]] = []
        gradient = self._tensor(call.gradient, ahead)
        asked = pb.HookRequest(hook_id=call.hook_id, value=call.name, gradient=gradient, label=call.label)
        return chain(*ahead, (pb.Event(hook=asked),))

    def _gradient(self, event: GradientEvent, ahead: list[Iterator[pb.Event]]) -> pb.Gradient:
        message = pb.Gradient(value=event.name, grad_fn=event.grad_fn)
        if event.gradient is not None:
            message.gradient.CopyFrom(self._tensor(event.gradient, ahead))
        if event.raw is not None and event.traces:
            message.raw.CopyFrom(self._tensor(event.raw, ahead))
        for trace in event.traces:
            message.hooks.add(name=trace.name, changed=trace.changed, result=self._tensor(trace.result, ahead))
        return message

    def _tensor(self, array: Array, ahead: list[Iterator[pb.Event]]) -> tensor_pb2.Tensor:
        if not self.chunked or array.nbytes <= CHUNK_BYTES:
            return encode_tensor(array)
        number, self.next_tensor = self.next_tensor, self.next_tensor + 1
        ahead.append(_frame(part) for part in chunks(array, number))
        return tensor_pb2.Tensor(spec=encode_spec(array.shape, array.dtype), upload=number)


def _frame(part: tensor_pb2.TensorHeader | tensor_pb2.TensorChunk) -> pb.Event:
    return pb.Event(header=part) if isinstance(part, tensor_pb2.TensorHeader) else pb.Event(chunk=part)


def graph(one: Graph, values: Mapping[str, Array]) -> graph_pb2.Graph:
    """A graph, with the values of leaves that have one here."""
    message = graph_pb2.Graph(outputs=one.outputs)
    for leaf in watched(one.leaves):
        entry = message.leaves.add(name=leaf.name, requires_grad=leaf.requires_grad)
        entry.spec.CopyFrom(encode_spec(leaf.spec.shape, leaf.spec.dtype))
        if leaf.name in values:
            entry.value.CopyFrom(encode_tensor(values[leaf.name]))
            entry.value.weak = leaf.spec.weak
    for node in watched(one.nodes):
        attributes = encode_attributes(node.attributes)
        message.nodes.add(op=node.op, inputs=node.inputs, outputs=node.outputs, attributes=attributes, rules=node.rules)
    for rule in watched(one.rules):
        inputs = [encode_spec(spec.shape, spec.dtype) for spec in rule.inputs]
        message.rules.add(op=rule.op, inputs=inputs, attributes=encode_attributes(rule.attributes))
    return message


def explained(found: Explained) -> pb.ExplainResponse:
    """Formulas as a message."""
    own = [one for one in found.formulas if one.kind == "value"]
    return pb.ExplainResponse(
        text="\n".join(f"{one.of} = {one.text}" for one in own),
        latex="\n".join(one.latex for one in own),
        formulas=[pb.Formula(**asdict(one)) for one in found.formulas],
        subexpressions=[pb.Formula(**asdict(one)) for one in found.parts],
    )


def verdict_batches(found: Iterable[words.GradientVerdict]) -> Iterator[pb.VerdictBatch]:
    """Verdicts as messages of about a `BATCH_BYTES` each."""
    batch, size = pb.VerdictBatch(), 0
    for one in found:
        message = _shortened(gradient_verdict(one))
        length = message.ByteSize()
        if size and size + length > BATCH_BYTES:
            yield batch
            batch, size = pb.VerdictBatch(), 0
        batch.verdicts.append(message)
        size += length
    if size:
        yield batch


def _shortened(message: verdict_pb2.GradientVerdict) -> verdict_pb2.GradientVerdict:
    """The verdict with as many of its uses, the first, as `BATCH_BYTES` hold. The reason says of how many."""
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


def summarized(response: pb.DifferentiateResponse, most: int) -> None:
    """Leave of verdicts the words and reasons, and, if that is not enough, nothing, where they make a message longer than
    ``most`` bytes: gradients come first."""
    if response.ByteSize() > most:
        for one in response.verdicts:
            del one.uses[:]
    if response.ByteSize() > most:
        del response.verdicts[:]


def said(text: str) -> str:
    """A reason, which may hold what a stranger's code said, and be of any length, shortened."""
    return text if len(text) <= MOST_SAID else text[:MOST_SAID] + "..."


def rule_verdict(one: words.RuleVerdict) -> verdict_pb2.RuleVerdict:
    message = verdict_pb2.RuleVerdict(
        word=RULE[one.word],
        op=one.op,
        shape_class=one.case,
        tactic=one.tactic,
        domain=one.domain,
        tie_set=one.tie_set,
        reason=said(one.reason),
        seconds=one.seconds,
        cached=one.cached,
        obligations=one.obligations,
    )
    if one.word is words.RuleWord.REFUTED:
        message.witness.CopyFrom(
            verdict_pb2.Witness(input=one.input, element=one.element, point=one.point, got=one.got, expected=one.expected)
        )
    return message


def value_verdict(one: words.ValueVerdict, input_name: str) -> verdict_pb2.ValueVerdict:
    message = verdict_pb2.ValueVerdict(
        word=VALUE[one.word],
        max_ulps=one.max_ulps,
        checked=one.checked,
        total=one.total,
        reason=said(one.reason),
        bits=one.bits,
        screened=one.screened,
        sampled=one.sampled,
        through_rule=one.through_rule,
    )
    if one.word is words.ValueWord.OFF:
        message.witness.CopyFrom(
            verdict_pb2.Witness(input=input_name, element=one.element, got=one.got, expected=one.expected)
        )
    return message


def gradient_verdict(one: words.GradientVerdict) -> verdict_pb2.GradientVerdict:
    graph = one.graph
    return verdict_pb2.GradientVerdict(
        value=one.name,
        summary=SUMMARY[one.summary],
        reason=said(one.reason),
        uses=[
            verdict_pb2.UseVerdict(
                node=use.node,
                op=use.op,
                input=use.input,
                position=use.position,
                rule=rule_verdict(use.rule),
                value=value_verdict(use.value, use.input),
                forward=value_verdict(use.forward, ""),
            )
            for use in one.uses
        ],
        accumulation=verdict_pb2.AccumulationVerdict(
            word=ACCUMULATION[one.accumulation.word], uses=one.accumulation.uses, reason=said(one.accumulation.reason)
        ),
        graph=verdict_pb2.GraphVerdict(
            word=GRAPH[graph.word],
            reason=said(graph.reason),
            ratio=graph.ratio,
            bits_lost=graph.bits_lost,
            directions=graph.directions,
            nodes=graph.nodes,
            total=graph.total,
            seconds=graph.seconds,
        ),
        hooked_by=one.hooked_by,
        nonfinite=None if one.nonfinite is None else verdict_pb2.NonfiniteOrigin(**asdict(one.nonfinite)),
    )
