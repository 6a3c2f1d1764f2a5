"""Memory of the server: its peak beside a tensor of 64 MB whose gradient is asked for, and what cancelled streams leave."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tests.support.server_processes import served

from benchmarks.load import cancelled, settled, wide
from benchmarks.users.clients import BUDGET_SECONDS, LEVELS, Frames, frame_of, graph
from gradproof.engine.spec import Array
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc
from gradproof.wire import chunks, encode_tensor

ELEMENTS = 1 << 23
NBYTES = 8 * ELEMENTS
GOAL = 2.5
"""Goal: the peak above the state before, as a multiple of the tensor, at most."""
CANCELS = 24
ROOM = ("--limits.message-bytes", str(2 * NBYTES), "--limits.verify-budget-seconds", "60")
"""Options of a server that takes a tensor of 64 MB in a single message, which the limits of a server are far below."""
SETTLE_SECONDS, SECONDS = 2.0, 120.0
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def request(level: str) -> pb.DifferentiateRequest:
    """The gradient of the squared norm of a large vector, without its value."""
    verify = pb.VerifyOptions(level=LEVELS[level], budget_seconds=BUDGET_SECONDS)
    whole = pb.DifferentiateRequest(input=pb.RunInput(graph=graph(ELEMENTS).to_proto(), request_id="r"), verify=verify)
    whole.input.values.add(name="x")
    return whole


def unary(stub: Any, x: Array, level: str) -> Array:
    whole = request(level)
    whole.input.values[0].value.CopyFrom(encode_tensor(x))
    return np.frombuffer(stub.Differentiate(whole, timeout=SECONDS).gradients[0].gradient.data)


def stream(stub: Any, x: Array, level: str) -> Array:
    whole = request(level)
    whole.input.values[0].value.CopyFrom(encode_tensor(x))
    answers = stub.StreamingDifferentiate(pb.StreamingDifferentiateRequest(request=whole), timeout=SECONDS)
    return _assembled(event for answer in answers for event in answer.events)


def session(stub: Any, x: Array, level: str) -> Array:
    frames = Frames(lambda messages: stub.Session(messages, timeout=SECONDS))
    for part in chunks(x, 1):
        frames.put(frame_of(part))
    frame = pb.SessionRequest(differentiate=request(level))
    tensor = frame.differentiate.input.values[0].value
    tensor.spec.CopyFrom(encode_tensor(x[:1]).spec)
    tensor.spec.shape[:] = x.shape
    tensor.tensor_id = 1
    frames.put(frame)
    gradient = _assembled(event for answer in frames.answers for event in answer.events)
    frames.put(None)
    return gradient


def _assembled(events: Any) -> Array:
    """The gradient of a run, whose chunks are put together. Reads up to the summary."""
    whole = np.empty(ELEMENTS)
    room = whole.view(np.uint8)
    for event in events:
        kind = event.WhichOneof("kind")
        if kind == "chunk":
            data = event.chunk.data
            room[event.chunk.offset : event.chunk.offset + len(data)] = np.frombuffer(data, np.uint8)
        elif kind == "summary":
            break
    return whole


CALLS: dict[str, Callable[[Any, Array, str], Array]] = {"unary": unary, "stream": stream, "session": session}


def measured() -> dict[str, Any]:
    """Peaks by call and by checks, as multiples of the tensor; bytes left by cancelled streams."""
    peaks = {
        f"{name}, checks {'off' if level == 'off' else 'on'}": _peak(call, level)
        for name, call in CALLS.items()
        for level in LEVELS
    }
    return {"peak": peaks, "cancelled": _left()}


def _peak(call: Callable[[Any, Array, str], Array], level: str) -> float:
    """The peak of the serving process above the state before, in a server of its own, as a multiple of the tensor."""
    x = np.linspace(0.5, 1.5, ELEMENTS)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), *ROOM) as server:
        with grpc.insecure_channel(server.target, OPTIONS) as channel:
            stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
            before = settled(server, SETTLE_SECONDS)
            (process,) = server.of("server")
            Path(f"/proc/{process}/clear_refs").write_text("5")  # the peak starts anew
            got = call(stub, x, level)
            peak = _status(process, "VmHWM")
        if not np.array_equal(got, 2 * x):
            raise SystemExit("the gradient of the large tensor is wrong")
    return (peak - before) / NBYTES


def _left() -> dict[str, float]:
    """Megabytes of the serving process before and after cancelled streams, each of which had eight arrays of 8 MiB."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Path(folder)) as server,
        grpc.insecure_channel(server.target) as channel,
    ):
        stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
        before = settled(server, SETTLE_SECONDS)
        for _ in range(CANCELS):
            cancelled(stub, wide(1 << 20))
        at_once = server.resident()
        after = settled(server, 5 * SETTLE_SECONDS)
    return {"before": before / 1e6, "at once": at_once / 1e6, "after": after / 1e6}


def _status(process: int, name: str) -> int:
    """Bytes that the kernel counts of a process."""
    text = Path(f"/proc/{process}/status").read_text()
    return 1024 * int(text.partition(f"{name}:")[2].split()[0])
