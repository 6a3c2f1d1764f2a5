"""A client of a server, or of several that stand for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any
from weakref import WeakSet

from numpy.typing import NDArray

from gradproof.client import requests
from gradproof.client.channel import Connection
from gradproof.client.errors import GradproofError
from gradproof.client.events import Event, OpInfo, Result, decode_op, decode_rule
from gradproof.client.exchange import Digests, attempts
from gradproof.client.explanation import Explanation, explanation
from gradproof.client.graph import Graph, Hook
from gradproof.client.origin import claim
from gradproof.client.requests import Conversation, Derived, Inference, Options, ProofStep, Watch, translated
from gradproof.client.session import Session, collected
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, op_service_pb2, op_service_pb2_grpc


class Client:
    """Sends graphs to the server at ``target`` (host:port). A context manager; calls raise `GradproofError`:
    Forked in a fork of a process that has made a client.

    Args:
        target: address of the server, or addresses of several, which take turns (they share no graphs: one that has
            not seen a graph is sent it).
        timeout: seconds that a call may take, unless the call says otherwise.
        tls: encrypt; True trusts the usual authorities, a path is that of a file with the certificates to trust.
        token: sent as ``authorization: Bearer`` with every call; over TLS, or to this machine.
        retries: how often a call that changes nothing is tried again while the server is UNAVAILABLE.
        on_close: called when the client is closed (an embedded server stops there).
    """

    def __init__(
        self,
        target: str | Sequence[str],
        *,
        timeout: float = 60.0,
        tls: bool | str = False,
        token: str = "",
        retries: int = 3,
        on_close: Callable[[], None] | None = None,
    ) -> None:
        self.timeout = timeout
        self._connection = Connection(target, tls=tls, token=token, retries=retries)
        self.target = self._connection.target
        self._on_close = on_close
        self._channel = self._connection.channel()
        self._autodiff = autodiff_service_pb2_grpc.AutodiffServiceStub(self._channel)
        self._ops = op_service_pb2_grpc.OpServiceStub(self._channel)
        self._digests = Digests()
        self._sessions: WeakSet[Session] = WeakSet()

    def close(self) -> None:
        """Close the connection with its sessions, and the server if it was started for this client. May be called twice; in
        a fork of the process that made the client it does nothing."""
        if not self._connection.origin.here:
            return
        for session in list(self._sessions):
            session.cancel()
        self._channel.close()
        if self._on_close is not None:
            stop, self._on_close = self._on_close, None
            stop()

    def check_process(self) -> None:
        """Raises Forked in a fork of the process that made the client."""
        self._connection.origin.check()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def evaluate(
        self, graph: Graph, values: Mapping[str, Any] | None = None, *, fetch: Sequence[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """Forward values by name: those in ``fetch``, or the outputs."""
        message = requests.message_of(graph)
        return self.send_evaluate(
            pb.EvaluateRequest(graph=message, values=requests.named(values, message), fetch=fetch)
        ).values

    def send_evaluate(self, request: pb.EvaluateRequest) -> Result:
        """Evaluate a request message as it is; the result has values and the digest of the graph."""
        conversation = Conversation(request)
        if conversation.needs_session:
            return collected(self._session(conversation))
        with translated():
            return requests.evaluated(self._autodiff.Evaluate(request, **self._call()))

    def differentiate(self, graph: Graph, values: Mapping[str, Any] | None = None, **options: Any) -> Result:
        """Values, gradients and verdicts of one run. Options as for `stream`."""
        return collected(self.stream(graph, values, **options))

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
        request = Options(seeds, hooks, gradients, retain, fetch, verify, budget, required).request()
        for attempt in attempts(request, graph, values, digest=self._digests.of(graph)):
            try:
                for event in self._run(attempt.request, hooks):
                    self._digests.learn(graph, event)
                    yield event
                return
            except GradproofError as error:
                if attempt.settles(error):
                    raise

    def send(
        self,
        request: pb.DifferentiateRequest,
        *,
        budget: float = 5.0,
        hooks: Sequence[Hook] = (),
        watch: Watch | None = None,
        at_once: bool = False,
    ) -> Result:
        """Run a request message as it is, with ``hooks`` behind its own (its checks get ``budget`` seconds unless it says
        otherwise). ``watch`` is called with each event as it comes; ``at_once``: they come in one message, which is quicker
        where they fit into it."""
        whole = pb.DifferentiateRequest()
        whole.CopyFrom(request)
        whole.verify.budget_ms = whole.verify.budget_ms or max(1, int(budget * 1000))
        return collected(self._run(whole, hooks, at_once), watch)

    def infer(self, graph: Graph) -> Inference:
        """Shapes, dtypes and all faults of a graph; runs nothing."""
        with translated():
            return requests.inferred(
                self._autodiff.Infer(pb.InferRequest(graph=requests.message_of(graph)), **self._call())
            )

    def derive(self, graph: Graph, mode: str = "gradient", by: Sequence[str] = ()) -> Derived:
        """The graph of a derivative. ``mode``: gradient, vjp, jvp, hvp, jacobian or hessian; ``by``: names of the values to
        differentiate by, default the leaves that require grad."""
        request = requests.derive_request(graph, mode, by)
        with translated():
            return requests.derived(self._autodiff.Derive(request, **self._call()))

    def explain(self, graph: Graph, value: str) -> Explanation:
        """Formulas of a value of a small graph and of its derivatives."""
        request = pb.ExplainRequest(graph=requests.message_of(graph), value=value)
        with translated():
            return explanation(self._autodiff.Explain(request, **self._call()))

    def info(self) -> pb.GetServerInfoResponse:
        """Versions, limits, plugins and named hooks of the server."""
        with translated():
            return self._autodiff.GetServerInfo(pb.GetServerInfoRequest(), **self._call())

    def ops(self) -> list[OpInfo]:
        """All ops of the server."""
        found: list[OpInfo] = []
        token = ""
        while True:
            with translated():
                page = self._ops.ListOps(op_service_pb2.ListOpsRequest(page_token=token), **self._call())
            found.extend(decode_op(one) for one in page.ops)
            token = page.next_page_token
            if not token:
                return found

    def op(self, name: str) -> op_service_pb2.GetOpResponse:
        """One op, with its cases and traced rules."""
        with translated():
            return self._ops.GetOp(op_service_pb2.GetOpRequest(name=name), **self._call())

    def verify_op(self, name: str, *, budget: float = 30.0, refresh: bool = False) -> Iterator[ProofStep]:
        """Prove the rule of an op, case by case; ``budget`` seconds for all of them."""
        request = op_service_pb2.VerifyOpRequest(name=name, budget_ms=int(budget * 1000), refresh=refresh)
        with translated():
            for step in self._connection.answers(self._ops.VerifyOp(request, **self._call(budget))):
                yield ProofStep(decode_rule(step.verdict), step.done, step.total)

    def _run(self, request: pb.DifferentiateRequest, hooks: Sequence[Hook] = (), at_once: bool = False) -> Iterator[Event]:
        conversation = Conversation(request, hooks)
        if conversation.needs_session:
            yield from self._session(conversation)
            return
        with translated():
            message, call = conversation.streaming(), self._call(conversation.check_seconds)
            if at_once:
                yield from requests.differentiated(self._autodiff.Differentiate(message.request, **call))
                return
            for response in self._connection.answers(self._autodiff.StreamingDifferentiate(message, **call)):
                yield from conversation.decoder.decode(response.event)

    def session(self, *, timeout: float | None = None) -> Session:
        """One stream for many runs, which may keep their values on the server. It ends after ``timeout`` seconds, if there
        is one."""
        made = Session(partial(self._autodiff.Session, **{**self._call(), "timeout": timeout}), self._digests)
        self._sessions.add(made)
        return made

    def _session(self, conversation: Conversation) -> Iterator[Event]:
        """One run on a session of its own."""
        with self.session(timeout=self.timeout + conversation.check_seconds) as session:
            yield from session.converse(conversation)

    def _call(self, more: float = 0.0) -> dict[str, Any]:
        return self._connection.call(self.timeout + more)


def connect(
    target: str | Sequence[str] | None = None, *, timeout: float = 60.0, arguments: Sequence[str] = (), **options: Any
) -> Client:
    """A client of the server at ``target``; without one, of a server that is started here, on a free loopback port, and
    stopped when the client is closed. ``arguments`` are those of ``gradproof serve`` for such a server;
    ``options`` those of `Client`.

    Raises ImportError if a server is to be started and its libraries are not installed; Forked in a fork of a process that
    has made a client.
    """
    claim()
    if target is not None:
        return Client(target, timeout=timeout, **options)
    try:
        from gradproof.server.embedded import EmbeddedServer
    except ModuleNotFoundError as error:
        raise ImportError("starting a server needs its libraries: pip install 'gradproof[server]'") from error
    server = EmbeddedServer(arguments)
    return Client(server.target, timeout=timeout, on_close=server.stop, **options)


__all__ = ["Client", "Derived", "Inference", "ProofStep", "connect"]
