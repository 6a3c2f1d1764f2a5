"""One server process: registry, engine, proofs, gRPC; started, drained on SIGTERM, stopped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection
from platformdirs import user_cache_path

from gradproof.engine.engine import Engine
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.pool import ProofPool
from gradproof.engine.verify.worker import load
from gradproof.engine.verify.workers import Workers
from gradproof.plugins import BUILTIN
from gradproof.server.access import Access
from gradproof.server.handler import Handler
from gradproof.server.limits import Limits
from gradproof.server.services import AutodiffServicer, OpServicer
from gradproof.v1 import autodiff_service_pb2, autodiff_service_pb2_grpc, op_service_pb2, op_service_pb2_grpc

log = structlog.get_logger("gradproof.server")
DRAIN_SECONDS = 30.0


@dataclass(frozen=True)
class Options:
    """How a server is run.

    ``plugins``: import paths (``module`` or ``module:attribute``) loaded besides the installed ones; ``blocked``: plugins
    left out, by name; ``cache``: where proofs are kept (None: the user's cache directory).
    """

    host: str = "127.0.0.1"
    port: int = 50551
    plugins: Sequence[str] = ()
    blocked: Sequence[str] = ()
    entry_points: bool = True
    cache: Path | None = None
    proof_workers: int = 2
    proof_seconds: float = 30.0
    reflection: bool = True
    limits: Limits = field(default_factory=Limits)
    access: Access = field(default_factory=Access)

    def registry(self) -> Registry:
        """The registry of built-in, installed and named plugins."""
        others = [load(source) for source in self.plugins]
        return build_registry(BUILTIN, others=others, entry_points=self.entry_points, blocked=self.blocked)

    def cache_directory(self) -> Path:
        return self.cache or user_cache_path("gradproof") / "proofs"


class Host:
    """A server that can be started and stopped. Proof processes start before gRPC does."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.workers = Workers()
        self.workers.prepare()
        self.registry = options.registry()
        for refusal in self.registry.refused:
            log.warning("plugin refused", plugin=refusal.plugin, reason=str(refusal))
        self.proofs = ProofPool(
            self.registry,
            options.cache_directory(),
            workers=self.workers,
            at_once=options.proof_workers,
            seconds=options.proof_seconds,
        )
        self.handler = Handler(Engine(self.registry), self.proofs, options.limits)
        self.port = 0

    async def start(self) -> None:
        """Bind and serve. Raises OSError if the address is taken."""
        message_bytes = self.options.limits.message_bytes
        server = grpc.aio.server(
            interceptors=self.options.access.interceptors(),
            options=[
                ("grpc.max_receive_message_length", 2 * message_bytes),
                ("grpc.max_send_message_length", 2 * message_bytes),
                ("grpc.so_reuseport", 0),
                ("grpc.keepalive_permit_without_calls", 1),
                ("grpc.http2.min_recv_ping_interval_without_data_ms", 30_000),
            ],
        )
        autodiff_service_pb2_grpc.add_AutodiffServiceServicer_to_server(AutodiffServicer(self.handler), server)
        op_service_pb2_grpc.add_OpServiceServicer_to_server(OpServicer(self.handler), server)
        self.health = health_aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self.health, server)
        self.names = [
            autodiff_service_pb2.DESCRIPTOR.services_by_name["AutodiffService"].full_name,
            op_service_pb2.DESCRIPTOR.services_by_name["OpService"].full_name,
        ]
        if self.options.reflection:
            health = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
            reflection.enable_server_reflection([*self.names, health, reflection.SERVICE_NAME], server)
        try:
            self.port = self.options.access.bind(server, f"{self.options.host}:{self.options.port}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self.options.host}:{self.options.port}: {error}") from error
        await server.start()
        self.server = server
        await self._health(health_pb2.HealthCheckResponse.SERVING)

    async def _health(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for name in ("", *self.names):
            await self.health.set(name, status)

    async def stop(self, grace: float = 0.0) -> None:
        """Take no new calls, let running ones finish for ``grace`` seconds, then end everything."""
        await self._health(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.handler.drain()
        await self.server.stop(grace)
        self.proofs.close()
        self.handler.close()


async def serve(options: Options, announce: Callable[[Host], None], stop_when: asyncio.Event | None = None) -> None:
    """Serve until SIGTERM or SIGINT, or until ``stop_when`` is set; then drain."""
    host = Host(options)
    warming = asyncio.get_running_loop().run_in_executor(None, host.proofs.start)
    await host.start()
    announce(host)
    stopping = stop_when or asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    log.info("draining", seconds=DRAIN_SECONDS)
    await host.stop(DRAIN_SECONDS)
    await asyncio.gather(warming, return_exceptions=True)
