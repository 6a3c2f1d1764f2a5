"""A client of one server."""

from __future__ import annotations

import copy
import itertools
import queue
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import grpc
import numpy as np
from numpy.typing import NDArray

from gradproof.client.errors import FieldFault, NotFound, VerdictRequired, from_fault, from_rpc
from gradproof.client.events import Event, EventDecoder, OpInfo, Result, RuleVerdict, decode_op, decode_rule
from gradproof.client.graph import CallableHook, Graph, GraphBuilder, Hook
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, graph_pb2, op_service_pb2, op_service_pb2_grpc, tensor_pb2, verdict_pb2
from gradproof.wire import WireError, chunks, decode_spec, decode_tensor, encode_tensor

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


class Client:
    """Sends graphs to the server at ``target`` (host:port). A context manager; calls raise `GradproofError`.

    Args:
        target: address of the server.
        timeout: seconds that a call may take, unless the call says otherwise.
        on_close: called when the client is closed (an embedded server stops there).
    """

    def __init__(self, target: str, *, timeout: float = 60.0, on_close: Callable[[], None] | None = None) -> None:
        self.target, self.timeout = target, timeout
        self._on_close = on_close
        self._channel = grpc.insecure_channel(target)
        self._autodiff = autodiff_service_pb2_grpc.AutodiffServiceStub(self._channel)
        self._ops = op_service_pb2_grpc.OpServiceStub(self._channel)
        self._digests: WeakKeyDictionary[GraphBuilder, tuple[int, str]] = WeakKeyDictionary()
        self._numbers = itertools.count(1)

    def close(self) -> None:
        """Close the connection, and the server if it was started for this client. May be called twice."""
        self._channel.close()
        if self._on_close is not None:
            stop, self._on_close = self._on_close, None
            stop()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def evaluate(
        self, graph: Graph, values: Mapping[str, Any] | None = None, *, fetch: Sequence[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """Forward values by name: those in ``fetch``, or the outputs."""
        message = _message(graph)
        return self.send_evaluate(pb.EvaluateRequest(graph=message, values=_named(values, message), fetch=fetch)).values

    def send_evaluate(self, request: pb.EvaluateRequest) -> Result:
        """Evaluate a request message as it is; the result has values and the digest of the graph."""
        result = Result()
        if request.ByteSize() > INLINE_BYTES:
            for event in self._session(request):
                result.add(event)
            return result
        with _translated():
            response = self._autodiff.Evaluate(request, timeout=self.timeout)
        result.digest = response.digest
        result.values = {named.name: decode_tensor(named.value) for named in response.values}
        return result

    def differentiate(self, graph: Graph, values: Mapping[str, Any] | None = None, **options: Any) -> Result:
        """Values, gradients and verdicts of one run. Options as for `stream`."""
        return _collected(self.stream(graph, values, **options))

    def stream(
        self,
        graph: Graph,
        values: Mapping[str, Any] | None = None,
        *,
        seeds: Mapping[str, Any] | None = None,
        hooks: Sequence[Hook] = (),
        gradients: Sequence[str] = (),
        retain: Sequence[str] = (),
        fetch: Sequence[str] = (),
        verify: str = "everything",
        budget: float = 5.0,
        required: str = "",
    ) -> Iterator[Event]:
        """Events as they come: gradients as soon as they are final, verdicts behind them.

        Args:
            graph: a `GraphBuilder` or a message.
            values: for leaves that the graph does not carry: arrays of exactly the leaf's shape and dtype, or Python
                numbers, which take the dtype of a 0-d leaf if they are of no wider kind (5 for a float32, not 0.5 for
                an int8).
            seeds: cotangents of outputs, of exactly their shapes; an output with one element may go without.
            hooks: made by `hook`.
            gradients: names of the values whose gradients are wanted; empty means all leaves that require grad.
            retain: inner values whose gradients are wanted too.
            fetch: values to return.
            verify: ``off``, ``cached`` (proofs known already), ``values`` (and the numbers), or ``everything``.
            budget: seconds for the checks.
            required: the weakest summary that will do (``verified``, ``plausible``, ``unchecked``). If a gradient's is
                weaker, VerdictRequired is raised behind the last event; `differentiate` puts what came into its
                ``result``. Empty: any will do.
        """
        if required not in SUMMARIES:
            raise ValueError(f"required is {required!r}; it may be {', '.join(filter(None, SUMMARIES))}")
        if verify not in LEVELS:
            raise ValueError(f"verify is {verify!r}; it may be {', '.join(LEVELS)}")
        message = _message(graph)
        request = pb.DifferentiateRequest(
            values=_named(values, message),
            seeds=[pb.Seed(output=name, cotangent=encode_tensor(np.asarray(v))) for name, v in (seeds or {}).items()],
            gradients=gradients,
            retain=retain,
            fetch=fetch,
            verify=pb.VerifyOptions(
                level=LEVELS[verify], budget_ms=max(1, int(budget * 1000)), required=SUMMARIES[required]
            ),
        )
        known = self._digests.get(graph) if isinstance(graph, GraphBuilder) else None
        if known and isinstance(graph, GraphBuilder) and known[0] == graph.revision:
            request.digest = known[1]
            carried = {named.name for named in request.values}
            request.values.extend(
                tensor_pb2.NamedTensor(name=leaf.name, value=leaf.value)
                for leaf in message.leaves
                if leaf.HasField("value") and leaf.name not in carried
            )
            try:
                yield from self._run(request, hooks)
                return
            except NotFound as error:
                if error.reason != "GRAPH_NOT_FOUND":
                    raise
        request.graph.CopyFrom(message)
        for event in self._run(request, hooks):
            if isinstance(graph, GraphBuilder) and hasattr(event, "digest"):
                self._digests[graph] = (graph.revision, event.digest)
            yield event

    def send(
        self,
        request: pb.DifferentiateRequest,
        *,
        budget: float = 5.0,
        hooks: Sequence[Hook] = (),
        watch: Watch | None = None,
    ) -> Result:
        """Run a request message as it is, with ``hooks`` behind its own (its checks get ``budget`` seconds unless it says
        otherwise). ``watch`` is called with each event as it comes."""
        whole = pb.DifferentiateRequest()
        whole.CopyFrom(request)
        whole.verify.budget_ms = whole.verify.budget_ms or max(1, int(budget * 1000))
        return _collected(self._run(whole, hooks), watch)

    def infer(self, graph: Graph) -> Inference:
        """Shapes, dtypes and all faults of a graph; runs nothing."""
        with _translated():
            response = self._autodiff.Infer(pb.InferRequest(graph=_message(graph)), timeout=self.timeout)
        values = {}
        for named in response.values:
            shape, dtype = decode_spec(named.spec)
            values[named.name] = (dtype, shape)
        faults = [FieldFault(fault.path, fault.message, fault.reason) for fault in response.faults]
        return Inference(values, faults, response.digest, response.estimated_bytes)

    def derive(self, graph: Graph, mode: str = "gradient", by: Sequence[str] = ()) -> Derived:
        """The graph of a derivative. ``mode``: gradient, vjp, jvp, hvp, jacobian or hessian; ``by``: names of the values to
        differentiate by, default the leaves that require grad."""
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}; it may be {', '.join(MODES)}")
        request = pb.DeriveRequest(graph=_message(graph), mode=MODES[mode], by=by)
        with _translated():
            response = self._autodiff.Derive(request, timeout=self.timeout)
        results = tuple(DerivedValue(one.by, one.output, one.value or None) for one in response.results)
        return Derived(response.graph, results, {one.of: one.leaf for one in response.leaves})

    def info(self) -> pb.GetServerInfoResponse:
        """Versions, limits, plugins and named hooks of the server."""
        with _translated():
            return self._autodiff.GetServerInfo(pb.GetServerInfoRequest(), timeout=self.timeout)

    def ops(self) -> list[OpInfo]:
        """All ops of the server."""
        found: list[OpInfo] = []
        token = ""
        while True:
            with _translated():
                page = self._ops.ListOps(op_service_pb2.ListOpsRequest(page_token=token), timeout=self.timeout)
            found.extend(decode_op(one) for one in page.ops)
            token = page.next_page_token
            if not token:
                return found

    def op(self, name: str) -> op_service_pb2.GetOpResponse:
        """One op, with its cases and traced rules."""
        with _translated():
            return self._ops.GetOp(op_service_pb2.GetOpRequest(name=name), timeout=self.timeout)

    def verify_op(self, name: str, *, budget: float = 30.0, refresh: bool = False) -> Iterator[ProofStep]:
        """Prove the rule of an op, case by case; ``budget`` seconds for all of them."""
        request = op_service_pb2.VerifyOpRequest(name=name, budget_ms=int(budget * 1000), refresh=refresh)
        with _translated():
            for step in self._ops.VerifyOp(request, timeout=self.timeout + budget):
                yield ProofStep(decode_rule(step.verdict), step.done, step.total)

    def _run(self, request: pb.DifferentiateRequest, hooks: Sequence[Hook] = ()) -> Iterator[Event]:
        here: dict[int, CallableHook] = {}
        whole = pb.DifferentiateRequest()
        whole.CopyFrom(request)
        request = whole
        for one in hooks:
            if isinstance(one, CallableHook):
                number = next(self._numbers)
                here[number] = one
                client = graph_pb2.ClientHook(hook_id=number)
                request.hooks.add(value=one.value, label=one.label, client=client)
            else:
                request.hooks.append(one)
        if here or request.ByteSize() > INLINE_BYTES:
            yield from self._session(request, here)
            return
        decoder = EventDecoder()
        timeout = self.timeout + request.verify.budget_ms / 1000
        with _translated():
            message = pb.StreamingDifferentiateRequest(request=request)
            for response in self._autodiff.StreamingDifferentiate(message, timeout=timeout):
                yield from decoder.decode(response.event)

    def _session(
        self, request: pb.DifferentiateRequest | pb.EvaluateRequest, hooks: Mapping[int, CallableHook] | None = None
    ) -> Iterator[Event]:
        """One run on a session: its tensors first, in chunks, then the request (a copy: ids take the tensors' places), then
        what the hooks that run here make of their gradients."""
        request = copy.deepcopy(request)
        request.request_id = uuid.uuid4().hex
        frames: queue.SimpleQueue[pb.SessionRequest | None] = queue.SimpleQueue()
        for frame in self._upload(request):
            frames.put(frame)
        if isinstance(request, pb.DifferentiateRequest):
            frames.put(pb.SessionRequest(differentiate=request))
        else:
            frames.put(pb.SessionRequest(evaluate=request))
        if not hooks:
            frames.put(None)
        decoder = EventDecoder()
        place = pb.RunFault()
        checks = request.verify.budget_ms / 1000 if isinstance(request, pb.DifferentiateRequest) else 0.0
        call = self._autodiff.Session(iter(frames.get, None), timeout=self.timeout + checks)
        try:
            with _translated():
                for response in call:
                    if response.WhichOneof("frame") == "fault":
                        raise from_fault(response.fault, place)
                    event = response.event
                    if event.HasField("fault"):
                        place = event.fault
                    if hooks and event.HasField("hook"):
                        gradient = decoder.tensor(event.hook.gradient)
                        for frame in self._answer(event.hook.hook_id, hooks, gradient):
                            frames.put(frame)
                    if event.HasField("summary"):
                        frames.put(None)
                    yield from decoder.decode(event)
        finally:
            frames.put(None)
            call.cancel()  # a run that is over does not notice; one that a hook's exception left has no more to do

    def _answer(
        self, number: int, hooks: Mapping[int, CallableHook], gradient: NDArray[Any]
    ) -> Iterator[pb.SessionRequest]:
        """What a hook that runs here makes of its gradient; the tensor goes ahead in chunks if it is large."""
        result = hooks[number].function(gradient)
        reply = pb.HookReply(hook_id=number)
        if result is not None:
            reply.gradient.CopyFrom(encode_tensor(np.asarray(result)))
            yield from self._ahead([reply.gradient])
        yield pb.SessionRequest(hook=reply)

    def _upload(self, request: pb.DifferentiateRequest | pb.EvaluateRequest) -> Iterator[pb.SessionRequest]:
        """Frames for every tensor of some size; in the request an id takes its place."""
        tensors = [named.value for named in request.values] + [leaf.value for leaf in request.graph.leaves]
        if isinstance(request, pb.DifferentiateRequest):
            tensors += [seed.cotangent for seed in request.seeds]
        yield from self._ahead(tensors)

    def _ahead(self, tensors: Sequence[tensor_pb2.Tensor]) -> Iterator[pb.SessionRequest]:
        for tensor in tensors:
            if len(tensor.data) <= 1 << 12:
                continue
            number = next(self._numbers)
            for part in chunks(decode_tensor(tensor), number):
                if isinstance(part, tensor_pb2.TensorHeader):
                    yield pb.SessionRequest(header=part)
                else:
                    yield pb.SessionRequest(chunk=part)
            tensor.upload = number


def _collected(events: Iterator[Event], watch: Watch | None = None) -> Result:
    result = Result()
    try:
        for event in events:
            if watch is not None:
                watch(event)
            result.add(event)
    except VerdictRequired as error:
        error.result = result
        raise
    return result


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        raise from_rpc(error) from error


def _message(graph: Graph) -> graph_pb2.Graph:
    return graph.to_proto() if isinstance(graph, GraphBuilder) else graph


def _named(values: Mapping[str, Any] | None, graph: graph_pb2.Graph) -> Iterable[tensor_pb2.NamedTensor]:
    if not values:
        return []
    leaves = {leaf.name: leaf for leaf in graph.leaves}
    return [
        tensor_pb2.NamedTensor(name=name, value=encode_tensor(_array(value, leaves.get(name))))
        for name, value in values.items()
    ]


def _array(value: Any, leaf: graph_pb2.Leaf | None) -> NDArray[Any]:
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


def connect(target: str | None = None, *, timeout: float = 60.0, arguments: Sequence[str] = ()) -> Client:
    """A client of the server at ``target``; without one, of a server that is started here, on a free loopback port, and
    stopped when the client is closed. ``arguments`` are those of ``gradproof serve`` for such a server.

    Raises ImportError if a server is to be started and its libraries are not installed.
    """
    if target is not None:
        return Client(target, timeout=timeout)
    try:
        from gradproof.server.embedded import EmbeddedServer
    except ModuleNotFoundError as error:
        raise ImportError("starting a server needs its libraries: pip install 'gradproof[server]'") from error
    server = EmbeddedServer(arguments)
    return Client(server.target, timeout=timeout, on_close=server.stop)


__all__ = ["Client", "Derived", "DerivedValue", "Inference", "ProofStep", "connect"]
