"""Requests and answers as messages, without a connection: what both clients share."""

from __future__ import annotations

import copy
import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import numpy as np
from numpy.typing import NDArray

from gradproof.client.errors import FieldFault, Unavailable, from_fault, from_rpc
from gradproof.client.events import Event, EventDecoder, Result, RuleVerdict, decode_summary
from gradproof.client.graph import CallableHook, Graph, GraphBuilder, Hook
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import graph_pb2, tensor_pb2, verdict_pb2
from gradproof.wire import WireError, chunks, decode_spec, decode_tensor, encode_tensor, tensors

INLINE_BYTES = 3 << 20
"""A request larger than this goes through a session, with its tensors in chunks (messages end at 4 MiB)."""

KINDS = {"b": 0, "u": 1, "i": 1, "V": 2, "f": 2, "c": 3}
"""NumPy's kinds of numbers, the narrowest first (V is bfloat16)."""

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
Request: TypeAlias = pb.DifferentiateRequest | pb.EvaluateRequest
SUMMARIES = {
    "": verdict_pb2.SUMMARY_WORD_UNSPECIFIED,
    "verified": verdict_pb2.SUMMARY_WORD_VERIFIED,
    "plausible": verdict_pb2.SUMMARY_WORD_PLAUSIBLE,
    "unchecked": verdict_pb2.SUMMARY_WORD_UNCHECKED,
}


@dataclass(frozen=True)
class Inference:
    """Dtype and shape of every value that could be inferred, and every fault of the graph."""

    values: dict[str, tuple[np.dtype[Any], tuple[int, ...]]]
    faults: list[FieldFault]
    digest: str
    estimated_bytes: int


@dataclass(frozen=True)
class DerivedValue:
    """``value`` is the name of the derivative of ``output`` by ``by`` (an empty name means all together); None where
    nothing flows from one to the other."""

    by: str
    output: str
    value: str | None


@dataclass(frozen=True)
class Derived:
    """A derived graph. ``leaves``: names of the leaves that need values, by the output whose cotangent, or the value whose
    tangent they are."""

    graph: graph_pb2.Graph
    results: tuple[DerivedValue, ...]
    leaves: dict[str, str]


@dataclass(frozen=True)
class ProofStep:
    """One case of an op is done: ``done`` of ``total``."""

    verdict: RuleVerdict
    done: int
    total: int


numbers = itertools.count(1)
"""Ids of uploads and of hooks that run here."""


@dataclass(frozen=True)
class Options:
    """Options of a run, as `Client.stream` has it. Raises ValueError for words that there are not."""

    seeds: Mapping[str, Any] | None = None
    hooks: Sequence[Hook] = ()
    gradients: Sequence[str] = ()
    retain: Sequence[str] = ()
    fetch: Sequence[str] = ()
    verify: str = "everything"
    budget: float = 5.0
    required: str = ""

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
            seeds=[pb.Seed(output=name, cotangent=encode_tensor(np.asarray(v))) for name, v in seeds],
            gradients=self.gradients,
            retain=self.retain,
            fetch=self.fetch,
            verify=pb.VerifyOptions(
                level=LEVELS[self.verify], budget_ms=max(1, int(self.budget * 1000)), required=SUMMARIES[self.required]
            ),
        )


class RunExchange:
    """State of a run: its request, and what is made of the answers. Where a tensor is large or a hook runs here it needs a
    session. ``over``: nothing more will be said; ``asked``: a hook that runs here was called."""

    def __init__(self, request: Request, hooks: Sequence[Hook] = ()) -> None:
        self.request = copy.deepcopy(request)
        self.decoder = EventDecoder()
        self.over = False
        self.asked = False
        self._hooks: dict[int, CallableHook] = {}
        self._place = pb.RunFault()
        for one in hooks:
            assert isinstance(self.request, pb.DifferentiateRequest)
            if isinstance(one, CallableHook):
                number = next(numbers)
                self._hooks[number] = one
                client = graph_pb2.ClientHook(hook_id=number)
                self.request.hooks.add(value=one.value, label=one.label, client=client)
            else:
                self.request.hooks.append(one)

    @property
    def needs_session(self) -> bool:
        return bool(self._hooks) or self.request.ByteSize() > INLINE_BYTES

    @property
    def check_seconds(self) -> float:
        """Time that the request gives to the checks, if it asks for any."""
        return check_seconds(self.request)

    def streaming(self) -> pb.StreamingDifferentiateRequest:
        """The run as one call."""
        assert isinstance(self.request, pb.DifferentiateRequest)
        return pb.StreamingDifferentiateRequest(request=self.request)

    def opening(self) -> Iterator[pb.SessionRequest]:
        """The frames that begin the run, which has a ``request_id`` now: in a large request tensors go ahead in chunks (ids
        take their places)."""
        self.request.request_id = self.request.request_id or uuid.uuid4().hex
        return self._opening(self.request)

    def _opening(self, request: Request) -> Iterator[pb.SessionRequest]:
        if request.ByteSize() > INLINE_BYTES:
            yield from ahead(tensors(request))
        if isinstance(request, pb.DifferentiateRequest):
            yield pb.SessionRequest(differentiate=request)
        else:
            yield pb.SessionRequest(evaluate=request)

    def hear(self, response: pb.SessionResponse) -> tuple[list[Event], list[pb.SessionRequest]]:
        """Events, and frames to answer with. Raises the request's fault, and what a hook that runs here raises."""
        if response.WhichOneof("frame") == "fault":
            self.over = bool(response.request_id)  # one without is of what was said, not of the run
            error = from_fault(response.fault, self._place)
            error.request_id = self.request.request_id
            raise error
        events, replies = list[Event](), list[pb.SessionRequest]()
        for event in (response.event, *response.more):
            if event.HasField("fault"):
                self._place = event.fault
            if event.HasField("hook"):
                replies += self._answer(event.hook)
            self.over = event.HasField("summary") and not event.summary.weaker  # if any are, a fault follows
            events += self.decoder.decode(event)
        return events, replies

    def _answer(self, asked: pb.HookRequest) -> Iterator[pb.SessionRequest]:
        """Call a hook that runs here; what it says."""
        self.asked = True
        result = self._hooks[asked.hook_id](self.decoder.tensor(asked.gradient))
        reply = pb.HookReply(hook_id=asked.hook_id)
        if result is not None:
            reply.gradient.CopyFrom(encode_tensor(result))
            yield from ahead([reply.gradient])
        yield pb.SessionRequest(hook=reply)


def check_seconds(request: Request) -> float:
    """Time that a request gives to the checks, if it asks for any."""
    if not isinstance(request, pb.DifferentiateRequest) or request.verify.level == pb.VERIFY_LEVEL_OFF:
        return 0.0
    return request.verify.budget_ms / 1000


def ahead(carried: Sequence[tensor_pb2.Tensor]) -> Iterator[pb.SessionRequest]:
    """Frames for tensors of some size; in the messages ids take their places."""
    for tensor in carried:
        if len(tensor.data) <= 1 << 12:
            continue
        number = next(numbers)
        for part in chunks(decode_tensor(tensor), number):
            if isinstance(part, tensor_pb2.TensorHeader):
                yield pb.SessionRequest(header=part)
            else:
                yield pb.SessionRequest(chunk=part)
        tensor.upload = number


def evaluated(response: pb.EvaluateResponse) -> Result:
    """The values of a response."""
    result = Result()
    result.digest = response.digest
    result.values = {one.name: decode_tensor(one.value) for one in response.values}
    result.summary = decode_summary(pb.RunSummary(nodes_computed=response.nodes_computed))
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
    values = {}
    for one in response.values:
        shape, dtype = decode_spec(one.spec)
        values[one.name] = (dtype, shape)
    faults = [FieldFault(fault.path, fault.message, fault.reason) for fault in response.faults]
    return Inference(values, faults, response.digest, response.estimated_bytes)


def derive_request(graph: Graph, mode: str, by: Sequence[str]) -> pb.DeriveRequest:
    """Raises ValueError for a mode that there is not."""
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}; it may be {', '.join(MODES)}")
    return pb.DeriveRequest(graph=message_of(graph), mode=MODES[mode], by=by)


def derived(response: pb.DeriveResponse) -> Derived:
    """The derived graph of a response."""
    results = tuple(DerivedValue(one.by, one.output, one.value or None) for one in response.results)
    return Derived(response.graph, results, {one.of: one.leaf for one in response.leaves})


@contextmanager
def translated() -> Iterator[None]:
    """Raise what gRPC raises as a `GradproofError`."""
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc(error) from error
    except ValueError as error:
        if "closed channel" not in str(error):
            raise
        raise Unavailable("the client is closed") from error


def message_of(graph: Graph) -> graph_pb2.Graph:
    """The message of a graph."""
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
    """``value`` as an array; a Python number takes the leaf's dtype where it fits (where not, the server says so)."""
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
