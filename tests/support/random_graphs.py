"""Graphs at random, of up to a million elements, in four dtypes: elementwise ops, reductions, products, softmax, shapes,
gathers, masks, joins. A graph is its seed. ``python -m tests.support.random_graphs [graphs] [first]`` checks many, and
prints each that is called wrong, or is checked for longer than its budget.

Their numbers are those of ordinary data and some that are not: zeros, equal ones, integers, large and small ones.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Final

import ml_dtypes
import numpy as np
from tests.conftest import REGISTRY
from tests.support.fault_injection import of_run
from tests.support.verdicts import finish

from gradproof.engine.engine import Engine
from gradproof.engine.errors import DataFault
from gradproof.engine.extend import InferenceError
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.spec import Array, DType, Spec, is_differentiable, spec_of
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.verdict import GradientVerdict, SummaryWord
from gradproof.engine.verify.verifier import LATE, Verifier

DTYPES: Final[tuple[DType, ...]] = tuple(np.dtype(one) for one in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16))
MOST: Final = 1_000_000
MOST_PRODUCTS: Final = 100_000_000
BUDGET: Final = 5.0
UNARY: Final = (
    *("tanh", "sigmoid", "sin", "cos", "softplus", "gelu", "silu", "relu", "abs", "square", "exp", "erf", "atan"),
    *("expm1", "log1p", "sqrt", "log", "reciprocal", "rsqrt", "asinh", "sinh", "erfc", "floor", "sign", "exp2", "tan"),
    *("negative", "acos", "acosh", "asin", "atanh", "cbrt", "ceil", "cosh", "deg2rad", "erfcx", "frac", "log10", "log2"),
    *("log_ndtr", "logit", "mish", "ndtr", "positive", "rad2deg", "sinc", "softsign", "tanhshrink", "trunc"),
    *("entr", "i0e", "i1e", "nan_to_num", "round"),
)
POSITIVE: Final = ("log1p", "sqrt", "log", "log2", "log10", "rsqrt", "reciprocal")
BINARY: Final = (
    *("add", "subtract", "multiply", "add", "subtract", "multiply", "divide", "maximum", "minimum", "atan2", "hypot"),
    *("logaddexp", "remainder", "floor_divide", "fmax", "fmin", "fmod", "copysign", "logaddexp2"),
    *("heaviside", "xlogy"),
)
COMPARISONS: Final = ("less", "less_equal", "greater", "equal", "not_equal")

NOT_FINITE: Final = re.compile(r"the rule gave (nan|-?inf),")


class Draw:
    """One graph at random: leaves of floating point require grad."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.dtype = DTYPES[self.below(len(DTYPES))]
        self.most = float(ml_dtypes.finfo(self.dtype).max)  # type: ignore[no-untyped-call]
        size = 10 ** self.random.uniform(1, 6)
        rows = int(min(size, 10 ** self.random.uniform(0, np.log10(size))))
        self.sides = (rows, max(1, int(size / rows)))
        self.leaves: dict[str, Array] = {}
        self.specs: dict[str, Spec] = {}
        self.nodes: list[Node] = []
        self.made: list[str] = []

    def below(self, count: int) -> int:
        return int(self.random.integers(count))

    def one_of(self, things: Any) -> Any:
        return things[self.below(len(things))]

    def numbers(self, shape: tuple[int, ...]) -> Array:
        """Ordinary numbers mostly, of a scale of their own."""
        random = self.random
        kinds: list[Callable[[], Any]] = [
            lambda: random.normal(size=shape),
            lambda: random.normal(size=shape),
            lambda: random.uniform(0.1, 2, shape),
            lambda: random.integers(-3, 4, shape).astype(float),
            lambda: np.full(shape, random.normal()),
            lambda: random.normal(size=shape) * (random.random(shape) < 0.3),
            lambda: random.normal(size=shape) * 10.0 ** random.integers(-3, 3),
            lambda: random.choice((1.0, -1.0), shape) * np.exp(random.normal(scale=3, size=shape)),
        ]
        return np.asarray(np.clip(self.one_of(kinds)(), -self.most / 4, self.most / 4), self.dtype)

    def leaf(self, array: Array) -> str:
        name = f"x{len(self.leaves)}"
        self.leaves[name], self.specs[name] = array, spec_of(array)
        return name

    def node(self, op: str, inputs: list[str], **attributes: Any) -> str | None:
        """The name of the first result of a node, if it fits."""
        try:
            outputs = REGISTRY.op(op).inference([self.specs[name] for name in inputs], attributes).outputs
        except (InferenceError, ValueError):
            return None
        if sum(out.size for out in outputs) > MOST:
            return None
        names = [f"v{len(self.specs) + k}" for k in range(len(outputs))]
        self.specs.update(zip(names, outputs, strict=True))
        if is_differentiable(outputs[0].dtype):
            self.made.extend(names)
        self.nodes.append(Node(op, tuple(inputs), tuple(names), attributes))
        return names[0]

    def some(self) -> str:
        """A value, preferably a late one."""
        names = [name for name, spec in self.specs.items() if is_differentiable(spec.dtype)]
        return str(self.one_of(names[-4:] if self.below(2) else names))

    def matrix(self) -> str:
        names = [n for n, spec in self.specs.items() if len(spec.shape) == 2 and is_differentiable(spec.dtype)]
        return str(self.one_of(names[-3:] if self.below(2) else names))

    def positive(self, x: str) -> str:
        """A value that is positive, made of this one."""
        square = self.node("square", [x])
        assert square is not None
        return self.node("add", [square, self.leaf(np.asarray(0.5, self.dtype))]) or square

    def unary(self) -> None:
        op, x = self.one_of(UNARY), self.some()
        self.node(op, [self.positive(x) if op in POSITIVE and self.below(4) else x])

    def binary(self) -> None:
        op, a, b = self.one_of(BINARY), self.some(), self.some()
        self.node(op, [a, self.positive(b) if op == "divide" and self.below(4) else b])

    def reduction(self) -> None:
        x = self.some()
        rank = len(self.specs[x].shape)
        axes: list[Any] = [None, *range(-rank, rank)]
        op = self.one_of(("sum", "mean", "max", "min", "var", "logsumexp", "std", "euclidean_norm"))
        if op == "logsumexp" and self.specs[x].size == 0:
            return
        axis = self.one_of(axes)
        self.node(op, [x], keepdims=bool(self.below(2)), **({} if axis is None else {"axis": axis}))

    def along(self) -> None:
        x, op = self.matrix(), self.one_of(("softmax", "log_softmax", "softmax", "cumsum", "flip", "logcumsumexp"))
        self.node(op, [x], axis=self.below(2))

    def multiplies(self, rows: int, inner: int, spec: Spec) -> bool:
        """Whether a value can stand to the right of a matrix in a product that is not too large."""
        if not is_differentiable(spec.dtype) or len(spec.shape) not in (1, 2) or spec.shape[0] != inner:
            return False
        return rows * inner * spec.shape[-1] <= MOST_PRODUCTS

    def product(self) -> None:
        x = self.matrix()
        rows, inner = self.specs[x].shape
        columns = self.below(min(64, MOST // max(inner, 1))) + 1
        if rows * inner * columns > MOST_PRODUCTS:
            return
        fitting = [name for name, spec in self.specs.items() if self.multiplies(rows, inner, spec)]
        other = self.one_of(fitting) if fitting and self.below(2) else self.leaf(self.numbers((inner, columns)))
        self.node("matmul", [x, other])

    def shaped(self) -> None:
        x = self.matrix()
        rows, columns = self.specs[x].shape
        low, step = self.below(max(1, rows // 2)), self.below(3) + 1
        choices: list[Callable[[], Any]] = [
            lambda: self.node("transpose", [x]),
            lambda: self.node("matrix_transpose", [x]),
            lambda: self.node("reshape", [x], shape=(rows * columns,)),
            lambda: self.node("reshape", [x], shape=(columns, rows)),
            lambda: self.node("slice", [x], start=(low, 0), stop=(rows, columns), step=(step, 1)),
            lambda: self.node("pad", [x], widths=((1, 0), (0, 2))),
            lambda: self.node("expand_dims", [x], axis=self.below(3)),
            lambda: self.node(self.one_of(("tril", "triu")), [x], k=self.below(3) - 1),
            lambda: self.node("concat", [x, self.matrix()], axis=self.below(2)),
            lambda: self.node("stack", [x, x], axis=self.below(3)),
            lambda: self.node("split", [x], sections=(1, columns - 1), axis=1) if columns > 1 else None,
            lambda: self.node("broadcast_to", [self.some()], shape=self.sides),
            lambda: self.node("astype", [x], dtype=self.one_of(("float64", "float32"))),
        ]
        self.one_of(choices)()

    def gathered(self) -> None:
        x = self.matrix()
        rows, columns = self.specs[x].shape
        axis, count = self.below(2), self.below(50) + 1
        side = (rows, columns)[axis]
        if not rows or not columns:
            return
        shape = (count, columns) if axis == 0 else (rows, count)
        kind = self.below(4)
        if kind < 2:
            self.node("take", [x, self.leaf(self.random.integers(0, side, count))], axis=axis)
        elif rows * columns + count <= MOST and shape[0] * shape[1] <= MOST:
            self.node("take_along_axis", [x, self.leaf(self.random.integers(0, side, shape))], axis=axis)

    def masked(self) -> None:
        x = self.matrix()
        shape = self.specs[x].shape
        far = self.one_of((-np.inf, -self.most, -1e4))
        kind = self.below(4)
        if kind == 0:
            mask = self.leaf(self.random.random(shape) < 0.5)
            self.node("where", [mask, x, self.some()])
        elif kind == 1:
            condition = self.node(self.one_of(COMPARISONS), [x, self.some()])
            if condition is not None:
                self.node("where", [condition, x, self.some()])
        elif kind == 2:
            array = self.random.random(shape) < 0.7
            array[:, :1] = True
            filled = self.node("where", [self.leaf(array), x, self.leaf(np.asarray(far, self.dtype))])
            if filled is not None:
                self.node("softmax", [filled], axis=1)
        else:
            bounds = sorted(self.random.normal(size=2))
            self.node("clip", [x, *(self.leaf(np.asarray(one, self.dtype)) for one in bounds)])

    def step(self) -> None:
        kinds = [self.unary, self.unary, self.binary, self.binary, self.reduction, self.along]
        self.one_of([*kinds, self.product, self.shaped, self.gathered, self.masked])()

    def job(self) -> Job:
        n, m = self.sides
        self.leaf(self.numbers((n, m)))
        for shape in (self.one_of([(n, m), (m,), (n, 1), ()]), self.one_of([(1, m), (m, min(n, 64)), (n, m)])):
            if int(np.prod(shape)) <= MOST:
                self.leaf(self.numbers(shape))
        while not self.made:
            self.step()
        for _ in range(self.below(8)):
            self.step()
        leaves = [Leaf(name, spec_of(array), is_differentiable(array.dtype)) for name, array in self.leaves.items()]
        outputs = tuple(dict.fromkeys([self.made[-1], self.one_of(self.made)]))
        seeds = [
            (name, np.asarray(self.random.normal(size=s.shape), s.dtype)) for name in outputs for s in [self.specs[name]]
        ]
        return Job(Graph(tuple(leaves), tuple(self.nodes), outputs), tuple(self.leaves.items()), seeds)


def random_job(seed: int) -> Job:
    """The graph of a seed, and its numbers."""
    return Draw(seed).job()


def alarms(verdicts: list[GradientVerdict]) -> Iterator[str]:
    """Sentences about gradients that are called wrong, and are not: what is not finite where the derivative is, is wrong
    indeed, even if every rule is right."""
    for one in verdicts:
        if one.summary is SummaryWord.WRONG and not NOT_FINITE.search(one.reason):
            caught = next(of_run(one), None)
            numbers = f"; {caught.level}: {caught.got} for {caught.expected}" if caught is not None else ""
            yield f"{one.name}: {one.reason[:300]}{numbers}"


def checked(
    seed: int, verifier: Verifier, engine: Engine, budget: float = BUDGET
) -> tuple[Job, list[GradientVerdict], float] | None:
    """The job of a seed, its verdicts, and the seconds that they took; None where its numbers have no result."""
    job = random_job(seed)
    try:
        run = finish(engine, job)
    except DataFault:
        return None
    started = time.perf_counter()
    verdicts = list(verifier.check(run, budget=budget, wait=budget))
    return job, verdicts, time.perf_counter() - started


def main() -> int:
    graphs, first = ([int(text) for text in sys.argv[1:]] + [1000, 0][len(sys.argv) - 1 :])[:2]
    proofs = ProofPool(REGISTRY)
    proofs.start()
    try:
        return many(range(first, first + graphs), Verifier(REGISTRY, proofs, proofs.workers))
    finally:
        proofs.close()


def many(seeds: range, verifier: Verifier) -> int:
    """Check graphs and print what they are called; 1 if there was an alarm, or a check that was late."""
    engine = Engine(REGISTRY)
    words: Counter[str] = Counter()
    bad = 0
    for seed in seeds:
        found = checked(seed, verifier, engine)
        if found is None:
            continue
        job, verdicts, took = found
        words.update(str(one.summary) for one in verdicts)
        lines = list(alarms(verdicts))
        if took > BUDGET * (1 + 2 * LATE):
            lines.append(f"{took:.1f} s for a budget of {BUDGET:g} s")
        bad += bool(lines)
        for line in lines:
            ops = " ".join(node.op for node in job.graph.nodes)
            print(f"seed {seed} ({job.graph.leaves[0].spec}; {ops}): {line}", flush=True)
        if seed % 50 == 49:
            print(f"{seed + 1 - seeds.start} graphs: {dict(words)}", flush=True)
    print(f"{len(seeds)} graphs, {bad} of them with an alarm: {dict(words)}")
    return 1 if bad else 0


__all__ = ["BUDGET", "alarms", "checked", "random_job"]

if __name__ == "__main__":
    sys.exit(main())
