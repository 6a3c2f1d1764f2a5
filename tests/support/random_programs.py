"""Programs at random, for comparisons of the executors: views of views, reductions, joins, values stretched and gathered,
leaves and seeds in any layout, hooks, several dtypes. A program is its seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from tests.conftest import REGISTRY, Bench, Line

from gradproof.engine.extend import InferenceError
from gradproof.engine.hooks import Hook
from gradproof.engine.job import Job
from gradproof.engine.spec import Spec, is_differentiable, spec_of

DTYPES: Final = ("float64", "float64", "float64", "float32", "float16", "complex128")
REAL_ONLY: Final = {"sigmoid", "relu", "maximum", "max", "var", "softmax", "logsumexp", "where", "clip", "prod"}
UNARY: Final = ("sin", "exp", "tanh", "negative", "square", "sqrt", "sigmoid", "relu", "abs", "reciprocal", "log")
BINARY: Final = ("add", "multiply", "subtract", "divide", "maximum", "add", "subtract", "multiply")

Attributes = dict[str, Any]


class _Draw:
    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.dtype = np.dtype(DTYPES[self.below(len(DTYPES))])
        large = self.below(3) == 0
        self.sides = [self.below(300) + 40 if large else self.below(4) + 1 for _ in range(2)]
        self.leaves: dict[str, Any] = {}
        self.specs: dict[str, Spec] = {}
        self.lines: list[Line] = []
        self.made: list[str] = []

    def below(self, count: int) -> int:
        return int(self.random.integers(count))

    def one_of(self, things: Any) -> Any:
        return things[self.below(len(things))]

    def array(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """In one of the layouts that a caller may have."""
        dtype = self.dtype if dtype is None else dtype
        given: Any = self.random.normal(size=shape)
        if dtype.kind == "c":
            given = given + 1j * self.random.normal(size=shape)
        given = np.asarray(given).astype(dtype)
        layout = self.below(5) if shape else None
        if layout == 0:
            return np.asfortranarray(given)
        return given[::-1] if layout == 1 else given

    def leaf(self, name: str, array: Any) -> None:
        self.leaves[name], self.specs[name] = array, spec_of(array)

    def node(self, op: str, inputs: list[str], attributes: Attributes) -> None:
        """A node, if it fits."""
        if self.dtype.kind == "c" and op in REAL_ONLY:
            return
        try:
            outputs = REGISTRY.op(op).inference([self.specs[name] for name in inputs], attributes).outputs
        except (InferenceError, ValueError):
            return
        if sum(out.size for out in outputs) > 200_000:
            return
        named = [f"v{len(self.specs) + k}" for k in range(len(outputs))]
        self.specs.update(zip(named, outputs, strict=True))
        self.made.extend(named)
        self.lines.append((f"{', '.join(named)} = {op}({', '.join(inputs)})", attributes))

    def some(self) -> str:
        """The name of a value, preferably a late one."""
        names = [name for name, spec in self.specs.items() if is_differentiable(spec.dtype)]
        return str(self.one_of(names[-4:] if self.below(2) else names))

    def matrix(self) -> str:
        return str(
            self.one_of([name for name, spec in self.specs.items() if len(spec.shape) == 2 and spec.dtype.kind != "i"])
        )

    def step(self) -> None:
        x = self.matrix()
        rows, columns = self.specs[x].shape
        axis, keepdims = self.below(2), bool(self.below(2))
        low = self.below(rows) if rows else 0
        kinds: list[Callable[[], None]] = [
            lambda: self.node(self.one_of(UNARY), [self.some()], {}),
            lambda: self.node(self.one_of(UNARY), [self.some()], {}),
            lambda: self.node(self.one_of(BINARY), [self.some(), self.some()], {}),
            lambda: self.node(self.one_of(BINARY), [self.some(), self.some()], {}),
            lambda: self.node(self.one_of(BINARY), [self.some(), self.some()], {}),
            lambda: self.node("transpose", [x], {}),
            lambda: self.node(
                self.one_of(("sum", "mean", "max", "var", "logsumexp", "prod")), [x], {"axis": axis, "keepdims": keepdims}
            ),
            lambda: self.node(self.one_of(("sum", "mean")), [self.some()], {}),
            lambda: self.node("softmax", [x], {"axis": axis}),
            lambda: self.node("reshape", [x], {"shape": (rows * columns,)}),
            lambda: self.node("flip", [x], {"axis": axis}),
            lambda: self.node("slice", [x], {"start": (low, 0), "stop": (rows, columns)}),
            lambda: self.node("concat", [x, self.matrix()], {"axis": axis}),
            lambda: self.node("cumsum", [x], {"axis": axis}),
            lambda: self.node("split", [x], {"sections": (1, columns - 1), "axis": 1}),
            lambda: self.node("broadcast_to", [self.some()], {"shape": tuple(self.sides)}),
            lambda: self.node("expand_dims", [self.some()], {"axis": axis}),
            lambda: self.node("matmul", [x, self.matrix()], {}),
            lambda: self.node("pad", [x], {"widths": ((1, 0), (0, 2))}),
            lambda: self.gather(x, rows),
        ]
        self.one_of(kinds)()

    def gather(self, x: str, rows: int) -> None:
        if rows:
            indices = f"i{len(self.specs)}"
            self.leaf(indices, self.random.integers(0, rows, size=3))
            self.node("take", [x, indices], {"axis": 0})


def random_job(bench: Bench, seed: int) -> Job:
    """The program of a seed, asked for gradients of its leaves, some inner ones, and some values."""
    draw = _Draw(seed)
    n, m = draw.sides
    draw.leaf("x0", draw.array((n, m)))
    for k in range(3):
        draw.leaf(f"x{k + 1}", draw.array(draw.one_of([(n, m), (m,), (n, 1), (), (1, m), (m, n)])))
    while not draw.made:
        draw.step()
    for _ in range(draw.below(14)):
        draw.step()
    outputs = list(dict.fromkeys([draw.made[-1], draw.one_of(draw.made)]))
    inner = list(dict.fromkeys(draw.one_of(draw.made) for _ in range(2)))
    hooks = (Hook(draw.one_of(draw.made), "scale", {"factor": 2.0}),) if draw.below(3) == 0 else ()
    return bench.job(
        draw.leaves,
        draw.lines,
        ", ".join(outputs),
        seeds={name: draw.array(draw.specs[name].shape, draw.specs[name].dtype) for name in outputs},
        retain=inner,
        fetch=inner,
        hooks=hooks,
    )
