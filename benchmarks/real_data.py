"""Workloads at the size of real data: common models with losses as users write them, in any floating point dtype.

All data are drawn from a seed. The digits are not the measurements of the UCI repository but have their shape: 1,797 images
of 8 x 8 integers from 0 to 16, half of them 0, ten of the 64 pixels 0 in every image.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from benchmarks.workloads import Sketch, Workload, elementwise, lstm
from gradproof.engine.spec import Array, DType

DEAD_PIXELS = (0, 7, 8, 16, 24, 31, 32, 39, 40, 56)


class Labelled(NamedTuple):
    """Samples in rows, and the class of each."""

    samples: Array
    labels: Array


def classified(rows: int, columns: int, seed: int = 0) -> Labelled:
    """Normal samples of two classes (0 and 1), which a plane separates but for some noise."""
    random = np.random.default_rng(seed)
    samples = random.normal(size=(rows, columns))
    plane = random.normal(size=columns)
    return Labelled(samples, (samples @ plane + random.normal(size=rows) > 0).astype(np.int64))


def digits(rows: int = 1797, seed: int = 0) -> Labelled:
    """Images of ten classes, with strokes drawn around a pattern of each class; integers 0 to 16, flat."""
    random = np.random.default_rng(seed)
    patterns = random.uniform(-10, 12, (10, 64))
    patterns[:, DEAD_PIXELS] = -100
    labels = np.arange(rows) % 10
    samples = np.clip(np.round(patterns[labels] + random.normal(scale=4, size=(rows, 64))), 0, 16)
    return Labelled(samples, labels)


def logistic(rows: int, columns: int, dtype: DType, loss: str = "softplus") -> Workload:
    """The mean loss of a logistic regression, with a penalty of 0.01 / 2 |w|^2.

    ``loss``: ``softplus`` (z) - y z; ``logaddexp`` (0, -z) for y = 1 and (0, z) for y = 0; ``log_softmax`` of two columns
    at the label.
    """
    (samples, labels), s, random = classified(rows, columns), Sketch(dtype), np.random.default_rng(1)
    x = s.constant(samples)
    if loss == "log_softmax":
        w, b = s.leaf(random.normal(size=(columns, 2)) / np.sqrt(columns)), s.leaf(np.zeros(2))
        likely = s.log_softmax(s.add(s.matmul(x, w), b), axis=1)
        losses = s.negative(s.take_along_axis(likely, s.constant(labels[:, None]), axis=1))
    else:
        w, b = s.leaf(random.normal(size=columns) / np.sqrt(columns)), s.leaf(0.1)
        z = s.add(s.matmul(x, w), b)
        if loss == "softplus":
            losses = s.subtract(s.softplus(z), s.multiply(s.constant(labels.astype(float)), z))
        else:
            losses = s.logaddexp(s.constant(0.0), s.multiply(s.constant(1.0 - 2 * labels), z))
    penalty = s.multiply(s.constant(0.005), s.sum(s.square(w)))
    return s.done(s.add(s.mean(losses), penalty))


def perceptron(rows: int, sizes: tuple[int, ...], dtype: DType, activation: str = "relu") -> Workload:
    """The mean cross entropy of a perceptron on the digits."""
    (samples, labels), s, random = digits(rows), Sketch(dtype), np.random.default_rng(2)
    h = s.constant(samples[:, : sizes[0]] / 16)
    for k, (n, m) in enumerate(pairwise(sizes)):
        w, b = s.leaf(random.normal(size=(n, m)) * np.sqrt(2 / n)), s.leaf(random.normal(size=m) / 10)
        h = s.add(s.matmul(h, w), b)
        h = getattr(s, activation)(h) if k < len(sizes) - 2 else h
    likely = s.log_softmax(h, axis=1)
    return s.done(s.negative(s.mean(s.take_along_axis(likely, s.constant(labels[:, None] % sizes[-1]), axis=1))))


def weighted(op: str, shapes: tuple[tuple[int, ...], ...], dtype: DType, **attributes: int) -> Workload:
    """The weighted sum of the result of an op, with random weights of both signs."""
    random, s = np.random.default_rng(3), Sketch(dtype)
    y = getattr(s, op)(*(s.leaf(random.normal(size=shape)) for shape in shapes), **attributes)
    shape = (shapes[0][0], shapes[1][1]) if op == "matmul" else shapes[0]
    return s.done(s.sum(s.multiply(y, s.constant(random.normal(size=shape)))))


def attention(
    batch: int, tokens: int, heads: int, width: int, dtype: DType, mask: str = "-inf", key_bias: bool = False
) -> Workload:
    """The squared error of a block of causal attention: projections, masked scores, softmax, residual, layer norm.

    ``mask``: the number that replaces scores of later tokens: ``-inf``, ``-1e9`` (where the dtype has it, else a quarter of
    the least finite number), ``finfo.min``. ``key_bias``: whether keys have a bias. A softmax takes no notice of it: its
    gradient is exactly 0, and in floats nothing but rounding.
    """
    random, s, model = np.random.default_rng(4), Sketch(dtype), heads * width
    least = float(np.finfo(dtype).min)
    masked = {"-inf": -np.inf, "-1e9": max(-1e9, least / 4), "finfo.min": least}[mask]
    x = s.leaf(random.normal(size=(batch, tokens, model)))

    def projected(value: str, bias: bool = True) -> str:
        mapped = s.matmul(value, s.leaf(random.normal(size=(model, model)) / np.sqrt(model)))
        return s.add(mapped, s.leaf(random.normal(size=model) / 10)) if bias else mapped

    def split(value: str) -> str:
        return s.transpose(s.reshape(value, shape=(batch, tokens, heads, width)), axes=(0, 2, 1, 3))

    q, k, v = split(projected(x)), split(projected(x, key_bias)), split(projected(x))
    scores = s.multiply(s.matmul(q, s.matrix_transpose(k)), s.constant(width**-0.5))
    causal = s.constant(np.tril(np.ones((tokens, tokens), bool)))
    weights = s.softmax(s.where(causal, scores, s.constant(masked)), axis=-1)
    mixed = s.reshape(s.transpose(s.matmul(weights, v), axes=(0, 2, 1, 3)), shape=(batch, tokens, model))
    h = s.add(x, projected(mixed))
    gain, offset = s.leaf(random.normal(1, 0.1, model)), s.leaf(random.normal(size=model) / 10)
    centred = s.subtract(h, s.mean(h, axis=-1, keepdims=True))
    spread = s.add(s.var(h, axis=-1, keepdims=True), s.constant(1e-5))
    y = s.add(s.multiply(s.multiply(centred, s.rsqrt(spread)), gain), offset)
    target = s.constant(random.normal(size=(batch, tokens, model)))
    return s.done(s.mean(s.square(s.subtract(y, target))))


MILLION = ((1_000_000,),)
REAL: dict[str, Callable[[DType], Workload]] = {
    "logistic 500x10": partial(logistic, 500, 10),
    "logistic 500x10, two columns": partial(logistic, 500, 10, loss="log_softmax"),
    "logistic 10000x100": partial(logistic, 10_000, 100, loss="logaddexp"),
    "perceptron 1797x64x32x10": partial(perceptron, 1797, (64, 32, 10)),
    "perceptron 1797x64x32x10, tanh": partial(perceptron, 1797, (64, 32, 10), activation="tanh"),
    "softmax 300x300": partial(weighted, "softmax", ((300, 300),), axis=1),
    "matmul 512x512": partial(weighted, "matmul", ((512, 512), (512, 512))),
    "attention 4x64x4x16, -inf": partial(attention, 4, 64, 4, 16),
    "attention 4x64x4x16, -1e9": partial(attention, 4, 64, 4, 16, mask="-1e9"),
    "attention 4x64x4x16, finfo.min": partial(attention, 4, 64, 4, 16, mask="finfo.min"),
    "attention 4x64x4x16, key bias": partial(attention, 4, 64, 4, 16, key_bias=True),
    "LSTM, 20 steps": lambda dtype: lstm(20, 64, 32, dtype),
    "tanh 10^6": partial(weighted, "tanh", MILLION),
    "gelu 10^6": partial(weighted, "gelu", MILLION),
    "multiply 10^6": partial(weighted, "multiply", MILLION * 2),
    "twenty functions 10^6": partial(elementwise, 1_000_000),
}
"""Each goal of verification at the size of real data, by name: given a dtype, the graph and its values."""
REAL_SMALL: dict[str, Callable[[DType], Workload]] = {
    "logistic": partial(logistic, 6, 3),
    "logistic, two columns": partial(logistic, 6, 3, loss="log_softmax"),
    "logistic, logaddexp": partial(logistic, 7, 2, loss="logaddexp"),
    "perceptron": partial(perceptron, 6, (5, 4, 3)),
    "perceptron, tanh": partial(perceptron, 6, (5, 4, 3), activation="tanh"),
    "softmax": partial(weighted, "softmax", ((3, 4),), axis=1),
    "matmul": partial(weighted, "matmul", ((3, 4), (4, 2))),
    "attention, -inf": partial(attention, 2, 3, 2, 2),
    "attention, -1e9": partial(attention, 2, 3, 2, 2, mask="-1e9"),
    "attention, finfo.min": partial(attention, 2, 3, 2, 2, mask="finfo.min"),
    "attention, key bias": partial(attention, 2, 3, 2, 2, key_bias=True),
    "LSTM": lambda dtype: lstm(2, 3, 2, dtype),
    "gelu": partial(weighted, "gelu", ((5,),)),
}
"""The same graphs in small, for tests."""
