"""Workloads written by hand: forward and gradient in NumPy, with every array allocated beforehand.

The code stands for an afternoon of an engineer. Where a derivative has a cheap form and an accurate form (1 - tanh² and
1 / cosh²), the cheap form is used, as such code does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import expit

from benchmarks.workloads import Workload
from gradproof.engine.spec import Array

Run = Callable[[], tuple[Any, tuple[Any, ...]]]


def written(workload: Workload) -> Run | None:
    """The hand-written run of a workload; None if there is none."""
    ops = [node.op for node in workload.graph.nodes]
    values = workload.values
    if ops[:3] == ["multiply", "tanh", "add"]:
        return _elementwise(*values)
    if ops == ["matmul"] * (len(ops) - 1) + ["sum"]:
        return _chain(*values)
    if ops[0] == "mean" and ops[-1] == "mean":
        return _layer_norm(values)
    if ops[:3] == ["matmul", "add", "tanh"]:
        return _perceptron(values)
    if ops[:3] == ["matmul", "matmul", "add"]:
        return _lstm(values)
    return None


def _elementwise(x: Array, y: Array, z: Array) -> Run:
    e = [np.empty_like(x) for _ in range(16)]
    dx, dy, dz = (np.empty_like(x) for _ in range(3))

    def run() -> tuple[Any, tuple[Any, ...]]:
        a, sg, b, u, i2, c, r, k, d, o, p, q, t1, t2, g, si = e
        np.tanh(np.multiply(x, y, a), a)
        expit(np.add(a, z, sg), sg)
        np.exp(np.negative(sg, b), b)
        np.multiply(b, x, u)
        np.sin(u, si)
        np.square(si, i2)
        np.add(i2, z, c)
        np.sqrt(np.square(c, r), r)
        np.tanh(r, k)
        np.cos(k, d)
        expit(np.multiply(d, z, o), o)
        np.tanh(o, p)
        np.tanh(np.subtract(p, y, q), q)
        value = np.add.reduce(q)
        np.subtract(1, np.square(q, g), g)  # d q
        np.negative(g, dy)
        np.multiply(g, np.subtract(1, np.square(p, t1), t1), g)
        np.multiply(g, np.multiply(o, np.subtract(1, o, t1), t1), g)
        np.multiply(g, d, dz)
        np.multiply(g, z, g)
        np.multiply(g, np.sin(k, t1), g)
        np.negative(g, g)
        np.multiply(g, np.subtract(1, np.square(k, t1), t1), g)
        np.multiply(g, np.divide(c, r, t1), g)
        np.add(dz, g, dz)
        np.multiply(g, np.multiply(2, si, t1), g)
        np.multiply(g, np.cos(u, t1), g)
        np.multiply(g, b, dx)
        np.multiply(g, x, g)
        np.multiply(g, b, g)
        np.multiply(g, np.multiply(sg, np.subtract(1, sg, t1), t1), g)
        np.negative(g, g)
        np.add(dz, g, dz)
        np.multiply(g, np.subtract(1, np.square(a, t1), t1), g)
        np.add(dx, np.multiply(g, y, t1), dx)
        np.add(dy, np.multiply(g, x, t2), dy)
        return value, (dx, dy, dz)

    return run


def _chain(*matrices: Array) -> Run:
    forward = [matrices[0], *(np.empty_like(m) for m in matrices[1:])]
    buffer, second_buffer = np.empty_like(matrices[0]), np.empty_like(matrices[0])
    gradients = [np.empty_like(m) for m in matrices]
    ones = np.ones_like(matrices[0])

    def run() -> tuple[Any, tuple[Any, ...]]:
        for k in range(1, len(matrices)):
            np.matmul(forward[k - 1], matrices[k], forward[k])
        g, spare = ones, buffer
        for k in range(len(matrices) - 1, 0, -1):
            np.matmul(forward[k - 1].T, g, gradients[k])
            np.matmul(g, matrices[k].T, spare if k > 1 else gradients[0])
            g, spare = spare, second_buffer if spare is buffer else buffer
        return np.add.reduce(forward[-1], None), tuple(gradients)

    return run


def _layer_norm(values: tuple[Array, ...]) -> Run:
    x, t, gain, bias, epsilon = values
    rows, columns = x.shape
    c, xh, y, w = (np.empty_like(x) for _ in range(4))
    m, v, s1, s2 = (np.empty((rows, 1)) for _ in range(4))
    dx, dgain, dbias = np.empty_like(x), np.empty(columns), np.empty(columns)

    def run() -> tuple[Any, tuple[Any, ...]]:
        np.divide(np.add.reduce(x, 1, out=m, keepdims=True), columns, m)
        np.subtract(x, m, c)
        np.vecdot(c, c, v[:, 0])
        np.sqrt(np.add(np.divide(v, columns, v), epsilon, v), v)
        np.divide(c, v, xh)
        np.add(np.multiply(xh, gain, y), bias, y)
        np.subtract(y, t, y)
        value = np.vdot(y, y) / y.size
        np.multiply(y, 2 / y.size, y)
        np.add.reduce(y, 0, out=dbias)
        np.add.reduce(np.multiply(y, xh, w), 0, out=dgain)
        np.multiply(y, gain, y)
        np.divide(np.add.reduce(y, 1, out=s1, keepdims=True), columns, s1)
        np.vecdot(y, xh, s2[:, 0])
        np.divide(s2, columns, s2)
        np.subtract(y, s1, dx)
        np.subtract(dx, np.multiply(xh, s2, w), dx)
        np.divide(dx, v, dx)
        return value, (dx, dgain, dbias)

    return run


def _perceptron(values: tuple[Array, ...]) -> Run:
    x, target, *rest = values
    weights, biases = rest[::2], rest[1::2]
    batch, last = len(x), len(weights) - 1
    h = [np.empty((batch, w.shape[1])) for w in weights]
    g, slope = [np.empty_like(array) for array in h], [np.empty_like(array) for array in h]
    dw, db = [np.empty_like(w) for w in weights], [np.empty_like(b) for b in biases]
    top, total = np.empty((batch, 1)), np.empty((batch, 1))

    def run() -> tuple[Any, tuple[Any, ...]]:
        before = x
        for k, (w, b) in enumerate(zip(weights, biases, strict=True)):
            np.add(np.matmul(before, w, h[k]), b, h[k])
            before = np.tanh(h[k], h[k]) if k < last else h[k]
        z = h[last]
        np.subtract(z, np.maximum.reduce(z, 1, out=top, keepdims=True), z)
        np.add.reduce(np.exp(z, g[last]), 1, out=total, keepdims=True)
        np.divide(g[last], total, g[last])
        np.subtract(g[last], target, g[last])
        np.subtract(z, np.log(total, total), z)
        value = -np.vdot(z, target)
        for k in range(last, -1, -1):
            if k < last:
                np.matmul(g[k + 1], weights[k + 1].T, g[k])
                np.multiply(g[k], np.subtract(1, np.square(h[k], slope[k]), slope[k]), g[k])
            np.matmul((h[k - 1] if k else x).T, g[k], dw[k])
            np.add.reduce(g[k], 0, out=db[k])
        return value, tuple(array for pair in zip(dw, db, strict=True) for array in pair)

    return run


def _lstm(values: tuple[Array, ...]) -> Run:
    wx, wh, bias, h0, c0, *xs = values
    steps, (batch, n) = len(xs), h0.shape
    z = [np.empty((batch, 4 * n)) for _ in xs]
    c, tc, h = ([np.empty((batch, n)) for _ in xs] for _ in range(3))
    t, dz, dh, dc = np.empty((batch, n)), np.empty((batch, 4 * n)), np.empty((batch, n)), np.empty((batch, n))
    wide, square = np.empty((batch, 4 * n)), np.empty_like(wx)
    dwx, dwh, dbias = np.empty_like(wx), np.empty_like(wh), np.empty_like(bias)

    def gates(block: Array) -> list[Array]:
        return [block[:, k * n : (k + 1) * n] for k in range(4)]

    parts, slopes = [gates(block) for block in z], gates(dz)

    def run() -> tuple[Any, tuple[Any, ...]]:
        before, cell = h0, c0
        for k, x in enumerate(xs):
            np.add(np.matmul(x, wx, z[k]), np.matmul(before, wh, wide), z[k])
            np.add(z[k], bias, z[k])
            i, f, g, o = parts[k]
            expit(z[k][:, : 2 * n], z[k][:, : 2 * n])
            np.tanh(g, g)
            expit(o, o)
            np.add(np.multiply(f, cell, c[k]), np.multiply(i, g, t), c[k])
            np.multiply(o, np.tanh(c[k], tc[k]), h[k])
            before, cell = h[k], c[k]
        value = np.vdot(before, before)
        np.multiply(before, 2, dh)
        dc.fill(0)
        dwx.fill(0)
        dwh.fill(0)
        dbias.fill(0)
        for k in range(steps - 1, -1, -1):
            i, f, g, o = parts[k]
            di, df, dg, do = slopes
            np.multiply(np.multiply(dh, tc[k], do), np.multiply(o, np.subtract(1, o, t), t), do)
            np.multiply(np.multiply(dh, o, dh), np.subtract(1, np.square(tc[k], t), t), dh)
            np.add(dc, dh, dc)
            np.multiply(np.multiply(dc, g, di), np.multiply(i, np.subtract(1, i, t), t), di)
            np.multiply(np.multiply(dc, c[k - 1] if k else c0, df), np.multiply(f, np.subtract(1, f, t), t), df)
            np.multiply(np.multiply(dc, i, dg), np.subtract(1, np.square(g, t), t), dg)
            np.multiply(dc, f, dc)
            np.add(dwx, np.matmul(xs[k].T, dz, square), dwx)
            np.add(dbias, np.add.reduce(dz, 0), dbias)
            if k:
                np.add(dwh, np.matmul(h[k - 1].T, dz, square), dwh)
                np.matmul(dz, wh.T, dh)
        return value, (dwx, dwh, dbias)

    return run
