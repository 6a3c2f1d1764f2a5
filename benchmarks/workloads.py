"""Public workloads, each written once, as a graph of ops with seeded values.

Other systems are measured with them too: chains and a DAG of single numbers, elementwise vectors, a multilayer
perceptron, layer norm, Gaussian mixtures and bundle adjustment after ADBench, an unrolled LSTM, a chain of matrix products,
a convolution as slices. In float64, or in the given dtype; `benchmarks.real_data` has those at the size of
real data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.spec import Array, DType, spec_of

FLOAT64: DType = np.dtype(np.float64)


@dataclass(frozen=True)
class Workload:
    """A graph with a scalar output, and the values of its leaves in their order."""

    graph: Graph
    values: tuple[Array, ...]


class Sketch:
    """Writes a graph: ``s.leaf(array)`` and ``s.<op>(*names, **attributes)`` give the name of a value. Leaves of floating
    point are of ``dtype``."""

    def __init__(self, dtype: DType = FLOAT64) -> None:
        self.dtype = dtype
        self.leaves: list[Leaf] = []
        self.values: list[Array] = []
        self.nodes: list[Node] = []

    def leaf(self, value: Any, requires_grad: bool = True) -> str:
        array = np.asarray(value)
        array = array.astype(self.dtype) if array.dtype.kind == "f" else array
        name = f"x{len(self.leaves)}"
        self.leaves.append(Leaf(name, spec_of(array), requires_grad))
        self.values.append(array)
        return name

    def constant(self, value: Any) -> str:
        return self.leaf(value, requires_grad=False)

    def __getattr__(self, op: str) -> Callable[..., str]:
        def apply(*inputs: str, **attributes: Any) -> str:
            name = f"v{len(self.nodes)}"
            self.nodes.append(Node(op, inputs, (name,), attributes))
            return name

        return apply

    def done(self, output: str) -> Workload:
        return Workload(Graph(tuple(self.leaves), tuple(self.nodes), (output,)), tuple(self.values))


def scalar_chain(count: int) -> Workload:
    """A chain of ``count`` ops on a single number."""
    s = Sketch()
    x, w = s.leaf(0.5), s.leaf(0.9)
    steps = (s.sin, s.tanh, s.exp, partial(s.multiply, w), s.cos, s.square, partial(s.add, w), s.sqrt)
    for k in range(count):
        x = steps[k % len(steps)](x)
    return s.done(x)


def scalar_dag(count: int = 1000) -> Workload:
    """``count`` ops on single numbers, each on random values before it, which are used any number of times."""
    random, s = np.random.default_rng(7), Sketch()
    known = [s.leaf(value) for value in random.uniform(0.3, 0.9, 8)]
    idle = dict.fromkeys(known)
    for k in range(count):
        op = ("multiply", "sin", "add", "tanh", "cos", "subtract", "sigmoid")[k % 7]
        picked = random.integers(max(0, len(known) - 50), len(known), 2 if op in ("multiply", "add", "subtract") else 1)
        inputs = [known[int(j)] for j in picked]
        known.append(getattr(s, op)(*inputs))
        idle = {name: None for name in (*idle, known[-1]) if name not in inputs}
    total, *others = idle
    for name in others:
        total = s.add(total, name)
    return s.done(total)


def elementwise(n: int, dtype: DType = FLOAT64) -> Workload:
    """Twenty ops on vectors of ``n`` elements, and their sum."""
    random, s = np.random.default_rng(0), Sketch(dtype)
    x, y, z = (s.leaf(random.uniform(0.5, 1.5, n)) for _ in range(3))
    a = s.tanh(s.multiply(x, y))
    b = s.exp(s.negative(s.sigmoid(s.add(a, z))))
    c = s.add(s.square(s.sin(s.multiply(b, x))), z)
    d = s.cos(s.tanh(s.sqrt(s.square(c))))
    e = s.tanh(s.sigmoid(s.multiply(d, z)))
    return s.done(s.sum(s.tanh(s.subtract(e, y))))


def mlp(batch: int, sizes: tuple[int, ...] = (784, 256, 128, 10)) -> Workload:
    """Softmax cross entropy of a perceptron with tanh."""
    random, s = np.random.default_rng(1), Sketch()
    h = s.constant(random.normal(size=(batch, sizes[0])))
    target = s.constant(np.eye(sizes[-1])[random.integers(0, sizes[-1], batch)])
    for k, (n, m) in enumerate(pairwise(sizes)):
        w, b = s.leaf(random.normal(size=(n, m)) / np.sqrt(n)), s.leaf(np.zeros(m))
        h = s.add(s.matmul(h, w), b)
        h = s.tanh(h) if k < len(sizes) - 2 else h
    shifted = s.subtract(h, s.max(h, axis=1, keepdims=True))
    total = s.log(s.sum(s.exp(shifted), axis=1, keepdims=True))
    return s.done(s.negative(s.sum(s.multiply(s.subtract(shifted, total), target))))


def layer_norm(rows: int = 256, columns: int = 512) -> Workload:
    """Squared error of a layer norm written out."""
    random, s = np.random.default_rng(2), Sketch()
    x, t = s.leaf(random.normal(size=(rows, columns))), s.constant(random.normal(size=(rows, columns)))
    g, b = s.leaf(random.normal(size=columns)), s.leaf(random.normal(size=columns))
    centred = s.subtract(x, s.mean(x, axis=1, keepdims=True))
    scale = s.sqrt(s.add(s.mean(s.square(centred), axis=1, keepdims=True), s.constant(1e-5)))
    y = s.add(s.multiply(s.divide(centred, scale), g), b)
    return s.done(s.mean(s.square(s.subtract(y, t))))


def gmm(d: int, k: int, n: int = 1000) -> Workload:
    """The log-likelihood of a Gaussian mixture after ADBench: weights, means, log-diagonals and lower triangles of the
    inverse covariances, with the Wishart prior (gamma 1, m 0), whose sign ADBench had wrong."""
    random, s = np.random.default_rng(31337), Sketch()
    alpha, mu, q = s.leaf(random.normal(size=k)), s.leaf(random.normal(size=(k, 1, d))), s.leaf(random.normal(size=(k, d)))
    low = s.tril(s.leaf(random.normal(size=(k, d, d))), k=-1)
    x, half = s.constant(random.normal(size=(1, n, d))), s.constant(0.5)
    sums = s.sum(q, axis=1)
    away = s.subtract(x, mu)
    diagonal = s.exp(q)
    qx = s.add(s.multiply(away, s.expand_dims(diagonal, axis=1)), s.matmul(away, s.matrix_transpose(low)))
    inner = s.subtract(s.expand_dims(s.add(alpha, sums), axis=1), s.multiply(half, s.sum(s.square(qx), axis=2)))
    top = s.max(inner, axis=0, keepdims=True)
    likely = s.add(s.log(s.sum(s.exp(s.subtract(inner, top)), axis=0)), s.squeeze(top, axis=0))
    peak = s.max(alpha)
    weights = s.multiply(s.constant(float(n)), s.add(s.log(s.sum(s.exp(s.subtract(alpha, peak)))), peak))
    size = s.add(s.sum(s.square(diagonal)), s.sum(s.square(low)))
    prior = s.subtract(s.multiply(half, size), s.multiply(s.constant(0.0), s.sum(sums)))
    return s.done(s.subtract(s.subtract(s.sum(likely), weights), prior))


def bundle_adjustment(cameras: int = 49, points: int = 2000, seen: int = 8000) -> Workload:
    """Half the sum of squared reprojection errors after ADBench: Rodrigues' rotation, radial distortion."""
    random, s = np.random.default_rng(4), Sketch()
    which, what = (s.constant(random.integers(0, n, seen)) for n in (cameras, points))
    half, unity = s.constant(0.5), s.constant(1.0)

    def of_camera(columns: int, scale: float, middle: float = 0.0) -> str:
        return s.take(s.leaf(middle + scale * random.normal(size=(cameras, columns))), which, axis=0)

    turn, centre = of_camera(3, 0.3, 0.4), of_camera(3, 0.1)
    focal, origin, kappa = of_camera(1, 0.1, 1.0), of_camera(2, 0.1), of_camera(2, 0.01)
    x = s.subtract(s.take(s.leaf(random.normal((0, 0, 6), 1, (points, 3))), what, axis=0), centre)
    weight = s.take(s.leaf(random.uniform(0.5, 1.5, (seen, 1))), s.constant(np.arange(seen)), axis=0)

    def column(value: str, first: int, last: int) -> str:
        return s.slice(value, start=(0, first), stop=(seen, last))

    def cross(a: str, b: str) -> str:
        (a0, a1, a2), (b0, b1, b2) = ([column(v, k, k + 1) for k in range(3)] for v in (a, b))
        pairs = ((a1, b2, a2, b1), (a2, b0, a0, b2), (a0, b1, a1, b0))
        return s.concat(*(s.subtract(s.multiply(p, q), s.multiply(r, t)) for p, q, r, t in pairs), axis=1)

    angle = s.sqrt(s.sum(s.square(turn), axis=1, keepdims=True))
    axis = s.divide(turn, angle)
    along = s.sum(s.multiply(axis, x), axis=1, keepdims=True)
    cosine = s.cos(angle)
    rotated = s.add(s.multiply(x, cosine), s.multiply(cross(axis, x), s.sin(angle)))
    rotated = s.add(rotated, s.multiply(axis, s.multiply(along, s.subtract(unity, cosine))))
    flat = s.divide(column(rotated, 0, 2), column(rotated, 2, 3))
    r2 = s.sum(s.square(flat), axis=1, keepdims=True)
    bent = s.add(s.multiply(column(kappa, 0, 1), r2), s.multiply(column(kappa, 1, 2), s.square(r2)))
    projected = s.add(s.multiply(s.multiply(flat, s.add(unity, bent)), focal), origin)
    error = s.multiply(s.subtract(projected, s.constant(random.normal(size=(seen, 2)))), weight)
    return s.done(s.multiply(half, s.sum(s.square(error))))


def lstm(steps: int = 20, hidden: int = 64, batch: int = 16, dtype: DType = FLOAT64) -> Workload:
    """An unrolled LSTM: the sum of squares of its last state."""
    random, s = np.random.default_rng(5), Sketch(dtype)
    wx, wh = (s.leaf(random.normal(size=(hidden, 4 * hidden)) / 8) for _ in range(2))
    bias = s.leaf(np.zeros(4 * hidden))
    h, c = (s.constant(np.zeros((batch, hidden))) for _ in range(2))
    for _ in range(steps):
        x = s.constant(random.normal(size=(batch, hidden)))
        z = s.add(s.add(s.matmul(x, wx), s.matmul(h, wh)), bias)
        i, f, g, o = (s.slice(z, start=(0, k * hidden), stop=(batch, (k + 1) * hidden)) for k in range(4))
        c = s.add(s.multiply(s.sigmoid(f), c), s.multiply(s.sigmoid(i), s.tanh(g)))
        h = s.multiply(s.sigmoid(o), s.tanh(c))
    return s.done(s.sum(s.square(h)))


def matmul_chain(n: int = 512, count: int = 4) -> Workload:
    """A product of ``count`` + 1 square matrices, summed."""
    random, s = np.random.default_rng(6), Sketch()
    first, *others = (s.leaf(random.normal(size=(n, n)) / np.sqrt(n)) for _ in range(count + 1))
    for matrix in others:
        first = s.matmul(first, matrix)
    return s.done(s.sum(first))


def convolution(batch: int = 16, n: int = 28, channels: int = 8) -> Workload:
    """A 3x3 convolution as nine slices, a concatenation and a product; the sum of squares."""
    random, s = np.random.default_rng(8), Sketch()
    x = s.pad(s.leaf(random.normal(size=(batch, n, n, channels))), widths=((0, 0), (1, 1), (1, 1), (0, 0)))
    w = s.leaf(random.normal(size=(9 * channels, channels)) / 8)
    shifts = [(i, j) for i in range(3) for j in range(3)]
    parts = [s.slice(x, start=(0, i, j, 0), stop=(batch, i + n, j + n, channels)) for i, j in shifts]
    rows = s.reshape(s.concat(*parts, axis=3), shape=(batch * n * n, 9 * channels))
    return s.done(s.sum(s.square(s.matmul(rows, w))))


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "scalar_chain_20": partial(scalar_chain, 20),
    "scalar_chain_200": partial(scalar_chain, 200),
    "scalar_chain_2000": partial(scalar_chain, 2000),
    "scalar_dag_1000": scalar_dag,
    "elementwise_1e3": partial(elementwise, 1000),
    "elementwise_1e5": partial(elementwise, 100_000),
    "elementwise_1e6": partial(elementwise, 1_000_000),
    "mlp_b64": partial(mlp, 64),
    "mlp_b512": partial(mlp, 512),
    "layer_norm_256x512": layer_norm,
    "gmm_d2_k5": partial(gmm, 2, 5),
    "gmm_d10_k25": partial(gmm, 10, 25),
    "ba_c49_p2000_o8000": bundle_adjustment,
    "lstm_T20_h64_b16": lstm,
    "matmul_chain_512x4": matmul_chain,
    "conv_16x28x28x8": convolution,
}
SMALL: dict[str, Callable[[], Workload]] = {
    "scalar_chain": partial(scalar_chain, 24),
    "scalar_dag": partial(scalar_dag, 60),
    "elementwise": partial(elementwise, 7),
    "mlp": partial(mlp, 3, (5, 4, 3, 2)),
    "layer_norm": partial(layer_norm, 3, 5),
    "gmm": partial(gmm, 2, 3, 4),
    "ba": partial(bundle_adjustment, 3, 4, 6),
    "lstm": partial(lstm, 2, 3, 2),
    "matmul_chain": partial(matmul_chain, 4, 3),
    "conv": partial(convolution, 2, 4, 2),
}
"""The same graphs in small, for tests."""
