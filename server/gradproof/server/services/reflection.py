"""Reflection, v1 and v1alpha: descriptions of the services. Streams end with the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from grpc_reflection.v1alpha.reflection import aio

OLD, NEW = "grpc.reflection.v1alpha", "grpc.reflection.v1"
SERVICE = "ServerReflection"


class Reflection(aio.ReflectionServicer):  # type: ignore[misc]
    """Describes ``services``, and itself under both of its names: v1 has the messages of v1alpha, under other names."""

    def __init__(self, services: Sequence[str]) -> None:
        _describe()
        super().__init__([*services, f"{OLD}.{SERVICE}", f"{NEW}.{SERVICE}"])
        self._over = asyncio.Event()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serve both versions."""
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(self, server)
        handler = grpc.stream_stream_rpc_method_handler(
            self.ServerReflectionInfo,
            request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
            response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        generic = grpc.method_handlers_generic_handler(f"{NEW}.{SERVICE}", {"ServerReflectionInfo": handler})
        server.add_generic_rpc_handlers((generic,))

    def drain(self) -> None:
        """Answer open requests, and end the streams."""
        self._over.set()

    async def ServerReflectionInfo(self, request_iterator: Any, unused_context: Any) -> AsyncIterator[Any]:
        async for response in super().ServerReflectionInfo(self._until_over(request_iterator), unused_context):
            yield response

    async def _until_over(self, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        over = asyncio.ensure_future(self._over.wait())
        try:
            while not over.done():
                coming = asyncio.ensure_future(anext(requests, None))
                try:
                    await asyncio.wait((coming, over), return_when=asyncio.FIRST_COMPLETED)
                    if not coming.done() or coming.result() is None:
                        return
                    yield coming.result()
                finally:
                    coming.cancel()
        finally:
            over.cancel()


def _describe() -> None:
    """Add the description of v1, made from that of v1alpha, to the known descriptions."""
    pool = descriptor_pool.Default()
    name = "grpc/reflection/v1/reflection.proto"
    try:
        pool.FindFileByName(name)
    except KeyError:
        text = reflection_pb2.DESCRIPTOR.serialized_pb
        described = descriptor_pb2.FileDescriptorProto.FromString(text)
        described.name, described.package = name, NEW
        for message in described.message_type:
            for field in message.field:
                if field.type_name:
                    field.type_name = field.type_name.replace(OLD, NEW)
        for method in described.service[0].method:
            method.input_type, method.output_type = (t.replace(OLD, NEW) for t in (method.input_type, method.output_type))
        pool.Add(described)
