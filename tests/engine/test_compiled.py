"""Compiled plans: the bits of the interpreter, whatever leaves and however it is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import REGISTRY, Bench, Line
from tests.support.fault_injection import registry_with
from tests.support.random_programs import random_job

from gradproof.engine.compiled import blocks
from gradproof.engine.compiled.blocks import BLOCK_ELEMENTS, CHEAP, DEAR, MIN_ALONE, MIN_ELEMENTS, pays
from gradproof.engine.compiled.buffers import RECYCLED_BYTES, Recycler
from gradproof.engine.compiled.compiled import Compiled, Variant
from gradproof.engine.compiled.store import Compilations, Plans
from gradproof.engine.compiled.tiling import tiled
from gradproof.engine.engine import Engine, Event, GradientEvent, ValueEvent
from gradproof.engine.errors import ForwardFault
from gradproof.engine.extend import HOLOMORPHIC, Inferred, Op, case
from gradproof.engine.hooks import ClientHook, Hook, HookCall
from gradproof.engine.job import Job
from gradproof.engine.lru import Bound
from gradproof.engine.spec import spec

DRAWS = int(os.environ.get("CHECK_DRAWS", "60"))
CASES = [(op.name, number) for op in REGISTRY.ops.values() if op.rule for number in range(len(op.proof_cases()))]


def bench(plans: Plans = Plans.ALWAYS) -> Bench:
    return Bench(Engine(REGISTRY, compilations=Compilations(plans)))


def leaves_of(op: Op, number: int, dtype: Any = np.float64) -> tuple[dict[str, Any], Any]:
    random = np.random.default_rng(number)
    case = op.proof_cases()[number]
    leaves: dict[str, Any] = {}
    for k, x in enumerate(case.inputs):
        if isinstance(x, np.ndarray):
            leaves[f"x{k}"] = x
            continue
        low, high = (1.1, 3.0) if op.domain(k).name in ("above 1", "positive") else (0.1, 0.9)
        array = random.uniform(low, high, x)
        if op.name == "cholesky":
            array = array @ np.swapaxes(array, -1, -2) + np.eye(x[-1])
        leaves[f"x{k}"] = np.asarray(array).astype(dtype)
    return leaves, case.attributes


def both(leaves: dict[str, Any], lines: Sequence[Line], outputs: str, raises: bool = False, **rest: Any) -> dict[str, Any]:
    """The gradients of `same` for a graph."""
    events = same(lambda runner: runner.job(leaves, lines, outputs, **dict(rest)), raises)
    return {event.name: event.gradient for event in events if isinstance(event, GradientEvent)}


def same(job_of: Callable[[Bench], Job], raises: bool = False) -> list[Event]:
    """The events of a run in which both executors are compared, and those of each alone, are the same. ``raises``: the
    compiled plan may give up, and the interpreter take over."""
    streams: list[list[Event]] = []
    for plans in (Plans.ALWAYS, Plans.NEVER):
        runner = bench(plans)
        job = job_of(runner)
        runs = (runner.engine.prepare(job, evidence=evidence) for evidence in (True, False))
        streams.extend(list(runner.engine.gradients(run)) for run in runs)
        compilations = [entry.compiled for entry in runner.engine.compilations._entries.values()]
        assert raises or not any(compiled is None or compiled.failures for compiled in compilations)
    first = [bits(event) for event in streams[0]]
    assert all([bits(event) for event in events] == first for events in streams[1:])
    return streams[0]


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(DRAWS))
def test_programs_at_random_have_the_same_bits_compiled(seed: int) -> None:
    same(partial(random_job, seed=seed), raises=True)


def bits(event: Event) -> tuple[str, bytes]:
    """Name and bits, treating all NaNs as equal."""
    assert not isinstance(event, HookCall)
    value = event.value if isinstance(event, ValueEvent) else event.gradient
    return event.name, b"" if value is None else np.where(value == value, value, np.nan).tobytes()


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), CASES)
def test_every_op_has_the_same_bits_compiled(name: str, number: int) -> None:
    op = REGISTRY.op(name)
    leaves, attributes = leaves_of(op, number)
    outs = [f"y{k}" for k in range(len(op.inference(op.proof_cases()[number].specs(), attributes).outputs))]
    lines: list[Line] = [(f"{', '.join(outs)} = {name}({', '.join(leaves)})", attributes)]
    seeds = dict.fromkeys(outs)
    shapes = bench().values(leaves, lines, " ".join(outs))
    seeds = {out: np.random.default_rng(7).normal(size=shapes[out].shape).astype(shapes[out].dtype) for out in outs}
    constants = " ".join(f"x{k}" for k in op.still)
    both(leaves, lines, " ".join(outs), seeds=seeds, constants=constants)


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex128"])
def test_other_dtypes_have_the_same_bits(dtype: str) -> None:
    x = np.array([[0.5, -1.5, 2.0], [1.0, 0.25, -0.75]]).astype(dtype)
    lines: list[Line] = ["a = exp(x)", "b = multiply(a, x)", "c = tanh(b)", ("s = sum(c)", {"axis": (0, 1)})]
    both({"x": x}, lines, "s", seeds={"s": np.ones((), dtype)}, retain=["a", "b"], fetch=["c", "s"])


MLP: list[Line] = [
    "h = matmul(x, w)",
    "z = add(h, b)",
    "a = tanh(z)",
    "y = matmul(a, v)",
    "e = subtract(y, t)",
    "q = square(e)",
    "loss = mean(q)",
]


def mlp(rows: int = 5) -> dict[str, Any]:
    random = np.random.default_rng(1)
    shapes = {"x": (rows, 3), "w": (3, 4), "b": (4,), "v": (4, 2), "t": (rows, 2)}
    return {name: random.normal(size=shape) for name, shape in shapes.items()}


class TestRuns:
    def test_the_first_run_is_interpreted_and_later_ones_are_compiled(self) -> None:
        runner = bench(Plans.AUTO)
        job = runner.job(mlp(), MLP, "loss", constants="x t")
        streams = []
        for _ in range(3):
            prepared = runner.engine.prepare(job, evidence=False)
            streams.append(list(runner.engine.gradients(prepared)))
        [entry] = runner.engine.compilations._entries.values()
        assert entry.runs == 3
        assert entry.compiled is not None
        assert [[bits(event) for event in events] for events in streams] == [[bits(event) for event in streams[0]]] * 3

    def test_what_leaves_is_read_only_and_stays_as_it_was(self) -> None:
        runner = bench(Plans.ALWAYS)
        wide = {"x": np.linspace(0, 1, RECYCLED_BYTES // 8 + 3)}
        lines: list[Line] = ["y = sin(x)", "s = sum(y)"]
        kept = []
        for scale in (1.0, 2.0, 3.0):
            job = runner.job({"x": scale * wide["x"]}, lines, "s", fetch=["y"])
            kept.append(list(runner.engine.gradients(runner.engine.prepare(job, evidence=False))))
        for scale, (value, gradient) in zip((1.0, 2.0, 3.0), kept, strict=True):
            assert isinstance(value, ValueEvent)
            assert isinstance(gradient, GradientEvent)
            assert gradient.gradient is not None
            np.testing.assert_array_equal(value.value, np.sin(scale * wide["x"]))
            np.testing.assert_array_equal(gradient.gradient, np.cos(scale * wide["x"]))
            assert not value.value.flags.writeable
            assert not gradient.gradient.flags.writeable

    def test_hooks_change_what_flows_on(self) -> None:
        leaves = {"x": np.array([1.0, 2.0])}
        lines: list[Line] = ["y = square(x)", "z = exp(y)", "s = sum(z)"]
        gradients = both(leaves, lines, "s", hooks=[Hook("y", "scale", {"factor": 3.0})], retain=["y"])
        np.testing.assert_array_equal(gradients["y"], 3 * np.exp([1.0, 4.0]))
        np.testing.assert_array_equal(gradients["x"], 2 * (3 * np.exp([1.0, 4.0])) * [1.0, 2.0])

    def test_a_hook_elsewhere_is_waited_for(self) -> None:
        runner = bench(Plans.ALWAYS)
        job = runner.job({"x": np.array(2.0)}, ["y = square(x)", "z = square(y)"], "z", hooks=[ClientHook("y", 1)])
        run = runner.engine.gradients(runner.engine.prepare(job, evidence=False))
        call = next(run)
        assert isinstance(call, HookCall)
        event = run.send(np.array(5.0))
        assert isinstance(event, GradientEvent)
        assert event.gradient == 5.0 * 2 * 2.0

    def test_runs_at_the_same_time_have_memory_of_their_own(self) -> None:
        runner = bench(Plans.ALWAYS)
        leaves = mlp(200)

        def gradient(scale: float) -> list[tuple[str, bytes]]:
            job = runner.job({**leaves, "x": scale * leaves["x"]}, MLP, "loss", constants="x t")
            return [bits(event) for event in runner.engine.gradients(runner.engine.prepare(job, evidence=False))]

        scales = [0.5, 1.0, 2.0, 3.0] * 8
        alone = {scale: gradient(scale) for scale in set(scales)}
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(gradient, scales)) == [alone[scale] for scale in scales]

    @pytest.mark.parametrize("x", [0.0, -1.0, 800.0, np.inf, np.nan])
    def test_where_python_raises_numpy_decides(self, x: float) -> None:
        lines: list[Line] = ["a = exp(x)", "b = log(x)", "c = divide(a, b)", "d = sqrt(c)", "s = multiply(d, x)"]
        for _ in range(4):  # the first may raise; from the third on NumPy is asked at once
            gradients = both({"x": np.array(x)}, lines, "s", fetch=["a", "b", "s"], raises=True)
            with np.errstate(all="ignore"):
                a, b = np.exp(x), np.log(x)
                d = np.sqrt(a / b)
                slope = d + x * (a / b - a / x / b**2) / (2 * d)
            np.testing.assert_allclose(gradients["x"], slope, rtol=1e-12)

    def test_plans_that_keep_raising_ask_numpy_at_each_op(self) -> None:
        runner = bench(Plans.ALWAYS)
        job = runner.job({"x": np.array(0.0)}, ["y = log(x)", "z = exp(y)"], "z")
        results = [bits(e) for _ in range(4) for e in runner.engine.gradients(runner.engine.prepare(job, evidence=False))]
        [entry] = runner.engine.compilations._entries.values()
        assert entry.compiled is not None
        assert entry.compiled.careful
        assert entry.compiled.failures == 0
        assert len(set(results)) == 1

    def test_an_op_that_fails_is_named_though_nobody_needs_it(self) -> None:
        def explode(x: Any) -> Any:
            raise RuntimeError("boom")

        op = Op("planted.bomb", explode, lambda g, y, x: g, lambda f, i, x: x[i], lambda x: Inferred((x,)), (case(()),))
        runner = Bench(Engine(registry_with(op), compilations=Compilations(Plans.ALWAYS)))
        job = runner.job({"x": np.array(1.0)}, ["y = planted.bomb(x)", "z = square(x)", "s = add(y, z)"], "s")
        for _ in range(2):
            with pytest.raises(ForwardFault, match="boom") as caught:
                list(runner.engine.gradients(runner.engine.prepare(job, evidence=False)))
            assert caught.value.op == "planted.bomb"

    def test_an_op_that_writes_to_its_input_is_at_fault(self) -> None:
        def greedy(x: Any) -> Any:
            x *= 2
            return x

        op = Op(
            "planted.greedy",
            greedy,
            lambda g, y, x: 2 * g,
            lambda f, i, x: 2 * x[i],
            lambda x: Inferred((x,)),
            (case((2,)),),
        )
        runner = Bench(Engine(registry_with(op), compilations=Compilations(Plans.ALWAYS)))
        job = runner.job({"x": np.ones(3)}, ["a = square(x)", "y = planted.greedy(a)", "s = sum(y)"], "s")
        with pytest.raises(ForwardFault, match="read-only"):
            list(runner.engine.gradients(runner.engine.prepare(job, evidence=False)))


def compiled(leaves: dict[str, Any], lines: Sequence[Line], outputs: str, **rest: Any) -> Compiled:
    runner = bench()
    job = runner.job(leaves, lines, outputs, **rest)
    return Compiled(runner.engine.prepare(job).plan, Variant(tuple(outputs.split())))


class TestSimplified:
    def test_what_is_repeated_is_computed_once(self) -> None:
        plan = compiled({"x": np.array(0.5)}, ["a = sin(x)", "b = sin(x)", "s = multiply(a, b)"], "s")
        assert plan.text.count("sin(") == 1

    def test_what_nobody_reads_is_not_computed(self) -> None:
        plan = compiled({"x": np.array(0.5)}, ["a = sin(x)", "b = exp(x)", "s = square(a)"], "s")
        assert "exp(" not in plan.text

    def test_a_seed_of_one_is_no_factor(self) -> None:
        plan = compiled({"x": np.array(0.5), "w": np.array(2.0)}, ["s = multiply(x, w)"], "s")
        assert plan.text.count("*") == 1  # the value; each gradient is the other leaf

    def test_a_power_of_two_that_divides_is_a_factor(self) -> None:
        """The rule of the sigmoid divides by 2 and by 4; a product has the same bits, at the ends of the range too."""
        text = compiled({"x": np.array(0.5)}, ["y = sigmoid(x)", "s = square(y)"], "s").text
        assert "* 0.25" in text
        assert "/ 4.0" not in text
        for dtype in (np.float32, np.float64):
            info = np.finfo(dtype)
            ends = [0.0, -0.0, np.inf, -np.inf, np.nan, info.max, -info.max, info.tiny, info.tiny / 2, -info.tiny * 1.5]
            small = float(info.smallest_subnormal) * np.arange(-9, 10)
            x = np.concatenate([ends, small, np.random.default_rng(0).normal(size=50)]).astype(dtype)
            both({"x": x}, ["y = sigmoid(x)", "z = tanh(y)", "s = sum(z)"], "s")

    def test_the_disjoint_parts_of_a_gradient_go_to_one_array(self) -> None:
        cut: list[Line] = [(f"a{k} = slice(x)", {"start": (2 * k,), "stop": (2 * k + 2,)}) for k in range(3)]
        lines = [*cut, "b = multiply(a0, a1)", "c = multiply(b, a2)", "s = sum(c)"]
        x = np.array([1.0, -0.0, 3.0, 0.0, -2.0, 5.0])
        gradients = both({"x": x}, lines, "s")
        np.testing.assert_array_equal(gradients["x"], [-6.0, 0.0, -2.0, -0.0, 3.0, 0.0])

    def test_overlapping_parts_are_added_in_order(self) -> None:
        cut: list[Line] = [(f"a{k} = slice(x)", {"start": (k,), "stop": (k + 5,)}) for k in range(4)]
        lines = [*cut, "b = multiply(a0, a1)", "c = multiply(a2, a3)", "d = multiply(b, c)", "s = sum(d)"]
        x = np.random.default_rng(3).normal(size=8)
        assert "_together" in repr(compiled({"x": x}, lines, "s")._function.__globals__)
        gradients = both({"x": x}, lines, "s")
        step = 1e-6
        for k in range(8):
            shift = step * np.eye(8)[k]
            slope = (product(x + shift) - product(x - shift)) / (2 * step)
            np.testing.assert_allclose(gradients["x"][k], slope, rtol=1e-6, atol=1e-9)


def product(x: Any) -> float:
    return float(sum(np.prod(x[k : k + 4]) for k in range(5)))

    def test_a_sum_of_what_is_negated(self) -> None:
        for x in (np.array([[1.0, -1.0], [2.0, 3.0]]), np.zeros((2, 2)), -np.zeros((2, 2))):
            lines: list[Line] = [
                "n = negative(x)",
                ("s = sum(n)", {"axis": 1}),
                ("m = mean(n)", {"axis": 0}),
                "y = add(s, m)",
            ]
            gradients = both({"x": x}, [*lines, "z = square(y)", "l = sum(z)"], "l", fetch=["s", "m"])
            assert gradients["x"].shape == (2, 2)


class TestBlocks:
    @pytest.fixture(autouse=True)
    def as_before(self) -> Iterator[None]:
        yield
        blocks.use_threads(2)

    @pytest.mark.parametrize("threads", [1, 2])
    def test_blocks_have_the_bits_of_the_whole(self, threads: int) -> None:
        blocks.use_threads(threads)
        random = np.random.default_rng(0)
        n = MIN_ALONE + BLOCK_ELEMENTS // 3
        leaves = {"x": random.normal(size=n), "w": random.uniform(0.5, 1.5, n), "c": np.array(0.3)}
        lines: list[Line] = [
            "a = multiply(x, w)",
            "b = tanh(a)",
            "d = multiply(b, c)",
            "e = exp(d)",
            "f = subtract(e, x)",
            "s = sum(f)",
        ]
        both(leaves, lines, "s", retain=["b"], fetch=["e"])

    @pytest.mark.parametrize(
        ("threads", "costs", "elements", "worth"),
        [
            (2, [CHEAP] * 8, MIN_ELEMENTS, False),
            (2, [CHEAP] * 8, MIN_ALONE, True),
            (2, [CHEAP, DEAR, CHEAP], 2 * MIN_ELEMENTS, True),
            (2, [DEAR] + [CHEAP] * 8, 2 * MIN_ELEMENTS, False),
            (2, [CHEAP], MIN_ALONE, False),
            (1, [DEAR] * 8, 2 * MIN_ELEMENTS, False),
            (1, [DEAR] * 8, MIN_ALONE, True),
        ],
    )
    def test_short_calls_stay_on_one_thread(self, threads: int, costs: list[float], elements: int, worth: bool) -> None:
        blocks.use_threads(threads)
        assert pays(costs, elements) is worth

    def test_what_is_read_across_rows_is_finished_first(self) -> None:
        """A flipped array is read from the other end, which another block writes."""
        random = np.random.default_rng(0)
        n = 2 * MIN_ELEMENTS
        lines: list[Line] = ["a = exp(x)", ("b = flip(a)", {"axis": 0}), "c = multiply(a, b)", "d = sin(c)", "s = sum(d)"]
        both({"x": random.normal(size=n)}, lines, "s")

    def test_rows_and_columns_are_stretched(self) -> None:
        random = np.random.default_rng(0)
        leaves = {"x": random.normal(size=(400, 300)), "r": random.normal(size=(300,)), "c": random.normal(size=(400, 1))}
        both(leaves, ["a = multiply(x, r)", "b = add(a, c)", "d = sin(b)", "s = sum(d)"], "s")


class TestTiling:
    @pytest.mark.parametrize(
        ("x", "y"),
        [
            ((25, 100, 10), (25, 1, 10)),
            ((1, 100, 10), (25, 1, 10)),
            ((4000, 6), (6,)),
            ((97, 61, 4), (97, 1, 4)),
            ((8, 50, 5, 9), (8, 1, 5, 9)),
            ((8, 1, 5, 9), (50, 5, 9)),
        ],
    )
    def test_short_lines_have_the_same_bits(self, x: tuple[int, ...], y: tuple[int, ...]) -> None:
        random = np.random.default_rng(0)
        leaves = {"x": random.normal(size=x), "y": random.normal(size=y)}
        lines: list[Line] = ["a = multiply(x, y)", "b = subtract(a, y)", "c = tanh(b)", "d = multiply(c, y)", "s = sum(d)"]
        both(leaves, lines, "s", fetch=["b"])

    def test_lines_that_are_long_already_stay(self) -> None:
        assert tiled(np.add, [spec((100, 512)), spec((512,))], spec((100, 512))) is None
        assert tiled(np.add, [spec((5000, 8)), spec((5000, 8))], spec((5000, 8))) is None
        assert tiled(np.add, [spec((5000, 8)), spec((5000, 1))], spec((5000, 8))) is None
        tiling = tiled(np.add, [spec((5000, 8)), spec((8,))], spec((5000, 8)))
        assert tiling is not None
        assert tiling.axis == -2


class TestStore:
    def test_the_least_recently_used_leaves(self) -> None:
        store = Compilations(Plans.ALWAYS, max_plans=2)
        runner = bench()
        plans = [runner.engine.prepare(runner.job({"x": np.ones(k + 2)}, ["s = sum(x)"], "s")).plan for k in range(3)]
        first = store.find(plans[0], Variant(("s",)))
        store.find(plans[1], Variant(("s",)))
        assert store.find(plans[0], Variant(("s",))) is first
        store.find(plans[2], Variant(("s",)))
        assert [key for key, _ in store._entries] == [plans[0], plans[2]]

    def test_workspaces_are_bounded_in_bytes(self) -> None:
        store = Compilations(Plans.ALWAYS, max_bytes=1 << 30)
        runner = bench()
        for n in (5000, 6000):
            plan = runner.engine.prepare(
                runner.job({"x": np.ones(n)}, ["y = sin(x)", "z = exp(y)", "s = sum(z)"], "s")
            ).plan
            compiled = store.find(plan, Variant(("s",)))
            assert compiled is not None
            compiled.all([np.ones(n)])
            store._entries.bounds = (Bound(lambda entry: entry.nbytes, compiled.nbytes),)  # both are more
        other = runner.engine.prepare(runner.job({"x": np.ones(2)}, ["s = sum(x)"], "s")).plan
        store.find(other, Variant(("s",)))
        assert [key for key, _ in store._entries] == [plan, other]

    def test_plans_are_bounded_in_size(self) -> None:
        store = Compilations(Plans.ALWAYS, max_instructions=1)
        runner = bench()
        plans = [runner.engine.prepare(runner.job({"x": np.ones(k + 2)}, ["s = sum(x)"], "s")).plan for k in range(2)]
        for plan in plans:
            store.find(plan, Variant(("s",)))
        assert [key for key, _ in store._entries] == [plans[1]]

    @pytest.mark.parametrize(("most", "waiting"), [(1 << 30, 1), (1000, 0)])
    def test_a_large_workspace_does_not_wait(self, monkeypatch: pytest.MonkeyPatch, most: int, waiting: int) -> None:
        """Arrays that left and are to be used again are counted with it."""
        from gradproof.engine.compiled import executable as module

        monkeypatch.setattr(module, "MAX_IDLE_BYTES", most)
        runner = bench()
        plan = runner.engine.prepare(runner.job({"x": np.ones(9000)}, ["y = sin(x)", "s = sum(y)"], "s", fetch=("y",))).plan
        compiled = Compiled(plan, Variant(("y", "s")))
        arrays = compiled.all([np.ones(9000)])
        assert len(compiled._idle) == waiting
        assert compiled.nbytes >= waiting * arrays[0].nbytes
        again = compiled.all([np.ones(9000)])
        np.testing.assert_array_equal(again[0], np.sin(np.ones(9000)))

    def test_a_plan_that_cannot_be_compiled_is_interpreted(
        self, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        from gradproof.engine.compiled import store as module

        def refuse(*_: Any, **__: Any) -> Compiled:
            raise RuntimeError("no")

        monkeypatch.setattr(module, "Compiled", refuse)
        plan = bench().engine.prepare(bench().job({"x": np.ones(2)}, ["s = sum(x)"], "s")).plan
        store = Compilations(Plans.AUTO)
        assert [store.find(plan, Variant(("s",))) for _ in range(4)] == [None] * 4
        assert caplog.text.count("could not be compiled") == 1
        with pytest.raises(RuntimeError, match="no"):
            Compilations(Plans.ALWAYS).find(plan, Variant(("s",)))

    def test_a_process_says_when_to_compile(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Compilations, "default", Plans.NEVER)
        store = Compilations()
        plan = bench().engine.prepare(bench().job({"x": np.ones(2)}, ["s = sum(x)"], "s")).plan
        assert all(store.find(plan, Variant(("s",))) is None for _ in range(5))

    def test_an_array_is_recycled_when_nobody_holds_it(self) -> None:
        recycler = Recycler(partial(np.empty, 3))
        held = recycler.take()
        view = recycler.take()[:2]
        assert recycler.take() is not held
        again = [recycler.take() for _ in range(2)]
        del held
        fresh = recycler.take()
        assert not np.may_share_memory(fresh, view)
        assert all(fresh is not array for array in again)


UNARY = ("sin", "exp", "tanh", "sqrt", "negative", "square", "sigmoid", "log", "reciprocal")
BINARY = ("add", "multiply", "subtract", "divide", "maximum", "where")


@st.composite
def programs(draw: st.DrawFn) -> tuple[dict[str, Any], list[Line], str]:
    """A graph of any shape over leaves of a few shapes, with values used many times."""
    shapes: list[tuple[int, ...]] = [(), (3,), (2, 3), (2, 1)]
    count = draw(st.integers(1, 3))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    leaves = {f"x{k}": random.uniform(0.2, 2.0, draw(st.sampled_from(shapes))) for k in range(count)}
    known, lines = list(leaves), list[Line]()
    for k in range(draw(st.integers(1, 12))):
        if draw(st.booleans()):
            lines.append(f"v{k} = {draw(st.sampled_from(UNARY))}({draw(st.sampled_from(known))})")
        else:
            op = draw(st.sampled_from(BINARY))
            if op == "where":
                lines += [
                    f"m{k} = less({draw(st.sampled_from(known))}, {draw(st.sampled_from(known))})",
                    f"v{k} = where(m{k}, {draw(st.sampled_from(known))}, {draw(st.sampled_from(known))})",
                ]
            else:
                lines.append(f"v{k} = {op}({draw(st.sampled_from(known))}, {draw(st.sampled_from(known))})")
        known.append(f"v{k}")
    lines.append(f"s = sum({known[-1]})")
    return leaves, lines, known[-1]


@given(programs())
def test_any_graph_has_the_same_bits_compiled(program: tuple[dict[str, Any], list[Line], str]) -> None:
    leaves, lines, last = program
    both(leaves, lines, "s", fetch=[last], retain=[] if last in leaves else [last], raises=True)


def test_holomorphic_ops_keep_their_bits() -> None:
    z = np.array([0.5 + 1.0j, -1.0 + 0.25j])
    assert REGISTRY.op("exp").complex is HOLOMORPHIC
    both({"z": z}, ["a = exp(z)", "b = multiply(a, z)", "c = abs(b)", "s = sum(c)"], "s")
