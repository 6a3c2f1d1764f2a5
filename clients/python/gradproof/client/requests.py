"""Requests and responses as messages, without a connection: shared by both clients."""

from __future__ import annotations

import copy
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import numpy as np
from numpy.typing import NDArray

from gradproof.client.decoding import EventDecoder, decode_progress, decode_rule, decode_summary
from gradproof.client.errors import FieldFault, Unavailable, field_faults, from_rpc, from_status
from gradproof.client.events import Event, Progress, Result, RuleVerdict
from gradproof.client.graph import CallableHook, Graph, GraphBuilder, Hook
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, op_service_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import WireError, chunks, decode_spec, decode_tensor, encode_tensor, tensors

BUDGET_SECONDS = 5.0
"""Time that the server gives to the checks of a request that states none."""

INLINE_BYTES = 3 << 20
"""A request larger than this goes through a session, with its tensors in chunks (messages end at 4 MiB)."""

KINDS = {"b": 0, "u": 1, "i": 1, "V": 2, "f": 2, "c": 3}
"""NumPy's kinds of numbers, ordered from narrow to wide (V is bfloat16)."""

LEVELS = {
    "off": pb.VERIFY_LEVEL_OFF,
    "cached": pb.VERIFY_LEVEL_CACHED,
    "values": pb.VERIFY_LEVEL_VALUES,
    "everything": pb.VERIFY_LEVEL_EVERYTHING,
}
MODES = {
    "gradient": pb.DERIVE_MODE_GRADIENT,
    "vjp": pb.DERIVE_MODE_VJP,
    "jvp": pb.DERIVE_MODE_JVP,
    "hvp": pb.DERIVE_MODE_HVP,
    "jacobian": pb.DERIVE_MODE_JACOBIAN,
    "hessian": pb.DERIVE_MODE_HESSIAN,
}
Watch: TypeAlias = Callable[[Event], None]
OnProgress: TypeAlias = Callable[[Progress], None]
Request: TypeAlias = pb.DifferentiateRequest | pb.EvaluateRequest
SUMMARIES = {
    "": verdict_pb2.SUMMARY_WORD_UNSPECIFIED,
    "verified": verdict_pb2.SUMMARY_WORD_VERIFIED,
    "plausible": verdict_pb2.SUMMARY_WORD_PLAUSIBLE,
    "unchecked": verdict_pb2.SUMMARY_WORD_UNCHECKED,
}


@dataclass(frozen=True)
class Inference:
    """Dtype and shape of every value that could be inferred, and the faults of the graph. ``estimated_bytes`` and
    ``estimated_flops``: cost of a run, 0 if there are faults; ``evaluate_bytes`` and ``evaluate_flops``: of a run that only
    evaluates."""

    specs: dict[str, tuple[np.dtype[Any], tuple[int, ...]]]
    faults: list[FieldFault]
    digest: str
    estimated_bytes: int
    estimated_flops: int
    evaluate_bytes: int
    evaluate_flops: int


@dataclass(frozen=True)
class DerivedValue:
    """``value`` is the name of the derivative of ``output`` by ``by``, of which None means all together; ``value`` is None
    where nothing flows between them."""

    by: str | None = None
    output: str | None = None
    value: str | None = None


@dataclass(frozen=True)
class Derived:
    """A derived graph. ``leaves``: names of the leaves that need values, by the output whose cotangent, or the value whose
    tangent, each stands for."""

    graph: graph_pb2.Graph
    results: tuple[DerivedValue, ...]
    leaves: dict[str, str]


@dataclass(frozen=True)
class ProofStep:
    """A case of an op is proved or given up: ``cases_done`` of ``cases_total``."""

    verdict: RuleVerdict
    cases_done: int
    cases_total: int


numbers = itertools.count(1)
"""Ids of tensors in chunks and of hooks that run here."""


@dataclass(frozen=True)
class Options:
    """Options of a run, as `Client.stream` takes them. Raises ValueError for an unknown word."""

    seeds: Mapping[str, Any] | None = None
    hooks: Sequence[Hook] = ()
    gradients: Sequence[str] = ()
    retain: Sequence[str] = ()
    fetch: Sequence[str] = ()
    verify: str = "everything"
    budget: float = BUDGET_SECONDS
    required: str = ""
    progress: bool = False
    timeout: float | None = None

    def __post_init__(self) -> None:
        if self.required not in SUMMARIES:
            raise ValueError(f"required is {self.required!r}; it may be {', '.join(filter(None, SUMMARIES))}")
        if self.verify not in LEVELS:
            raise ValueError(f"verify is {self.verify!r}; it may be {', '.join(LEVELS)}")

    @property
    def check_seconds(self) -> float:
        """Time that the checks get, if there are any."""
        return self.budget if self.verify != "off" else 0.0

    def request(self) -> pb.DifferentiateRequest:
        """The request, without graph and values."""
        seeds = (self.seeds or {}).items()
        return pb.DifferentiateRequest(
            input=pb.RunInput(fetch=self.fetch),
            seeds=[pb.Seed(output=name, cotangent=encode_tensor(np.asarray(v))) for name, v in seeds],
            gradients=self.gradients,
            retain=self.retain,
            verify=pb.VerifyOptions(
                level=LEVELS[self.verify],
                budget_seconds=self.budget,
                required=SUMMARIES[self.required],
                progress=self.progress,
            ),
        )


class RunExchange:
    """State of a run: its request, its client hooks, and the decoder of its events. ``over``: no more responses come;
    ``hook_called``: a hook that runs here was called."""

    def __init__(self, request: Request, hooks: Sequence[Hook] = ()) -> None:
        self.request = copy.deepcopy(request)
        self.decoder = EventDecoder()
        self.over = False
        self.hook_called = False
        self._hooks: dict[int, CallableHook] = {}
        self._place = pb.RunFault()
        for hook in hooks:
            assert isinstance(self.request, pb.DifferentiateRequest)
            if isinstance(hook, CallableHook):
                number = next(numbers)
                self._hooks[number] = hook
                client = graph_pb2.ClientHook(hook_id=number)
                self.request.hooks.add(value=hook.value, label=hook.label, client=client)
            else:
                self.request.hooks.append(hook)

    @property
    def functions(self) -> Mapping[int, CallableHook]:
        """The hooks that run here, by their ids."""
        return self._hooks

    @property
    def needs_session(self) -> bool:
        """True if a hook runs here, or the request is too large for a message."""
        return bool(self._hooks) or self.request.ByteSize() > INLINE_BYTES

    @property
    def check_seconds(self) -> float:
        """Time that the request gives to the checks, if it asks for any."""
        return check_seconds(self.request)

    def streaming(self) -> pb.StreamingDifferentiateRequest:
        """The run as a call of its own."""
        assert isinstance(self.request, pb.DifferentiateRequest)
        return pb.StreamingDifferentiateRequest(request=self.request)

    def opening_frames(self) -> Iterator[pb.SessionRequest]:
        """The frames that begin the run, which has a ``request_id`` from now on: tensors of a large request go ahead in
        chunks, and the request has their ids."""
        self.request.input.request_id = self.request.input.request_id or fresh_id()
        return self._opening_frames(self.request)

    def _opening_frames(self, request: Request) -> Iterator[pb.SessionRequest]:
        if request.ByteSize() > INLINE_BYTES:
            yield from chunked_frames(tensors(request))
        if isinstance(request, pb.DifferentiateRequest):
            yield pb.SessionRequest(differentiate=request)
        else:
            yield pb.SessionRequest(evaluate=request)

    def receive(self, response: pb.SessionResponse) -> tuple[list[Event], list[pb.SessionRequest]]:
        """Events, and frames to reply with. Raises the request's fault, and any exception of a hook that runs here."""
        if response.HasField("status"):
            self.over = bool(response.request_id)  # a status without an id is of a frame, not of the run
            error = from_status(response.status, place=self._place)
            error.request_id = self.request.input.request_id
            raise error
        events, replies = list[Event](), list[pb.SessionRequest]()
        for event in response.events:
            if event.HasField("fault"):
                self._place = event.fault
            if event.HasField("hook_request"):
                replies += self._reply(event.hook_request)
            self.over = event.HasField("summary") and not event.summary.weaker  # if any are, a fault follows
            events += self.decoder.decode(event)
        return events, replies

    def _reply(self, request: pb.HookRequest) -> Iterator[pb.SessionRequest]:
        """The frames of the reply of a hook that runs here, which is called now."""
        self.hook_called = True
        result = self._hooks[request.hook_id](self.decoder.tensor(request.gradient))
        reply = pb.HookReply(hook_id=request.hook_id)
        if result is not None:
            reply.gradient.CopyFrom(encode_tensor(result))
            yield from chunked_frames([reply.gradient])
        yield pb.SessionRequest(hook_reply=reply)


def fresh_id() -> str:
    """An id for a request."""
    return os.urandom(16).hex()


def watching(on_progress: OnProgress | None) -> Watch | None:
    """A watch that calls ``on_progress`` with each event of progress."""
    if on_progress is None:
        return None

    def watch(event: Event) -> None:
        if isinstance(event, Progress):
            on_progress(event)

    return watch


def check_seconds(request: Request) -> float:
    """Time that a request gives to the checks, if it asks for any."""
    if not isinstance(request, pb.DifferentiateRequest) or request.verify.level == pb.VERIFY_LEVEL_OFF:
        return 0.0
    return request.verify.budget_seconds if request.verify.HasField("budget_seconds") else BUDGET_SECONDS


def chunked_frames(carried: Sequence[tensor_pb2.Tensor]) -> Iterator[pb.SessionRequest]:
    """Frames with the chunks of tensors above 4 KiB, each of which is replaced by its id in the message that carries it."""
    for tensor in carried:
        if len(tensor.data) <= 1 << 12:
            continue
        number = next(numbers)
        for part in chunks(decode_tensor(tensor), number):
            if isinstance(part, tensor_pb2.TensorHeader):
                yield pb.SessionRequest(header=part)
            else:
                yield pb.SessionRequest(chunk=part)
        tensor.tensor_id = number


def evaluated(response: pb.EvaluateResponse) -> Result:
    """The values of a response."""
    result = Result()
    result.digest = response.accepted.digest
    result.values = {named.name: decode_tensor(named.value) for named in response.values}
    result.summary = decode_summary(response.summary)
    return result


def differentiated(response: pb.DifferentiateResponse) -> Iterator[Event]:
    """The events of a response."""
    decoder = EventDecoder()
    yield from decoder.decode(pb.Event(accepted=response.accepted))
    yield from decoder.decode(pb.Event(values=pb.ValueBatch(values=response.values)))
    yield from decoder.decode(pb.Event(gradients=pb.GradientBatch(gradients=response.gradients)))
    yield from decoder.decode(pb.Event(verdicts=pb.VerdictBatch(verdicts=response.verdicts)))
    yield decode_summary(response.summary)


def inferred(response: pb.InferResponse) -> Inference:
    """Shapes, dtypes and faults of a response."""
    specs = {}
    for named in response.specs:
        shape, dtype = decode_spec(named.spec)
        specs[named.name] = (dtype, shape)
    costs = (response.estimated_bytes, response.estimated_flops, response.evaluate_bytes, response.evaluate_flops)
    return Inference(specs, field_faults(response.violations), response.digest, *costs)


def derive_request(graph: Graph, mode: str, by: Sequence[str]) -> pb.DeriveRequest:
    """The request for a derived graph. Raises ValueError for an unknown mode."""
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; it may be {', '.join(MODES)}")
    return pb.DeriveRequest(graph=message_of(graph), mode=MODES[mode], by=by)


def derived(response: pb.DeriveResponse) -> Derived:
    """The derived graph of a response."""
    results = [{field.name: name for field, name in result.ListFields()} for result in response.results]
    leaves = {added.of: added.leaf for added in response.leaves}
    return Derived(response.graph, tuple(DerivedValue(**names) for names in results), leaves)


def verify_op_request(
    name: str, budget: float, refresh: bool, on_progress: OnProgress | None
) -> op_service_pb2.VerifyOpRequest:
    """The request to prove an op within ``budget`` seconds."""
    return op_service_pb2.VerifyOpRequest(
        name=name, budget_seconds=budget, refresh=refresh, progress=on_progress is not None
    )


def proof_steps(response: op_service_pb2.VerifyOpResponse, on_progress: OnProgress | None) -> Iterator[ProofStep]:
    """The step of a response, if it has a verdict; ``on_progress`` is called with its progress."""
    if response.HasField("progress") and on_progress is not None:
        on_progress(decode_progress(response.progress))
    if response.HasField("verdict"):
        yield ProofStep(decode_rule(response.verdict), response.cases_done, response.cases_total)


@contextmanager
def translated(target: str = "") -> Iterator[None]:
    """Raise exceptions of gRPC, from calls to ``target``, as a `GradproofError`."""
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc(error, target) from None
    except ValueError as error:
        if "closed channel" not in str(error):
            raise
        raise Unavailable("the client is closed") from None


def message_of(graph: Graph) -> graph_pb2.Graph:
    """A graph as a message."""
    return graph.to_proto() if isinstance(graph, GraphBuilder) else graph


def named(values: Mapping[str, Any] | None, graph: graph_pb2.Graph) -> Iterable[tensor_pb2.NamedTensor]:
    """Values by name, in the dtypes of the graph's leaves where they are Python numbers."""
    if not values:
        return []
    leaves = {leaf.name: leaf for leaf in graph.leaves}
    return [
        tensor_pb2.NamedTensor(name=name, value=encode_tensor(array_of(value, leaves.get(name))))
        for name, value in values.items()
    ]


def array_of(value: Any, leaf: graph_pb2.Leaf | None) -> NDArray[Any]:
    """``value`` as an array; a Python number takes the leaf's dtype where it fits (where not, the server refuses it)."""
    array = np.asarray(value)
    if leaf is None or type(value) not in (bool, int, float, complex):
        return array
    try:
        shape, dtype = decode_spec(leaf.spec if leaf.HasField("spec") else leaf.value.spec)
        if shape or KINDS.get(array.dtype.kind, 4) > KINDS[dtype.kind]:
            return array
        with np.errstate(over="raise"):
            return np.asarray(value, dtype)
    except (WireError, OverflowError, FloatingPointError):
        return array
