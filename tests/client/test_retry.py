"""Metadata of every call, and what a client makes of the statuses it may get: repeated within one deadline, or raised."""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2
from opentelemetry import trace
from tests.support.server_fixture import Served

import gradproof.client as gp
from gradproof.client import (
    AsyncClient,
    Client,
    DataFault,
    DeadlineExceeded,
    GradproofError,
    GraphBuilder,
    InternalError,
    InvalidRequest,
    Overloaded,
    PermissionDenied,
    QuotaExceeded,
    ResourceExhausted,
    RunError,
    Unauthenticated,
    Unavailable,
    hook,
)
from gradproof.client.channel import Connection
from gradproof.client.requests import RunExchange
from gradproof.client.retry import Call
from gradproof.v1 import autodiff_service_pb2 as pb

INFO = "/gradproof.v1.AutodiffService/GetServerInfo"
STREAM = "/gradproof.v1.AutodiffService/StreamingDifferentiate"


def status(code: grpc.StatusCode, reason: str = "", after: float | None = None, **metadata: str) -> status_pb2.Status:
    found = status_pb2.Status(code=code.value[0], message=f"no: {reason}")
    details: list[Any] = [error_details_pb2.ErrorInfo(reason=reason, domain="gradproof", metadata=metadata)]
    if after is not None:
        delay = duration_pb2.Duration()
        delay.FromMilliseconds(int(after * 1000))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    for detail in details:
        packed = any_pb2.Any()
        packed.Pack(detail)
        found.details.append(packed)
    return found


class Scripted(grpc.GenericRpcHandler):
    """A server that answers `info` and `stream` as a script says: with statuses, one for each call, and then well. A stream
    gives ``before`` events first."""

    def __init__(self) -> None:
        self.script: deque[status_pb2.Status] = deque()
        self.calls: list[dict[str, Any]] = []
        self.before = 0

    def service(self, details: Any) -> Any:
        if details.method == INFO:
            return grpc.unary_unary_rpc_method_handler(
                self._info, pb.GetServerInfoRequest.FromString, pb.GetServerInfoResponse.SerializeToString
            )
        if details.method == STREAM:
            return grpc.unary_stream_rpc_method_handler(
                self._stream,
                pb.StreamingDifferentiateRequest.FromString,
                pb.StreamingDifferentiateResponse.SerializeToString,
            )
        return None

    def _turn(self, context: Any) -> None:
        self.calls.append(dict(context.invocation_metadata()))
        if self.script:
            found = self.script.popleft()
            context.set_trailing_metadata((("grpc-status-details-bin", found.SerializeToString()),))
            context.abort(next(code for code in grpc.StatusCode if code.value[0] == found.code), found.message)

    def _info(self, request: Any, context: Any) -> pb.GetServerInfoResponse:
        self._turn(context)
        return pb.GetServerInfoResponse(versions={"gradproof": "1"})

    def _stream(self, request: Any, context: Any) -> Iterator[pb.StreamingDifferentiateResponse]:
        accepted = pb.StreamingDifferentiateResponse(events=[pb.Event(accepted=pb.Accepted(digest="d"))])
        for _ in range(self.before):
            yield accepted
        self._turn(context)
        yield accepted
        yield pb.StreamingDifferentiateResponse(events=[pb.Event(summary=pb.RunSummary())])


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Scripted, str]]:
    scripted = Scripted()
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=[scripted])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield scripted, f"127.0.0.1:{port}"
    server.stop(None)


@pytest.fixture
def scripted(running: tuple[Scripted, str]) -> Scripted:
    running[0].script.clear()
    running[0].calls.clear()
    running[0].before = 0
    return running[0]


@pytest.fixture(params=["sync", "async"])
def ask(running: tuple[Scripted, str], scripted: Scripted, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`info` of a client with these options, of both kinds."""

    def blocking(**options: Any) -> Any:
        with Client(running[1], **options) as client:
            return client.info()

    def awaited(**options: Any) -> Any:
        async def run() -> Any:
            async with AsyncClient(running[1], **options) as client:
                return await client.info()

        return asyncio.run(run())

    return blocking if request.param == "sync" else awaited


def square() -> GraphBuilder:
    g = GraphBuilder()
    g.output(g.apply("square", g.leaf("x", 3.0, requires_grad=True), name="y"))
    return g


class TestWhatIsRepeated:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "refusal",
        [
            status(grpc.StatusCode.UNAVAILABLE),
            status(grpc.StatusCode.CANCELLED, "CANCELLED"),
            status(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 0.01),
            status(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED"),
            status(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED", 0.01),
        ],
        ids=lambda one: f"{one.code} {len(one.details)}",
    )
    def test_what_may_be_better_later(self, scripted: Scripted, ask: Callable[..., Any], refusal: Any) -> None:
        scripted.script.extend([refusal, refusal])
        assert ask().versions == {"gradproof": "1"}
        assert len(scripted.calls) == 3
        assert len({one["x-request-id"] for one in scripted.calls}) == 1

    @pytest.mark.parametrize(
        ("refusal", "kind"),
        [
            (status(grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_EXCEEDED"), ResourceExhausted),
            (status(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXCEEDED"), QuotaExceeded),
            (status(grpc.StatusCode.UNAUTHENTICATED), Unauthenticated),
            (status(grpc.StatusCode.PERMISSION_DENIED), PermissionDenied),
            (status(grpc.StatusCode.INVALID_ARGUMENT), InvalidRequest),
            (status(grpc.StatusCode.INTERNAL, "INTERNAL", incident="f00"), InternalError),
        ],
        ids=lambda one: one.__name__ if isinstance(one, type) else "",
    )
    def test_what_would_be_the_same_again(
        self, scripted: Scripted, ask: Callable[..., Any], refusal: Any, kind: type[GradproofError]
    ) -> None:
        scripted.script.append(refusal)
        with pytest.raises(GradproofError) as caught:
            ask()
        assert type(caught.value) is kind
        assert [one["x-request-id"] for one in scripted.calls] == [caught.value.request_id]

    @pytest.mark.slow
    def test_no_more_often_than_was_said(self, scripted: Scripted, ask: Callable[..., Any]) -> None:
        for retries in (0, 2):
            scripted.calls.clear()
            scripted.script.extend([status(grpc.StatusCode.UNAVAILABLE, "WORD")] * (retries + 1))
            with pytest.raises(Unavailable) as caught:
                ask(retries=retries)
            assert (caught.value.reason, len(scripted.calls), len(scripted.script)) == ("WORD", retries + 1, 0)

    def test_not_where_the_wait_is_longer_than_the_call_may_be(self, scripted: Scripted, ask: Callable[..., Any]) -> None:
        scripted.script.append(status(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 3600.0, limit="queue"))
        with pytest.raises(Overloaded, match="no: OVERLOADED") as caught:
            ask()
        assert (caught.value.retry_after, caught.value.metadata, len(scripted.calls)) == (3600.0, {"limit": "queue"}, 1)

    @pytest.mark.slow
    @pytest.mark.parametrize("before", [0, 1])
    def test_a_stream_only_before_its_first_event(
        self, running: tuple[Scripted, str], scripted: Scripted, before: int
    ) -> None:
        """What is collected is always repeated."""
        scripted.before = before
        with Client(running[1]) as client:
            scripted.script.append(status(grpc.StatusCode.UNAVAILABLE))
            assert client.differentiate(square(), verify="off").digest == "d"
            scripted.script.append(status(grpc.StatusCode.UNAVAILABLE))
            events = client.stream(square(), verify="off")
            if before:
                next(events)
                with pytest.raises(Unavailable):
                    next(events)
            else:
                assert len(list(events)) == 2

        async def run() -> None:
            async with AsyncClient(running[1]) as client:
                scripted.script.append(status(grpc.StatusCode.UNAVAILABLE))
                assert (await client.differentiate(square(), verify="off")).digest == "d"
                scripted.script.append(status(grpc.StatusCode.UNAVAILABLE))
                events = client.stream(square(), verify="off")
                if before:
                    await anext(events)
                    with pytest.raises(Unavailable):
                        await anext(events)
                else:
                    assert len([one async for one in events]) == 2

        asyncio.run(run())

    def test_one_deadline_for_all_attempts(self) -> None:
        call = Call(Connection("127.0.0.1:1", retries=1000), 0.5)
        pauses: list[float] = []
        with pytest.raises(Unavailable) as caught:
            pauses.extend(iter(lambda: call.pause(Unavailable("away")), None))
        assert caught.value.request_id == call.request_id
        assert pauses[0] <= 0.2
        assert all(pause < 0.5 for pause in pauses)
        with pytest.raises(DeadlineExceeded, match=r"longer than it may \(0 seconds\)"):
            Call(Connection("127.0.0.1:1"), -1.0).options()

    def test_pauses_grow_and_differ(self) -> None:
        def pauses() -> list[float]:
            call = Call(Connection("127.0.0.1:1", retries=8), 1000.0)
            return [call.pause(Unavailable("away")) for _ in range(8)]

        found = [pauses() for _ in range(20)]
        for k, column in enumerate(zip(*found, strict=True)):
            top = min(2.0, 0.2 * 2**k)
            assert all(top / 2 <= pause <= top for pause in column)
            assert len(set(column)) > 10

    def test_a_client_that_is_closed_repeats_nothing(self) -> None:
        client = Client("127.0.0.1:1")
        call = client._call()
        client.close()
        with pytest.raises(Unavailable):
            call.pause(Unavailable("away"))


class TestErrors:
    def test_a_users_numbers(self, scripted: Scripted, ask: Callable[..., Any]) -> None:
        places = {"node": "2", "op": "cholesky", "plugin": "matrices", "value": "m", "element": "[3, 3]"}
        for code in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.FAILED_PRECONDITION):
            scripted.script.append(status(code, "DATA_FAULT", None, **places))
            with pytest.raises(DataFault) as caught:
                ask()
            error = caught.value
            assert isinstance(error, RunError)
            assert (error.node, error.op, error.plugin, error.value, error.element) == (
                2,
                "cholesky",
                "matrices",
                "m",
                "[3, 3]",
            )

    def test_incidents(self, scripted: Scripted, ask: Callable[..., Any]) -> None:
        scripted.script.append(status(grpc.StatusCode.INTERNAL, "INTERNAL", incident="f00"))
        with pytest.raises(InternalError) as caught:
            ask()
        assert caught.value.incident == "f00"
        assert Unavailable("away").incident == ""

    def test_copies_are_whole(self) -> None:
        error = Overloaded("busy", "OVERLOADED", {"limit": "queue"}, 2.0)
        error.request_id = "id"
        again = copy.copy(error)
        assert (str(again), again.reason, again.metadata, again.retry_after, again.request_id) == (
            "busy",
            "OVERLOADED",
            {"limit": "queue"},
            2.0,
            "id",
        )

    def test_a_run_on_a_session_has_its_own_id(self, shared: Served) -> None:
        """The one that its message has, if it has one."""
        message = pb.DifferentiateRequest(input=pb.RunInput(digest="unheard", request_id="mine"))
        with shared.client.session() as session:
            with pytest.raises(GradproofError) as caught:
                session.differentiate(saved="nothing")
            assert len(caught.value.request_id) == 32
        with pytest.raises(GradproofError) as caught:
            shared.client.send(message)
        assert caught.value.request_id == "mine"

    @pytest.mark.parametrize("odd", ["zwölf", "a\nb", "x" * 1000])
    def test_an_id_that_metadata_cannot_hold(self, shared: Served, odd: str) -> None:
        message = pb.DifferentiateRequest(input=pb.RunInput(graph=square().to_proto(), request_id=odd))
        for hooks in ([], [hook("y", lambda g: g)]):
            assert shared.client.send(message, hooks=hooks).gradients["x"].gradient == 6.0


class TestSessions:
    """Refusals of runs on a session are the messages that a server makes of the statuses above."""

    @pytest.fixture
    def refusing(self, shared: Served, monkeypatch: pytest.MonkeyPatch) -> deque[status_pb2.Status]:
        """Statuses that runs of the server end with, before it is at itself again."""
        script: deque[status_pb2.Status] = deque()
        prepare = shared.host.handler._prepare

        def refuse(*given: Any, **options: Any) -> Any:
            if script:
                raise OSError
            return prepare(*given, **options)

        monkeypatch.setattr(shared.host.handler, "_prepare", refuse)
        monkeypatch.setattr(shared.host.handler, "recall", lambda _: None)
        monkeypatch.setattr("gradproof.server.services.session.unexpected", lambda error: script.popleft())
        return script

    @pytest.mark.slow
    def test_what_may_be_better_later(self, shared: Served, refusing: deque[status_pb2.Status]) -> None:
        """On a session that lasts, on one of its own, and below tensors."""
        busy = status(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 0.01)

        def doubled(gradient: Any) -> Any:
            return gradient * 2

        with shared.client.session() as session:
            refusing.extend([busy, busy])
            assert session.differentiate(square(), verify="off").gradients["x"].gradient == 6.0
        refusing.extend([busy, busy])
        hooks = [hook("y", doubled)]
        assert shared.client.differentiate(square(), hooks=hooks, verify="off").gradients["x"].gradient == 12.0
        before = gp.use(shared.client)
        try:
            refusing.extend([busy, busy])
            x = gp.tensor([3.0] * 20_000, requires_grad=True)
            y = (x * x).sum()
            assert y.item() == 180_000.0
            refusing.extend([busy, busy])
            y.backward()
            assert x.grad is not None
            assert x.grad[0].item() == 6.0
        finally:
            gp.use(before)
        assert not refusing

        async def run() -> None:
            async with AsyncClient(shared.target) as client, client.session() as session:
                refusing.extend([busy, busy])
                assert (await session.differentiate(square(), verify="off")).gradients["x"].gradient == 6.0
                refusing.extend([busy, busy])
                assert (await client.differentiate(square(), hooks=hooks, verify="off")).gradients["x"].gradient == 12.0

        asyncio.run(run())
        assert not refusing

    def test_two_runs_of_one_id(self, shared: Served) -> None:
        message = pb.EvaluateRequest(input=pb.RunInput(graph=square().to_proto(), request_id="mine"))
        with shared.client.session() as session:
            first = session.exchange(RunExchange(message))
            next(first)
            with pytest.raises(ValueError, match="'mine' is in progress"):
                next(session.exchange(RunExchange(message)))
            assert len(list(first)) > 0
            assert len(list(session.exchange(RunExchange(message)))) > 1

    def test_what_is_raised_says_all_that_a_status_does(self, shared: Served, refusing: deque[status_pb2.Status]) -> None:
        with shared.client.session() as session:
            refusing.append(status(grpc.StatusCode.INTERNAL, "INTERNAL", incident="f00"))
            with pytest.raises(InternalError) as internal:
                session.evaluate(square())
            assert internal.value.incident == "f00"
            refusing.append(status(grpc.StatusCode.INVALID_ARGUMENT, "DATA_FAULT", node="1", element="[2]"))
            with pytest.raises(DataFault) as data:
                session.evaluate(square())
            assert (data.value.node, data.value.element) == (1, "[2]")
            refusing.append(status(grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED", 3600.0))
            with pytest.raises(Overloaded) as overloaded:
                session.evaluate(square())
            assert overloaded.value.retry_after == 3600.0
            assert len({one.value.request_id for one in (internal, data, overloaded)}) == 3


class TestMetadata:
    def test_the_span_of_the_caller(self, scripted: Scripted, ask: Callable[..., Any]) -> None:
        context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
        with trace.use_span(trace.NonRecordingSpan(context)):
            ask()
        ask()
        assert scripted.calls[0]["traceparent"] == f"00-{0xABC:032x}-{0xDEF:016x}-01"
        assert "traceparent" not in scripted.calls[1]
        assert scripted.calls[0]["x-request-id"] != scripted.calls[1]["x-request-id"]

    def test_tokens_that_change(self, running: tuple[Scripted, str], scripted: Scripted) -> None:
        tokens = iter(["one\n", "two", ""])
        with Client(running[1], token=lambda: next(tokens)) as client:
            for _ in range(3):
                client.info()
            with pytest.raises(StopIteration):
                client.info()
        assert [one.get("authorization") for one in scripted.calls] == ["Bearer one", "Bearer two", None]
        with pytest.raises(ValueError, match="a token is sent over TLS only"):
            Client("example.org:1", token=lambda: "t")


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, Path]]]:
    """A server that wants to see a certificate, and files for a client."""
    folder = tmp_path_factory.mktemp("certificates")
    ca = trustme.CA()
    server, own = ca.issue_cert("127.0.0.1"), ca.issue_cert("somebody@example.org")
    files = {name: folder / f"{name}.pem" for name in ("tls", "certificate", "key")}
    ca.cert_pem.write_to_path(str(files["tls"]))
    own.cert_chain_pems[0].write_to_path(str(files["certificate"]))
    own.private_key_pem.write_to_path(str(files["key"]))
    pair = server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes()
    serving = grpc.server(futures.ThreadPoolExecutor(2), handlers=[Scripted()])
    port = serving.add_secure_port(
        "127.0.0.1:0", grpc.ssl_server_credentials([pair], ca.cert_pem.bytes(), require_client_auth=True)
    )
    serving.start()
    yield f"127.0.0.1:{port}", files
    serving.stop(None)


def test_a_certificate_of_the_client(mutual: tuple[str, dict[str, Path]]) -> None:
    target, files = mutual
    with Client(target, **files) as client:  # type: ignore[arg-type]
        assert client.info().versions

    async def run() -> None:
        async with AsyncClient(target, **{name: str(path) for name, path in files.items()}) as client:  # type: ignore[arg-type]
            assert (await client.info()).versions

    asyncio.run(run())
    with Client(target, tls=files["tls"], retries=0) as client, pytest.raises(Unavailable):
        client.info()


def test_certificates_that_do_not_go_together(mutual: tuple[str, dict[str, Path]]) -> None:
    target, files = mutual
    with pytest.raises(ValueError, match="a client certificate and its key go together"):
        Client(target, tls=True, certificate=files["certificate"])
    with pytest.raises(ValueError, match="shown over TLS only"):
        Client(target, certificate=files["certificate"], key=files["key"])
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pem"):
        Client(target, tls=True, certificate="nowhere.pem", key="nowhere.pem")
