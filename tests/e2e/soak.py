"""A soak of the checks: random graphs of every built-in op through a real server, with definitions among them that do not
end. ``python -m tests.e2e.soak [graphs]`` ends with status 1 unless every budget was kept, no process is left and memory
is flat.

A budget counts as kept up to 20 % and 50 ms beyond it, as the server measures its checks.
"""

from __future__ import annotations

import math
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import numpy as np
from tests.support import stuck_plugin
from tests.support.server_processes import running, served
from tests.support.waiting import within

from gradproof.client import GradproofError, GraphBuilder, Ref, connect
from gradproof.engine.cases import Case, case
from gradproof.engine.domains import INTEGER
from gradproof.engine.inference import InferenceError
from gradproof.engine.op import Op
from gradproof.engine.registry import Registry, build_registry
from gradproof.plugins import BUILTIN

MOST_ELEMENTS = 100_000
MOST_ROWS = 64
MATRICES = ("solve", "inv", "det", "cholesky", "cofactors")
SLACK, GRACE = 1.2, 0.05
GROWTH_BYTES = 96 << 20


@dataclass
class Seen:
    """What a soak saw: words, budgets that were not kept (seconds beyond), faults, resident bytes along the way."""

    words: Counter[str] = field(default_factory=Counter)
    late: list[tuple[int, float, float]] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    resident: list[int] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    ops: set[str] = field(default_factory=set)

    @property
    def growth(self) -> int:
        """Bytes by which the server grew from the second quarter to the last: its caches are full by then."""
        quarter = len(self.resident) // 4
        if not quarter:
            return 0
        return int(median(self.resident[-quarter:]) - median(self.resident[quarter : 2 * quarter]))

    @property
    def good(self) -> bool:
        return not self.late and not self.left and self.growth < GROWTH_BYTES


class Draw:
    """One graph at random."""

    def __init__(self, registry: Registry, seed: int, op: Op) -> None:
        self.registry, self.random, self.numpy = registry, Random(seed), np.random.default_rng(seed)
        self.builder, self.parts, self.leaves = GraphBuilder(), [], 0
        self.ops: set[str] = set()
        self.step(op)
        names = [name for name, one in registry.ops.items() if one.differentiable or one.elementwise]
        for _ in range(self.random.randint(0, 4)):
            self.step(registry.op(self.random.choice(names)))
        total = self.parts[0]
        for part in self.parts[1:]:
            total = total + part
        self.builder.output(total)

    parts: list[Ref]

    def step(self, op: Op) -> None:
        """An op on new leaves, its results used by something elementwise, and summed."""
        self.ops.add(op.name)
        one = self.sized(op)
        specs = one.specs()
        found = op.inference(specs, one.attributes)
        inputs = [self.input(op, k, given, one) for k, given in enumerate(one.inputs)]
        if len(found.outputs) > 1:
            names = [f"y{len(self.parts)}_{k}_{op.name.replace('.', '_')}" for k in range(len(found.outputs))]
            results = self.builder.apply_multiple(op.name, *inputs, names=names, **one.attributes)
        else:
            results = [self.builder.apply(op.name, *inputs, **one.attributes)]
        for result, spec in zip(results, found.outputs, strict=True):
            if spec.dtype.kind == "f":
                for _ in range(self.random.randint(0, 2)):
                    result = self.builder.apply(self.random.choice(("tanh", "sin", "sigmoid", "negative")), result)
                self.parts.append(self.builder.apply("sum", result))
        if not self.parts:
            self.parts.append(self.builder.apply("sum", self.leaf(np.ones(2))))

    def sized(self, op: Op) -> Case:
        """A case of the op, larger than declared where the op takes it."""
        if op.name in MATRICES:
            rows = self.random.randint(1, MOST_ROWS)
            return case((rows, rows), (rows,)) if op.name == "solve" else case((rows, rows))
        declared = self.random.choice(op.declared_cases() or (op.uniform(()),))
        if op.elementwise and not op.cases:
            size = int(10 ** self.random.uniform(0, 5))
            return op.uniform((size,))
        if any(isinstance(x, np.ndarray) for x in declared.inputs):
            return declared
        scale = self.random.choice((1, 1, 2, 7, 30, 200))
        larger = Case(
            tuple(tuple(side * scale for side in x) for x in declared.inputs if isinstance(x, tuple)), declared.attributes
        )
        try:
            outputs = op.inference(larger.specs(), larger.attributes).outputs
        except (InferenceError, ValueError):
            return declared
        sizes = [spec.size for spec in (*larger.specs(), *outputs)]
        return larger if max(sizes, default=0) <= MOST_ELEMENTS else declared

    def input(self, op: Op, k: int, given: Any, one: Case) -> Ref:
        if isinstance(given, np.ndarray):
            return self.leaf(given, requires_grad=False)
        domain = op.domain(k)
        if op.name in MATRICES and len(given) == 2:
            rows = given[0]
            square = self.numpy.normal(size=given)
            return self.leaf(square @ square.T / rows + np.eye(rows))
        if domain is INTEGER:
            return self.leaf(self.numpy.integers(0, 2, given).astype(bool), requires_grad=False)
        count = int(np.prod(given, dtype=int))
        few = [float(domain.sample(self.random)) for _ in range(min(count, 64))]
        array = np.resize(np.asarray(few or [0.5]), given) * self.numpy.uniform(0.999, 1.0, given)
        return self.leaf(array)

    def leaf(self, array: Any, requires_grad: bool = True) -> Ref:
        self.leaves += 1
        return self.builder.leaf(f"x{self.leaves}", np.asarray(array), requires_grad=requires_grad)


def soak(graphs: int, say: Any = print) -> Seen:
    """Run ``graphs`` random graphs, one of eight with a definition that misbehaves."""
    registry = build_registry(BUILTIN, others=[stuck_plugin])
    ours = [op for name, op in registry.ops.items() if op.differentiable and "." not in name]
    theirs = [op for name, op in registry.ops.items() if name.startswith("stuck.")]
    seen = Seen()
    with tempfile.TemporaryDirectory() as folder:
        options = ("--plugin", "tests.support.stuck_plugin", "--proof-seconds", "2")
        with served(Path(folder) / "proofs", *options) as server, connect(server.target, timeout=120.0) as client:
            for seed in range(graphs):
                random = Random(f"soak {seed}")
                op = random.choice(theirs) if seed % 8 == 7 else ours[seed % len(ours)]
                budget = random.choice((0.05, 0.2, 0.5, 1.0, 2.0))
                draw = Draw(registry, seed, op)
                seen.ops |= draw.ops
                try:
                    result = client.differentiate(draw.builder, budget=budget)
                except GradproofError as error:
                    seen.faults[f"{type(error).__name__}: {str(error)[:80]}"] += 1
                    continue
                took = result.summary.verify_seconds if result.summary is not None else math.inf
                if took > SLACK * budget + GRACE:
                    seen.late.append((seed, budget, took))
                seen.words.update(str(one.summary) for one in result.verdicts.values())
                for name, one in result.verdicts.items():
                    if one.summary == "wrong":
                        seen.faults[f"wrong, graph {seed}, {name}: {one.reason[:200]}"] += 1
                if seed % max(1, graphs // 20) == 0:
                    seen.resident.append(server.resident())
                    say(f"{seed} graphs: {dict(seen.words)}, late {len(seen.late)}, {seen.resident[-1] >> 20} MB, "
                        f"{len(server.tree())} processes")  # fmt: skip
            seen.resident.append(server.resident())
            below = server.tree()
            server.process.send_signal(signal.SIGTERM)
            server.process.wait(60)
            within(5, lambda: not any(map(running, below)))
            seen.left = [pid for pid in below if running(pid)]
    return seen


def main() -> int:
    graphs = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    started = time.monotonic()
    seen = soak(graphs)
    print(f"{graphs} graphs of {len(seen.ops)} ops in {time.monotonic() - started:.0f} s: {dict(seen.words)}")
    for text, count in seen.faults.items():
        print(f"  {count} x {text}")
    for seed, budget, took in seen.late:
        print(f"  graph {seed}: {took:.3f} s for a budget of {budget:g} s")
    print(f"  grew by {seen.growth >> 20} MB; {len(seen.left)} processes left")
    return 0 if seen.good else 1


if __name__ == "__main__":
    sys.exit(main())
