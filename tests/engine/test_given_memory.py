"""Values that leave with memory of the workspace: the same bits, and no run writes to what another has given away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tests.conftest import Bench

from gradproof.engine.compiled import source, store
from gradproof.engine.compiled.compiled import Compiled, Variant
from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.engine import Engine, GradientEvent, ValueEvent
from gradproof.engine.hooks import Hook
from gradproof.engine.job import Job
from gradproof.engine.registry import Registry

X, W = np.linspace(-2.0, 2.0, 24).reshape(4, 6), np.linspace(0.5, 1.5, 24).reshape(4, 6)
SQUARE: tuple[list[Any], str] = (["s = multiply(x, x)", "y = sum(s)"], "y")
PROGRAMS: dict[str, tuple[list[Any], str]] = {
    "square": (["s = multiply(x, x)", "z = add(s, w)", "y = sum(z)"], "y"),
    "two leaves": (["p = multiply(x, w)", "t = tanh(p)", "y = sum(t)"], "y"),
    "shared": (["a = exp(x)", "b = multiply(a, w)", "c = add(b, a)", "d = multiply(c, c)", "y = sum(d)"], "y"),
    "product": (["wt = matrix_transpose(w)", "p = matmul(x, wt)", "s = tanh(p)", "y = sum(s)"], "y"),
    "rows": (["m = subtract(x, w)", ("r = sum(m)", {"axis": 1, "keepdims": True}), "q = divide(m, r)", "y = sum(q)"], "y"),
}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "GIVEN_BYTES", 64)


def run(engine: Engine, job: Job) -> dict[str, Any]:
    events = list(engine.gradients(engine.prepare(job, evidence=False)))
    found: dict[str, Any] = {event.name: event.value for event in events if isinstance(event, ValueEvent)}
    return found | {f"d {event.name}": event.gradient for event in events if isinstance(event, GradientEvent)}


def same(got: Mapping[str, Any], expected: Mapping[str, Any]) -> bool:
    return {name: array.tobytes() for name, array in got.items()} == {n: a.tobytes() for n, a in expected.items()}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("hooked", [False, True])
def test_bits_are_those_of_the_interpreter_in_every_run(name: str, hooked: bool, registry: Registry) -> None:
    lines, output = PROGRAMS[name]
    compiled = Engine(registry, compilations=Compilations(Plans.ALWAYS))
    interpreted = Engine(registry, compilations=Compilations(Plans.NEVER))
    bench = Bench(compiled)
    inner = lines[0].partition(" ")[0]
    hooks = (Hook(inner, "scale", {"factor": 3.0}),) if hooked else ()
    rest: Any = {"hooks": hooks, "fetch": (inner,), "retain": (inner,)}
    jobs = [bench.job({"x": k * X, "w": W}, lines, output, **rest) for k in (1.0, -0.5, 2.0)]
    expected = [run(interpreted, job) for job in jobs]
    got = [run(compiled, job) for job in jobs]
    assert all(map(same, got, expected))  # none has changed since
    arrays = [array for results in got for array in results.values()]
    assert not any(np.shares_memory(a, b) for k, a in enumerate(arrays) for b in arrays[:k])
    assert not any(array.flags.writeable for array in arrays)


def test_a_large_gradient_takes_the_place_of_what_it_is_made_of(registry: Registry) -> None:
    engine = Engine(registry, compilations=Compilations(Plans.ALWAYS))
    job = Bench(engine).job({"x": X}, *SQUARE)
    prepared = engine.prepare(job, evidence=False)
    found = engine.compilations.find(prepared.plan, Variant(()))
    assert isinstance(found, Compiled)
    run(engine, job)
    assert found._layout.blocks == [X.nbytes]
    assert found.nbytes == 0  # no memory waits for the next run


def test_a_large_first_run_is_compiled(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(registry, compilations=Compilations(Plans.AUTO))
    job = Bench(engine).job({"x": X}, *SQUARE)
    plan = engine.prepare(job, evidence=False).plan
    assert engine.compilations.find(plan, Variant(())) is None
    monkeypatch.setattr(store, "LARGE_BYTES", 64)
    other = Engine(registry, compilations=Compilations(Plans.AUTO))
    assert other.compilations.find(other.prepare(job, evidence=False).plan, Variant(())) is not None
