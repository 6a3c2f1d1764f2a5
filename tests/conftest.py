"""Shared by all tests: one registry, an engine, and a bench that writes graphs as people read them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pytest
from hypothesis import settings
from tests.support.sweeps import left_out

from gradproof.engine.compiled.store import Compilations
from gradproof.engine.engine import Engine, Event, GradientEvent, Run
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Array, is_differentiable, spec_of
from gradproof.plugins import BUILTIN
from gradproof.server.configuration.configuration import configure
from gradproof.server.problems import ConfigurationError

if TYPE_CHECKING:
    from tests.support.server_fixture import Served

settings.register_profile("gradproof", max_examples=25, deadline=None)
settings.load_profile("gradproof")

os.environ.setdefault("GRADPROOF_SHIPPED_PROOFS", "0")  # what a test sees does not depend on how old they are
CONFIGURATION = configure([])
if CONFIGURATION.problems:
    raise ConfigurationError(CONFIGURATION.problems, CONFIGURATION.origins)

Compilations.default = CONFIGURATION.settings.plans
"""`GRADPROOF_PLANS` selects the executor for all tests."""

REGISTRY = build_registry(BUILTIN)
"""The built-in ops, at import, so that tests can be parametrized over them."""

Line: TypeAlias = str | tuple[str, Mapping[str, Any]]

_LINE = re.compile(r"\s*([^=]*?)\s*=\s*([\w.]+)\((.*)\)\s*")


def names(text: str) -> tuple[str, ...]:
    return tuple(part for part in re.split(r"[,\s]+", text) if part)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what a sweep leaves to `make check`. The tiny test of the whole way through runs first: if it fails, the
    rest can wait."""
    out = left_out(items)
    config.hook.pytest_deselected(items=out)
    left = set(out)
    items[:] = sorted((item for item in items if item not in left), key=lambda item: item.path.name != "test_tiny.py")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server in this process of all tests that change nothing of it. It has planted and faulty ops."""
    from tests.support.server_fixture import serving

    plugins = ["gradproof.server.demo_faulty_op", "tests.support.faulty_plugin"]
    with serving(tmp_path_factory.mktemp("proofs"), plugin=plugins) as served:
        yield served


@pytest.fixture(scope="module")
def tensors(shared: Served) -> Iterator[Served]:
    """The shared server behind the tensors of `gradproof.client`."""
    import gradproof.client as gp

    before = gp.use(shared.client)
    yield shared
    gp.use(before)


class Bench:
    """Graphs in one line a node: ``bench.gradients({"a": a, "x": x}, ["y = multiply(a, x)"], "y")``. A line with
    attributes is a pair: ``("s = sum(x)", {"axis": 0})``. Leaves of floating point dtype require grad, except those
    named in ``constants``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def node(self, line: Line) -> Node:
        text, attributes = (line, {}) if isinstance(line, str) else line
        match = _LINE.fullmatch(text)
        assert match, text
        outputs, op, inputs = match.groups()
        return Node(op, names(inputs), names(outputs), attributes)

    def graph(self, leaves: Mapping[str, Any], lines: Sequence[Line], outputs: str, *, constants: str = "") -> Graph:
        fixed = names(constants)
        made = tuple(
            Leaf(name, spec_of(np.asarray(array)), is_differentiable(np.asarray(array).dtype) and name not in fixed)
            for name, array in leaves.items()
        )
        return Graph(made, tuple(map(self.node, lines)), names(outputs))

    def job(
        self, leaves: Mapping[str, Any], lines: Sequence[Line], outputs: str, *, constants: str = "", **rest: Any
    ) -> Job:
        graph = self.graph(leaves, lines, outputs, constants=constants)
        seeds = tuple((name, np.asarray(seed)) for name, seed in rest.pop("seeds", {}).items())
        return Job(graph, tuple((name, np.asarray(array)) for name, array in leaves.items()), seeds, **rest)

    def events(self, job: Job) -> tuple[list[Event], Run]:
        """All events of a run, and the run."""
        found: list[Event] = []
        pull = self.engine.differentiate(job)
        while True:
            try:
                found.append(next(pull))
            except StopIteration as stop:
                return found, stop.value

    def gradients(self, leaves: Mapping[str, Any], lines: Sequence[Line], outputs: str, **rest: Any) -> dict[str, Any]:
        """Every wanted gradient by name (None where none flows)."""
        events, _ = self.events(self.job(leaves, lines, outputs, **rest))
        return {event.name: event.gradient for event in events if isinstance(event, GradientEvent)}

    def values(self, leaves: Mapping[str, Any], lines: Sequence[Line], outputs: str) -> dict[str, Array]:
        """The outputs by name."""
        return {event.name: event.value for event in self.engine.evaluate(self.job(leaves, lines, outputs))}

    def apply(
        self, op: str, arrays: Sequence[Any], attributes: Mapping[str, Any] = {}, seeds: Sequence[Any] | None = None
    ) -> list[Any]:
        """The gradients of one op's inputs, None where none flows or it is refused; ``seeds`` one per output, else ones."""
        leaves = {f"x{k}": np.asarray(array) for k, array in enumerate(arrays)}
        registry = self.engine.registry
        outs = registry.op(op).inference([spec_of(array) for array in leaves.values()], attributes).outputs
        outputs = [f"y{k}" for k in range(len(outs))]
        given = [np.ones(out.shape, out.dtype) for out in outs] if seeds is None else seeds
        line = f"{', '.join(outputs)} = {op}({', '.join(leaves)})", attributes
        fixed = " ".join(f"x{k}" for k in registry.op(op).still)
        seeded = dict(zip(outputs, given, strict=True))
        found = self.gradients(leaves, [line], " ".join(outputs), constants=fixed, seeds=seeded)
        return [found.get(name) for name in leaves]


@pytest.fixture(scope="session")
def registry() -> Registry:
    return REGISTRY


@pytest.fixture
def engine(registry: Registry) -> Engine:
    return Engine(registry)


@pytest.fixture(scope="session")
def bench(registry: Registry) -> Bench:
    return Bench(Engine(registry))
