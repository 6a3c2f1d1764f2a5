"""Warm-up: the server makes each call once, as a client would, before it announces its address.

Imports, traces of rules, fingerprints of ops and the start of processes, which make first calls slow, are then done.
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
def warm_up_socket() -> Iterator[str]:
    """The address of a Unix socket in a private folder, removed afterwards. The port has local credentials
    (`listen_locally`), by which `Access` recognises the server itself, without a token."""
    with TemporaryDirectory(prefix="gradproof-") as folder:
        yield f"unix:{folder}/warm-up"


def listen_locally(server: grpc.aio.Server, address: str) -> None:
    """Bind the server to the Unix socket ``address`` with local credentials."""
    server.add_secure_port(address, grpc.local_server_credentials(grpc.LocalConnectionType.UDS))


async def warm_up(address: str, *, quick: bool) -> None:
    """Make each call at ``address``; with ``quick``, only the calls that trace no rule and need no other process. A call
    may fail, since a plugin may be blocked."""
    credentials = grpc.local_channel_credentials(grpc.LocalConnectionType.UDS)
    async with grpc.aio.secure_channel(address, credentials, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        calls = _Calls(channel)
        await calls.quick()
        if not quick:
            await calls.slow()


class _Calls:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.autodiff: Any = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
        self.ops: Any = op_service_pb2_grpc.OpServiceStub(channel)
        self._options = {"timeout": SECONDS}

    async def quick(self) -> None:
        """Make the calls that need this process only."""
        graph, level = _graph(), pb.VERIFY_LEVEL_CACHED
        request = pb.DifferentiateRequest(
            input=pb.RunInput(graph=graph, request_id="warm-up"), verify=pb.VerifyOptions(level=level)
        )
        await self._answer(self.autodiff.GetServerInfo, pb.GetServerInfoRequest())
        await self._answer(self.autodiff.Infer, pb.InferRequest(graph=graph))
        await self._answer(self.autodiff.Evaluate, pb.EvaluateRequest(input=pb.RunInput(graph=graph)))
        await self._answer(self.autodiff.Derive, pb.DeriveRequest(graph=graph, mode=pb.DERIVE_MODE_VJP))
        await self._answer(self.autodiff.Differentiate, request)
        await self._stream(self.autodiff.StreamingDifferentiate, pb.StreamingDifferentiateRequest(request=request))
        await self._stream(self.autodiff.Session, _frames(pb.SessionRequest(differentiate=request)))

    async def slow(self) -> None:
        """Make the calls that read all ops, or need worker processes."""
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
            return await method(request, **self._options)

    async def _stream(self, method: Any, request: Any) -> None:
        with suppress(grpc.RpcError):
            async for _ in method(request, **self._options):
                pass


async def _frames(frame: pb.SessionRequest) -> AsyncIterator[pb.SessionRequest]:
    yield frame


def _graph() -> graph_pb2.Graph:
    """The sum of the squares of two numbers."""
    value = encode_tensor(np.array([1.0, 2.0]))
    leaf = graph_pb2.Leaf(name="x", value=value, spec=value.spec, requires_grad=True)
    square = graph_pb2.Node(op=OP, inputs=["x", "x"], outputs=["s"])
    total = graph_pb2.Node(op="sum", inputs=["s"], outputs=["y"])
    return graph_pb2.Graph(leaves=[leaf], nodes=[square, total], outputs=["y"])
