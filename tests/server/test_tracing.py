"""Spans of calls: what is heard of a call after its end."""

import time

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gradproof.server.calls.calls import Call
from gradproof.server.calls.record import CallRegistry, Record
from gradproof.server.observability.tracing import Tracing


def test_a_part_that_ends_after_its_call_makes_no_span_and_is_not_kept() -> None:
    """A call that is left ends at once, a thread that worked for it a little later."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing, book = Tracing(provider), CallRegistry()
    book.watchers.append(tracing)
    with book.open(Record(Call("/gradproof.v1.AutodiffService/Evaluate", "id"))) as record:
        tracing.observe(record, "decode", 0.001)
        record.code = "CANCELLED"
        tracing.observe(record, "run", 0.001)  # the call is at its end, and not yet through
    tracing.observe(record, "checks", 0.001)
    tracing.child(record, "worker numbers 0", time.time_ns(), time.time_ns())
    assert [span.name for span in exporter.get_finished_spans()] == [
        "decode",
        "run",
        "gradproof.v1.AutodiffService/Evaluate",
    ]
    assert tracing._spans == {}
    provider.shutdown()


def test_a_call_without_parts_has_a_span() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing, book = Tracing(provider), CallRegistry()
    book.watchers.append(tracing)
    with book.open(Record(Call("/gradproof.v1.OpService/ListOps", "id"))) as record:
        record.code = "OK"
    assert [span.name for span in exporter.get_finished_spans()] == ["gradproof.v1.OpService/ListOps"]
    assert tracing._spans == {}
    provider.shutdown()
