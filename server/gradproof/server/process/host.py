"""The serving process: registry, engine, proofs, gRPC; started, drained on SIGTERM, stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

import grpc
import structlog
from grpc_health.v1 import health_pb2_grpc

from gradproof.engine.compiled.blocks import use_threads
from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.engine import Engine
from gradproof.engine.verify.processes import MAX_WORKERS, Workers
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.server.access.access import Access
from gradproof.server.calls.accounting import Accounting
from gradproof.server.calls.messages import Readable
from gradproof.server.calls.record import Book
from gradproof.server.configuration.preflight import is_local, problems_of
from gradproof.server.configuration.settings import Settings
from gradproof.server.observability import tracing
from gradproof.server.observability.logs import CallLog, WorkerLog
from gradproof.server.observability.metrics import Metrics
from gradproof.server.observability.web import Web
from gradproof.server.problems import Unusable
from gradproof.server.process.memory import Tidying, trimmer
from gradproof.server.process.warm import open_door, side_door, warm
from gradproof.server.runs.admission import settle
from gradproof.server.runs.handler import Handler
from gradproof.server.services.health import VERIFY, Health
from gradproof.server.services.operations import OperationsServicer, process_status
from gradproof.server.services.reflection import Reflection
from gradproof.server.services.services import AutodiffServicer, OpServicer
from gradproof.server.supervision import seat
from gradproof.server.supervision.siblings import Peers, said
from gradproof.v1 import (
    autodiff_service_pb2,
    autodiff_service_pb2_grpc,
    op_service_pb2,
    op_service_pb2_grpc,
    operations_service_pb2,
    operations_service_pb2_grpc,
)

log = structlog.get_logger("gradproof.server")
KEEPALIVE_MS = 30_000
"""A client that answers no ping for so long is gone, and its calls with it."""

PING_MS = 10_000
"""Clients may ask so often whether the server is there; ours do every 30 seconds."""

STUCK_SECONDS = 10.0
"""An event loop that did not turn for so long is not live."""

CLOSE_SECONDS = 0.5
"""Calls that are ended get so long to see it."""

NUMERIC = r"(overflow|underflow|divide by zero|invalid value) encountered|Mean of empty slice|Degrees of freedom|All-NaN"
"""NumPy's warnings about numbers. Verdicts speak of those; the log of a server is for what an operator can mend."""


class Host:
    """A server that can be started and stopped. Proof processes start before gRPC does. Raises Unusable where the settings
    will not do."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.seat = settings, seat.mine()
        if problems := problems_of(settings):
            raise Unusable(problems)
        use_threads(settings.threads)
        share = settings.processes
        self.worker_log = WorkerLog()
        self.workers = Workers(most=max(2, MAX_WORKERS // share), stderr=self.worker_log.end)
        self.workers.prepare()
        self.registry = settings.registry()
        self.access = Access(settings, self.registry)
        for refusal in self.registry.refused:
            log.warning("plugin refused", plugin=refusal.plugin, reason=str(refusal))
        self.proofs = ProofPool(
            self.registry,
            settings.cache_directory(),
            workers=self.workers,
            at_once=max(1, settings.proof_workers // share),
            seconds=settings.proof_seconds,
        )
        engine = Engine(self.registry, compilations=Compilations(Plans(settings.plans)))
        self.handler = Handler(engine, self.proofs, settings.limits)
        self.names = [
            autodiff_service_pb2.DESCRIPTOR.services_by_name["AutodiffService"].full_name,
            op_service_pb2.DESCRIPTOR.services_by_name["OpService"].full_name,
        ]
        self.health = Health(["", *self.names, VERIFY])
        self.book = Book()
        self.metrics = Metrics(self)
        self.book.watchers += [self.metrics, CallLog(), *tracing.watchers()]
        self.workers.timing_listeners += [one.heard for one in self.book.watchers if isinstance(one, tracing.Tracing)]
        self.web: Web | None = None
        self.port = self.metrics_port = 0
        self._beaten = time.monotonic()

    @property
    def serving(self) -> bool:
        """Whether health says SERVING."""
        return self.health.is_serving("")

    async def start(self, door: str = "") -> None:
        """Bind and serve, also at ``door`` (an address), if there is one. Raises OSError if the address is taken."""
        self.server = server = grpc.aio.server(
            interceptors=[Accounting(self.book), *self.access.interceptors(), Readable(self.settings.limits)],
            options=self._options(),
        )
        autodiff_service_pb2_grpc.add_AutodiffServiceServicer_to_server(AutodiffServicer(self.handler), server)
        op_service_pb2_grpc.add_OpServiceServicer_to_server(OpServicer(self.handler), server)
        operations_service_pb2_grpc.add_OperationsServiceServicer_to_server(OperationsServicer(self), server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        operations = operations_service_pb2.DESCRIPTOR.services_by_name["OperationsService"].full_name
        self.reflection = Reflection([*self.names, operations, "grpc.health.v1.Health"])
        if self.settings.reflection:
            self.reflection.add_to(server)
        if self.settings.channelz:
            from grpc_channelz.v1 import channelz

            channelz.add_channelz_servicer(server)
        self.port = self._bind(server)
        if door:
            open_door(server, door)
        self._warn()
        folder = self.seat.folder
        if self.settings.processes > 1 and not folder:
            folder = tempfile.mkdtemp(prefix="gradproof-")
        words = {
            "metrics": self.metrics.text,
            "status": lambda: process_status(self).SerializeToString(),
            "live": self._live,
            "ready": lambda: said(self.serving, "SERVING" if self.serving else "NOT_SERVING"),
        }
        self.peers = Peers(folder, self.seat.number, words)
        try:
            self._listen_for_http()
        except OSError:
            self.peers.close()
            raise
        await server.start()
        self.seat.say("bound", host=self.settings.host, port=self.port, folder=folder)
        for name in ("", *self.names):
            self.health.set(name, True)
        loop = asyncio.get_running_loop()
        self.workers.readiness_listeners.append(lambda ready: self._verify_soon(loop, ready))
        self.health.set(VERIFY, self.workers.ready)
        self._beating = asyncio.create_task(self._beat())

    def _options(self) -> list[tuple[str, int]]:
        settings, message_bytes = self.settings, self.settings.limits.message_bytes
        options = [
            ("grpc.max_receive_message_length", 2 * message_bytes),
            ("grpc.max_send_message_length", 2 * message_bytes),
            ("grpc.so_reuseport", int(settings.processes > 1)),
            ("grpc.keepalive_permit_without_calls", 1),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_MS),
            ("grpc.keepalive_time_ms", KEEPALIVE_MS),
            ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
        ]
        if settings.max_connection_age:
            options += [
                ("grpc.max_connection_age_ms", int(1000 * settings.max_connection_age)),
                ("grpc.max_connection_age_grace_ms", int(1000 * settings.max_connection_age_grace)),
            ]
        if settings.channelz:
            options.append(("grpc.enable_channelz", 1))
        return options

    def _bind(self, server: grpc.aio.Server) -> int:
        """The port: that of the first process, if this is another one. Raises OSError."""
        settings = self.settings
        address = settings.address(self.seat.port or settings.port)
        try:
            if settings.processes > 1 and not self.seat.port:
                _expect_free(settings.host, settings.port)
            return self.access.bind(server, address)
        except (RuntimeError, OSError) as error:
            raise OSError(f"cannot listen on {address}: {error}") from error

    def _listen_for_http(self) -> None:
        if self.settings.metrics_port is None:
            return
        paths = {
            "/metrics": lambda: (True, self.peers.metrics()),
            "/healthz": lambda: self.peers.well("live"),
            "/readyz": lambda: self.peers.well("ready"),
        }
        host, port, shared = self.settings.metrics_host, self.settings.metrics_port, self.settings.processes > 1
        try:
            if shared and not self.seat.port:
                _expect_free(host, port)
            self.web = Web(host, port, paths, shared=shared)
        except OSError as error:
            why = f"cannot listen on {self.settings.metrics_address()} for metrics: {error}"
            raise OSError(f"{why}; give another --metrics-port, or end what has this one") from error
        self.metrics_port = self.web.port
        log.info("metrics", address=f"http://{self.settings.metrics_address(self.metrics_port)}/metrics")

    def _live(self) -> bytes:
        silence = time.monotonic() - self._beaten
        return said(silence < STUCK_SECONDS, f"the event loop turned {silence:.1f} s ago")

    async def _beat(self) -> None:
        """Say, as long as the event loop turns, that it does."""
        tidying = Tidying(self.handler.admission, self._trimmer())
        while True:
            self._beaten = time.monotonic()
            self.seat.say("beat")
            if (trim := tidying.look()) is not None:
                asyncio.get_running_loop().run_in_executor(None, trim)
            await asyncio.sleep(seat.BEAT_SECONDS)

    def _trimmer(self) -> Callable[[], object]:
        """What gives memory back that nobody needs soon: that of the heap, and that shared with workers."""
        heap = trimmer()

        def trim() -> None:
            self.workers.memory.trim(0)
            if heap is not None:
                heap()

        return trim

    def _verify_soon(self, loop: asyncio.AbstractEventLoop, ready: bool) -> None:
        log.log(20 if ready else 30, "verify", ready=ready, fault=self.workers.fault)
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self.health.set, VERIFY, ready)

    def _warn(self) -> None:
        self.access.warn()
        if self.settings.tls_cert is None and not is_local(self.settings.host):
            log.warning("serving other machines without TLS: whoever is on the way reads and changes all that is sent")
        if self.access.open and not is_local(self.settings.host):
            log.warning("serving everybody who can reach this address: no token or certificate is asked for")

    @property
    def target(self) -> str:
        """Where clients connect to."""
        return self.settings.address(self.port)

    def reload(self) -> None:
        """Read certificates and tokens again. Where anything is wrong, all stays as it was, and the log says so."""
        try:
            self.access.reload()
        except Unusable as error:
            log.error("nothing was reloaded; what was read before goes on", problems=str(error).splitlines())
        else:
            log.info("reloaded certificates and tokens")
            self.access.warn()
        self.seat.say("ready")

    async def warm(self, door: str, *, quick: bool) -> None:
        """Start the processes, and make each call once through ``door``."""
        starting = asyncio.get_running_loop().run_in_executor(None, self.proofs.start)
        if not quick:
            await asyncio.gather(starting, return_exceptions=True)
        self.book.warming = True
        try:
            await warm(door, quick=quick)
        finally:
            self.book.warming = False

    async def stop(self, grace: float = 0.0) -> None:
        """Say NOT_SERVING, take no new calls, let running ones finish for ``grace`` seconds, then end everything. Joins no
        thread of a run: an op may hold it for ever."""
        self.health.drain()
        self.reflection.drain()
        self.handler.drain()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.server.stop(grace), grace + CLOSE_SECONDS)
        self._beating.cancel()
        self.workers.readiness_listeners.clear()
        self.handler.close()
        self.access.close()
        self.proofs.close()
        self.worker_log.close()
        if self.web is not None:
            self.web.close()
        self.peers.close()
        for watcher in self.book.watchers:
            if isinstance(watcher, tracing.Tracing):
                watcher.close()


def _expect_free(host: str, port: int) -> None:
    """Raises OSError if somebody listens: a port that may be shared would be shared with whoever has it."""
    if port == 0 or host.startswith("unix:"):
        return
    for family, kind, protocol, _, address in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM):
        with socket.socket(family, kind, protocol) as trying:
            trying.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trying.bind(address)


async def serve(settings: Settings, announce: Callable[[Host], None], *, quick: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; then drain. Announces the server once it answers quickly: when its processes are up
    and each call has been made once, or, if it is to be ``quick``, when each call that needs no process has."""
    warnings.filterwarnings("ignore", NUMERIC, RuntimeWarning)  # verdicts say it
    mine = seat.mine()
    mine.say(
        "settings",
        grace=settings.grace,
        processes=settings.processes,
        watchdog=settings.watchdog,
        json=settings.log_format == "json",
    )
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    host = Host(settings)
    loop.add_signal_handler(signal.SIGHUP, host.reload)
    waiting = asyncio.create_task(stopping.wait())
    with side_door() as door:
        await host.start(door)
        warming = asyncio.create_task(host.warm(door, quick=quick))
        await asyncio.wait((waiting, warming), return_when=asyncio.FIRST_COMPLETED)
    settle()
    if warming.done():
        warming.result()
        mine.say("ready")
        if mine.number == 0 and not mine.again:
            announce(host)
    await waiting
    warming.cancel()
    log.info("draining", seconds=settings.grace, calls=len(host.book), pid=os.getpid())
    await host.stop(settings.grace)
