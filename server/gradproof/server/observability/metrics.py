"""Metrics: one table of what Prometheus may ask, counted as calls end, and looked up when it asks."""

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
from gradproof.server.calls.record import PHASES, Book, Record
from gradproof.server.runs.handler import Handler

disable_created_metrics()  # type: ignore[no-untyped-call]  # a time beside each number says nothing here
STARTED = time.time()
"""When this process began, in seconds since 1970."""

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper ends of the buckets of times."""

MAX_WORDS = 64
"""Values that a label may take, beside methods: those above are counted as ``other``."""


class Looked(Protocol):
    """A server, as far as metrics look at it."""

    handler: Handler
    proofs: ProofPool
    book: Book

    @property
    def serving(self) -> bool: ...


class Row(NamedTuple):
    """A metric that is looked up. ``label``: the name of its label, or empty; ``read`` gives numbers by its values."""

    kind: type[GaugeMetricFamily] | type[CounterMetricFamily]
    name: str
    help: str
    label: str
    read: Callable[[Looked], dict[str, float]]


def _one(read: Callable[[Looked], float]) -> Callable[[Looked], dict[str, float]]:
    return lambda host: {"": read(host)}


GAUGE, COUNTER = GaugeMetricFamily, CounterMetricFamily
TABLE = (
    Row(GAUGE, "gradproof_serving", "1 while health says SERVING", "", _one(lambda h: h.serving)),
    Row(GAUGE, "gradproof_verify_ready", "1 while definitions can be read", "", _one(lambda h: h.proofs.workers.ready)),
    Row(GAUGE, "gradproof_calls_in_flight", "Calls that have not ended", "", _one(lambda h: len(h.book))),
    Row(GAUGE, "gradproof_sessions_open", "Open sessions", "", _one(lambda h: len(h.handler.sessions))),
    Row(
        GAUGE,
        "gradproof_runs",
        "Requests that wait for a slot, work (small, large), or wait for their client",
        "state",
        lambda h: {name: getattr(h.handler.admission, name) for name in ("queued", "small", "large", "waiting")},
    ),
    Row(GAUGE, "gradproof_saved_bytes", "Bytes of saved values", "", _one(lambda h: h.handler.forward_cache.held_bytes)),
    Row(GAUGE, "gradproof_saved_runs", "Saved runs", "", _one(lambda h: len(h.handler.forward_cache))),
    Row(GAUGE, "gradproof_graphs_cached", "Graphs known by digest", "", _one(lambda h: len(h.handler.graphs))),
    Row(GAUGE, "gradproof_plans_cached", "Plans made and kept", "", _one(lambda h: h.handler.engine.plans_cached)),
    Row(
        GAUGE,
        "gradproof_workers",
        "Worker processes, by what they do",
        "state",
        lambda h: {"idle": h.proofs.workers.idle, "busy": h.proofs.workers.busy},
    ),
    Row(
        COUNTER,
        "gradproof_workers_events",
        "Worker processes started, killed for their budget or since nobody waited, and lost to anything else",
        "event",
        lambda h: {name: getattr(h.proofs.workers.counts, name) for name in ("started", "killed", "lost")},
    ),
    Row(
        GAUGE,
        "gradproof_proofs",
        "Proofs that wait, and that run",
        "state",
        lambda h: {"queued": h.proofs.queued, "running": h.proofs.running},
    ),
    Row(
        COUNTER,
        "gradproof_proofs_made",
        "Proofs made, by their word",
        "word",
        lambda h: {str(word): count for word, count in dict(h.proofs.done).items()},
    ),
    Row(
        COUNTER,
        "gradproof_proof_lookups",
        "Questions for a proof: known, or not known yet",
        "result",
        lambda h: {"hit": h.proofs.memory.hits, "miss": h.proofs.memory.misses},
    ),
    Row(GAUGE, "gradproof_resident_bytes", "Resident memory of the serving process", "", _one(lambda h: resident())),
    Row(GAUGE, "gradproof_open_files", "Open descriptors of the serving process", "", _one(lambda h: open_files())),
    Row(COUNTER, "gradproof_cpu_seconds", "CPU time of the serving process", "", _one(lambda h: time.process_time())),
    Row(GAUGE, "gradproof_start_time_seconds", "Start, in seconds since 1970", "", _one(lambda h: STARTED)),
)
COUNTED = {
    "gradproof_calls": "Calls that ended, by method and status code",
    "gradproof_call_seconds": "Time of calls, by method",
    "gradproof_phase_seconds": "Time of the parts of calls: queue, decode, run, checks, encode",
    "gradproof_received_bytes": "Bytes of requests",
    "gradproof_sent_bytes": "Bytes of responses",
    "gradproof_verdicts": "Gradients by their summary: verified, plausible, unchecked, wrong",
    "gradproof_refusals": "Calls that ended with an error of ours, by its reason and the limit that was passed",
    "gradproof_build": "Versions, as labels of 1",
}
"""Metrics that are counted as calls end, and what they mean."""


class Metrics:
    """Counters of a server, fed as a watcher of calls, and a registry that also looks up the rest."""

    def __init__(self, host: Looked) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._host = host

        def made(kind: Any, name: str, labels: Iterable[str] = (), **rest: Any) -> Any:
            return kind(name, COUNTED[name], tuple(labels), registry=self.registry, **rest)

        self._calls = cache(made(Counter, "gradproof_calls", ("method", "code")).labels)
        self._seconds = cache(made(Histogram, "gradproof_call_seconds", ("method",), buckets=SECONDS).labels)
        phases = made(Histogram, "gradproof_phase_seconds", ("phase",), buckets=SECONDS)
        self._phases = {name: phases.labels(name) for name in PHASES}
        self._received = made(Counter, "gradproof_received_bytes")
        self._sent = made(Counter, "gradproof_sent_bytes")
        verdicts = made(Counter, "gradproof_verdicts", ("summary",))
        self._verdicts = {word: verdicts.labels(word) for word in ("verified", "plausible", "unchecked", "wrong")}
        self._refusals = cache(made(Counter, "gradproof_refusals", ("reason", "limit")).labels)
        self._reasons: set[tuple[str, str]] = set()
        self.registry.register(self)

    def observe(self, record: Record | None, phase: str, seconds: float) -> None:
        self._phases[phase].observe(seconds)

    def ended(self, record: Record) -> None:
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
        """The labels, or ``other`` where there are too many already."""
        labels = reason, limit
        if labels in self._reasons or len(self._reasons) < MAX_WORDS:
            self._reasons.add(labels)
            return labels
        return "other", ""

    def collect(self) -> Iterator[Metric]:
        """The metrics that are looked up, as they are now."""
        for row in TABLE:
            family = row.kind(row.name, row.help, labels=(row.label,) if row.label else ())
            for value, number in row.read(self._host).items():
                family.add_metric((value,) if row.label else (), float(number))
            yield family
        yield _build()

    def text(self) -> bytes:
        """The metrics as text, in the format of Prometheus."""
        return generate_latest(self.registry)


@cache
def _build() -> GaugeMetricFamily:
    labels = {"version": version("gradproof"), "python": platform.python_version(), "grpcio": version("grpcio")}
    family = GaugeMetricFamily("gradproof_build", COUNTED["gradproof_build"], labels=tuple(labels))
    family.add_metric(tuple(labels.values()), 1.0)
    return family


def resident() -> int:
    """Bytes of memory of this process; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def open_files() -> int:
    """Open descriptors of this process; 0 where the system does not say."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return 0
