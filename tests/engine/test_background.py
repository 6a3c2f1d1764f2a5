"""Plans compiled in the background: who answers in between, errors, bounds, and the end."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY

from gradproof.engine.cancellation import look, watched
from gradproof.engine.compiled import background as background_module
from gradproof.engine.compiled import store as module
from gradproof.engine.compiled.background import MAX_WAITING, Background, GivingWay
from gradproof.engine.compiled.compiled import Compiled
from gradproof.engine.compiled.store import AT_ONCE, Compilations, Plans
from gradproof.engine.engine import Engine
from gradproof.engine.graph import Graph, Leaf, Node
from gradproof.engine.spec import spec

SECONDS = 60.0
LONG = AT_ONCE // 2  # nodes: the plan has four instructions for each


def chain(count: int) -> Graph:
    """Sines and products of a number and of a vector, summed."""
    names = ["x", *(f"v{k}" for k in range(count))]
    nodes = [
        Node("sin", (names[k],), (names[k + 1],)) if k % 2 else Node("multiply", (names[k], "w"), (names[k + 1],))
        for k in range(count)
    ]
    return Graph(
        (Leaf("x", spec(()), True), Leaf("w", spec((3,)), True)),
        (*nodes, Node("sum", (names[-1],), ("s",))),
        ("s",),
    )


ARGUMENTS = (0.7, np.array([1.1, -0.9, 1.3]))


def bits(results: list[Any]) -> list[bytes]:
    return [np.asarray(value).tobytes() for value in results]


@pytest.fixture
def compilations() -> Any:
    store = Compilations(Plans.AUTO)
    yield store
    store.close()


class Held:
    """Stands for `Compiled`: it begins, and waits until it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = Event(), Event()
        self.made = 0

    def __call__(self, *arguments: Any, **options: Any) -> Compiled:
        self.made += 1
        self.begun.set()
        assert self.go.wait(SECONDS)
        return Compiled(*arguments, **options)


def test_the_interpreter_answers_until_the_plan_is_compiled_to_the_same_bits(
    compilations: Compilations, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held()
    monkeypatch.setattr(module, "Compiled", held)
    f = Engine(REGISTRY, compilations=compilations).function(chain(LONG), at_once=False)
    first = bits(f.results(ARGUMENTS))
    assert not held.begun.is_set()  # a graph that comes once is never compiled
    assert bits(f.results(ARGUMENTS)) == first
    assert held.begun.wait(SECONDS)
    for _ in range(3):
        assert f.compiled() is None
        assert bits(f.results(ARGUMENTS)) == first
    held.go.set()
    assert compilations.wait(SECONDS)
    assert f.compiled() is not None
    assert bits(f.results(ARGUMENTS)) == first
    assert held.made == 1


@pytest.mark.parametrize(("extra", "compiled"), [(0, True), (-1, False)])
def test_a_short_plan_is_compiled_at_once(
    extra: int, compiled: bool, compilations: Compilations, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(REGISTRY, compilations=compilations)
    f = engine.function(chain(10), at_once=False)
    monkeypatch.setattr(module, "AT_ONCE", len(f._plan.program.instructions) + extra)
    assert f.compiled() is None
    assert (f.compiled() is not None) == compiled
    assert compilations.wait(SECONDS)
    assert f.compiled() is not None


@pytest.mark.parametrize(("extra", "compiled"), [(0, True), (-1, False)])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_plan_above_the_limit_is_never_compiled(
    extra: int, compiled: bool, at_once: bool, compilations: Compilations, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(REGISTRY, compilations=compilations)
    count = len(engine.function(chain(10), at_once=False)._plan.program.instructions)
    monkeypatch.setattr(module, "MAX_ITEMS", count + extra)
    f = engine.function(chain(10), at_once=at_once)
    found = [f.compiled() for _ in range(3)]
    assert (found[-1] is not None) == compiled


@pytest.mark.parametrize("plans", [Plans.ALWAYS, Plans.NEVER])
def test_other_policies_know_no_background(plans: Plans, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Background, "submit", lambda *_: pytest.fail("nothing is compiled in the background"))
    f = Engine(REGISTRY, compilations=Compilations(plans)).function(chain(LONG), at_once=False)
    assert [f.compiled() is not None for _ in range(2)] == [plans is Plans.ALWAYS] * 2


def test_a_plan_that_cannot_be_compiled_is_logged_and_interpreted(
    compilations: Compilations, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: Any, **__: Any) -> Compiled:
        raise RuntimeError("no")

    monkeypatch.setattr(module, "Compiled", refuse)
    f = Engine(REGISTRY, compilations=compilations).function(chain(LONG), at_once=False)
    first = bits(f.results(ARGUMENTS))
    for _ in range(3):
        assert bits(f.results(ARGUMENTS)) == first
        assert compilations.wait(SECONDS)
    assert caplog.text.count("could not be compiled") == 1


def test_numbers_that_python_has_not_make_the_plan_careful(compilations: Compilations) -> None:
    """The logarithm of 0 raises in Python: the interpreter has the result, and a careful plan is compiled."""
    nodes = [Node("log", ("x",), ("v0",)), *(Node("exp", (f"v{k}",), (f"v{k + 1}",)) for k in range(LONG))]
    graph = Graph((Leaf("x", spec(()), True),), tuple(nodes), (f"v{LONG}",))
    f = Engine(REGISTRY, compilations=compilations).function(graph, at_once=False)
    first = bits(f.results([0.0]))
    for _ in range(6):
        assert bits(f.results([0.0])) == first
        assert compilations.wait(SECONDS)
    compiled = f.compiled()
    assert compiled is not None
    assert compiled.careful


def test_closing_ends_the_plan_that_is_compiled(compilations: Compilations, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, ended = Event(), Event()

    def endless(*arguments: Any, **options: Any) -> Compiled:
        begun.set()
        try:
            for _ in watched(itertools.count()):
                pass
        finally:
            ended.set()
        raise AssertionError

    monkeypatch.setattr(module, "Compiled", endless)
    f = Engine(REGISTRY, compilations=compilations).function(chain(LONG), at_once=False)
    first = [bits(f.results(ARGUMENTS)) for _ in range(2)]
    assert begun.wait(SECONDS)
    compilations.close()
    assert ended.wait(SECONDS)
    assert compilations.wait(SECONDS)
    assert bits(f.results(ARGUMENTS)) == first[0]  # and runs go on


# Background


def blocker(go: Event) -> Callable[[], None]:
    def task() -> None:
        assert go.wait(SECONDS)

    return task


def test_tasks_run_one_at_a_time_in_order_and_not_more_than_the_bound() -> None:
    background, go, done = Background(), Event(), list[int]()
    begun = Event()

    def first() -> None:
        begun.set()
        blocker(go)()

    assert background.submit(first)
    assert begun.wait(SECONDS)
    taken = [background.submit(lambda k=k: done.append(k)) for k in range(MAX_WAITING + 2)]  # type: ignore[misc]
    assert taken == [True] * MAX_WAITING + [False] * 2
    assert not background.wait(0.0)
    go.set()
    assert background.wait(SECONDS)
    assert done == list(range(MAX_WAITING))


def test_an_error_is_logged_and_the_next_task_runs(caplog: pytest.LogCaptureFixture) -> None:
    background, go, done = Background(), Event(), Event()
    assert background.submit(blocker(go))
    assert background.submit(lambda: 1 // 0)  # type: ignore[arg-type]
    assert background.submit(done.set)
    go.set()
    assert background.wait(SECONDS)
    assert done.is_set()
    assert "ZeroDivisionError" in caplog.text


def test_nothing_runs_behind_the_end() -> None:
    background, go, done = Background(), Event(), Event()
    begun = Event()

    def first() -> None:
        begun.set()
        assert go.wait(SECONDS)
        look()

    assert background.submit(first)
    assert begun.wait(SECONDS)
    assert background.submit(done.set)
    closing = Thread(target=background.close)
    closing.start()
    go.set()
    closing.join(SECONDS)
    assert background.wait(SECONDS)
    assert not background.submit(done.set)
    assert not done.is_set()


def test_work_gives_way_between_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock and the pauses are counted, not waited for."""
    now, slept = itertools.count(), list[float]()
    monkeypatch.setattr("time.monotonic", lambda: next(now) * background_module.STRETCH)
    monkeypatch.setattr("time.sleep", slept.append)
    assert GivingWay().within(lambda: list(watched(range(6)))) == list(range(6))
    assert slept
    assert set(slept) == {background_module.PAUSE}
