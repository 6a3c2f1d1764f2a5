"""Programs of tensors at the size of real data, as users write them with the Python client; losses and numbers are those of
`benchmarks.real_data`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import gradproof.client as gp
from benchmarks.real_data import classified, digits


class Training(NamedTuple):
    """A recorded loss, and the parameters to differentiate it by."""

    loss: gp.Tensor
    parameters: tuple[gp.Tensor, ...]


def parameter(array: Any, dtype: Any) -> gp.Tensor:
    return gp.tensor(np.asarray(array), dtype=dtype, requires_grad=True)


def logistic(rows: int = 500, columns: int = 10, dtype: Any = gp.float64) -> Training:
    """The mean of softplus(z) - y z, and a penalty."""
    samples, labels = classified(rows, columns)
    random = np.random.default_rng(1)
    x, y = gp.tensor(samples, dtype=dtype), gp.tensor(labels, dtype=dtype)
    w, b = parameter(random.normal(size=columns) / np.sqrt(columns), dtype), parameter(0.1, dtype)
    z = x @ w + b
    return Training((gp.ops.softplus(z) - y * z).mean() + 0.005 * w.square().sum(), (w, b))


def perceptron(rows: int = 1797, sizes: tuple[int, ...] = (64, 32, 10), dtype: Any = gp.float64) -> Training:
    """The mean cross entropy of a perceptron on the digits."""
    samples, labels = digits(rows)
    random, parameters = np.random.default_rng(2), []
    h = gp.tensor(samples[:, : sizes[0]] / 16, dtype=dtype)
    for k, (n, m) in enumerate(pairwise(sizes)):
        w, b = parameter(random.normal(size=(n, m)) * np.sqrt(2 / n), dtype), parameter(random.normal(size=m) / 10, dtype)
        h = h @ w + b
        h = h.relu() if k < len(sizes) - 2 else h
        parameters += [w, b]
    return Training(-h.log_softmax(1).gather(1, gp.tensor(labels[:, None] % sizes[-1])).mean(), tuple(parameters))


def attention(batch: int = 4, tokens: int = 64, heads: int = 4, width: int = 16, dtype: Any = gp.float64) -> Training:
    """A block of causal attention with residual and layer norm, masked by -inf; its squared error."""
    random, model = np.random.default_rng(4), heads * width
    x = parameter(random.normal(size=(batch, tokens, model)), dtype)
    parameters = [x]

    def projected(value: gp.Tensor, bias: bool = True) -> gp.Tensor:
        parameters.append(parameter(random.normal(size=(model, model)) / np.sqrt(model), dtype))
        mapped = value @ parameters[-1]
        if bias:
            parameters.append(parameter(random.normal(size=model) / 10, dtype))
        return mapped + parameters[-1] if bias else mapped

    def split(value: gp.Tensor) -> gp.Tensor:
        return value.reshape(batch, tokens, heads, width).permute(0, 2, 1, 3)

    q, k, v = split(projected(x)), split(projected(x, bias=False)), split(projected(x))
    scores = (q @ k.transpose(-2, -1)) * width**-0.5
    later = gp.tensor(~np.tril(np.ones((tokens, tokens), bool)))
    weights = scores.masked_fill(later, float("-inf")).softmax(-1)
    mixed = (weights @ v).permute(0, 2, 1, 3).reshape(batch, tokens, model)
    h = x + projected(mixed)
    gain, offset = parameter(random.normal(1, 0.1, model), dtype), parameter(random.normal(size=model) / 10, dtype)
    spread = h.var(-1, correction=0, keepdim=True) + 1e-5
    y = (h - h.mean(-1, keepdim=True)) * spread.rsqrt() * gain + offset
    target = gp.tensor(random.normal(size=(batch, tokens, model)), dtype=dtype)
    return Training((y - target).square().mean(), (*parameters, gain, offset))


PROGRAMS: dict[str, Callable[..., Training]] = {"logistic": logistic, "perceptron": perceptron, "attention": attention}
