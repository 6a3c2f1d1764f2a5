"""A server that sends back what it gets, as one unary call and as a stream: the least that gRPC costs.

    python -m benchmarks.users.echo sync|aio

Messages are `google.protobuf.BytesValue`, as stubs read and write messages; ``Bytes`` and ``BytesStream`` have none.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import BytesValue

SERVICE = "benchmarks.Echo"
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
"""A message may be of any size, so that 8 MB travel as a single message."""
THREADS = 16
PARSE, WRITE = BytesValue.FromString, BytesValue.SerializeToString


def unary(message: Any, context: Any) -> Any:
    return message


def stream(messages: Iterator[Any], context: Any) -> Iterator[Any]:
    yield from messages


async def aio_unary(message: Any, context: Any) -> Any:
    return message


async def aio_stream(messages: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
    async for message in messages:
        yield message


def handlers(one: Callable[..., Any], many: Callable[..., Any]) -> Any:
    methods = {
        "Unary": grpc.unary_unary_rpc_method_handler(one, PARSE, WRITE),
        "Stream": grpc.stream_stream_rpc_method_handler(many, PARSE, WRITE),
        "Bytes": grpc.unary_unary_rpc_method_handler(one),
        "BytesStream": grpc.stream_stream_rpc_method_handler(many),
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def announce(port: int) -> None:
    print(f"127.0.0.1:{port}", flush=True)


async def serve_aio() -> None:
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers((handlers(aio_unary, aio_stream),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    announce(port)
    await server.wait_for_termination()


def serve_sync() -> None:
    server = grpc.server(ThreadPoolExecutor(THREADS), options=OPTIONS)
    server.add_generic_rpc_handlers((handlers(unary, stream),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    announce(port)
    server.wait_for_termination()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        if sys.argv[1] == "aio":
            asyncio.run(serve_aio())
        else:
            serve_sync()
