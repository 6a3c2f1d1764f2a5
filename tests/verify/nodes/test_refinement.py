"""Elements that are read once more: by Arb through forms, with what each is made of; and floats next to 0."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
from flint import arb
from tests.support.applications import applied, changed, checked, drawn, verdict_on
from tests.support.array_form_cases import FORMS, REGISTRY, applications, is_moving, results_of

from gradproof.engine.precision import precision
from gradproof.engine.rules import prune
from gradproof.engine.spec import Array
from gradproof.engine.verify.arrays import Arrays, BallArray, exact, finely
from gradproof.engine.verify.arrays.products import product_of
from gradproof.engine.verify.nodes.refinement import Refiner, around
from gradproof.engine.verify.numbers import Application, true_contributions, true_outputs
from gradproof.engine.verify.verdict import ValueWord

FLOAT64 = np.dtype(np.float64)


def sharp(ball: BallArray, at: Array, truths: Any) -> None:
    """The elements at flat places are known to the last bit, and no others."""
    with precision(400):
        for place in range(ball.size):
            mid, rad = ball.mid.flat[place], ball.radius().flat[place]
            if place not in at:
                assert np.isnan(mid)
                continue
            assert abs(arb(float(mid)) - truths[place]) <= arb(float(rad)) + abs(truths[place]) * arb(2) ** -70
            assert rad <= math.ulp(mid), (place, mid, rad)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_single_elements_are_those_of_the_definition(name: str) -> None:
    op, rng = REGISTRY.op(name), np.random.default_rng(8)
    for case, balls, inputs in applications(name):
        results = results_of(op, inputs, balls)
        g = [rng.standard_normal(y.shape) for y in results]
        claimed = [x if is_moving(x) and op.rule else None for x in inputs]
        application = Application(op, balls.attributes, inputs, balls.outputs, results, g, claimed)
        refining = Refiner(application, [inputs], math.inf)
        for k, truths in enumerate(true_outputs(application)[0]):
            at = np.unique(rng.integers(0, len(truths), 5))
            sharp(refining.result(k, at), at, truths)
        if op.rule is None:
            continue
        rule = REGISTRY.rule_of(op, case)
        for k, truths in enumerate(true_contributions(application).balls):
            if truths and rule.outputs[k] is not None:
                at = np.unique(rng.integers(0, len(truths), 5))
                program = prune(rule, [j == k for j in range(len(inputs))])
                sharp(refining.contribution(program, at), at, truths)


@pytest.mark.slow
def test_an_element_costs_what_it_is_made_of() -> None:
    x = drawn((1000, 1000), FLOAT64)
    application, rule = applied("softmax", x, seed=drawn(x.shape, FLOAT64, 1), axis=1)
    refining = Refiner(application, [application.inputs], time.monotonic() + 60)
    at = np.array([141_127])
    ball = refining.contribution(rule, at)
    assert np.isfinite(ball.mid).sum() == 1
    assert refining._ticks < 5_000  # of a million elements


def test_where_the_time_is_over_nothing_is_known() -> None:
    application, rule = applied("softmax", drawn((40, 4000), FLOAT64), axis=1)
    ball = Refiner(application, [application.inputs], time.monotonic() - 1).contribution(rule, np.arange(10))
    assert np.isnan(ball.mid).all()


@pytest.mark.slow
def test_a_contribution_that_cancels_is_known_to_its_digits() -> None:
    """Of a softmax with a single unmasked element in a line the balls of float64 know the slope to few digits."""
    x = drawn((300, 300), FLOAT64) * 3
    x[:, 7] += 25
    application, rule = applied("softmax", x, seed=drawn(x.shape, FLOAT64, 1), axis=1)
    verdict = checked(application, rule).contributions[0]
    assert verdict is not None
    assert verdict.word in (ValueWord.ENCLOSED, ValueWord.CONDITIONED), verdict
    assert verdict.checked == x.size


@pytest.mark.parametrize("x", ["0", "1/3", "1e-320", "-5e-324", "1e-400", "2**-1074 / 3"])
def test_the_float_around_a_ball_contains_it(x: str) -> None:
    with precision(3000):
        ball = {"1/3": arb(1) / 3, "2**-1074 / 3": arb(2) ** -1074 / 3}.get(x)
        ball = arb(x) if ball is None else ball
        mid, rad = around(ball)
        assert abs(arb(mid) - ball) <= arb(rad)
        assert rad <= math.ulp(mid)


# next to 0


def test_what_is_exactly_0_stays_so() -> None:
    f, tiny = Arrays(), exact(np.array([1e-200, 1e-200, 0.0, 3.0]))
    zero = BallArray(np.array([0.0, 1e-200, 1e-300, 0.0]))
    rough = f.exp(tiny) * 1e-160
    for x in (
        zero * tiny,
        zero * rough,
        rough * zero,
        (zero * tiny) / 3,
        -(zero * tiny) + zero * tiny,
        f.where(True, zero, 1),
    ):
        rad = x.radius()
        assert x.mid[0] == rad[0] == 0
        assert x.mid[3] == rad[3] == 0
    assert (zero * tiny).radius()[1] > 0  # 1e-400
    for name in ("sin", "tanh", "expm1", "erf", "asinh"):
        ball = getattr(f, name)(exact(np.array([0.0, 1e-320, 1.0])))
        assert ball.mid[0] == ball.radius()[0] == 0
        assert ball.radius()[1] > 0
    assert f.exp(exact(np.array([-800.0, 1.0]))).radius()[0] > 0


def test_a_product_is_exactly_0_where_each_term_is() -> None:
    rng = np.random.default_rng(0)
    for share in (0.02, 0.5, 0.95):
        a, b = rng.normal(size=(3, 40, 60)), rng.normal(size=(60, 30))
        a[rng.random(a.shape) < share] = 0
        b[rng.random(b.shape) < share] = 0
        apart = ((a != 0).astype(int) @ (b != 0).astype(int)) == 0
        wide = BallArray(a, np.where(a == 0, 0.0, 1e-12))
        for ball in (product_of(exact(a), exact(b)), product_of(wide, exact(b))):
            assert (ball.mid[apart] == 0).all()
            assert (ball.radius()[apart] == 0).all()
            assert (ball.radius()[~apart] > 0).all()
    known = BallArray(np.array([[0.0, 1.0]]), np.array([[1e-3, 0.0]]))
    assert product_of(known, exact(np.array([[1.0], [0.0]]))).radius() > 0
    assert np.isnan(product_of(exact(np.array([[np.nan, 0.0]])), exact(np.array([[0.0], [1.0]]))).mid).all()


@pytest.mark.slow
@pytest.mark.parametrize("value", [1e-260, 1e-280, 1e-300, 1e-307, 1e-310, 1e-320])
@pytest.mark.parametrize("op", ["multiply", "exp", "matmul", "softmax", "sum", "cumsum"])
def test_a_number_that_was_flushed_to_0_is_wrong(op: str, value: float) -> None:
    """In arrays of other numbers, forward and backward."""
    x, attributes = drawn((60, 50), FLOAT64), dict[str, Any]()
    seed = drawn((60, 50), FLOAT64, 1)
    place = 7 * 50 + 3
    if op == "multiply":
        y = drawn((60, 50), FLOAT64, 2)
        x.flat[place], y.flat[place], seed.flat[place] = value * 2.0**30, 2.0**-30, 1.0
        arrays: tuple[Any, ...] = (x, y)
    elif op == "exp":
        x.flat[place], arrays = math.log(value), (x,)
    elif op == "matmul":
        x[7], y = 0.0, drawn((50, 50), FLOAT64, 2)
        x[7, 3], y[3, 3] = value * 2.0**30, 2.0**-30
        arrays = (x, y)
    elif op == "softmax":
        x.flat[place], attributes, arrays = math.log(value), {"axis": 1}, (x,)
    else:
        x[7], attributes, arrays = 0.0, {"axis": 1}, (x,)
        x.flat[place], place = value, place if op == "cumsum" else 7
        seed = seed if op == "cumsum" else seed[:, 0]
    application, rule = applied(op, *arrays, seed=seed, **attributes)
    right = checked(application, rule)
    assert right.forward.word is not ValueWord.OFF
    assert right.forward.checked == right.forward.total
    for which in (0, 1):
        if which and op not in ("multiply", "exp", "softmax"):
            continue
        array = [*application.results, *(c for c in application.contributions if c is not None)][which]
        if which and not 0 < abs(array.flat[place]) < 1e-250:
            continue
        size = abs(array.flat[place])
        if size < 64 * 2.0**-1074:  # which is as good as 0
            continue
        bad, where = changed(application, which, place, 0.0)
        off = verdict_on(checked(bad, rule), bad, which)
        assert off.word in ((ValueWord.OFF,) if size > 1e-318 else (ValueWord.OFF, ValueWord.ILL_CONDITIONED)), (which, off)
        assert off.element == where


@pytest.mark.parametrize("op", ["multiply", "softmax"])
def test_less_than_the_smallest_number_is_0(op: str) -> None:
    x = drawn((60, 50), FLOAT64)
    x[:, :20] = 1e-200 if op == "multiply" else -800.0
    application, rule = applied("multiply", x, x) if op == "multiply" else applied("softmax", x, axis=1)
    verdicts = checked(application, rule)
    assert (verdicts.forward.word, verdicts.forward.checked) == (ValueWord.ENCLOSED, x.size)
    assert verdicts.forward.sampled < 200


def test_denormal_numbers_are_enclosed_finely() -> None:
    x = np.linspace(-746, -700, 500)
    with finely():
        ball = Arrays().exp(exact(x)).fixed()
    with precision(200):
        for x_, mid, rad in zip(x, ball.mid, ball.radius(), strict=True):
            assert abs(arb(x_).exp() - arb(mid)) <= arb(rad)
            assert rad <= max(mid * 2.0**-48, 20 * 2.0**-1074)


# infinities of both inputs


@pytest.mark.parametrize("size", [40, 4000])
@pytest.mark.parametrize("op", ["logaddexp", "maximum", "hypot"])
def test_two_infinities_at_once_have_no_limit(op: str, size: int) -> None:
    """It depends on which is larger: 0 or 1, and neither makes a nan wrong."""
    x, y = drawn((size,), FLOAT64), drawn((size,), FLOAT64, 1)
    x[5:10] = y[5:10] = -np.inf if op == "logaddexp" else np.inf
    application, rule = applied(op, x, y)
    for verdict in checked(application, rule).contributions:
        assert verdict is not None
        assert verdict.word is ValueWord.NONFINITE, verdict


def test_a_zero_that_is_crossed_verifies_half_of_the_digits_and_a_bad_formula_does_not() -> None:
    """gelu' has a root; the root of 1 - x² is an end, next to which (1 - x)(1 + x) keeps the digits."""
    x = drawn((20_000,), FLOAT64)
    x[:50] = -0.7517915246935645 * (1 + np.linspace(-1e-5, 1e-5, 50))
    for part in (slice(None), slice(0, 60)):
        application, rule = applied("gelu", x[part])
        verdict = checked(application, rule).contributions[0]
        assert verdict is not None
        assert (verdict.word, verdict.checked) == (ValueWord.CONDITIONED, x[part].size), verdict
        assert "next to a zero" in verdict.reason
    application, rule = applied("acos", 1 - np.geomspace(1e-12, 1e-3, 60))
    bad = 1 / np.sqrt(1 - application.inputs[0] * application.inputs[0])
    for k in (0, 5, 10):
        worse, where = changed(application, 1, k, -float(bad[k]))
        verdict = checked(worse, rule).contributions[0]
        assert verdict is not None
        assert verdict.word in (ValueWord.ILL_CONDITIONED, ValueWord.OFF), verdict
        assert verdict.element == where


def test_next_to_a_zero_less_than_half_of_the_digits_verify_nothing() -> None:
    application, rule = applied("gelu", np.full(40, -0.7517915246935645) * (1 + np.linspace(-1e-12, 1e-12, 40)))
    verdict = checked(application, rule).contributions[0]
    assert verdict is not None
    assert verdict.word is ValueWord.ILL_CONDITIONED
    assert "another formula" not in verdict.reason
