"""Warming up: each call is made once, the way clients make it, before the server says that it is there.

What is slow the first time (imports, traces of rules, fingerprints of ops, processes that start) has then happened.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory
from typing import Any

import grpc
import numpy as np

from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, graph_pb2, op_service_pb2, op_service_pb2_grpc
from gradproof.wire import encode_tensor

OP, BUDGET, SECONDS = "multiply", 2.0, 20.0


@contextmanager
def side_door() -> Iterator[str]:
    """The address of a Unix socket in a folder that nobody else may enter, gone afterwards. Its port is one of local
    credentials (`open_door`), by which `Access` knows the server itself: no token goes through it."""
    with TemporaryDirectory(prefix="gradproof-") as folder:
        yield f"unix:{folder}/door"


def open_door(server: grpc.aio.Server, door: str) -> None:
    """Have the server listen there too."""
    server.add_secure_port(door, grpc.local_server_credentials(grpc.LocalConnectionType.UDS))


async def warm(door: str, *, quick: bool) -> None:
    """Make each call through ``door``; if it is to be ``quick``, only those that trace nothing and need no process. A call
    that fails is warm too: a plugin may be blocked."""
    credentials = grpc.local_channel_credentials(grpc.LocalConnectionType.UDS)
    async with grpc.aio.secure_channel(door, credentials, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        calls = _Calls(channel)
        await calls.quick()
        if not quick:
            await calls.slow()


class _Calls:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.autodiff: Any = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
        self.ops: Any = op_service_pb2_grpc.OpServiceStub(channel)
        self._rest = {"timeout": SECONDS}

    async def quick(self) -> None:
        """Calls that do not need anything but this process."""
        graph, level = _graph(), pb.VERIFY_LEVEL_CACHED
        request = pb.DifferentiateRequest(
            input=pb.RunInput(graph=graph, request_id="warm"), verify=pb.VerifyOptions(level=level)
        )
        await self._answer(self.autodiff.GetServerInfo, pb.GetServerInfoRequest())
        await self._answer(self.autodiff.Infer, pb.InferRequest(graph=graph))
        await self._answer(self.autodiff.Evaluate, pb.EvaluateRequest(input=pb.RunInput(graph=graph)))
        await self._answer(self.autodiff.Derive, pb.DeriveRequest(graph=graph, mode=pb.DERIVE_MODE_VJP))
        await self._answer(self.autodiff.Differentiate, request)
        await self._stream(self.autodiff.StreamingDifferentiate, pb.StreamingDifferentiateRequest(request=request))
        await self._stream(self.autodiff.Session, _said(pb.SessionRequest(differentiate=request)))

    async def slow(self) -> None:
        """Calls that read all ops, or ask worker processes."""
        verify = pb.VerifyOptions(level=pb.VERIFY_LEVEL_EVERYTHING, budget_seconds=BUDGET)
        request = pb.DifferentiateRequest(input=pb.RunInput(graph=_graph()), verify=verify)
        await self._stream(self.autodiff.StreamingDifferentiate, pb.StreamingDifferentiateRequest(request=request))
        await self._answer(self.autodiff.Explain, pb.ExplainRequest(graph=_graph(), value="y"))
        await self._answer(self.ops.GetOp, op_service_pb2.GetOpRequest(name=OP))
        page: op_service_pb2.ListOpsResponse | None = op_service_pb2.ListOpsResponse()
        while page is not None:
            page = await self._answer(self.ops.ListOps, op_service_pb2.ListOpsRequest(page_token=page.next_page_token))
            page = page if page is not None and page.next_page_token else None

    async def _answer(self, method: Any, request: Any) -> Any:
        with suppress(grpc.RpcError):
            return await method(request, **self._rest)

    async def _stream(self, method: Any, request: Any) -> None:
        with suppress(grpc.RpcError):
            async for _ in method(request, **self._rest):
                pass


async def _said(frame: pb.SessionRequest) -> AsyncIterator[pb.SessionRequest]:
    yield frame


def _graph() -> graph_pb2.Graph:
    """The sum of the squares of two numbers."""
    value = encode_tensor(np.array([1.0, 2.0]))
    leaf = graph_pb2.Leaf(name="x", value=value, spec=value.spec, requires_grad=True)
    square = graph_pb2.Node(op=OP, inputs=["x", "x"], outputs=["s"])
    total = graph_pb2.Node(op="sum", inputs=["s"], outputs=["y"])
    return graph_pb2.Graph(leaves=[leaf], nodes=[square, total], outputs=["y"])
