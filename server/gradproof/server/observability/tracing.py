"""Traces, where OpenTelemetry is installed and asked for: a span for each call, below it one for each of its parts."""

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

ASKED = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
EXPORTERS = "opentelemetry_traces_exporter"
FLUSH_MS = 500
log = structlog.get_logger("gradproof.server")


def watchers() -> list[Watcher]:
    """The watchers that make traces of calls: none unless one of the variables `ASKED` is set, and OpenTelemetry is
    installed."""
    wanted = os.environ.get("OTEL_TRACES_EXPORTER", "otlp")
    off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or wanted == "none"
    if off or not any(os.environ.get(name) for name in ASKED):
        return []
    try:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        log.warning("no traces", reason=f"{error}; pip install 'gradproof[otel]'")
        return []
    os.environ.setdefault("OTEL_SERVICE_NAME", "gradproof")
    provider = TracerProvider()
    for name in filter(None, map(str.strip, wanted.split(","))):
        found = list(entry_points(group=EXPORTERS, name=name))
        if not found:
            log.warning("no traces", reason=f"OTEL_TRACES_EXPORTER: no exporter {name!r}; is its package installed?")
            continue
        provider.add_span_processor(BatchSpanProcessor(found[0].load()()))
    return [Tracing(provider)]


class Tracing:
    """Watches calls: makes their spans with ``provider``. The trace goes on that the client names in ``traceparent``."""

    def __init__(self, provider: TracerProvider) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider, self._trace = provider, trace
        self._tracer = provider.get_tracer("gradproof.server")
        self._propagator = TraceContextTextMapPropagator()
        self._spans: dict[Record, Span] = {}
        self._lock = RLock()

    def _span(self, record: Record) -> Span:
        """The span of a call, which begins with it."""
        with self._lock:
            span = self._spans.get(record)
            if span is None:
                call = record.call
                service, _, method = call.method.lstrip("/").partition("/")
                said: dict[str, Any] = {
                    "rpc.system": "grpc",
                    "rpc.service": service,
                    "rpc.method": method,
                    "gradproof.request_id": call.request_id,
                    "client.address": call.peer,
                }
                above = self._above(record)
                kinds = self._trace.SpanKind
                span = self._spans[record] = self._tracer.start_span(
                    f"{service}/{method}",
                    context=self._propagator.extract(dict(call.metadata)) if above is None else above,
                    kind=kinds.SERVER if record.above is None else kinds.INTERNAL,
                    attributes=said,
                    start_time=record.began,
                )
            return span

    def _above(self, record: Record) -> Context | None:
        """The span of the stream that a request came by, unless that has ended."""
        stream = record.above
        if stream is None or (stream.code and stream not in self._spans):
            return None
        return self._trace.set_span_in_context(self._span(stream))

    def observe(self, record: Record | None, phase: str, seconds: float) -> None:
        if record is not None:
            self.part(record, phase, time.time_ns() - int(seconds * 1e9), time.time_ns())

    def part(self, record: Record, name: str, began: int, ended: int, **said: Any) -> None:
        """A span below that of a call; ``began`` and ``ended`` in nanoseconds since 1970. Nothing for a call that has
        ended: threads and workers may go on for a while when it was left."""
        if record.code and record not in self._spans:
            return
        above = self._trace.set_span_in_context(self._span(record))
        span = self._tracer.start_span(name, context=above, start_time=began, attributes=said)
        span.end(ended)

    def heard(self, pid: int, timings: Sequence[Timing]) -> None:
        """Spans of what a worker was at, for the running call."""
        found = CURRENT_RECORD.get()
        if found is None:
            return
        for one in timings:
            self.part(found[1], f"worker {one.name}", one.began, one.ended, **{"process.pid": pid})

    def ended(self, record: Record) -> None:
        span = self._span(record)
        with self._lock:
            del self._spans[record]
        span.set_attribute("rpc.grpc.status_code", record.code)
        if record.code not in ("OK", "CANCELLED"):
            span.set_status(self._trace.StatusCode.ERROR, record.reason)
        span.end()

    def close(self) -> None:
        """Send what is not sent yet."""
        self._provider.force_flush(FLUSH_MS)
