"""Servers for tests: in this process, on a free port, with a proof cache that nobody else has."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc

from gradproof.client import Client
from gradproof.engine.compiled.store import Compilations
from gradproof.server.configuration.settings import Settings
from gradproof.server.local.local_server import LocalServer
from gradproof.server.process.host import Host
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, graph_pb2, op_service_pb2_grpc, operations_service_pb2_grpc
from gradproof.wire import encode_tensor

LOCAL = os.environ.get("GRADPROOF_TEST_USE") == "local"
"""True if clients of servers in this process are local: their runs compute in the thread of the test."""


class Served:
    """A running server, and what tests need to talk to it: stubs for messages, a client for everything else."""

    def __init__(self, host: Host, loop: asyncio.AbstractEventLoop) -> None:
        self.host, self.loop = host, loop
        self.target = f"127.0.0.1:{host.port}"
        self.channel = grpc.insecure_channel(self.target)
        self.autodiff = autodiff_service_pb2_grpc.AutodiffServiceStub(self.channel)
        self.ops = op_service_pb2_grpc.OpServiceStub(self.channel)
        self.operations = operations_service_pb2_grpc.OperationsServiceStub(self.channel)
        self.client = self._local_client(loop) if LOCAL else Client(self.target)

    def _local_client(self, loop: asyncio.AbstractEventLoop) -> Client:
        client = Client("local")
        channel: Any = client._channel
        channel._server = LocalServer(self.host.handler, loop)
        return client

    def close(self) -> None:
        self.client.close()
        self.channel.close()


@contextmanager
def serving(cache: Path, **options: Any) -> Iterator[Served]:
    """A `Host` on an event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="server")
    thread.start()

    def run(coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, loop).result(60)

    host = Host(Settings(port=0, cache=cache, entry_points=False, **{"plans": str(Compilations.default), **options}))
    try:
        host.proofs.start()
        run(host.start())
        served = Served(host, loop)
        try:
            yield served
        finally:
            served.close()
            run(host.stop())
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def leaf(name: str, value: Any, *, requires_grad: bool = True) -> graph_pb2.Leaf:
    tensor = encode_tensor(value)
    return graph_pb2.Leaf(name=name, value=tensor, spec=tensor.spec, requires_grad=requires_grad)


def node(op: str, inputs: str, output: str, **rest: Any) -> graph_pb2.Node:
    return graph_pb2.Node(op=op, inputs=inputs.split(), outputs=output.split(), **rest)


def request(
    leaves: list[graph_pb2.Leaf], nodes: list[graph_pb2.Node], outputs: str, **rest: Any
) -> pb.DifferentiateRequest:
    """A request; ``rest`` are its fields, and those of its input."""
    graph = graph_pb2.Graph(leaves=leaves, nodes=nodes, outputs=outputs.split())
    verify = rest.pop("verify", pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF))
    shared = {name: rest.pop(name) for name in pb.RunInput.DESCRIPTOR.fields_by_name if name in rest}
    return pb.DifferentiateRequest(input=pb.RunInput(graph=graph, **shared), verify=verify, **rest)
