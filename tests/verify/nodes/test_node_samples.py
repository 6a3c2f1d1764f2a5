"""Samples of large nodes: columns of Arb's balls against a tape, contradictions with arrays, and how many are read."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from tests.conftest import REGISTRY
from tests.support.applications import applied, checked, drawn
from tests.support.verdicts import graph_of, judge

from gradproof.engine.precision import precision
from gradproof.engine.spec import Array, DType, Spec
from gradproof.engine.verify.arrays import BallArray, functions, reading
from gradproof.engine.verify.arrays.calibration import demand
from gradproof.engine.verify.nodes import check_node, samples
from gradproof.engine.verify.nodes.distances import certainly_close, distances
from gradproof.engine.verify.nodes.projections import _direction, _inner
from gradproof.engine.verify.nodes.spots import UNREADABLE
from gradproof.engine.verify.numbers import Application
from gradproof.engine.verify.readings.attributes import in_balls
from gradproof.engine.verify.verdict import SummaryWord, ValueWord

FLOAT64 = np.dtype(np.float64)
ELEMENTWISE = [
    (name, k)
    for name, op in REGISTRY.ops.items()
    if op.elementwise and op.equation is None and op.definitions
    for k in range(len(op.declared_cases()[:2] or (None,)))
]


@pytest.mark.sweep(of=4)
@pytest.mark.parametrize(("name", "number"), ELEMENTWISE, ids=str)
def test_columns_are_what_a_tape_reads(name: str, number: int) -> None:
    """At ties, whole numbers and on both sides of 0: values and slopes overlap, and ties are the same."""
    op = REGISTRY.op(name)
    case = (op.declared_cases()[:2] or (op.uniform(()),))[number]
    random = np.random.default_rng(number)
    count = 24
    mixed = [
        np.where(np.arange(count) % 3 == 0, np.round(random.normal(size=count)), random.normal(size=count))
        for _ in range(9)
    ]
    inputs = [np.resize(x, count) if isinstance(x, np.ndarray) else mixed[k] for k, x in enumerate(case.inputs)]
    slots = [k for k, x in enumerate(inputs) if x.dtype.kind == "f"]
    seeds = [random.normal(size=count) for _ in op.definitions]
    specs = [Spec((count,), FLOAT64) for _ in seeds]
    application = Application(
        op, case.attributes, inputs, specs, seeds, seeds, [x if x.dtype.kind == "f" else None for x in inputs]
    )
    columns, cotangents = [x.tolist() for x in inputs], [g.tolist() for g in seeds]
    attributes = in_balls(case.attributes)
    with precision(128):
        alone, tied, read, _ = samples._singly(application, columns, cotangents, slots, attributes, range(count))
        try:
            together, ties = samples._together(application, columns, cotangents, slots, attributes)
        except UNREADABLE:
            pytest.skip("a ball straddles a branch, or an integer is read singly")
        assert read == count or name in ("lgamma", "digamma", "gamma")
        np.testing.assert_array_equal(ties[:read], tied[:read])
        for j, (row, others) in enumerate(zip(alone, together, strict=True)):
            for k, (a, b) in enumerate(zip(row, others, strict=False)):
                if a is None or b is None or (tied[k] and j >= len(seeds)):
                    continue
                assert a.is_finite() == b.is_finite()
                if a.is_finite():
                    assert a.overlaps(b)
                    assert a.rel_accuracy_bits() < 100 or b.contains(0) or b.rel_accuracy_bits() > 80


def plant(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tanh that is off by 1e-7, and no calibration that would see it."""
    row = functions.TABLE["tanh"]
    seen = demand("tanh")
    monkeypatch.setattr(reading, "demand", lambda name: seen)
    monkeypatch.setitem(functions.TABLE, "tanh", replace(row, numpy=lambda x: row.numpy(x) * (1 + 1e-7)))


def test_a_broken_word_is_not_relied_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what the node computed is right, and where it is off just so."""
    application, rule = applied("tanh", np.linspace(-3, 3, 5000))
    plant(monkeypatch)
    verdicts = check_node(application, rule, (False,), 0.0)
    for verdict in (verdicts.forward, *verdicts.contributions):
        assert verdict is not None
        assert verdict.word is ValueWord.UNCHECKED
        assert "op 'tanh'" in verdict.reason
        assert "by its definition" in verdict.reason
        assert " ± " in verdict.reason
        assert 64 <= verdict.checked == verdict.sampled < 5000
    off = replace(application, results=[application.results[0] * (1 + 1e-7)])
    forward = check_node(off, rule, (False,), 0.0).forward
    assert forward.word is ValueWord.OFF
    assert forward.element


def test_a_broken_word_leaves_a_small_node_to_arb(monkeypatch: pytest.MonkeyPatch) -> None:
    application, rule = applied("tanh", np.linspace(-3, 3, 300))
    plant(monkeypatch)
    verdicts = checked(application, rule)
    assert (verdicts.forward.word, verdicts.forward.checked) == (ValueWord.ENCLOSED, 300)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(60, 70), (10, 20)])
def test_a_broken_form_is_not_relied_on(shape: tuple[int, int]) -> None:
    application, rule = applied("softmax", drawn(shape, FLOAT64), seed=drawn(shape, FLOAT64, 1), axis=1)
    form = application.op.arrays

    def wrong(f: Any, x: Any, *, axis: int) -> Any:
        return form(f, x, axis=axis) * (1 + Fraction(1, 2**20))

    verdicts = check_node(replace(application, op=replace(application.op, arrays=wrong)), rule, (False,), 20.0)
    if application.size <= 2048:
        assert (verdicts.forward.word, verdicts.forward.checked) == (ValueWord.ENCLOSED, application.size)
        return
    for verdict in (verdicts.forward, *verdicts.contributions):
        assert verdict is not None
        assert verdict.word is ValueWord.UNCHECKED
        assert "op 'softmax': result" in verdict.reason
        assert " ± " in verdict.reason


@pytest.mark.parametrize(
    ("op", "shapes", "attributes", "expected"),
    [
        ("sum", [(1000, 30)], {}, 0),  # an element alone is too dear
        ("sum", [(100, 50)], {}, 1),
        ("matmul", [(60, 80), (80, 50)], {}, 12),  # 160 numbers each, of 2,000 and 4,800 / 64
        ("transpose", [(90, 60)], {"axes": (1, 0)}, 16),
        ("mean", [(3000, 2)], {"axis": (1,)}, 64),
    ],
)
def test_a_sample_is_counted_in_operations(op: str, shapes: Any, attributes: Any, expected: int) -> None:
    application, rule = applied(op, *(drawn(shape, FLOAT64, k) for k, shape in enumerate(shapes)), **attributes)
    forward = checked(application, rule).forward
    assert forward.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED)
    assert forward.sampled == expected
    assert forward.checked == forward.total == application.results[0].size


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16], ids=lambda t: t.__name__)
def test_what_is_near_is_fine(dtype: type) -> None:
    """The quick look at floats never says more than the full comparison, at every magnitude, and misses little."""
    random = np.random.default_rng(0)
    kind: DType = np.dtype(dtype)
    info = np.finfo(kind)
    count = 8192
    exponents = random.uniform(info.minexp - info.nmant, info.maxexp, count)
    mid = np.ldexp(random.uniform(0.5, 1, count) * random.choice((-1, 1), count), exponents.astype(int))
    with np.errstate(all="ignore"):
        got = (mid * (1 + random.choice((0, 1, 8, 100, 1e6), count) * random.normal(size=count) * info.eps)).astype(kind)
    got[:50], mid[:50] = 0, 0
    mid[40:45] = 2.0**-1000
    got[50:60] = np.nan
    rad = np.abs(mid) * np.where(random.uniform(size=count) < 0.5, 0, info.eps)
    mid[np.abs(mid) > float(info.max) / 8] = 1.0
    for ball in (
        BallArray(mid),
        BallArray(mid, rad),
        BallArray(mid, None, part=2.0**-50),
        BallArray(mid, rad, part=2.0**-50),
    ):
        seen = certainly_close(got.astype(np.float64), ball, kind)
        assert seen is not None
        near, ulps, top = seen
        far = distances(got.astype(np.float64), mid, np.array(ball.radius()), kind)
        assert not (near & ~far.close()).any()
        assert near.sum() > 0.9 * ((far.most <= 4 * far.step) & (np.abs(mid) > info.smallest_normal)).sum()
        assert near[top]
        normal = near & ~far.zero & (np.abs(mid) > info.smallest_normal)
        assert (far.most[normal] / far.step[normal]).max() <= ulps * (1 + 1e-6)
    mid[7] = np.inf
    assert certainly_close(got.astype(np.float64), BallArray(mid), kind) is None


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 7, 1000, 100_003])
def test_an_inner_product_is_enclosed(count: int) -> None:
    random = np.random.default_rng(count)
    a: Array = random.normal(size=count) * 10.0 ** random.uniform(-8, 8, count)
    b = _direction((count,), 0, 1)
    ball = _inner(BallArray(a), b)
    truth = sum((Fraction(x) * Fraction(y) for x, y in zip(a.tolist(), b.tolist(), strict=True)), Fraction(0))
    assert abs(Fraction(float(ball.mid)) - truth) <= Fraction(float(ball.radius()))
    assert (b != 0).all()
    assert (np.abs(b) <= 1).all()


def test_directions_of_any_size_are_of_their_own() -> None:
    large = _direction((1 << 20,), 1, 3)
    assert large.size == 1 << 20
    assert (large[:100] != _direction((100,), 0, 0)).any()
    np.testing.assert_array_equal(large[:100], _direction((10, 10), 1, 3).reshape(-1))


def test_a_condition_that_is_moved_is_vouched_for() -> None:
    """No rule runs for it, and none is asked."""
    x = drawn((90, 60), FLOAT64)
    graph_of("where", x[:1] > 0, x, x)
    verdict = judge(REGISTRY, "where", x[:1] > 0, x, x * 2)["x1"]
    assert verdict.summary is SummaryWord.VERIFIED, verdict.reason
