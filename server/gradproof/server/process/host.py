"""The serving process: builds registry, engine, proof pool and gRPC server, and drains them on SIGTERM."""

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
from grpc_channelz.v1 import channelz
from grpc_health.v1 import health_pb2_grpc

from gradproof.engine.compiled.blocks import use_threads
from gradproof.engine.compiled.store import Compilations
from gradproof.engine.engine import Engine
from gradproof.engine.verify.processes import MAX_WORKERS, Workers
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.server.access.access import Access
from gradproof.server.calls.accounting import AccountingInterceptor
from gradproof.server.calls.messages import MessageInterceptor
from gradproof.server.calls.record import CallRegistry
from gradproof.server.configuration.preflight import is_local, problems_of
from gradproof.server.configuration.settings import Settings
from gradproof.server.observability import tracing
from gradproof.server.observability.http_server import HttpServer
from gradproof.server.observability.logs import CallLog, WorkerLog, log_refused
from gradproof.server.observability.metrics import Metrics
from gradproof.server.problems import ConfigurationError
from gradproof.server.process.idle_trimmer import IdleTrimmer, trimmer
from gradproof.server.process.warm_up import listen_locally, warm_up, warm_up_socket
from gradproof.server.runs.admission import tune_process
from gradproof.server.runs.handler import Handler
from gradproof.server.runs.prepared_request import PreparedRequests
from gradproof.server.services.health import VERIFY, Health
from gradproof.server.services.operations import OperationsServicer, process_status
from gradproof.server.services.reflection import Reflection
from gradproof.server.services.services import AutodiffServicer, OpServicer
from gradproof.server.supervision.peers import Peers, health_text
from gradproof.server.supervision.supervised_process import BEAT_SECONDS, this_process
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
"""Ping interval and timeout: a client that does not answer is disconnected, and its calls are cancelled."""

PING_MS = 10_000
"""Shortest interval at which clients may ping; the Python client pings every 30 seconds."""

STUCK_SECONDS = 10.0
"""The process is not live if its event loop has not turned for this time."""

CLOSE_SECONDS = 0.5
"""Time for cancelled calls to end."""

NUMERIC = r"(overflow|underflow|divide by zero|invalid value) encountered|Mean of empty slice|Degrees of freedom|All-NaN"
"""Pattern of NumPy's warnings about numbers, which verdicts report and no operator can act on."""


class Host:
    """A server that can be started and stopped. Worker processes start before gRPC does. Raises ConfigurationError if the
    settings have problems."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.process = settings, this_process()
        if problems := problems_of(settings):
            raise ConfigurationError(problems)
        use_threads(settings.threads)
        processes = settings.processes
        self.worker_log = WorkerLog()
        self.workers = Workers(most=max(2, MAX_WORKERS // processes), stderr=self.worker_log.write_end)
        self.workers.prepare()
        self.registry = settings.registry()
        self.access = Access(settings, self.registry)
        log_refused(self.registry.refused)
        self.proofs = ProofPool(
            self.registry,
            settings.cache_directory(),
            shipped=settings.shipped_proofs,
            workers=self.workers,
            at_once=max(1, settings.proof_workers // processes),
            seconds=settings.proof_seconds,
        )
        engine = Engine(self.registry, compilations=Compilations(settings.plans))
        prepared = PreparedRequests(engine, settings.limits.message_bytes)
        self.handler = Handler(engine, self.proofs, settings.limits, prepared=prepared)
        self.names = [
            autodiff_service_pb2.DESCRIPTOR.services_by_name["AutodiffService"].full_name,
            op_service_pb2.DESCRIPTOR.services_by_name["OpService"].full_name,
        ]
        self.health = Health(["", *self.names, VERIFY])
        self.calls = CallRegistry()
        self.metrics = Metrics(self)
        self.calls.watchers += [self.metrics, CallLog(), *tracing.watchers()]
        self.workers.timing_listeners += [
            watcher.heard for watcher in self.calls.watchers if isinstance(watcher, tracing.Tracing)
        ]
        self.web: HttpServer | None = None
        self.port = self.metrics_port = 0
        self._beaten = time.monotonic()

    @property
    def serving(self) -> bool:
        """True if the health service reports SERVING."""
        return self.health.is_serving("")

    async def start(self, warm_up_address: str = "") -> None:
        """Bind the ports and serve, also at ``warm_up_address`` unless it is empty. Raises OSError if an address is
        taken."""
        self.server = server = grpc.aio.server(
            interceptors=[
                AccountingInterceptor(self.calls),
                *self.access.interceptors(),
                MessageInterceptor(self.settings.limits),
            ],
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
            channelz.add_channelz_servicer(server)
        self.port = self._bind(server)
        if warm_up_address:
            listen_locally(server, warm_up_address)
        self._log_risks()
        folder = self.process.folder
        if self.settings.processes > 1 and not folder:
            folder = tempfile.mkdtemp(prefix="gradproof-")
        answers = {
            "metrics": self.metrics.text,
            "status": lambda: process_status(self).SerializeToString(),
            "live": self._live,
            "ready": lambda: health_text(self.serving, "SERVING" if self.serving else "NOT_SERVING"),
        }
        self.peers = Peers(folder, self.process.number, answers)
        try:
            self._listen_for_http()
        except OSError:
            self.peers.close()
            raise
        await server.start()
        self.process.report("bound", host=self.settings.host, port=self.port, folder=folder)
        for name in ("", *self.names):
            self.health.set(name, True)
        loop = asyncio.get_running_loop()
        self.workers.readiness_listeners.append(lambda ready: self._verify_changed(loop, ready))
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
        """Bind the port, in other processes that of the first, and return it. Raises OSError."""
        settings = self.settings
        address = settings.address(self.process.port or settings.port)
        try:
            if settings.processes > 1 and not self.process.port:
                _expect_free(settings.host, settings.port)
            return self.access.bind(server, address)
        except (RuntimeError, OSError) as error:
            raise OSError(f"cannot listen on {address}: {error}") from error

    def _listen_for_http(self) -> None:
        if self.settings.metrics_port is None:
            return
        paths = {
            "/metrics": lambda: (True, self.peers.metrics()),
            "/healthz": lambda: self.peers.health("live"),
            "/readyz": lambda: self.peers.health("ready"),
        }
        host, port, shared = self.settings.metrics_host, self.settings.metrics_port, self.settings.processes > 1
        try:
            if shared and not self.process.port:
                _expect_free(host, port)
            self.web = HttpServer(host, port, paths, shared=shared)
        except OSError as error:
            reason = f"cannot listen on {self.settings.metrics_address()} for metrics: {error}"
            raise OSError(f"{reason}; give another --metrics-port, or end the process that has this port") from error
        self.metrics_port = self.web.port
        log.info("metrics", address=f"http://{self.settings.metrics_address(self.metrics_port)}/metrics")

    def _live(self) -> bytes:
        silence = time.monotonic() - self._beaten
        return health_text(silence < STUCK_SECONDS, f"the event loop turned {silence:.1f} s ago")

    async def _beat(self) -> None:
        """Report that the event loop turns, for as long as it does; return memory after busy periods."""
        idle_trimmer = IdleTrimmer(self.handler.admission, self._trimmer())
        while True:
            self._beaten = time.monotonic()
            self.process.report("beat")
            if (trim := idle_trimmer.due()) is not None:
                asyncio.get_running_loop().run_in_executor(None, trim)
            await asyncio.sleep(BEAT_SECONDS)

    def _trimmer(self) -> Callable[[], object]:
        """A function that returns free memory to the system: of the heap, and of segments shared with workers."""
        heap = trimmer()

        def trim() -> None:
            self.workers.memory.trim(0)
            if heap is not None:
                heap()

        return trim

    def _verify_changed(self, loop: asyncio.AbstractEventLoop, ready: bool) -> None:
        log.log(20 if ready else 30, "verify", ready=ready, fault=self.workers.fault)
        with suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(self.health.set, VERIFY, ready)

    def _log_risks(self) -> None:
        self.access.warn()
        if self.settings.tls_cert is None and not is_local(self.settings.host):
            log.warning("serving other machines without TLS: anyone on the path can read and change all data")
        if self.access.serves_everyone and not is_local(self.settings.host):
            log.warning("serving everyone who can reach this address: no token or certificate is required")

    @property
    def target(self) -> str:
        """The address that clients connect to."""
        return self.settings.address(self.port)

    def reload(self) -> None:
        """Reload certificates and tokens. If there is a problem, log it and keep all of them."""
        try:
            self.access.reload()
        except ConfigurationError as error:
            log.error(
                "nothing was reloaded; the previous certificates and tokens stay in use", problems=str(error).splitlines()
            )
        else:
            log.info("reloaded certificates and tokens")
            self.access.warn()
        self.process.report("ready")

    async def warm_up(self, address: str, *, quick: bool) -> None:
        """Start the worker processes, and make each call once at ``address``; see `warm_up.warm_up`."""
        starting = asyncio.get_running_loop().run_in_executor(None, self.proofs.start)
        if not quick:
            await asyncio.gather(starting, return_exceptions=True)
        self.calls.warming = True
        try:
            await warm_up(address, quick=quick)
        finally:
            self.calls.warming = False

    async def stop(self, grace: float = 0.0) -> None:
        """Report NOT_SERVING, refuse new calls, let running calls finish for ``grace`` seconds, then end everything. Joins
        no thread of a run, since an op may block it for ever."""
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
        for watcher in self.calls.watchers:
            if isinstance(watcher, tracing.Tracing):
                watcher.close()


def _expect_free(host: str, port: int) -> None:
    """Raise OSError if another server listens: with SO_REUSEPORT, the port would be shared with it."""
    if port == 0 or host.startswith("unix:"):
        return
    for family, kind, protocol, _, address in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM):
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)


async def serve(settings: Settings, announce: Callable[[Host], None], *, quick: bool = False) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Calls ``announce`` after the warm-up; with ``quick``, the warm-up leaves
    out calls that need worker processes."""
    warnings.filterwarnings("ignore", NUMERIC, RuntimeWarning)
    process = this_process()
    process.report(
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
    with warm_up_socket() as address:
        await host.start(address)
        warming = asyncio.create_task(host.warm_up(address, quick=quick))
        await asyncio.wait((waiting, warming), return_when=asyncio.FIRST_COMPLETED)
    tune_process()
    if warming.done():
        warming.result()
        process.report("ready")
        if process.number == 0 and not process.restarted:
            announce(host)
    await waiting
    warming.cancel()
    log.info("draining", seconds=settings.grace, calls=len(host.calls), pid=os.getpid())
    await host.stop(settings.grace)
