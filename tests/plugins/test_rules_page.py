"""The page of all rules, its notation, and the texts of definitions: each follows from the ops that run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from docs.generator import rules_page
from tests.conftest import REGISTRY

from gradproof.engine.extend import Memory, Op, ops, registering, zeros_like
from gradproof.engine.notation import formulas as readings
from gradproof.engine.notation.notation import Formula, exponential, negate, where
from gradproof.engine.registry import build_registry
from gradproof.plugins import BUILTIN

a, b, x = map(Formula, "abx")


@pytest.mark.parametrize(
    ("formula", "text"),
    [
        (a + (b + x), "a + b + x"),
        (a - (b - x), "a - (b - x)"),
        (a - -b, "a - (-b)"),
        (a + -b, "a - b"),
        ((a + b) * x, "(a + b) x"),
        (a * b * 2, "2 a b"),
        (-a * b, "-a b"),
        (a / b / x, "a / (b x)"),
        (a / (b / x), "a x / b"),
        (x * x * a / (a * b), "x² / b"),
        (readings.APPLIED["sin"](x) * a, "sin(x) a"),
        (a * readings.APPLIED["sin"](x), "a sin x"),
        (a / readings.APPLIED["cosh"](x) / readings.APPLIED["cosh"](x), "a / cosh² x"),
        (1 / readings.APPLIED["sqrt"](x + 1), "1 / √(x + 1)"),
        (a / readings.APPLIED["hypot"](x, 1) / readings.APPLIED["hypot"](x, 1), "a / (x² + 1)"),
        (exponential(-x / 2) * exponential(-x / 2), "e⁻ˣ"),
        (where(readings.APPLIED["less"](x, 0), -x, x), "|x|"),
        (where(readings.APPLIED["less"](x, 0), a + b, x) * 2, "2 (a + b if x < 0 else x)"),
        (negate(readings.APPLIED["equal"](a, b)), "a ≠ b"),
    ],
)
def test_formulas_are_written_as_people_write_them(formula: Formula, text: str) -> None:
    assert formula.text == text


def test_the_texts_of_definitions_are_those_of_the_ops() -> None:
    assert rules_page.FORMULAS_PATH.read_text() == rules_page.formulas_module(REGISTRY), "run `make pages`"


@pytest.mark.slow
def test_the_page_of_rules_is_that_of_the_ops() -> None:
    page = rules_page.page(REGISTRY)
    assert rules_page.PAGE_PATH.read_text() == page, "run `make pages`"
    assert "REFUTED" not in page
    for op in REGISTRY.ops.values():
        assert f"| `{op.name}` |" in page


def test_a_rule_that_changes_changes_the_page() -> None:
    op = REGISTRY.op("sin")
    program = REGISTRY.rule_of(op, op.declared_cases()[0])
    assert readings.rule(op, program, {}).cotangents == ("g cos x",)
    op = REGISTRY.op("cos")
    program = REGISTRY.rule_of(op, op.declared_cases()[0])
    assert readings.rule(op, program, {}).cotangents == ("-g sin x",)


# a table of ops, registered in a line


def plugin(hook: Callable[..., Any]) -> object:
    class Table:
        GRADPROOF_API = 1
        GRADPROOF_NAME = "table"
        register_ops = staticmethod(hook)

    return Table()


FIRST = Op("table.first", np.positive, lambda g, y, x: g, lambda f, x: x)
SECOND = Op("table.second", np.sign, lambda g, y, x: zeros_like(x), lambda f, x: f.sign(x), ties="0 at 0")
THIRD = Op("table.third", lambda x: 2 * x, lambda g, y, x: 2 * g * ops.cos(0 * x), lambda f, x: 2 * x)


def test_a_table_of_ops_is_registered_in_its_order() -> None:
    def doubled(out: Any, x: Any) -> None:
        np.multiply(x, 2, out)

    hook = registering(FIRST, SECOND, THIRD, memory={"table.third": Memory(into=doubled)})
    registry = build_registry(BUILTIN, others=[plugin(hook)])
    assert not registry.refused
    assert [op.name for op in registry.plugins[-1].ops] == ["table.first", "table.second", "table.third"]
    assert registry.op("table.first") == FIRST
    assert registry.op("table.third").into is doubled
    assert registry.op("table.third").rule is THIRD.rule


def test_memory_facts_of_an_op_that_is_not_in_the_table_are_refused() -> None:
    with pytest.raises(ValueError, match=r"table\.second"):
        registering(FIRST, memory={"table.second": Memory(view=True)})
