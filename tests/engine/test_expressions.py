"""Ops from SymPy expressions: against mpmath, proved, and pasted."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest
import sympy

from gradproof.engine.extend import Op
from gradproof.testing import OpFault, check_op, lost_digits, run_rule

X, A, B = sympy.symbols("x a b")
P = sympy.Symbol("p", positive=True)
EXPRESSIONS: dict[str, tuple[Any, list[Any]]] = {
    "logistic_map": (A * X * (1 - X), [A, X]),
    "logistic": (1 / (1 + sympy.exp(-X)), [X]),
    "swish": (X / (1 + sympy.exp(-B * X)), [X, B]),
    "softplus": (sympy.log(1 + sympy.exp(X)), [X]),
    "tanh": (sympy.tanh(X), [X]),
    "gauss": (sympy.exp(-(X**2) / 2) / sympy.sqrt(2 * sympy.pi), [X]),
    "gelu": (X * (1 + sympy.erf(X / sympy.sqrt(2))) / 2, [X]),
    "expm1": (sympy.exp(X) - 1, [X]),
    "rosenbrock": ((1 - X) ** 2 + 100 * (A - X**2) ** 2, [X, A]),
    "entropy": (-P * sympy.log(P), [P]),
    "hill": (P**3 / (P**3 + A**3), [P, A]),
    "bump": (sympy.exp(X) * X / (1 + sympy.exp(X)) ** 3, [X]),
    "pieces": (sympy.Piecewise((X**2, X < 1), (2 * X - 1, True)), [X]),
    "larger": (sympy.Max(X, A) * sympy.sin(X), [X, A]),
    "angle": (sympy.atan2(X, A), [X, A]),
    "log_gamma": (sympy.loggamma(P), [P]),
    "thirds": (X**3 / 3 + sympy.Float("0.1") * X, [X]),
}
POINTS = (-2.75, -0.8125, 0.4375, 3.25)


def made(name: str, **more: Any) -> Op:
    expression, inputs = EXPRESSIONS[name]
    return Op.from_sympy(f"formula.{name}", expression, inputs=inputs, doc=name, **more)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_forward_and_rule_are_mpmath_s(name: str) -> None:
    expression, inputs = EXPRESSIONS[name]
    op = made(name)
    f = sympy.lambdify(inputs, expression, "mpmath")
    for k, point in enumerate(POINTS):
        values = [point, *np.roll(POINTS, k + 1)][: len(inputs)]
        values = [abs(v) if s.is_positive else v for v, s in zip(values, inputs, strict=True)]
        results, cotangents = run_rule(op, *values, g=1.5)
        with mpmath.workdps(40):
            exact = [mpmath.mpf(v) for v in values]
            assert float(results[0]) == pytest.approx(float(f(*exact)), rel=1e-13, abs=1e-15)
            for j, cotangent in enumerate(cotangents):
                order = tuple(int(i == j) for i in range(len(inputs)))
                true = float(1.5 * mpmath.diff(f, tuple(exact), order))
                assert cotangent is not None
                assert float(cotangent) == pytest.approx(true, rel=1e-12, abs=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in EXPRESSIONS if name != "bump"])
def test_it_passes_all_checks(name: str) -> None:
    report = check_op(made(name))
    assert report.proved, str(report)


def test_what_is_printed_is_the_op_when_it_is_pasted() -> None:
    for name in EXPRESSIONS:
        space: dict[str, Any] = {}
        exec(made(name).source, space)
        pasted = space[name.upper()]
        assert pasted.name == f"formula.{name}"
        expected, got = (run_rule(op, *[0.75] * len(EXPRESSIONS[name][1])) for op in (made(name), pasted))
        np.testing.assert_array_equal(expected[0], got[0])
        np.testing.assert_array_equal(expected[1], got[1])


def test_the_rule_reads_as_a_person_would_write_it() -> None:
    assert made("logistic").source == (
        "from gradproof.engine.extend import Op, ops\n"
        "from scipy import special\n\n\n"
        "def forward(x):\n    return special.expit(x)\n\n\n"
        "def rule(g, y, x):\n    return g * ops.sigmoid(-x) * ops.sigmoid(x)\n\n\n"
        "def define(f, x):\n    return 1 / (f.exp(-x) + 1)\n\n\n"
        "LOGISTIC = Op('formula.logistic', forward, rule, define, doc='logistic')\n"
    )


def test_a_value_that_occurs_twice_is_computed_once() -> None:
    op = Op.from_sympy("formula.twice", sympy.sin(X * A) ** 2 + sympy.sin(X * A), inputs=[X, A])
    assert op.source.count("np.sin(") == 1
    assert op.source.count("ops.cos(") == 1


def test_attributes_are_keywords_with_defaults() -> None:
    op = Op.from_sympy("formula.scaled", B * sympy.cos(X), inputs=[X], attributes={B: 2.0}, doc="b cos x")
    assert op.attributes == {"b": 2.0}
    np.testing.assert_array_equal(run_rule(op, 0.0, b=3.0)[0], [3.0])
    assert check_op(op, checks=["proof"]).proved


def test_digits_that_are_lost_are_counted_with_their_place() -> None:
    rows = {row.what: row for row in lost_digits(made("logistic"))}
    assert rows["result"].digits < 1
    assert rows["gradient of x"].digits < 1
    cancelling = Op.from_sympy("formula.close", sympy.cos(X) - 1, inputs=[X], stress=(1e-6,))
    worst = max(lost_digits(cancelling), key=lambda row: row.digits)
    assert worst.what == "result"
    assert 3 < worst.digits < 16
    assert "x = 1e-06" in worst.point


def test_a_rule_that_overflows_far_out_is_told() -> None:
    op = Op.from_sympy("formula.steep", X / sympy.cosh(X) ** 2, inputs=[X])
    with pytest.raises(OpFault, match="stress"):
        check_op(op, checks=["stress"])


@pytest.mark.parametrize(
    ("expression", "inputs", "text"),
    [
        (sympy.besselj(0, X), [X], "besselj is not in the function table"),
        (X + B, [X], "b: neither an input nor an attribute of the expression b \\+ x"),
        (sympy.Symbol("lambda") * X, [sympy.Symbol("lambda"), X], "'lambda' cannot be the name of an input"),
        (sympy.Piecewise((X, X < 1)), [X], "the pieces of an expression have a last one"),
    ],
)
def test_what_cannot_be_written_is_named(expression: Any, inputs: list[Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Op.from_sympy("formula.bad", expression, inputs=inputs)
