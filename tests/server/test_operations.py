"""What an operator sees of a server: lines, numbers, traces, health, and what runs."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import grpc
import numpy as np
import pytest
import structlog
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind
from rich.console import Console
from structlog.testing import capture_logs
from tests.support.server_fixture import Served, leaf, node, request, serving
from tests.support.waiting import until
from typer.testing import CliRunner

from gradproof.engine.caller import Caller
from gradproof.engine.verify.processes import template
from gradproof.server.calls.calls import CURRENT, Call
from gradproof.server.calls.record import PHASES, CallRegistry, Record, begin_phase, observe_phase
from gradproof.server.commands.cli import app
from gradproof.server.commands.overview import tables
from gradproof.server.configuration.preflight import problems_of
from gradproof.server.configuration.settings import Settings
from gradproof.server.observability import logs, metrics
from gradproof.server.observability.metrics import COUNTED, MAX_WORDS, TABLE, Metrics
from gradproof.server.observability.tracing import Tracing, watchers
from gradproof.server.process.host import Host
from gradproof.server.services.operations import OperationsServicer
from gradproof.server.supervision import peers
from gradproof.server.supervision.peers import Peers
from gradproof.server.supervision.supervised_process import SupervisedProcess
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import operations_service_pb2 as operations

ROOT = Path(__file__).parents[2]
SECRET = 987.654321
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
ALWAYS = [part for part in PHASES if part != "queue"]
"""Small requests wait for nobody."""

SOON = 20.0
"""Seconds for what takes a moment, on a machine that is busy with other tests."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    plugins = ["tests.support.held_plugin", "tests.support.talking_plugin"]
    with serving(tmp_path_factory.mktemp("proofs"), plugin=plugins, metrics_port=0, channelz=True) as served:
        yield served


def small(op: str = "multiply", **rest: Any) -> pb.DifferentiateRequest:
    inputs = "x x" if op == "multiply" else "x"
    return request([leaf("x", np.array([SECRET, 2.0]))], [node(op, inputs, "s"), node("sum", "s", "y")], "y", **rest)


def checked(op: str) -> pb.DifferentiateRequest:
    return small(op, verify=pb.VerifyOptions(level=pb.VERIFY_LEVEL_EVERYTHING, budget_seconds=SOON))


def page(served: Served, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{served.host.metrics_port}{path}", timeout=SOON) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def number(served: Served, name: str) -> float:
    """A number of /metrics, by its name and labels."""
    found = re.search(rf"^{re.escape(name)} (\S+)$", page(served, "/metrics")[1], re.MULTILINE)
    return float(found[1]) if found else 0.0


class Ended:
    """Watches calls: those that have ended, to be waited for."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def observe(self, record: Record | None, phase: str, seconds: float) -> None: ...

    def ended(self, record: Record) -> None:
        self.records.append(record)


# records


def test_parts_of_a_call_are_known_in_it_and_nowhere_else() -> None:
    book, ended = CallRegistry(), Ended()
    book.watchers.append(ended)
    with book.open(Record(Call("/a/B", "id"))) as record:
        begin_phase("run")
        assert record.phase == "run"
        assert book.records() == [record]
        observe_phase("run", 2.0)
        observe_phase("run", 1.0)
    observe_phase("run", 5.0)
    assert record.seconds == {"run": 3.0}
    assert (len(book), ended.records) == (0, [record])


def test_first_calls_of_a_server_are_its_own_affair() -> None:
    book, ended = CallRegistry(), Ended()
    book.watchers.append(ended)
    book.warming = True
    with book.open(Record(Call(peer="unix:"))), book.open(Record(Call(peer="ipv4:127.0.0.1:1"))):
        assert len(book) == 1
    assert len(ended.records) == 1


# request ids


@pytest.mark.slow
def test_a_call_has_the_id_that_its_client_gave_it(served: Served) -> None:
    _, call = served.autodiff.Differentiate.with_call(small(), metadata=(("x-request-id", "job-7"),))
    assert dict(call.trailing_metadata())["x-request-id"] == "job-7"


@pytest.mark.parametrize("given", ["", "x" * 129])
def test_an_id_that_is_none_is_replaced(served: Served, given: str) -> None:
    metadata = (("x-request-id", given),) if given else ()
    _, call = served.autodiff.Differentiate.with_call(small(), metadata=metadata)
    assert re.fullmatch("[0-9a-f]{32}", str(dict(call.trailing_metadata())["x-request-id"]))


def test_an_error_has_the_id_too(served: Served) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        served.autodiff.Differentiate(
            pb.DifferentiateRequest(input=pb.RunInput(digest="none")), metadata=(("x-request-id", "job-8"),)
        )
    trailers: dict[str, Any] = dict(raised.value.trailing_metadata())  # type: ignore[arg-type]
    assert trailers["x-request-id"] == "job-8"
    info = error_details_pb2.RequestInfo()
    details = status_pb2.Status.FromString(trailers["grpc-status-details-bin"]).details
    [named] = [one for one in details if one.Is(info.DESCRIPTOR)]
    named.Unpack(info)
    assert info.request_id == "job-8"


# logs


def test_a_call_is_one_line_that_says_all_but_what_is_in_it(served: Served) -> None:
    metadata = (("x-request-id", "job-9"), ("authorization", "Bearer secret-token"))
    with capture_logs() as lines:
        served.autodiff.Differentiate(checked("multiply"), metadata=metadata)
        served.autodiff.GetServerInfo(pb.GetServerInfoRequest())  # the line of the first is written by then
    [line] = [one for one in lines if one.get("request_id") == "job-9"]
    assert line["event"] == "call"
    assert (line["method"], line["code"], line["log_level"]) == (
        "/gradproof.v1.AutodiffService/Differentiate",
        "OK",
        "info",
    )
    assert {f"{part}_seconds" for part in ALWAYS} < set(line)
    assert line["bytes_in"] > 0
    assert line["bytes_out"] > 0
    assert line["verified"] == 1
    assert line["peer"].startswith("ipv4:127.0.0.1:")
    assert not re.search(r"987\.65|secret", str(lines))


def test_the_line_of_a_refused_call_has_its_reason(served: Served) -> None:
    with capture_logs() as lines:
        with pytest.raises(grpc.RpcError):
            served.autodiff.Differentiate(pb.DifferentiateRequest(input=pb.RunInput(digest="none")))
        served.autodiff.GetServerInfo(pb.GetServerInfoRequest())
    assert ("NOT_FOUND", "GRAPH_NOT_FOUND") in {(one["code"], one.get("reason")) for one in lines if "code" in one}


def test_the_health_of_a_server_is_asked_in_silence(served: Served) -> None:
    with capture_logs() as lines:
        health_pb2_grpc.HealthStub(served.channel).Check(health_pb2.HealthCheckRequest())
        served.autodiff.GetServerInfo(pb.GetServerInfoRequest())
    assert {one["log_level"] for one in lines if one.get("method", "").startswith("/grpc.health")} <= {"debug"}


def test_what_a_definition_says_is_a_line_with_the_id_of_the_request(served: Served) -> None:
    with capture_logs() as lines:
        served.autodiff.Differentiate(checked("talking.say"), metadata=(("x-request-id", "job-10"),))
        until(lambda: any(one.get("request_id") == "job-10" and one["event"] == "worker" for one in lines))
    assert {one["line"] for one in lines if one["event"] == "worker"} == {"said by a definition"}


def test_a_definition_that_says_much_is_not_let_speak() -> None:
    with capture_logs() as lines:
        talk = logs.WorkerLog(per_second=5)
        logs_end = open(talk.write_end, "wb", closefd=False)  # noqa: SIM115
        for _ in range(20):
            logs_end.write(b"blah\n" * 10_000)
        logs_end.close()
        talk.close()
        until(lambda: any(one["event"] == "worker" for one in lines))
    assert len(lines) < 100


@pytest.fixture
def json_logs() -> Iterator[None]:
    root, before = logging.getLogger(), structlog.get_config()
    level, handlers = root.level, list(root.handlers)
    logs.configure("json", "info")
    yield
    logging.captureWarnings(False)
    root.setLevel(level)
    root.handlers = handlers
    structlog.configure(**before)


@pytest.mark.usefixtures("json_logs")
def test_lines_are_json_and_all_go_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    token = CURRENT.set(Call("/a/B", "job-11"))
    structlog.get_logger().info("ours", number=1)
    CURRENT.reset(token)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("library").exception("theirs\nin two lines")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(False)
        logging.captureWarnings(True)  # pytest has put its own in place since
        warnings.warn("careful", UserWarning, stacklevel=1)
    logging.getLogger("asyncio").debug("nothing")
    ours, theirs, warned = map(json.loads, capsys.readouterr().err.splitlines())
    assert (ours["event"], ours["request_id"], ours["level"]) == ("ours", "job-11", "info")
    assert (theirs["event"], theirs["logger"], theirs["level"]) == ("theirs in two lines", "library", "error")
    assert theirs["exception"][0]["exc_value"] == "broken"
    assert "careful" in warned["event"]


def test_every_field_of_the_line_is_on_the_page(served: Served) -> None:
    record = Record(Call("/a/B", "1", "peer", caller=Caller("me")), code="INTERNAL", reason="R", limit="l")
    record.seconds.update(dict.fromkeys(PHASES, 1.0))
    record.verdicts.update(["verified", "plausible", "unchecked", "wrong"])
    with capture_logs() as lines:
        logs.CallLog().ended(record)
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    named = set(re.findall("`(\\w+)`", text.partition("## Logs")[2].partition("\n## ")[0]))
    assert {*lines[0], "level", "timestamp"} - {"log_level"} <= named


# requests of sessions

SESSION = "/gradproof.v1.AutodiffService/Session"


def talk(served: Served, *frames: pb.SessionRequest) -> list[pb.SessionResponse]:
    """The answers of a session called ``talk`` to all frames."""
    return list(served.autodiff.Session(iter(frames), metadata=(("x-request-id", "talk"),), timeout=SOON))


def evaluation(op: str, request_id: str) -> pb.SessionRequest:
    return pb.SessionRequest(
        evaluate=pb.EvaluateRequest(input=pb.RunInput(graph=small(op).input.graph, request_id=request_id))
    )


def test_a_request_of_a_session_has_a_line_and_numbers_of_its_own(served: Served) -> None:
    names = {
        f'gradproof_calls_total{{code="OK",method="{SESSION}/differentiate"}}': 1,
        f'gradproof_calls_total{{code="NOT_FOUND",method="{SESSION}/evaluate"}}': 1,
        f'gradproof_calls_total{{code="INVALID_ARGUMENT",method="{SESSION}/empty"}}': 1,
        f'gradproof_calls_total{{code="OK",method="{SESSION}"}}': 1,
        'gradproof_verdicts_total{summary="verified"}': 1,
        'gradproof_refusals_total{limit="",reason="GRAPH_NOT_FOUND"}': 1,
    }
    before = {name: number(served, name) for name in names}
    run = checked("multiply")
    run.input.request_id = "7"
    with capture_logs() as lines:
        talk(
            served,
            pb.SessionRequest(differentiate=run),
            pb.SessionRequest(evaluate=pb.EvaluateRequest(input=pb.RunInput(digest="none", request_id="8"))),
            pb.SessionRequest(),
        )
        until(lambda: any(one.get("method") == SESSION for one in lines))
    said = {one["request_id"]: one for one in lines if one["event"] == "call" and one["method"].startswith(SESSION)}
    assert set(said) == {"talk", "talk/7", "talk/8", "talk/"}
    assert {f"{part}_seconds" for part in ALWAYS} | {"verified"} < set(said["talk/7"])
    assert (said["talk/8"]["code"], said["talk/8"]["reason"]) == ("NOT_FOUND", "GRAPH_NOT_FOUND")
    assert said["talk/"]["reason"] == "INVALID_REQUEST"
    assert said["talk"]["bytes_in"] > 0
    assert {name: number(served, name) - before[name] for name in names} == names


def test_a_request_of_a_session_that_is_cancelled_is_over(served: Served) -> None:
    cancel = pb.SessionRequest(cancel=pb.CancelRun(request_id="9"))
    with capture_logs() as lines:
        talk(served, evaluation("held.asleep", "9"), cancel)
        until(lambda: not served.host.calls.records())
    assert ("talk/9", "CANCELLED") in {(one["request_id"], one["code"]) for one in lines if one["event"] == "call"}


def test_a_request_of_a_session_is_seen_while_it_runs(served: Served) -> None:
    frames: SimpleQueue[pb.SessionRequest | None] = SimpleQueue()
    frames.put(evaluation("held.asleep", "10"))
    answers = served.autodiff.Session(iter(frames.get, None), timeout=SOON)
    try:
        until(lambda: any(record.parent is not None and record.phase == "run" for record in served.host.calls.records()))
        [found] = served.operations.GetStatus(operations.GetStatusRequest()).processes
    finally:
        frames.put(None)
        answers.cancel()
    shown = {call.method: call.phase for call in found.calls}
    assert shown.items() >= {SESSION: "", f"{SESSION}/evaluate": "run"}.items()
    with (console := Console(width=200)).capture() as shown_calls:
        console.print(tables(found)[1])
    [row] = [row for row in shown_calls.get().splitlines() if "Session/evaluate" in row]
    assert "run" in row
    # with the stream its requests are over
    until(lambda: not served.host.calls.records())


# metrics


def test_calls_verdicts_and_bytes_are_counted(served: Served) -> None:
    names = {
        'gradproof_verdicts_total{summary="verified"}': 1,
        'gradproof_calls_total{code="OK",method="/gradproof.v1.AutodiffService/StreamingDifferentiate"}': 1,
        'gradproof_refusals_total{limit="",reason="GRAPH_NOT_FOUND"}': 1,
    }
    sizes = ["gradproof_received_bytes_total", "gradproof_sent_bytes_total"]
    before = {name: number(served, name) for name in [*names, *sizes]}
    message = pb.StreamingDifferentiateRequest(request=checked("multiply"))
    list(served.autodiff.StreamingDifferentiate(message))
    with pytest.raises(grpc.RpcError):
        served.autodiff.Evaluate(pb.EvaluateRequest(input=pb.RunInput(digest="none")))
    served.autodiff.GetServerInfo(pb.GetServerInfoRequest())
    assert {name: number(served, name) - before[name] for name in names} == names
    assert number(served, "gradproof_received_bytes_total") - before["gradproof_received_bytes_total"] >= message.ByteSize()
    assert number(served, "gradproof_sent_bytes_total") > before["gradproof_sent_bytes_total"]
    for part in ALWAYS:
        assert number(served, f'gradproof_phase_seconds_count{{phase="{part}"}}') > 0


def test_what_is_looked_up_is_there(served: Served) -> None:
    text = page(served, "/metrics")[1]
    for row in TABLE:
        assert re.search(rf"^{row.name}(_total)?[ {{]", text, re.MULTILINE) or not row.read(served.host), row.name
    for name in ("resident_bytes", "open_files", "start_time_seconds", "build"):
        assert re.search(rf"^gradproof_{name}\S* [1-9]", text, re.MULTILINE), name
    assert re.search(r'^gradproof_workers_events_total{event="started"} [1-9]', text, re.MULTILINE)


def test_labels_take_a_bounded_number_of_values(served: Served) -> None:
    counting = Metrics(served.host)
    for k in range(3 * MAX_WORDS):
        counting.ended(Record(Call("/a/B"), code="INTERNAL", reason=f"R{k}"))
    assert counting.text().count(b"gradproof_refusals_total{") == MAX_WORDS + 1
    assert b'gradproof_refusals_total{limit="",reason="other"} 128.0' in counting.text()


def all_names() -> set[str]:
    """Names of metrics, as Prometheus has them."""
    counters = {"gradproof_calls", "gradproof_received_bytes", "gradproof_sent_bytes", "gradproof_verdicts"}
    counters |= {"gradproof_refusals"} | {row.name for row in TABLE if row.kind is metrics.COUNTER}
    return {f"{name}_total" if name in counters else name for name in {*COUNTED, *(row.name for row in TABLE)}}


def test_the_table_of_the_page_names_them_all() -> None:
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    section = text.partition("## Metrics")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(gradproof_\w+)`", section, re.MULTILINE)) == all_names()


def test_the_dashboard_asks_for_what_there_is() -> None:
    board = json.loads((ROOT / "server" / "deploy" / "grafana.json").read_text(encoding="utf-8"))
    asked = {t["expr"] for panel in board["panels"] for t in panel.get("targets", ())}
    found = set(re.findall(r"gradproof_\w+", " ".join(asked)))
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in found} == all_names()


def test_the_http_port_says_whether_the_server_lives_and_is_ready(served: Served) -> None:
    assert page(served, "/readyz") == (200, "SERVING\n")
    assert page(served, "/healthz")[0] == 200
    assert page(served, "/other")[0] == 404


def test_a_stuck_event_loop_is_not_live(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradproof.server.process.host.STUCK_SECONDS", -1.0)
    code, text = page(served, "/healthz")
    assert code == 503
    assert "turned" in text


def test_processes_answer_for_each_other(served: Served, tmp_path: Path) -> None:
    text = b'# HELP a_total A\n# TYPE a_total counter\na_total{b="c"} %d\n'
    with_folder = [Peers(str(tmp_path), k, {"metrics": lambda k=k: text % k}) for k in (1, 2)]  # type: ignore[misc]
    (tmp_path / "7").touch()  # of a process that is gone
    try:
        assert with_folder[0].ask("metrics") == {1: text % 1, 2: text % 2}
        merged = with_folder[1].metrics().decode()
        assert re.findall(r"^a_total.*$", merged, re.MULTILINE) == [
            'a_total{b="c",process="1"} 1.0',
            'a_total{b="c",process="2"} 2.0',
        ]
    finally:
        for one in with_folder:
            one.close()
    assert Peers("", 0, {"metrics": lambda: b"x"}).metrics() == b"x"


def test_all_processes_are_well_or_the_server_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradproof.server.supervision.peers.SECONDS", 0.2)
    words = [
        peers.health_text(True, "SERVING"),
        peers.health_text(False, "NOT_SERVING"),
        peers.health_text(True, "SERVING"),
    ]
    several = [Peers(str(tmp_path), k, {"ready": lambda k=k: words[k]}) for k in range(2)]  # type: ignore[misc]
    try:
        assert several[0].health("ready") == (False, b"process 0: SERVING\nprocess 1: NOT_SERVING\n")
        words[1] = words[0]
        assert several[1].health("ready") == (True, b"process 0: SERVING\nprocess 1: SERVING\n")
        with socket.socket(socket.AF_UNIX) as stuck:  # which takes a connection, and says nothing
            stuck.bind(str(tmp_path / "2"))
            stuck.listen()
            healthy, text = several[0].health("ready")
        assert (healthy, text.splitlines()[2]) == (False, b"process 2: does not answer within 0.2 s")
        assert several[0].health("ready")[0]  # it is gone
    finally:
        for one in several:
            one.close()
    assert Peers("", 0, {"ready": lambda: words[0]}).health("ready") == (True, b"SERVING\n")


@pytest.mark.parametrize("processes", [1, 2])
def test_an_http_port_that_is_taken(processes: int) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # of a stranger, who would share it
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        host: Any = SimpleNamespace(settings=Settings(metrics_port=port, processes=processes), process=SupervisedProcess())
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port} for metrics.*--metrics-port"):
            Host._listen_for_http(host)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"metrics_host": "no host"}, "it must be an address or a name"),
        ({"metrics_port": 0, "processes": 2}, "give a number"),
        ({"metrics_port": 50551}, "the port of gRPC"),
    ],
)
def test_an_http_port_that_will_not_do_is_a_problem(options: dict[str, Any], wanted: str) -> None:
    [problem] = problems_of(Settings(**options))
    assert wanted in problem.text


def test_other_machines_may_read_where_the_address_says_so() -> None:
    assert problems_of(Settings(metrics_port=9464, metrics_host="0.0.0.0")) == []


# traces


@pytest.fixture
def spans(served: Served) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider)
    served.host.calls.watchers.append(tracing)
    served.host.workers.timing_listeners.append(tracing.heard)
    yield exporter
    served.host.calls.watchers.remove(tracing)
    served.host.workers.timing_listeners.clear()
    provider.shutdown()


def test_a_call_goes_on_with_the_trace_of_its_client(served: Served, spans: InMemorySpanExporter) -> None:
    trace, above = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    served.autodiff.Differentiate(checked("exp"), metadata=(("traceparent", f"00-{trace}-{above}-01"),))
    until(lambda: any(span.parent and f"{span.parent.span_id:016x}" == above for span in spans.get_finished_spans()))
    found = spans.get_finished_spans()
    [call] = [span for span in found if span.parent and f"{span.parent.span_id:016x}" == above]
    assert call.name == "gradproof.v1.AutodiffService/Differentiate"
    assert call.attributes is not None
    assert call.attributes["rpc.grpc.status_code"] == "OK"
    parts = [span for span in found if span is not call]
    assert {f"{span.context.trace_id:032x}" for span in found if span.context} == {trace}
    assert {span.name for span in parts} > set(ALWAYS)
    questions = [span for span in parts if span.name.startswith("worker ")]
    assert {"worker graphs", "worker numbers 0"} <= {span.name for span in questions}
    assert all(span.attributes and span.attributes["process.pid"] for span in questions)
    assert all(span.parent and span.parent.span_id == call.context.span_id for span in parts if call.context)
    for span in questions:
        assert call.start_time is not None
        assert span.start_time is not None
        assert call.start_time <= span.start_time


def test_a_request_of_a_session_is_below_it_in_the_trace(served: Served, spans: InMemorySpanExporter) -> None:
    talk(served, evaluation("multiply", "11"))
    until(lambda: any(span.kind is SpanKind.SERVER for span in spans.get_finished_spans()))
    found = {span.name: span for span in spans.get_finished_spans()}
    run, stream = (found[f"gradproof.v1.AutodiffService/Session{part}"] for part in ("/evaluate", ""))
    assert run.parent
    assert run.parent.span_id == stream.context.span_id
    assert run.attributes
    assert run.attributes["gradproof.request_id"] == "talk/11"
    decode = found["decode"]
    assert decode.parent
    assert decode.parent.span_id == run.context.span_id


def test_an_error_is_one_in_the_trace(served: Served, spans: InMemorySpanExporter) -> None:
    with pytest.raises(grpc.RpcError):
        served.autodiff.Evaluate(pb.EvaluateRequest(input=pb.RunInput(digest="none")))
    until(lambda: any(span.kind is SpanKind.SERVER for span in spans.get_finished_spans()))
    [call] = [span for span in spans.get_finished_spans() if span.kind is SpanKind.SERVER]
    assert not call.status.is_ok
    assert call.status.description == "GRAPH_NOT_FOUND"


def test_traces_are_made_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert watchers() == []
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert watchers() == []
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "no-such")
    with capture_logs() as lines:
        assert len(watchers()) == 1
    assert "no-such" in lines[0]["reason"]
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.sdk.trace", None)
    with capture_logs() as lines:
        assert watchers() == []
    assert "gradproof[otel]" in lines[0]["reason"]


# health


def test_health_is_known_of_each_service(served: Served) -> None:
    stub = health_pb2_grpc.HealthStub(served.channel)
    names = ("", "gradproof.v1.AutodiffService", "gradproof.v1.OpService", "verify")
    for name in names:
        assert stub.Check(health_pb2.HealthCheckRequest(service=name)).status == SERVING
    assert set(stub.List(health_pb2.HealthListRequest()).statuses) == set(names)
    with pytest.raises(grpc.RpcError) as raised:
        stub.Check(health_pb2.HealthCheckRequest(service="other"))
    assert raised.value.code() == grpc.StatusCode.NOT_FOUND
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="other"))
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


@pytest.mark.slow
def test_without_processes_verify_is_down_and_nothing_else(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = health_pb2_grpc.HealthStub(served.channel)
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="verify"), timeout=3 * SOON)
    assert next(watch).status == SERVING
    process = served.host.workers._spawner._process
    assert process is not None
    with monkeypatch.context() as broken:
        broken.setattr(template, "command", lambda number: ["false"])
        process.kill()
        assert next(watch).status == NOT_SERVING
        assert stub.Check(health_pb2.HealthCheckRequest()).status == SERVING
        assert page(served, "/readyz")[0] == 200
        assert number(served, "gradproof_verify_ready") == 0
        [found] = served.operations.GetStatus(operations.GetStatusRequest()).processes
        assert found.verify_fault
        assert found.health["verify"] == "NOT_SERVING"
    assert next(watch).status == SERVING
    watch.cancel()


# descriptions


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_services_are_described_in_both_versions(served: Served, version: str) -> None:
    ask = served.channel.stream_stream(
        f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    name = f"grpc.reflection.{version}.ServerReflection"
    asked = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=name),
    ]
    listed, described = ask(iter(asked))
    names = {one.name for one in listed.list_services_response.service}
    assert {name, "gradproof.v1.AutodiffService", "gradproof.v1.OperationsService"} <= names
    assert described.file_descriptor_response.file_descriptor_proto
    assert descriptor_pool.Default().FindServiceByName(name)


def test_channelz_describes_connections(served: Served) -> None:
    from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc

    found = channelz_pb2_grpc.ChannelzStub(served.channel).GetServers(channelz_pb2.GetServersRequest())
    assert found.server


# what runs


@pytest.fixture
def sleeping(served: Served) -> Iterator[None]:
    """A call that never ends by itself."""
    graph = small("held.asleep").input.graph
    call = served.autodiff.Evaluate.future(
        pb.EvaluateRequest(input=pb.RunInput(graph=graph)), metadata=(("x-request-id", "[asleep]"),)
    )
    until(lambda: any(record.phase == "run" for record in served.host.calls.records()))
    yield
    call.cancel()
    until(lambda: not served.host.calls.records())


@pytest.mark.usefixtures("sleeping")
def test_status_shows_what_runs(served: Served) -> None:
    with served.client.session() as session:
        session.release("nothing")
        until(lambda: len(served.host.calls.records()) == 2)
        [found] = served.operations.GetStatus(operations.GetStatusRequest()).processes
        [call] = [one for one in found.calls if one.request_id == "[asleep]"]
        assert call.method == "/gradproof.v1.AutodiffService/Evaluate"
        assert call.phase == "run"
        assert call.seconds > 0
        assert found.calls_in_flight == 3
        assert found.sessions == 1
        assert found.health[""] == "SERVING"
        assert found.resident_bytes > 1 << 20


@pytest.mark.usefixtures("sleeping")
def test_the_command_shows_it_too(served: Served) -> None:
    shown = CliRunner().invoke(app, ["status", served.target])
    assert shown.exit_code == 0, shown.output
    assert "SERVING" in shown.output
    assert "Evaluate" in shown.output
    assert "[asleep]" in shown.output  # no markup
    as_json = json.loads(CliRunner().invoke(app, ["status", served.target, "--json"]).stdout)
    assert as_json["health"] == "SERVING"
    assert "run" in {call["phase"] for call in as_json["processes"][0]["calls"]}


def test_the_command_says_by_its_status_whether_a_server_serves(served: Served) -> None:
    gone = CliRunner().invoke(app, ["status", "127.0.0.1:1", "--timeout", "1"])
    assert gone.exit_code == 2
    assert "UNAVAILABLE" in gone.output
    assert CliRunner().invoke(app, ["status", served.target, "--token-file", "/no/such/file"]).exit_code == 2

    def say(serving: bool) -> None:
        async def said() -> None:
            served.host.health.set("", serving)

        asyncio.run_coroutine_threadsafe(said(), served.loop).result(SOON)

    say(False)
    try:
        down = CliRunner().invoke(app, ["status", served.target])
        assert (down.exit_code, down.stdout.split()[0]) == (1, "NOT_SERVING")
        assert page(served, "/readyz") == (503, "NOT_SERVING\n")
    finally:
        say(True)


def test_who_may_not_see_others_sees_their_own(served: Served) -> None:
    async def asked(caller: Caller) -> list[str]:
        CURRENT.set(Call(caller=caller))
        found = await OperationsServicer(served.host).GetStatus(operations.GetStatusRequest(), None)  # type: ignore[arg-type]
        return [call.request_id for call in found.processes[0].calls]

    mine, other = Caller("me", frozenset({"evaluate"})), Caller("other")
    book = served.host.calls
    with book.open(Record(Call("/a/B", "1", caller=mine))), book.open(Record(Call("/a/B", "2", caller=other))):
        assert asyncio.run(asked(mine)) == ["1"]
        assert asyncio.run(asked(other)) == ["1", "2"]
