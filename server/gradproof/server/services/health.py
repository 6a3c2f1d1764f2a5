"""Health: grpc.health.v1. A watch follows a service, and ends with the server instead of keeping it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

VERIFY = "verify"
"""The service of worker processes. Without them runs go on unchecked: the server is degraded, not down."""

Status = health_pb2.HealthCheckResponse
SERVING, NOT_SERVING, UNKNOWN = Status.SERVING, Status.NOT_SERVING, Status.SERVICE_UNKNOWN


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """Statuses by the name of the service. To be used in the event loop of the server only."""

    def __init__(self, names: Iterable[str]) -> None:
        self._states = dict.fromkeys(names, NOT_SERVING)
        self._news = asyncio.Event()
        self._over = False

    def set(self, name: str, serving: bool) -> None:
        """Set whether a service is serving. After `drain` no service is."""
        status = SERVING if serving and not self._over else NOT_SERVING
        if self._states.get(name) != status:
            self._states[name] = status
            self._tell()

    def is_serving(self, name: str) -> bool:
        """True if a service is serving."""
        return bool(self._states.get(name) == SERVING)

    def words(self) -> dict[str, str]:
        """SERVING or NOT_SERVING, by service."""
        return {name: str(Status.ServingStatus.Name(status)) for name, status in self._states.items()}

    def drain(self) -> None:
        """Set all services to NOT_SERVING, which ends the watches."""
        self._over = True
        self._states = dict.fromkeys(self._states, NOT_SERVING)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> health_pb2.HealthCheckResponse:
        status = self._states.get(request.service)
        if status is None:
            text = f"there is no service {request.service[:200]!r}; there are {', '.join(map(repr, self._states))}"
            await context.abort(grpc.StatusCode.NOT_FOUND, text)
        return Status(status=status)

    async def List(self, request: health_pb2.HealthListRequest, context: Any) -> health_pb2.HealthListResponse:
        return health_pb2.HealthListResponse(statuses={n: Status(status=status) for n, status in self._states.items()})

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        sent = None
        while True:
            news, status = self._news, self._states.get(request.service, UNKNOWN)
            if status != sent:
                yield Status(status=status)
                sent = status
            if self._over:
                return
            if status == self._states.get(request.service, UNKNOWN):
                await news.wait()
