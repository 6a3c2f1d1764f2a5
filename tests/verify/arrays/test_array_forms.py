"""Forms for whole arrays of every op with one: read in balls they contain what the definition gives in Arb, their
derivatives what the tape gives, and the rules read through them the true contributions. A form that is another function
than the definition is refuted."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flint import arb
from tests.support.array_form_cases import FORMS, LARGER, REGISTRY, applications, is_moving, results_of
from tests.support.rule_proofs import known

from gradproof.engine.cases import Case
from gradproof.engine.extend import InferenceError, Inferred, Op, hookimpl, ops
from gradproof.engine.precision import precision
from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.spec import Array, Spec
from gradproof.engine.verify.arrays import UNIT, Arrays, BallArray, Dual, NoArrays, entered, exact, read_op, read_program
from gradproof.engine.verify.numbers import Application, true_contributions, true_outputs
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.proof_cache import ProofKey
from gradproof.engine.verify.proof_cache.fingerprint import fingerprint
from gradproof.engine.verify.verdict import RuleWord
from gradproof.plugins import BUILTIN

WITHOUT = {"solve", "inv", "det", "cofactors", "cholesky", "complex"}  # equations, and complex numbers


def contains(ball: BallArray, truths: Sequence[arb], loose: float = 2.0**-36) -> None:
    """Each ball contains the true number, and is narrow."""
    ball = Arrays().as_number(ball)
    with precision(300):
        for mid, rad, truth in zip(ball.mid.flat, ball.radius().flat, truths, strict=True):
            away = abs(arb(float(mid)) - truth)
            assert away <= arb(float(rad)) + abs(truth) * arb(2) ** -70, (mid, rad, truth)
            assert rad <= loose * max(abs(mid), 1)


def test_every_op_that_is_not_elementwise_has_a_form() -> None:
    names = {op.name for op in REGISTRY.ops.values() if not (op.elementwise or op.composite)} - WITHOUT
    assert names <= set(FORMS), f"add `arrays`, the form for whole arrays, to {sorted(names - set(FORMS))}"
    assert names <= set(LARGER), f"add a row to LARGER for {sorted(names - set(LARGER))}"
    assert set(FORMS) == names == set(LARGER)


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_a_form_contains_what_the_definition_gives(name: str) -> None:
    op = REGISTRY.op(name)
    for _, inference, inputs in applications(name):
        results = results_of(op, inputs, inference)
        outputs = read_op(op, Arrays(), [entered(x) for x in inputs], inference.attributes, inference.outputs)
        assert [y.shape for y in outputs] == [spec.shape for spec in inference.outputs]
        claimed = [x if is_moving(x) and op.rule else None for x in inputs]
        application = Application(op, inference.attributes, inputs, inference.outputs, results, [], claimed)
        for ball, truths in zip(outputs, true_outputs(application)[0], strict=True):
            contains(Arrays().as_number(ball), truths)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in FORMS if REGISTRY.op(name).rule])
def test_a_rule_read_through_forms_contains_the_true_contributions(name: str) -> None:
    op, rng = REGISTRY.op(name), np.random.default_rng(4)
    for declared, inference, inputs in applications(name):
        results = results_of(op, inputs, inference)
        g = [rng.standard_normal(y.shape) for y in results]
        claimed = [x if is_moving(x) else None for x in inputs]
        truth = true_contributions(Application(op, inference.attributes, inputs, inference.outputs, results, g, claimed))
        operands = [entered(x) for x in inputs]
        outputs = read_op(op, Arrays(), operands, inference.attributes, inference.outputs)
        rule = REGISTRY.rule_of(op, declared)
        balls = read_program(rule, [*map(entered, g), *outputs, *operands], Arrays())
        for ball, truths in zip(balls, truth.balls, strict=True):
            if truths:
                assert ball is not None
                contains(ball, truths, 2.0**-30)
        _moving(op, inference, inputs, g, truth.balls, rng)


def _moving(
    op: Op,
    inference: Inferred,
    inputs: Sequence[Array],
    g: Sequence[Array],
    truth: Sequence[Sequence[arb]],
    rng: np.random.Generator,
) -> None:
    """The form, moving along a random direction, moves as <contributions, direction> says."""
    along = [rng.integers(-8, 8, x.shape) / 8 for x in inputs]
    duals = [Dual(exact(x), {0: exact(v)}) if is_moving(x) else entered(x) for x, v in zip(inputs, along, strict=True)]
    outputs = read_op(op, Arrays(), duals, inference.attributes, inference.outputs)
    with precision(300):
        expected = sum(
            (c * float(v) for row, vs in zip(truth, along, strict=True) if row for c, v in zip(row, vs.flat, strict=True)),
            arb(0),
        )
        got, rad = arb(0), 0.0
        for y, weights in zip(outputs, g, strict=True):
            tangent = y.tangents[0]
            for mid, wide, w in zip(tangent.mid.flat, tangent.radius().flat, weights.flat, strict=True):
                got += arb(float(mid)) * float(w)
                rad += abs(float(w)) * float(wide)
        assert abs(got - expected) <= rad * (1 + 1e-9) + abs(expected) * arb(2) ** -70
        assert rad <= 1e-9 * max(1.0, sum(float(np.abs(w).sum()) for w in g))


@pytest.mark.sweep(of=3)
@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_the_form_is_proved_with_the_rule(name: str) -> None:
    op = REGISTRY.op(name)
    if op.rule is None:
        pytest.skip("no rule, no proof: its numbers are compared above")
    for declared in op.proof_cases():
        verdict = known(ProofKey(name, declared))
        assert verdict.arrays, (declared, verdict.obligations)
        assert any("is the definition" in line for line in verdict.obligations)


# what keeps digits


def test_forms_keep_digits_where_their_formula_could_lose_them() -> None:
    for name, x, attributes in (
        ("var", 1e8 + np.random.default_rng(5).standard_normal((4, 50)), {"axis": 1}),
        ("log_softmax", np.array([[0.0, -30, -40], [500, 460, 1]]), {"axis": 1}),
        ("logsumexp", np.array([[0.0, -30, -40], [700, 0, 1]]), {"axis": 1}),
        ("softmax", np.array([[0.0, -300, -40], [1e3, 0, 1]]), {"axis": 1}),
    ):
        op = REGISTRY.op(name)
        inference = op.inference([Spec(x.shape, x.dtype)], attributes)
        [ball] = read_op(op, Arrays(), [exact(x)], inference.attributes, inference.outputs)
        application = Application(
            op, inference.attributes, [x], inference.outputs, results_of(op, [x], inference), [], [None]
        )
        contains(ball, true_outputs(application)[0][0])
        shown = ball.mid != 0
        assert (ball.radius()[shown] <= 2e3 * UNIT * np.abs(ball.mid[shown])).all(), name


@pytest.mark.parametrize("shift", [0.0, -1000.0, 1000.0])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_a_mask_of_infinities_takes_nothing_from_the_others(name: str, shift: float) -> None:
    x = np.random.default_rng(6).standard_normal((5, 8)) + shift
    masked = x.copy()
    masked[:, 5:] = -np.inf
    op = REGISTRY.op(name)
    inference = op.inference([Spec(x.shape, x.dtype)], {"axis": 1})
    [ball] = read_op(op, Arrays(), [exact(masked)], inference.attributes, inference.outputs)
    small = op.inference([Spec((5, 5), x.dtype)], {"axis": 1})
    results = results_of(op, [x[:, :5]], small)
    application = Application(op, small.attributes, [x[:, :5]], small.outputs, results, [], [None])
    contains(ball if name == "logsumexp" else ball[:, :5], true_outputs(application)[0][0])
    if name == "softmax":
        assert (ball.mid[:, 5:] == 0).all()
        assert (ball.radius()[:, 5:] < 1e-300).all()
    moving = Dual(exact(masked), {0: exact(np.ones((5, 8)))})
    [along] = read_op(op, Arrays(), [moving], inference.attributes, inference.outputs)
    tangent = along.tangents[0] if name == "logsumexp" else along.tangents[0][:, :5]
    assert (np.abs(tangent.mid - (name == "logsumexp")) <= tangent.radius()).all()
    assert (tangent.radius() < 1e-12).all()


def test_conditions_and_integers_move_too() -> None:
    mask = np.array([[True, False], [False, False]])
    f = Arrays()
    for name, attributes, expected in (
        ("transpose", {}, mask.T),
        ("broadcast_to", {"shape": (3, 2, 2)}, np.broadcast_to(mask, (3, 2, 2))),
        ("unslice", {"shape": (3, 3), "start": (1, 0), "step": (1, 1)}, np.pad(mask, ((1, 0), (0, 1)))),
        ("triu", {"k": 1}, np.triu(mask, 1)),
        ("concat", {"axis": 0}, mask),
    ):
        op = REGISTRY.op(name)
        inference = op.inference([Spec(mask.shape, mask.dtype)], attributes)
        [outputs] = read_op(op, f, [entered(mask)], inference.attributes, inference.outputs)
        assert (outputs.true == expected).all(), name
        assert (outputs.false == ~expected).all(), name
    op = REGISTRY.op("astype")
    for dtype in ("float64", "float32"):
        [outputs] = read_op(op, f, [entered(mask)], {"dtype": dtype}, [Spec(mask.shape, np.dtype(dtype))])
        assert (outputs.mid == mask).all()
    with pytest.raises(NoArrays, match="has no definition"):
        read_op(op, f, [exact(np.ones(3))], {"dtype": "int64"}, [Spec((3,), np.dtype(np.int64))])


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "float32"])
def test_integers_in_other_dtypes(dtype: str) -> None:
    op = REGISTRY.op("astype")
    for x in (np.array([0, 1, 5, 127]), np.array([0, 300, -200, 5]), np.array([True, False])):
        inference = op.inference([Spec(x.shape, x.dtype)], {"dtype": dtype})
        result = op.forward(x, **inference.attributes)
        application = Application(op, inference.attributes, [x], inference.outputs, [result], [], [None])
        [truth] = true_outputs(application)[0]
        assert [float(y) for y in truth] == result.astype(float).tolist()
        if 300 in x and dtype.endswith("int8"):
            with pytest.raises(NoArrays, match=r"an integer that u?int8 does not hold"):
                read_op(op, Arrays(), [entered(x)], inference.attributes, inference.outputs)
            continue
        [outputs] = read_op(op, Arrays(), [entered(x)], inference.attributes, inference.outputs)
        assert (Arrays().as_number(outputs).mid == result).all()


def test_extremes_of_balls_that_overlap() -> None:
    f = Arrays()
    x = BallArray(np.array([[1.0, 1.0 + 1e-9, 0.0], [3, 1, 2]]), np.full((2, 3), 1e-8))
    ball = f.largest(x, 1)
    assert ((ball.mid - ball.radius() <= [1 - 1e-8 + 1e-9, 3 - 1e-8]) & (ball.mid + ball.radius() >= [1 + 1.1e-8, 3])).all()
    moving = f.largest(Dual(x, {0: exact(np.arange(6.0).reshape(2, 3))}), 1)
    assert np.isnan(moving.tangents[0].mid).tolist() == [True, False]
    assert moving.tangents[0].mid[1] == 3
    places = f.place_of_largest(x, 1)
    assert np.isnan(places.mid[0])
    assert places.mid[1] == 0
    order = f.order(x, 1)
    assert np.isnan(order.mid[0, 1:]).all()
    assert order.mid[0, 0] == 2
    assert order.mid[1].tolist() == [1, 2, 0]


def test_ties_of_the_largest_are_collected_and_lean() -> None:
    x = Dual(exact(np.array([[1.0, 1, 0], [2, 1, 0]])), {0: exact(np.array([[1.0, 5, 9], [2, 3, 4]]))})
    f = Arrays()
    assert np.isnan(f.largest(x, 1).tangents[0].mid).tolist() == [True, False]
    assert f.tied.tolist() == [True, False]
    assert Arrays([1.0]).largest(x, 1).tangents[0].mid.tolist() == [5, 2]
    assert Arrays([-1.0]).largest(x, 1).tangents[0].mid.tolist() == [1, 2]
    assert Arrays([1.0]).smallest(x, 1).tangents[0].mid.tolist() == [9, 4]


EMPTY: tuple[tuple[str, tuple[Array, ...], dict[str, Any]], ...] = (
    *((name, (np.zeros(shape),), {"axis": axis})
      for name in ("sum", "mean", "prod", "logsumexp", "var", "max", "argmin", "softmax", "log_softmax", "cumsum",
                   "cumprod", "argsort", "flip", "std", "euclidean_norm", "any", "all", "count_nonzero", "argcummax",
                   "logcumsumexp")
      for shape in ((0,), (0, 3), (3, 0), (2, 0, 3)) for axis in (0, -1)),
    *((name, (np.zeros((2, 3)),), {"axis": ()}) for name in ("sum", "prod", "max", "logsumexp", "var")),
    *((name, (np.zeros(()),), {}) for name in ("sum", "prod", "max", "logsumexp", "var", "argmax", "transpose")),
    *(("recurrence", (np.zeros(shape), np.zeros(shape)), {"axis": 0}) for shape in ((0,), (0, 3), (3, 0))),
    *(("searchsorted", (np.zeros(n), np.zeros(shape)), {}) for n, shape in ((0, (2,)), (3, (0, 2)), (2, ()))),
    *(("matmul", (np.zeros(a), np.zeros(b)), {}) for a, b in (((0, 3), (3, 2)), ((2, 0), (0, 2)), ((0,), (0,)))),
    ("index_add", (np.zeros((3, 2)), np.zeros(0, int), np.zeros((0, 2))), {"axis": 0}),
    ("add_along_axis", (np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros((0, 3))), {"axis": 0}),
    ("take", (np.zeros((3, 2)), np.zeros((0, 4), int)), {"axis": 1}),
    ("slice_scatter", (np.zeros(()), np.zeros(())), {"start": (), "stop": ()}),
    ("index_copy", (np.zeros((3, 2)), np.zeros(0, int), np.zeros((0, 2))), {"axis": 0}),
    ("put_along_axis", (np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros((0, 3))), {"axis": 0}),
    ("unfold", (np.zeros((0, 3)),), {"axis": 1, "size": 2}),
    ("overlap_add", (np.zeros((0, 3, 2)),), {"axis": 1, "length": 4}),
    ("unslice", (np.zeros(0),), {"shape": (4,), "start": (0,), "step": (1,)}),
    ("broadcast_to", (np.zeros((0, 1)),), {"shape": (2, 0, 3)}),
)  # fmt: skip


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize(("name", "inputs", "attributes"), EMPTY)
def test_arrays_without_elements_have_the_right_shapes(
    name: str, inputs: tuple[Array, ...], attributes: dict[str, Any]
) -> None:
    op = REGISTRY.op(name)
    try:
        inference = op.inference([Spec(x.shape, x.dtype) for x in inputs], attributes)
    except InferenceError:
        assert name in ("max", "argmin")
        return
    rule = None
    if op.rule is not None:
        rule = REGISTRY.rule_of(op, Case(tuple(x if x.dtype.kind == "i" else x.shape for x in inputs), attributes))
    for f in (Arrays(), Arrays(model=True), Arrays(running=True)):
        outputs = read_op(op, f, [entered(x) for x in inputs], inference.attributes, inference.outputs)
        assert [y.shape for y in outputs] == [spec.shape for spec in inference.outputs]
        if rule is not None:
            g = [BallArray(np.zeros(spec.shape)) for spec in inference.outputs]
            for x, case in zip(inputs, read_program(rule, [*g, *outputs, *map(entered, inputs)], f), strict=True):
                assert case is None or case.shape == x.shape


# what an evaluation may give


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("name", ["sum", "mean", "var", "softmax", "log_softmax", "matmul", "cumsum", "prod", "logsumexp"])
def test_a_program_is_charged_the_rounding_of_its_dtypes(name: str, dtype: Any) -> None:
    op, rng = REGISTRY.op(name), np.random.default_rng(7)
    shapes = ((6, 20), (20, 5)) if name == "matmul" else ((6, 20),)
    attributes = {} if name == "matmul" else {"axis": 1}
    case = Case(shapes, attributes, np.dtype(dtype))
    inference = op.inference(case.specs(), case.attributes)
    inputs = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    results = results_of(op, inputs, inference)
    g = [rng.standard_normal(y.shape).astype(dtype) for y in results]
    rule = REGISTRY.rule_of(op, case)
    values = [*g, *results, *inputs]
    outputs = _run(rule, values)
    for f in (Arrays(model=True), Arrays(running=True)):
        balls = read_program(rule, [entered(x) for x in values], f)
        exactly = read_program(rule, [entered(x) for x in values], Arrays())
        for got, ball, truth in zip(outputs, balls, exactly, strict=True):
            assert (np.abs(got.astype(float) - ball.mid) <= ball.radius()).all()
            assert (np.abs(truth.mid - ball.mid) <= ball.radius() + truth.radius()).all()


def _run(program: Any, inputs: Sequence[Array]) -> list[Array]:
    from gradproof.engine.verify.proof.float_checks import run_program

    return [x for x in run_program(program, inputs) if x is not None]


# forms that are wrong


def with_form(name: str, form: Callable[..., Any]) -> tuple[Registry, Op]:
    op = replace(REGISTRY.op(name), arrays=form)
    return REGISTRY, op


WRONG: tuple[tuple[str, Callable[..., Any]], ...] = (
    ("sum", lambda f, x, *, axis, keepdims: -f.total(x, axis, keepdims)),
    ("mean", lambda f, x, *, axis, keepdims: f.total(x, axis, keepdims) / (math.prod(x.shape[k] for k in axis) + 1)),
    ("softmax", lambda f, x, *, axis: f.exp(x - f.anchor(x, axis))),
    ("softmax", lambda f, x, *, axis: f.exp(x) / f.total(f.exp(x - f.anchor(x, axis)), axis, keepdims=True)),
    (
        "log_softmax",
        lambda f, x, *, axis: x - f.one_of(x, axis)[1] - f.log(f.total(f.exp(x - f.anchor(x, axis)), axis, True)),
    ),
    ("matmul", lambda f, a, b: f.matmul(a, b) * 1.0005),
    ("triu", lambda f, x, *, k: f.moved(np.tril, x, k=k)),
    ("cumsum", lambda f, x, *, axis: f.moved(np.flip, f.running_total(f.moved(np.flip, x, axis=axis), axis), axis=axis)),
    ("take", lambda f, x, indices, *, axis: f.moved(np.take, x, indices=0 * f.places(indices), axis=axis)),
    ("index_add", lambda f, x, indices, updates, *, axis: x),
    ("flip", lambda f, x, *, axis: x),
    ("max", lambda f, x, *, axis, keepdims: f.smallest(x, axis, keepdims)),
    ("var", lambda f, x, *, axis, correction, keepdims: f.total((x - f.anchor(x, axis, near="mean")) * x, axis, keepdims)),
)


@pytest.mark.sweep(of=4)
@pytest.mark.slow
@pytest.mark.parametrize(("name", "form"), WRONG)
def test_a_wrong_form_is_refuted(name: str, form: Callable[..., Any]) -> None:
    registry, op = with_form(name, form)
    words = [prove(registry, op, verdict) for verdict in op.proof_cases()]
    refuted = [verdict for verdict in words if verdict.word is RuleWord.REFUTED]
    assert refuted
    assert all(verdict.reason == "the form for whole arrays is not the definition" for verdict in refuted)
    assert all(verdict.element and verdict.point and verdict.got != verdict.expected for verdict in refuted)
    assert not any(verdict.arrays for verdict in refuted)


def test_a_form_that_is_wrong_at_an_anchor_only_may_not_be_used() -> None:
    """At two random points a factor that is 1 there would pass: with symbols it does not."""

    def form(f: Any, x: Any, *, axis: Any, keepdims: bool) -> Any:
        anchor = f.anchor(x, axis)
        bump = f.where(f.less(1000, anchor), 1, 0)
        return f.total(x + bump, axis, keepdims)

    _, op = with_form("sum", form)
    verdict = prove(REGISTRY, op, op.cases[0])
    assert verdict.word is RuleWord.PROVED
    assert not verdict.arrays
    assert any("may not be used: no tactic shows" in line for line in verdict.obligations)


def test_a_form_that_breaks_may_not_be_used() -> None:
    def broken(f: Any, x: Any, **attributes: Any) -> Any:
        raise SystemExit(3)

    for form, why in (
        (broken, "it raised SystemExit: 3"),
        (lambda f, x, *, axis, keepdims: f.mystery(x), "mystery is not read in arrays"),
        (lambda f, x, *, axis, keepdims: x, "it gives shape"),
        (lambda f, x, *, axis, keepdims: f.total(x, axis) if x[0, 0] else x, "use f.where"),
        (lambda f, x, *, axis, keepdims: (f.total(x), f.total(x)), "it gives 2 arrays, and the op has 1 outputs"),
    ):
        _, op = with_form("sum", form)
        verdict = prove(REGISTRY, op, op.cases[1])
        assert verdict.word is RuleWord.PROVED, verdict
        assert not verdict.arrays
        assert any(why in line for line in verdict.obligations), verdict.obligations


def test_a_rule_that_holds_an_op_without_a_form_is_not_read_through_forms() -> None:
    op = replace(
        REGISTRY.op("flip"),
        name="formless.flip",
        rule=lambda g, y, x, *, axis: ops.formless.turn(g, axis=axis),
    )
    turn = replace(REGISTRY.op("flip"), name="formless.turn", arrays=None)

    class Plugin:
        GRADPROOF_API = 1
        GRADPROOF_NAME = "formless"

        @hookimpl
        def register_ops(self, register: Callable[[Op], None]) -> None:
            register(turn)
            register(op)

    verdict = prove(build_registry(BUILTIN, others=[Plugin()]), op, op.cases[0])
    assert verdict.word is RuleWord.PROVED
    assert not verdict.arrays
    assert "the form for whole arrays is the definition: structural" in verdict.obligations
    assert any("'formless.turn' has none" in line for line in verdict.obligations)


def test_a_changed_form_changes_the_digest() -> None:
    op = REGISTRY.op("sum")
    other = replace(op, arrays=lambda f, x, *, axis, keepdims: f.total(x, axis, keepdims) + 0)
    assert fingerprint([op]) != fingerprint([other])
    assert fingerprint([op]) == fingerprint([replace(op)])
