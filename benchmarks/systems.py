"""Systems to measure: each turns a workload into a function that computes its value and its gradients.

A generator writes a graph as a straight-line function over the functions of a system, so that no system pays for an
interpreter of graphs. What is not installed is left out.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workloads import Workload
from gradproof.engine.engine import Engine
from gradproof.engine.graph import Node
from gradproof.engine.registry import build_registry
from gradproof.engine.spec import Array, Spec
from gradproof.plugins import BUILTIN

Answer = tuple[float, tuple[Array, ...]]
Runner = Callable[[], Any]


class Absent(Exception):
    """The system is not installed."""


ENGINE = Engine(
    build_registry(
        BUILTIN, others=[importlib.import_module(name) for name in (os.environ.get("BENCHMARK_PLUGIN"),) if name]
    )
)

ARITHMETIC = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "square": "{0} * {0}",
    "matmul": "{0} @ {1}",
}
FUNCTIONS = {name: f"xp.{name}({{0}})" for name in ("sin", "cos", "tanh", "exp", "log", "sqrt")}

REDUCTIONS = ("sum", "mean", "max")


class System:
    """Source code of the ops of a graph, as a system writes them."""

    name = ""
    sigmoid = "1 / (1 + xp.exp(-{0}))"
    concat = "xp.concatenate([{0}], axis={1})"
    pad = "xp.pad({0}, {1}, 'constant')"
    tril = "xp.tril({0}, {1})"
    take = "{0}[{1}]"
    reductions: tuple[str, ...] = tuple(f"xp.{name}({{0}}, axis={{1}}, keepdims={{2}})" for name in REDUCTIONS)
    transpose = "xp.swapaxes({0}, -1, -2)"

    def expression(self, node: Node, specs: dict[str, Spec], terms: list[str]) -> str:
        op, attributes = node.op, node.attributes
        if op in ARITHMETIC or op in FUNCTIONS:
            return (ARITHMETIC.get(op) or FUNCTIONS[op]).format(*terms)
        if op in REDUCTIONS:
            template = self.reductions[REDUCTIONS.index(op)]
            axis = attributes.get("axis", tuple(range(specs[node.inputs[0]].ndim)))
            return template.format(terms[0], axis, attributes.get("keepdims", False))
        if op in ("reshape", "expand_dims", "squeeze"):
            return f"{terms[0]}.reshape({specs[node.outputs[0]].shape})"
        if op == "slice":
            cut = ", ".join(f"{a}:{b}" for a, b in zip(attributes["start"], attributes["stop"], strict=True))
            return f"{terms[0]}[{cut}]"
        texts = {
            "sigmoid": self.sigmoid.format(*terms),
            "concat": self.concat.format(", ".join(terms), attributes.get("axis")),
            "pad": self.pad.format(terms[0], self.widths(attributes.get("widths"))),
            "tril": self.tril.format(terms[0], attributes.get("k")),
            "take": self.take.format(terms[0], terms[-1]),
            "matrix_transpose": self.transpose.format(terms[0]),
        }
        return texts[op]

    def widths(self, widths: Any) -> Any:
        return widths

    def function(self, workload: Workload, names: dict[str, Any]) -> Callable[..., Any]:
        """Compile the workload as a function of the leaves that require grad. ``names`` has ``xp`` and all further leaves;
        single numbers are written into the source."""
        graph = workload.graph
        specs = ENGINE.infer(graph).specs()
        moving = [leaf.name for leaf in graph.leaves if leaf.requires_grad]
        known = {
            leaf.name: repr(float(value))
            for leaf, value in zip(graph.leaves, workload.values, strict=True)
            if not leaf.requires_grad and value.shape == ()
        }
        lines = [f"def f({', '.join(moving)}):"]
        for node in graph.nodes:
            terms = [known.get(name, name) for name in node.inputs]
            lines.append(f"    {node.outputs[0]} = {self.expression(node, specs, terms)}")
        lines.append(f"    return {graph.outputs[0]}")
        exec(compile("\n".join(lines), f"<{self.name}>", "exec"), names)
        function: Callable[..., Any] = names["f"]
        return function

    def split(self, workload: Workload, wrap: Callable[[Array], Any]) -> tuple[list[Any], dict[str, Any]]:
        """The leaves that require grad, and all further leaves by name, in the system's own arrays."""
        pairs = [(leaf, wrap(value)) for leaf, value in zip(workload.graph.leaves, workload.values, strict=True)]
        return [value for leaf, value in pairs if leaf.requires_grad], {
            leaf.name: value for leaf, value in pairs if not leaf.requires_grad
        }

    def runner(self, workload: Workload, threads: int) -> tuple[Runner, Callable[[Any], Answer]]:
        """The function to time, and the conversion of its result to numbers. Raises Absent."""
        raise NotImplementedError


class Gradproof(System):
    name = "gradproof"

    def runner(self, workload: Workload, threads: int) -> tuple[Runner, Callable[[Any], Answer]]:
        f = ENGINE.function(workload.graph)
        values = [value if value.shape else float(value) for value in workload.values]

        def answer(result: Any) -> Answer:
            return float(result[0][0]), tuple(map(np.asarray, result[1]))

        return lambda: f(*values), answer


class TorchEager(System):
    name = "torch eager"
    sigmoid = "xp.sigmoid({0})"
    concat = "xp.cat([{0}], {1})"
    pad = "xp.nn.functional.pad({0}, {1})"
    reductions = ("xp.sum({0}, {1}, keepdim={2})", "xp.mean({0}, {1}, keepdim={2})", "xp.amax({0}, {1}, keepdim={2})")
    transpose = "{0}.mT"

    def widths(self, widths: Any) -> Any:
        return [n for pair in reversed(widths or ()) for n in pair]

    def runner(self, workload: Workload, threads: int) -> tuple[Runner, Callable[[Any], Answer]]:
        torch = _module("torch")
        torch.set_num_threads(threads)
        moving, fixed = self.split(workload, torch.tensor)
        for tensor in moving:
            tensor.requires_grad_()
        f = self.function(workload, {**fixed, "xp": torch})

        def run() -> Any:
            value = f(*moving)
            return value, torch.autograd.grad(value, moving)

        return run, lambda result: (result[0].item(), tuple(g.numpy() for g in result[1]))


class JaxJit(System):
    name = "jax jit"
    sigmoid = "jax.nn.sigmoid({0})"

    def runner(self, workload: Workload, threads: int) -> tuple[Runner, Callable[[Any], Answer]]:
        jax = _module("jax")
        jax.config.update("jax_enable_x64", True)
        moving, fixed = self.split(workload, jax.numpy.asarray)
        f = self.function(workload, {**fixed, "xp": jax.numpy, "jax": jax})
        compiled = jax.jit(jax.value_and_grad(f, tuple(range(len(moving)))))

        def run() -> Any:
            return jax.block_until_ready(compiled(*moving))

        return run, lambda result: (float(result[0]), tuple(map(np.asarray, result[1])))


class Autograd(System):
    name = "autograd"

    def runner(self, workload: Workload, threads: int) -> tuple[Runner, Callable[[Any], Answer]]:
        numpy, autograd = _module("autograd.numpy"), _module("autograd")
        moving, fixed = self.split(workload, np.asarray)
        f = self.function(workload, {**fixed, "xp": numpy})
        both = autograd.value_and_grad(f, tuple(range(len(moving))))
        moving = [value if value.shape else float(value) for value in moving]

        return lambda: both(*moving), lambda result: (float(result[0]), tuple(map(np.asarray, result[1])))


class ByHand(System):
    """Forward and gradient written by hand in NumPy, with all memory allocated beforehand; for some workloads."""

    name = "NumPy by hand"

    def runner(self, workload: Workload, threads: int) -> tuple[Runner, Callable[[Any], Answer]]:
        from benchmarks.by_hand import written

        run = written(workload)
        if run is None:
            raise Absent("not written")
        return run, lambda result: (float(result[0]), tuple(map(np.asarray, result[1])))


SYSTEMS: tuple[System, ...] = (Gradproof(), TorchEager(), ByHand(), Autograd(), JaxJit())


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise Absent(f"{name.partition('.')[0]} is not installed") from error
