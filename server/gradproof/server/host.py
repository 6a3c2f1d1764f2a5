"""One server process: registry, engine, proofs, gRPC; started, drained on SIGTERM, stopped."""

from __future__ import annotations

import asyncio
import signal
import warnings
from collections.abc import Callable

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from gradproof.engine.compiled.blocks import use_threads
from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.engine import Engine
from gradproof.engine.verify.pool import ProofPool
from gradproof.engine.verify.workers import Workers
from gradproof.server.access import Access
from gradproof.server.admission import settle
from gradproof.server.handler import Handler
from gradproof.server.health import Health
from gradproof.server.messages import Readable
from gradproof.server.preflight import is_local, problems_of
from gradproof.server.problems import Unusable
from gradproof.server.services import AutodiffServicer, OpServicer
from gradproof.server.settings import Settings
from gradproof.server.warm import open_door, side_door, warm
from gradproof.v1 import autodiff_service_pb2, autodiff_service_pb2_grpc, op_service_pb2, op_service_pb2_grpc

log = structlog.get_logger("gradproof.server")
KEEPALIVE_MS = 30_000
"""A client that answers no ping for so long is gone, and its calls with it."""

PING_MS = 10_000
"""Clients may ask so often whether the server is there; ours do every 30 seconds."""

NUMERIC = r"(overflow|underflow|divide by zero|invalid value) encountered|Mean of empty slice|Degrees of freedom|All-NaN"
"""NumPy's warnings about numbers. Verdicts speak of those; the log of a server is for what an operator can mend."""


class Host:
    """A server that can be started and stopped. Proof processes start before gRPC does. Raises Unusable where the settings
    will not do."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        if problems := problems_of(settings):
            raise Unusable(problems)
        use_threads(settings.threads)
        self.workers = Workers()
        self.workers.prepare()
        self.registry = settings.registry()
        self.access = Access(settings, self.registry)
        for refusal in self.registry.refused:
            log.warning("plugin refused", plugin=refusal.plugin, reason=str(refusal))
        self.proofs = ProofPool(
            self.registry,
            settings.cache_directory(),
            workers=self.workers,
            at_once=settings.proof_workers,
            seconds=settings.proof_seconds,
        )
        engine = Engine(self.registry, compilations=Compilations(Plans(settings.plans)))
        self.handler = Handler(engine, self.proofs, settings.limits)
        self.port = 0

    async def start(self, door: str = "") -> None:
        """Bind and serve, also at ``door`` (an address), if there is one. Raises OSError if the address is taken."""
        message_bytes = self.settings.limits.message_bytes
        server = grpc.aio.server(
            interceptors=(*self.access.interceptors(), Readable(self.settings.limits)),
            options=[
                ("grpc.max_receive_message_length", 2 * message_bytes),
                ("grpc.max_send_message_length", 2 * message_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", PING_MS),
                ("grpc.keepalive_time_ms", KEEPALIVE_MS),
                ("grpc.keepalive_timeout_ms", KEEPALIVE_MS),
            ],
        )
        autodiff_service_pb2_grpc.add_AutodiffServiceServicer_to_server(AutodiffServicer(self.handler), server)
        op_service_pb2_grpc.add_OpServiceServicer_to_server(OpServicer(self.handler), server)
        self.health = Health()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        self.names = [
            autodiff_service_pb2.DESCRIPTOR.services_by_name["AutodiffService"].full_name,
            op_service_pb2.DESCRIPTOR.services_by_name["OpService"].full_name,
        ]
        if self.settings.reflection:
            health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
            reflection.enable_server_reflection([*self.names, health, reflection.SERVICE_NAME], server)
        try:
            self.port = self.access.bind(server, self.settings.address())
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self.settings.address()}: {error}") from error
        if door:
            open_door(server, door)
        self.access.warn()
        if self.settings.tls_cert is None and not is_local(self.settings.host):
            log.warning("serving other machines without TLS: whoever is on the way reads and changes all that is sent")
        if self.access.open and not is_local(self.settings.host):
            log.warning("serving everybody who can reach this address: no token or certificate is asked for")
        await server.start()
        self.server = server
        await self._health(health_pb2.HealthCheckResponse.SERVING)

    async def warm(self, door: str, *, quick: bool) -> None:
        """Start the processes, and make each call once through ``door``."""
        starting = asyncio.get_running_loop().run_in_executor(None, self.proofs.start)
        if not quick:
            await asyncio.gather(starting, return_exceptions=True)
        await warm(door, quick=quick)

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

    async def _health(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for name in ("", *self.names):
            await self.health.set(name, status)

    async def stop(self, grace: float = 0.0) -> None:
        """Take no new calls, let running ones finish for ``grace`` seconds, then end everything. Joins no thread of a run:
        an op may hold it for ever."""
        await self._health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.handler.drain()
        await self.server.stop(grace)
        self.handler.close()
        self.access.close()
        self.proofs.close()


async def serve(settings: Settings, announce: Callable[[Host], None], *, quick: bool = False) -> None:
    """Serve until SIGTERM or SIGINT; then drain. Announces the server once it answers quickly: when its processes are up
    and each call has been made once, or, if it is to be ``quick``, when each call that needs no process has."""
    warnings.filterwarnings("ignore", NUMERIC, RuntimeWarning)  # verdicts say it
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    host = Host(settings)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, host.reload)
    waiting = asyncio.create_task(stopping.wait())
    with side_door() as door:
        await host.start(door)
        warming = asyncio.create_task(host.warm(door, quick=quick))
        await asyncio.wait((waiting, warming), return_when=asyncio.FIRST_COMPLETED)
    settle()
    if warming.done():
        warming.result()
        announce(host)
    await waiting
    warming.cancel()
    log.info("draining", seconds=settings.grace)
    await host.stop(settings.grace)
