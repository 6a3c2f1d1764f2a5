"""A client process that makes requests on command, so that several load a server at the same time.

    python -m benchmarks.users.clients

Reads a line of JSON for each command: ``{"connect": {SERVER: TARGET}}``, or a kind of request with ``seconds`` and
``elements``, which it answers with the seconds of each request. The gradient of every kind is compared with its true
value before anything is timed.
"""

from __future__ import annotations

import json
import queue
import sys
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import grpc
import numpy as np
from google.protobuf.wrappers_pb2 import BytesValue

from benchmarks.users.echo import OPTIONS, PARSE, SERVICE, WRITE
from gradproof.client import Client, GraphBuilder, Result
from gradproof.engine.spec import Array
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, tensor_pb2
from gradproof.wire import chunks, encode_tensor

Run = Callable[[Array], Array]
"""A request: from the argument x to the gradient of its squared norm, which is 2 x; an echo gives x."""
LEVELS = {"off": pb.VERIFY_LEVEL_OFF, "everything": pb.VERIFY_LEVEL_EVERYTHING}
BUDGET_SECONDS = 2.0


class Frames:
    """A stream of messages that are put one by one, as gRPC reads them."""

    def __init__(self, call: Callable[[Iterator[Any]], Any]) -> None:
        self._frames: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.answers = call(iter(self._frames.get, None))
        self.put = self._frames.put


def frame_of(part: tensor_pb2.TensorHeader | tensor_pb2.TensorChunk) -> pb.SessionRequest:
    """The frame of a part of a tensor."""
    if isinstance(part, tensor_pb2.TensorHeader):
        return pb.SessionRequest(header=part)
    return pb.SessionRequest(chunk=part)


def gradient_of(result: Result) -> Array:
    """The gradient by x."""
    gradient = result.gradients["x"].gradient
    assert gradient is not None
    return gradient


def graph(elements: int) -> GraphBuilder:
    """The squared norm of x."""
    builder = GraphBuilder()
    x = builder.leaf("x", shape=(elements,), requires_grad=True)
    builder.output(builder.apply("sum", x * x), name="y")
    return builder


def request_size(elements: int) -> int:
    """Bytes of a request with a digest, which the echo carries."""
    request = pb.DifferentiateRequest(input=pb.RunInput(digest="0" * 64), verify=pb.VerifyOptions(level=LEVELS["off"]))
    request.input.values.add(name="x", value=encode_tensor(np.zeros(elements)))
    return request.ByteSize()


class Clients:
    """Runs by kind, each with a connection of its own."""

    def __init__(self, targets: dict[str, str]) -> None:
        self.targets = targets
        self._runs: dict[tuple[str, int], Run] = {}

    def run_of(self, kind: str, elements: int) -> Run:
        """The run of a kind, which was found right."""
        if (kind, elements) not in self._runs:
            run = self._runs[kind, elements] = KINDS[kind](self, elements)
            x = np.linspace(0.5, 1.5, elements)
            for _ in range(4):
                got = run(x)
                if not np.array_equal(got, x if kind.startswith("echo") else 2 * x):
                    raise SystemExit(f"{kind}: {got} is wrong at {x}")
                x = x + 0.25
        return self._runs[kind, elements]

    def channel(self, server: str) -> grpc.Channel:
        return grpc.insecure_channel(self.targets[server], [*OPTIONS, ("grpc.use_local_subchannel_pool", 1)])

    def stub(self) -> Any:
        return autodiff_service_pb2_grpc.AutodiffServiceStub(self.channel("gradproof"))

    def digest(self, elements: int) -> str:
        """The digest of the graph, which the server knows from now on."""
        x = np.ones(elements)
        if x.nbytes > 1 << 20:
            with Client(self.targets["gradproof"]) as client:
                return client.differentiate(graph(elements), {"x": x}, verify="off").digest
        run_input = pb.RunInput(graph=graph(elements).to_proto())
        run_input.values.add(name="x", value=encode_tensor(x))
        answer = self.stub().Differentiate(
            pb.DifferentiateRequest(input=run_input, verify=pb.VerifyOptions(level=LEVELS["off"]))
        )
        return str(answer.accepted.digest)

    def request(self, elements: int, level: str) -> pb.DifferentiateRequest:
        """A request on the graph by its digest, with a value to fill in."""
        verify = pb.VerifyOptions(level=LEVELS[level], budget_seconds=BUDGET_SECONDS)
        request = pb.DifferentiateRequest(input=pb.RunInput(digest=self.digest(elements)), verify=verify)
        request.input.values.add(name="x", value=encode_tensor(np.zeros(min(elements, 1))))
        request.input.values[0].value.spec.shape[:] = [elements]
        return request


def echo_unary(server: str) -> Callable[[Clients, int], Run]:
    def make(clients: Clients, elements: int) -> Run:
        call = clients.channel(server).unary_unary(f"/{SERVICE}/Unary", WRITE, PARSE)
        rest = bytes(max(0, request_size(elements) - 8 * elements))

        def run(x: Array) -> Array:
            answer = call(BytesValue(value=x.tobytes() + rest))
            return np.frombuffer(answer.value, count=elements)

        return run

    return make


def echo_bytes(clients: Clients, elements: int) -> Run:
    call: Any = clients.channel("echo").unary_unary(f"/{SERVICE}/Bytes")
    rest = bytes(max(0, request_size(elements) - 8 * elements))
    return lambda x: np.frombuffer(call(x.tobytes() + rest), count=elements)


def echo_stream(server: str) -> Callable[[Clients, int], Run]:
    def make(clients: Clients, elements: int) -> Run:
        frames = Frames(clients.channel(server).stream_stream(f"/{SERVICE}/Stream", WRITE, PARSE))
        rest = bytes(max(0, request_size(elements) - 8 * elements))

        def run(x: Array) -> Array:
            frames.put(BytesValue(value=x.tobytes() + rest))
            return np.frombuffer(next(frames.answers).value, count=elements)

        return run

    return make


def unary(level: str) -> Callable[[Clients, int], Run]:
    def make(clients: Clients, elements: int) -> Run:
        stub, request = clients.stub(), clients.request(elements, level)
        tensor = request.input.values[0].value

        def run(x: Array) -> Array:
            tensor.data = x.tobytes()
            answer = stub.Differentiate(request)
            return np.frombuffer(answer.gradients[0].gradient.data)

        return run

    return make


def streaming(level: str) -> Callable[[Clients, int], Run]:
    def make(clients: Clients, elements: int) -> Run:
        stub = clients.stub()
        whole = pb.StreamingDifferentiateRequest(request=clients.request(elements, level))
        tensor = whole.request.input.values[0].value

        def run(x: Array) -> Array:
            tensor.data = x.tobytes()
            for answer in stub.StreamingDifferentiate(whole):
                for event in answer.events:
                    if event.HasField("gradients"):
                        gradient = np.frombuffer(event.gradients.gradients[0].gradient.data)
            return gradient

        return run

    return make


def session(level: str) -> Callable[[Clients, int], Run]:
    """A stub's session: large tensors in chunks both ways, put together by hand."""

    def make(clients: Clients, elements: int) -> Run:
        frames = Frames(clients.stub().Session)
        frame = pb.SessionRequest(differentiate=clients.request(elements, level))
        frame.differentiate.input.request_id = "r"
        tensor = frame.differentiate.input.values[0].value
        large = 8 * elements > 1 << 20
        whole = np.empty(elements)
        room = whole.view(np.uint8)

        def run(x: Array) -> Array:
            if large:
                tensor.tensor_id = 1
                for part in chunks(x, 1):
                    frames.put(frame_of(part))
            else:
                tensor.data = x.tobytes()
            frames.put(frame)
            gradient = whole
            while True:
                answer = next(frames.answers)
                if answer.HasField("status"):
                    raise SystemExit(str(answer.status))
                for event in answer.events:
                    kind = event.WhichOneof("kind")
                    if kind == "chunk":
                        data = event.chunk.data
                        room[event.chunk.offset : event.chunk.offset + len(data)] = np.frombuffer(data, np.uint8)
                    elif kind == "gradients" and not large:
                        gradient = np.frombuffer(event.gradients.gradients[0].gradient.data)
                    elif kind == "summary":
                        return gradient

        return run

    return make


def client(level: str) -> Callable[[Clients, int], Run]:
    def make(clients: Clients, elements: int) -> Run:
        one, program = Client(clients.targets["gradproof"]), graph(elements)
        return lambda x: gradient_of(one.differentiate(program, {"x": x}, verify=level))

    return make


def client_session(level: str) -> Callable[[Clients, int], Run]:
    def make(clients: Clients, elements: int) -> Run:
        one, program = Client(clients.targets["gradproof"]).session(), graph(elements)
        return lambda x: gradient_of(one.differentiate(program, {"x": x}, verify=level))

    return make


KINDS: dict[str, Callable[[Clients, int], Run]] = {
    "echo": echo_unary("echo"),
    "echo without messages": echo_bytes,
    "echo, asyncio": echo_unary("aio"),
    "echo, asyncio, one stream": echo_stream("aio"),
    "unary": unary("off"),
    "stream": streaming("off"),
    "session": session("off"),
    "Client": client("off"),
    "Client.session": client_session("off"),
    "unary, all checks": unary("everything"),
    "session, all checks": session("everything"),
    "Client, all checks": client("everything"),
}
"""Requests by kind; ``echo`` is the base of ratios."""


def main() -> None:
    clients = Clients({})
    for line in sys.stdin:
        command = json.loads(line)
        if "connect" in command:
            clients = Clients(command["connect"])
            continue
        run, seconds = clients.run_of(command["kind"], command["elements"]), command["seconds"]
        x, times = np.linspace(-1.0, 1.0, command["elements"]), []
        end = perf_counter() + seconds
        while (started := perf_counter()) < end:
            run(x)
            times.append(perf_counter() - started)
        print(json.dumps(times), flush=True)


if __name__ == "__main__":
    main()
