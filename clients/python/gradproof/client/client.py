"""A client of a server, or of several servers that stand for each other."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

from numpy.typing import NDArray

from gradproof.client import requests
from gradproof.client.channel import LOCAL, Connection, Token
from gradproof.client.decoding import decode_op
from gradproof.client.dispatch import Digests, attempts
from gradproof.client.errors import GradproofError
from gradproof.client.events import Accepted, Event, OpInfo, Result
from gradproof.client.explanation import Explanation, explanation
from gradproof.client.forms import Form, Forms, response_result
from gradproof.client.graph import Graph, Hook
from gradproof.client.graph_function import GraphFunction
from gradproof.client.local import LocalSession, run_events
from gradproof.client.origin import claim
from gradproof.client.progress_bar import reporting
from gradproof.client.requests import Derived, Inference, OnProgress, Options, ProofStep, RunExchange, Watch, translated
from gradproof.client.retry import Call, retried, retried_stream
from gradproof.client.server_extra import require_server
from gradproof.client.session import Session, collected
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, op_service_pb2, op_service_pb2_grpc

if TYPE_CHECKING:
    from gradproof.server.supervision.embedded import EmbeddedServer

T = TypeVar("T")


class Client:
    """Sends graphs to the server at ``target`` (host:port). A context manager; calls raise `GradproofError`:
    Forked in a fork of a process that has made a client.

    Args:
        target: address of the server, or addresses of several, which take turns (they share no graphs: a server that
            has not seen a graph is sent it); ``local`` is a server in this process, without gRPC (see `connect`).
        timeout: seconds that a call may take with all its repetitions, unless the call says otherwise; the budget of its
            checks is added.
        tls: encrypt; True trusts the usual authorities, a path is that of a file with the certificates to trust.
        certificate: path of a file (PEM) with the certificate that the client shows, and its chain.
        key: path of a file (PEM) with the key of ``certificate``.
        token: sent as ``authorization: Bearer`` with every call; over TLS, or to this machine. A function is called for
            each attempt at a call, so that tokens may change.
        retries: how often a call is repeated that lost its server or was told to come again, unless something of it has
            reached the caller: an event of `stream`, or a call of a hook that runs here.
        on_close: called when the client is closed (an embedded server stops there).
        progress: draw a bar on the terminal while checks and proofs take longer than a second, unless the call says
            otherwise. Nothing is drawn where standard error is no terminal.
        on_loss: called with the seconds that are left when a call that lost its server is to be repeated; it returns when
            the server may be back (an embedded server is started again).
        arguments: flags of ``gradproof serve`` for a server of this client alone, where the target is ``local``; without
            any, all local clients of the process share a server.

    Raises ImportError for the target ``local`` where the server's libraries are not installed.
    """

    def __init__(  # noqa: PLR0913  # each is a keyword that users give
        self,
        target: str | Sequence[str],
        *,
        timeout: float = 60.0,
        tls: bool | str | Path = False,
        certificate: str | Path = "",
        key: str | Path = "",
        token: Token = "",
        retries: int = 6,
        on_close: Callable[[], None] | None = None,
        on_loss: Callable[[float], None] | None = None,
        progress: bool = True,
        arguments: Sequence[str] = (),
    ) -> None:
        self.timeout, self.progress = timeout, progress
        self._connection = Connection(
            target,
            tls=tls,
            certificate=certificate,
            key=key,
            token=token,
            retries=retries,
            on_loss=on_loss,
            arguments=arguments,
        )
        self.target = self._connection.target
        self._on_close = on_close
        self._channel = self._connection.channel()
        self._autodiff = autodiff_service_pb2_grpc.AutodiffServiceStub(self._channel)
        self._ops = op_service_pb2_grpc.OpServiceStub(self._channel)
        self._digests = Digests()
        self._forms = Forms(self._digests)
        self._sessions: WeakSet[Session] = WeakSet()

    def close(self) -> None:
        """Close the connection with its sessions, and the server if it was started for this client. May be called twice; in
        a fork of the process that made the client it does nothing."""
        if not self._connection.origin.here:
            return
        self._connection.closed = True
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
        self,
        graph: Graph,
        values: Mapping[str, Any] | None = None,
        *,
        fetch: Sequence[str] = (),
        timeout: float | None = None,
    ) -> dict[str, NDArray[Any]]:
        """Forward values by name: those in ``fetch``, or the outputs; within ``timeout`` seconds, default the client's."""
        request = pb.EvaluateRequest(input=pb.RunInput(fetch=fetch))
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        for attempt in attempts(request, graph, values, digest=self._digests.of(graph)):
            try:
                result = self.send_evaluate(attempt.request, timeout=end - time.monotonic())
            except GradproofError as error:
                if attempt.settles(error):
                    raise
                continue
            self._digests.learn(graph, result.digest)
            return result.values
        raise AssertionError("the last attempt settles")

    def send_evaluate(self, request: pb.EvaluateRequest, *, timeout: float | None = None) -> Result:
        """Evaluate a request message as it is, within ``timeout`` seconds (default: the client's); the result has values
        and the digest of the graph."""
        call = self._call(timeout=timeout, request_id=request.input.request_id)

        def attempt() -> Result:
            run = RunExchange(request)
            if self._connection.local:
                return collected(run_events(self._channel, run, call.left(), self.target))
            if run.needs_session:
                return collected(self._session(run, call))
            with translated(self.target):
                return requests.evaluated(self._autodiff.Evaluate(request, **call.options()))

        return retried(call, attempt)

    def differentiate(
        self,
        graph: Graph,
        values: Mapping[str, Any] | None = None,
        *,
        progress: bool | None = None,
        on_progress: OnProgress | None = None,
        **options: Any,
    ) -> Result:
        """Values, gradients and verdicts of a run. Options as for `stream`.

        ``progress``: draw a bar on the terminal while checks take longer than a second (default: as the client has it);
        ``on_progress`` is called with a `Progress` while the checks run, at most twice a second.
        """
        form = None
        if not self._connection.local and on_progress is None:
            form = self._forms.of(graph, values, options)
        if form is not None:
            call = self._call(timeout=options.get("timeout"))
            if (result := self._repeated(form, graph, values or {}, call)) is not None:
                return result
            options["timeout"] = call.left()
        with reporting("checks", self._draws(progress), on_progress) as report:
            return self._differentiated(graph, values, requests.watching(report), options)

    def _repeated(self, form: Form, graph: Graph | None, values: Mapping[str, Any], call: Call) -> Result | None:
        """The result of a request of a known form, in a single message; None where it failed, and is to be sent in the
        general way."""
        try:
            with translated(self.target):
                return response_result(self._autodiff.Differentiate(form.request([*values.values()]), **call.options()))
        except GradproofError as error:
            error.request_id = error.request_id or call.request_id
            form.failed(error, graph, self._digests)
            return None

    def _differentiated(
        self, graph: Graph, values: Mapping[str, Any] | None, watch: Watch | None, options: Mapping[str, Any]
    ) -> Result:
        run_options = Options(progress=watch is not None, **options)
        call = self._call(run_options.check_seconds, timeout=run_options.timeout)
        for attempt in attempts(run_options.request(), graph, values, digest=self._digests.of(graph)):
            try:
                result = retried(call, lambda: collected(self._run(attempt.request, call, run_options.hooks), watch))  # noqa: B023
            except GradproofError as error:
                if attempt.settles(error):
                    raise
                continue
            self._digests.learn(graph, result.digest)
            return result
        raise AssertionError("the last attempt settles")

    def stream(  # noqa: PLR0913  # each is a keyword that users give
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
        progress: bool = False,
        timeout: float | None = None,
    ) -> Iterator[Event]:
        """Events as they come: gradients as soon as they are final, verdicts behind them.

        Args:
            graph: a `GraphBuilder` or a message.
            values: for leaves that the graph does not carry: arrays of exactly the leaf's shape and dtype, or Python
                numbers, which take the dtype of a 0-d leaf if they are of no wider kind (5 for a float32, not 0.5 for
                an int8).
            seeds: cotangents of outputs, of exactly their shapes; an output with one element may go without.
            hooks: made by `hook`.
            gradients: names of the values to differentiate by; empty means all leaves that require grad.
            retain: inner values whose gradients are returned too.
            fetch: values to return.
            verify: ``off``, ``cached`` (proofs known already), ``values`` (and the numbers), or ``everything``.
            budget: seconds for the checks.
            required: the weakest summary that will do (``verified``, ``plausible``, ``unchecked``). If a gradient's is
                weaker, VerdictRequired is raised behind the last event; `differentiate` puts all events into its
                ``result``. Empty: any will do.
            progress: yield a `Progress` while the checks run, at most twice a second.
            timeout: seconds for all of it, default the client's and those of the checks.
        """
        run_options = Options(seeds, hooks, gradients, retain, fetch, verify, budget, required, progress)
        call = self._call(run_options.check_seconds, timeout=timeout)
        for attempt in attempts(run_options.request(), graph, values, digest=self._digests.of(graph)):
            try:
                for event in retried_stream(call, lambda: self._run(attempt.request, call, hooks)):  # noqa: B023
                    if isinstance(event, Accepted):
                        self._digests.learn(graph, event.digest)
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
        timeout: float | None = None,
    ) -> Result:
        """Run a request message as it is, with ``hooks`` behind its own (its checks get ``budget`` seconds unless it says
        otherwise), within ``timeout`` seconds (default: the client's and those of the checks). ``watch`` is called with
        each event as it comes, from the first event on where the run is repeated; ``at_once``: events come in a single
        message, which is quicker where they fit into it."""
        whole = pb.DifferentiateRequest()
        whole.CopyFrom(request)
        if not whole.verify.HasField("budget_seconds"):
            whole.verify.budget_seconds = budget
        call = self._call(requests.check_seconds(whole), timeout=timeout, request_id=request.input.request_id)
        return retried(call, lambda: collected(self._run(whole, call, hooks, at_once), watch))

    def function(
        self,
        graph: Graph,
        *,
        fetch: Sequence[str] | None = None,
        gradients: Sequence[str] | None = None,
        seeds: Sequence[str] = (),
    ) -> GraphFunction:
        """A graph as a Python function of its leaves that carry no value, then of the seeds of the outputs ``seeds``: the
        values ``fetch`` (default: the outputs), and the gradients of ``gradients`` (default: the leaves that require grad).

        The graph is sent at the first call, and values alone from then on, on a session that the calls share. Raises
        ValueError for seeds where no gradient is asked for.
        """
        function = GraphFunction(self.session, requests.message_of(graph), fetch, gradients, seeds, self.timeout)
        if function.seeds and not function.gradients:
            raise ValueError(f"seeds of {', '.join(function.seeds)}, and no gradient is asked for")
        return function

    def infer(self, graph: Graph, *, timeout: float | None = None) -> Inference:
        """Shapes, dtypes and all faults of a graph; runs nothing."""
        request = pb.InferRequest(graph=requests.message_of(graph))
        return requests.inferred(self._unary(self._autodiff.Infer, request, self._call(timeout=timeout)))

    def derive(
        self, graph: Graph, mode: str = "gradient", by: Sequence[str] = (), *, timeout: float | None = None
    ) -> Derived:
        """The graph of a derivative. ``mode``: gradient, vjp, jvp, hvp, jacobian or hessian; ``by``: names of the values to
        differentiate by, default the leaves that require grad."""
        request, call = requests.derive_request(graph, mode, by), self._call(timeout=timeout)
        return requests.derived(self._unary(self._autodiff.Derive, request, call))

    def explain(self, graph: Graph, value: str, *, timeout: float | None = None) -> Explanation:
        """Formulas of a value of a small graph and of its derivatives."""
        request = pb.ExplainRequest(graph=requests.message_of(graph), value=value)
        return explanation(self._unary(self._autodiff.Explain, request, self._call(timeout=timeout)))

    def info(self, *, timeout: float | None = None) -> pb.GetServerInfoResponse:
        """Versions, limits, plugins and named hooks of the server."""
        return self._unary(self._autodiff.GetServerInfo, pb.GetServerInfoRequest(), self._call(timeout=timeout))

    def ops(self, *, verdicts: bool = False, timeout: float | None = None) -> list[OpInfo]:
        """The ops of the server; with ``verdicts`` also the verdicts so far, for which the server traces all rules."""
        call = self._call(timeout=timeout)
        ops: list[OpInfo] = []
        request = op_service_pb2.ListOpsRequest(verdicts=verdicts)
        while True:
            page = self._unary(self._ops.ListOps, request, call)
            ops.extend(map(decode_op, page.ops))
            if not page.next_page_token:
                return ops
            request = op_service_pb2.ListOpsRequest(page_token=page.next_page_token, verdicts=verdicts)

    def op(self, name: str, *, page: bool = False, timeout: float | None = None) -> op_service_pb2.GetOpResponse:
        """An op, with its cases and traced rules; with ``page`` also its page, as Markdown."""
        request = op_service_pb2.GetOpRequest(name=name, page=page)
        return self._unary(self._ops.GetOp, request, self._call(timeout=timeout))

    def verify_op(
        self,
        name: str,
        *,
        budget: float = 30.0,
        refresh: bool = False,
        progress: bool | None = None,
        on_progress: OnProgress | None = None,
        timeout: float | None = None,
    ) -> Iterator[ProofStep]:
        """Prove the rule of an op, case by case, within ``budget`` seconds for all cases; ``refresh``: also cases whose
        proof is known; ``timeout``: seconds for all of it, default the client's and the budget. ``progress`` and
        ``on_progress`` are as for `differentiate`."""
        call = self._call(budget, timeout=timeout)

        def attempt() -> Generator[ProofStep, None, None]:
            with translated(self.target):
                for step in self._connection.answers(self._ops.VerifyOp(request, **call.options())):
                    yield from requests.proof_steps(step, report)

        with reporting(f"proofs of {name}", self._draws(progress), on_progress) as report:
            request = requests.verify_op_request(name, budget, refresh, report)
            yield from retried_stream(call, attempt)

    def session(self, *, timeout: float | None = None) -> Session:
        """A stream for many runs, which may save their values on the server. Each run may take as long as a call of the
        client; the session ends after ``timeout`` seconds, if any. A session that lost its server is over: its
        runs raise Unavailable."""
        return self._opened(self._connection.call(timeout, uuid.uuid4().hex))

    def _opened(self, options: Mapping[str, Any]) -> Session:
        if self._connection.local:
            return LocalSession(self._channel, self._digests, self._connection, self.timeout)
        session = Session(partial(self._autodiff.Session, **options), self._digests, self._connection, self.timeout)
        self._sessions.add(session)
        return session

    def _unary(self, method: Callable[..., T], request: Any, call: Call) -> T:
        """The response of a call with one message on each side."""

        def attempt() -> T:
            with translated(self.target):
                return method(request, **call.options())

        return retried(call, attempt)

    def _draws(self, progress: bool | None) -> bool:
        return self.progress if progress is None else progress

    def _run(
        self, request: pb.DifferentiateRequest, call: Call, hooks: Sequence[Hook] = (), at_once: bool = False
    ) -> Generator[Event, None, None]:
        """Attempt a run once."""
        run = RunExchange(request, hooks)
        if self._connection.local:
            yield from run_events(self._channel, run, call.left(), self.target)
            return
        if run.needs_session:
            yield from self._session(run, call)
            return
        with translated(self.target):
            message = run.streaming()
            if at_once:
                yield from requests.differentiated(self._autodiff.Differentiate(message.request, **call.options()))
                return
            for response in self._connection.answers(self._autodiff.StreamingDifferentiate(message, **call.options())):
                for event in response.events:
                    yield from run.decoder.decode(event)

    def _session(self, run: RunExchange, call: Call) -> Generator[Event, None, None]:
        """A run on a session of its own, which ends with the run."""
        run.request.input.request_id = run.request.input.request_id or call.request_id
        try:
            with self._opened(call.options()) as session:
                yield from session.exchange(run)
        finally:
            call.delivered = call.delivered or run.hook_called

    def _call(self, more: float = 0.0, *, timeout: float | None = None, request_id: str = "") -> Call:
        """A call that may take as long as the client says, and ``more`` seconds; or ``timeout`` seconds."""
        return Call(self._connection, self.timeout + more if timeout is None else timeout, request_id)


def connect(
    target: str | Sequence[str] | None = None, *, timeout: float = 60.0, arguments: Sequence[str] = (), **options: Any
) -> Client:
    """A client of the server at ``target``; without a target, of a server that is started here, as a process of its own,
    started again when it is killed, and stopped when the client is closed; for the target ``local``, of a server in this
    process, without gRPC. ``arguments`` are those of ``gradproof serve`` for such a server; ``options`` those of `Client`.

    Raises ImportError if a server is to be started and its libraries are not installed; Forked in a fork of a process that
    has made a client, unless the target is ``local``.
    """
    if target == LOCAL:
        return Client(target, timeout=timeout, arguments=arguments, **options)
    claim()
    if target is not None:
        return Client(target, timeout=timeout, **options)
    server = start_server(arguments)
    return Client(server.target, timeout=timeout, on_close=server.stop, on_loss=server.recover, **options)


def start_server(arguments: Sequence[str]) -> EmbeddedServer:
    """An embedded server. Raises ImportError if its libraries are not installed, RuntimeError if it does not come up."""
    require_server()
    from gradproof.server.supervision.embedded import EmbeddedServer  # noqa: PLC0415  # not needed for a server elsewhere

    return EmbeddedServer(arguments)


__all__ = ["Client", "Derived", "Inference", "ProofStep", "connect"]
