"""Metrics for Prometheus: counters that calls update as they end, and a table of values that are read on a scrape."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.server.calls.record import PHASES, CallRegistry, Record
from gradproof.server.runs.handler import Handler

disable_created_metrics()  # type: ignore[no-untyped-call]  # drops the series *_created
STARTED = time.time()
"""Start of this process, in seconds since 1970."""

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the buckets of times, in seconds."""

MAX_WORDS = 64
"""Most combinations of reason and limit that are counted by themselves; further ones count as ``other``."""


class MetricSource(Protocol):
    """The parts of a server that metrics read."""

    handler: Handler
    proofs: ProofPool
    calls: CallRegistry

    @property
    def serving(self) -> bool:
        """True if health is SERVING."""


class Row(NamedTuple):
    """A metric that is read on a scrape. ``label`` is the name of its label, or empty; ``read`` returns numbers by values
    of the label."""

    kind: type[GaugeMetricFamily] | type[CounterMetricFamily]
    name: str
    help: str
    label: str
    read: Callable[[MetricSource], dict[str, float]]


def _scalar(read: Callable[[MetricSource], float]) -> Callable[[MetricSource], dict[str, float]]:
    return lambda host: {"": read(host)}


GAUGE, COUNTER = GaugeMetricFamily, CounterMetricFamily
TABLE = (
    Row(GAUGE, "gradproof_serving", "1 while health says SERVING", "", _scalar(lambda h: h.serving)),
    Row(
        GAUGE,
        "gradproof_verify_ready",
        "1 while a worker process is available",
        "",
        _scalar(lambda h: h.proofs.workers.ready),
    ),
    Row(GAUGE, "gradproof_calls_in_flight", "Calls that have not ended", "", _scalar(lambda h: len(h.calls))),
    Row(GAUGE, "gradproof_sessions_open", "Open sessions", "", _scalar(lambda h: len(h.handler.sessions))),
    Row(
        GAUGE,
        "gradproof_runs",
        "Requests by state: queued, working (small, large), or waiting for their client",
        "state",
        lambda h: {name: getattr(h.handler.admission, name) for name in ("queued", "small", "large", "waiting")},
    ),
    Row(GAUGE, "gradproof_saved_bytes", "Bytes of saved values", "", _scalar(lambda h: h.handler.forward_cache.held_bytes)),
    Row(GAUGE, "gradproof_saved_runs", "Saved runs", "", _scalar(lambda h: len(h.handler.forward_cache))),
    Row(GAUGE, "gradproof_graphs_cached", "Graphs cached by digest", "", _scalar(lambda h: len(h.handler.graphs))),
    Row(GAUGE, "gradproof_plans_cached", "Cached plans", "", _scalar(lambda h: h.handler.engine.plans_cached)),
    Row(
        GAUGE,
        "gradproof_workers",
        "Worker processes, by state",
        "state",
        lambda h: {"idle": h.proofs.workers.idle, "busy": h.proofs.workers.busy},
    ),
    Row(
        COUNTER,
        "gradproof_workers_events",
        "Worker processes started, killed (budget or cancellation), and lost otherwise",
        "event",
        lambda h: {name: getattr(h.proofs.workers.counts, name) for name in ("started", "killed", "lost")},
    ),
    Row(
        GAUGE,
        "gradproof_proofs",
        "Proofs queued and running",
        "state",
        lambda h: {"queued": h.proofs.queued, "running": h.proofs.running},
    ),
    Row(
        COUNTER,
        "gradproof_proofs_made",
        "Proofs completed, by word",
        "word",
        lambda h: {str(word): count for word, count in dict(h.proofs.done).items()},
    ),
    Row(
        COUNTER,
        "gradproof_proof_lookups",
        "Look-ups of proofs: hit or miss",
        "result",
        lambda h: {"hit": h.proofs.memory.hits, "miss": h.proofs.memory.misses},
    ),
    Row(
        GAUGE, "gradproof_resident_bytes", "Resident memory of the serving process", "", _scalar(lambda h: resident_bytes())
    ),
    Row(GAUGE, "gradproof_open_files", "Open descriptors of the serving process", "", _scalar(lambda h: open_files())),
    Row(COUNTER, "gradproof_cpu_seconds", "CPU time of the serving process", "", _scalar(lambda h: time.process_time())),
    Row(GAUGE, "gradproof_start_time_seconds", "Start, in seconds since 1970", "", _scalar(lambda h: STARTED)),
)
COUNTED = {
    "gradproof_calls": "Calls that ended, by method and status code",
    "gradproof_call_seconds": "Time of calls, by method",
    "gradproof_phase_seconds": "Time of the phases of calls: queue, decode, run, checks, encode",
    "gradproof_received_bytes": "Bytes of requests",
    "gradproof_sent_bytes": "Bytes of responses",
    "gradproof_verdicts": "Gradients by summary: verified, plausible, unchecked, wrong",
    "gradproof_refusals": "Calls that ended with a reason, by reason and exceeded limit",
    "gradproof_build": "Versions, as labels of the constant 1",
}
"""Descriptions of the metrics that are counted as calls end."""


class Metrics:
    """Watcher of calls that counts them, with a registry that also has the values of `TABLE`."""

    def __init__(self, host: MetricSource) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._host = host

        def metric(kind: Any, name: str, labels: Iterable[str] = (), **options: Any) -> Any:
            return kind(name, COUNTED[name], tuple(labels), registry=self.registry, **options)

        self._calls = cache(metric(Counter, "gradproof_calls", ("method", "code")).labels)
        self._seconds = cache(metric(Histogram, "gradproof_call_seconds", ("method",), buckets=SECONDS).labels)
        phases = metric(Histogram, "gradproof_phase_seconds", ("phase",), buckets=SECONDS)
        self._phases = {name: phases.labels(name) for name in PHASES}
        self._received = metric(Counter, "gradproof_received_bytes")
        self._sent = metric(Counter, "gradproof_sent_bytes")
        verdicts = metric(Counter, "gradproof_verdicts", ("summary",))
        self._verdicts = {word: verdicts.labels(word) for word in ("verified", "plausible", "unchecked", "wrong")}
        self._refusals = cache(metric(Counter, "gradproof_refusals", ("reason", "limit")).labels)
        self._reasons: set[tuple[str, str]] = set()
        self.registry.register(self)

    def observe(self, record: Record | None, phase: str, seconds: float) -> None:
        """Count the time of a phase."""
        self._phases[phase].observe(seconds)

    def ended(self, record: Record) -> None:
        """Count a call."""
        method = record.call.method
        self._calls(method, record.code).inc()
        self._seconds(method).observe(record.elapsed)
        self._received.inc(record.bytes_in)
        self._sent.inc(record.bytes_out)
        for word, count in record.verdicts.items():
            self._verdicts[word].inc(count)
        if record.reason:
            self._refusals(*self._bounded(record.reason, record.limit)).inc()

    def _bounded(self, reason: str, limit: str) -> tuple[str, str]:
        """The labels, or ``other`` if `MAX_WORDS` combinations are in use."""
        labels = reason, limit
        if labels in self._reasons or len(self._reasons) < MAX_WORDS:
            self._reasons.add(labels)
            return labels
        return "other", ""

    def collect(self) -> Iterator[Metric]:
        """Current values of `TABLE`; the registry calls this on a scrape."""
        for row in TABLE:
            family = row.kind(row.name, row.help, labels=(row.label,) if row.label else ())
            for value, number in row.read(self._host).items():
                family.add_metric((value,) if row.label else (), float(number))
            yield family
        yield _build()

    def text(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        return generate_latest(self.registry)


@cache
def _build() -> GaugeMetricFamily:
    labels = {"version": version("gradproof"), "python": platform.python_version(), "grpcio": version("grpcio")}
    family = GaugeMetricFamily("gradproof_build", COUNTED["gradproof_build"], labels=tuple(labels))
    family.add_metric(tuple(labels.values()), 1.0)
    return family


def resident_bytes() -> int:
    """Resident memory of this process, in bytes; 0 without /proc."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def open_files() -> int:
    """Number of open descriptors of this process; 0 without /proc."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
