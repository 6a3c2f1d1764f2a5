"""Latency of small requests beside large work: a proof that hangs, heavy products, a large Infer, streams that are left.

``python -m benchmarks.beside [SECONDS]`` starts a server of its own and prints quantiles, idle and busy.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.sharedctypes import Synchronized

import grpc
import numpy as np

from gradproof.client import Client, GraphBuilder, connect
from gradproof.v1 import autodiff_service_pb2 as pb
from gradproof.v1 import autodiff_service_pb2_grpc, graph_pb2
from gradproof.wire import encode_spec, encode_tensor

SIZE, PRODUCTS, NODES = 2600, 4, 100_000  # 35 GFlop for each product; a message below 4 MiB


def small() -> GraphBuilder:
    g = GraphBuilder()
    x = g.leaf("x", np.linspace(0.1, 0.9, 10), requires_grad=True)
    g.output(g.apply("sum", g.apply("exp", g.apply("sin", x) * x)))
    return g


def product() -> pb.EvaluateRequest:
    """A product whose factors are computed at the server, so that the message is small."""
    one = encode_tensor(np.array(0.5))
    graph = graph_pb2.Graph(leaves=[graph_pb2.Leaf(name="x", value=one, spec=one.spec)], outputs=["y"])
    shape = graph_pb2.Attribute(ints=graph_pb2.IntList(values=[SIZE, SIZE]))
    graph.nodes.add(op="broadcast_to", inputs=["x"], outputs=["a"], attributes={"shape": shape})
    graph.nodes.add(op="sin", inputs=["a"], outputs=["b"])
    graph.nodes.add(op="matmul", inputs=["b", "b"], outputs=["c"])
    graph.nodes.add(op="sum", inputs=["c"], outputs=["y"])
    return pb.EvaluateRequest(graph=graph)


def chain() -> pb.InferRequest:
    graph = graph_pb2.Graph(outputs=[f"v{NODES}"])
    graph.leaves.add(name="v0", spec=encode_spec((), np.dtype(np.float64)), requires_grad=True)
    for k in range(NODES):
        graph.nodes.add(op="sin", inputs=[f"v{k}"], outputs=[f"v{k + 1}"])
    return pb.InferRequest(graph=graph)


def long_stream() -> pb.StreamingDifferentiateRequest:
    graph = graph_pb2.Graph(outputs=["y"])
    ones = encode_tensor(np.full(100_000, 0.5))
    graph.leaves.add(name="v0", value=ones, spec=ones.spec, requires_grad=True)
    for k in range(300):
        graph.nodes.add(op="sin", inputs=[f"v{k}"], outputs=[f"v{k + 1}"])
    graph.nodes.add(op="sum", inputs=["v300"], outputs=["y"])
    options = pb.VerifyOptions(level=pb.VERIFY_LEVEL_OFF)
    return pb.StreamingDifferentiateRequest(request=pb.DifferentiateRequest(graph=graph, verify=options))


def measured(client: Client, seconds: float) -> np.ndarray:
    graph, taken, end = small(), [], time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        client.differentiate(graph, verify="off")
        taken.append(1000 * (time.perf_counter() - started))
    return np.array(taken)


def leave(stub: autodiff_service_pb2_grpc.AutodiffServiceStub) -> None:
    call = stub.StreamingDifferentiate(long_stream())
    next(iter(call))
    call.cancel()
    time.sleep(0.2)


def hang(stub: autodiff_service_pb2_grpc.AutodiffServiceStub) -> None:
    graph = small().to_proto()
    graph.nodes[0].op = "stuck.hang_everything"
    stub.Differentiate(pb.DifferentiateRequest(graph=graph, verify=pb.VerifyOptions(budget_ms=5000)))


WORK: dict[str, tuple[int, Callable[[autodiff_service_pb2_grpc.AutodiffServiceStub], object]]] = {
    "products": (PRODUCTS, lambda stub: stub.Evaluate(product())),
    "infers": (1, lambda stub: stub.Infer(chain(), timeout=60)),
    "proofs": (1, hang),
    "streams": (1, leave),
}


def occupy(target: str, name: str, done: Synchronized[int]) -> None:
    """Ask for one kind of work again and again, in a process of its own."""
    with grpc.insecure_channel(target) as channel:
        stub = autodiff_service_pb2_grpc.AutodiffServiceStub(channel)
        while True:
            with suppress(grpc.RpcError):
                WORK[name][1](stub)
            with done.get_lock():
                done.value += 1


def main(seconds: float = 20.0, *kinds: str) -> None:
    """Print quantiles in milliseconds."""
    context = multiprocessing.get_context("spawn")
    counts = {name: context.Value("i", 0) for name in kinds or WORK}
    owner = connect(arguments=["--plugin", "tests.stuck_plugin"])
    others = [
        context.Process(target=occupy, args=(owner.target, name, counts[name]), daemon=True)
        for name in counts
        for _ in range(WORK[name][0])
    ]
    try:
        measured(owner, 1.0)
        show("alone", measured(owner, seconds / 4))
        for other in others:
            other.start()
        time.sleep(3.0)
        show("beside", measured(owner, seconds))
        print("meanwhile:", ", ".join(f"{count.value} {name}" for name, count in counts.items()))
    finally:
        for other in others:
            other.kill()
        owner.close()


def show(name: str, taken: np.ndarray) -> None:
    quantiles = ", ".join(f"p{q} {np.percentile(taken, q):.1f}" for q in (50, 90, 99, 99.9, 100))
    print(f"{name}: {len(taken)} small requests, in ms: {quantiles}", flush=True)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0, *sys.argv[2:])
