"""OpenTelemetry traces, if they are configured: a span for each call, with child spans for its phases and workers."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from importlib.metadata import entry_points
from threading import RLock
from typing import TYPE_CHECKING, Any

import structlog

from gradproof.engine.verify.processes import Timing
from gradproof.server.calls.record import CURRENT_RECORD, Record, Watcher

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

VARIABLES = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTERS = "opentelemetry_traces_exporter"
FLUSH_MS = 500
log = structlog.get_logger("gradproof.server")


def watchers() -> list[Watcher]:
    """The watchers that trace calls: none unless a variable of `VARIABLES` is set, and OpenTelemetry is installed."""
    exporters = os.environ.get("OTEL_TRACES_EXPORTER", "otlp")
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporters == "none"
    if off or not any(os.environ.get(name) for name in VARIABLES):
        return []
    try:
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - an extra, for traces only
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError as error:
        log.warning("no traces", reason=f"{error}; pip install 'gradproof[otel]'")
        return []
    os.environ.setdefault("OTEL_SERVICE_NAME", "gradproof")
    provider = TracerProvider()
    for name in filter(None, map(str.strip, exporters.split(","))):
        plugins = list(entry_points(group=EXPORTERS, name=name))
        if not plugins:
            log.warning("no traces", reason=f"OTEL_TRACES_EXPORTER: no exporter {name!r}; is its package installed?")
            continue
        provider.add_span_processor(BatchSpanProcessor(plugins[0].load()()))
    return [Tracing(provider)]


class Tracing:
    """Watcher that makes spans of calls with ``provider``, as children of the span in the client's ``traceparent``."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace  # noqa: PLC0415 - an extra, for traces only
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator  # noqa: PLC0415

        self._provider, self._trace = provider, trace
        self._tracer = provider.get_tracer("gradproof.server")
        self._propagator = TraceContextTextMapPropagator()
        self._spans: dict[Record, Span] = {}
        self._lock = RLock()

    def _span(self, record: Record) -> Span:
        """The span of a call, started on first use with the start time of the call."""
        with self._lock:
            span = self._spans.get(record)
            if span is None:
                call = record.call
                service, _, method = call.method.lstrip("/").partition("/")
                attributes: dict[str, Any] = {
                    "rpc.system": "grpc",
                    "rpc.service": service,
                    "rpc.method": method,
                    "gradproof.request_id": call.request_id,
                    "client.address": call.peer,
                }
                parent = self._parent(record)
                kinds = self._trace.SpanKind
                span = self._spans[record] = self._tracer.start_span(
                    f"{service}/{method}",
                    context=self._propagator.extract(dict(call.metadata)) if parent is None else parent,
                    kind=kinds.SERVER if record.parent is None else kinds.INTERNAL,
                    attributes=attributes,
                    start_time=record.began,
                )
            return span

    def _parent(self, record: Record) -> Context | None:
        """Context of the span of a request's stream, unless that has ended."""
        stream = record.parent
        if stream is None or (stream.code and stream not in self._spans):
            return None
        return self._trace.set_span_in_context(self._span(stream))

    def observe(self, record: Record | None, phase: str, seconds: float) -> None:
        """Make a span of a phase."""
        if record is not None:
            self.child(record, phase, time.time_ns() - int(seconds * 1e9), time.time_ns())

    def child(self, record: Record, name: str, began: int, ended: int, **attributes: Any) -> None:
        """Make a child span of a call's span; times in nanoseconds since 1970. Does nothing for a call that has ended:
        threads and workers may go on after a cancelled call."""
        if record.code and record not in self._spans:
            return
        parent = self._trace.set_span_in_context(self._span(record))
        span = self._tracer.start_span(name, context=parent, start_time=began, attributes=attributes)
        span.end(ended)

    def heard(self, pid: int, timings: Sequence[Timing]) -> None:
        """Make spans of the work of a worker process for the running call."""
        current = CURRENT_RECORD.get()
        if current is None:
            return
        for timing in timings:
            self.child(current.record, f"worker {timing.name}", timing.began, timing.ended, **{"process.pid": pid})

    def ended(self, record: Record) -> None:
        """End the span of a call."""
        span = self._span(record)
        with self._lock:
            del self._spans[record]
        span.set_attribute("rpc.grpc.status_code", record.code)
        if record.code not in ("OK", "CANCELLED"):
            span.set_status(self._trace.StatusCode.ERROR, record.reason)
        span.end()

    def close(self) -> None:
        """Export the spans that are not exported yet."""
        self._provider.force_flush(FLUSH_MS)
