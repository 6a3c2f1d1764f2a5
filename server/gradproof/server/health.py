"""Health: the standard service, whose watches end with the server instead of keeping it."""

from __future__ import annotations

from typing import Any

from grpc_health.v1 import health_pb2
from grpc_health.v1.health import aio


class Health(aio.HealthServicer):  # type: ignore[misc]
    """As its parent. A watch that was told NOT_SERVING, which is said when the server is to stop, is over."""

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> None:
        try:
            await super().Watch(request, _Last(context))
        except _Over:
            return


class _Over(Exception):
    """The last word is said."""


class _Last:
    """A context in which NOT_SERVING is the last word."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def write(self, response: health_pb2.HealthCheckResponse) -> None:
        await self._context.write(response)
        if response.status == health_pb2.HealthCheckResponse.NOT_SERVING:
            raise _Over
