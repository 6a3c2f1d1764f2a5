"""`gradproof explain-op`: definition, derivative, rule and proof of an op."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import sympy
from tests.support.command_line import gradproof


def test_text_has_definition_derivative_rule_and_proof() -> None:
    text = gradproof("explain-op", "divide").stdout
    assert text == (
        "divide(a, b)\n"
        "a / b, for b ≠ 0\n\n"
        "Definition\n  y = a/b\n\n"
        "Derivative\n  a_bar = g/b\n  b_bar = -a*g/b**2\n\n"
        "Rule\n  a_bar = g/b\n  b_bar = -a*g/b**2\n\n"
        "Proof\n  PROVED by structural\n  - input a: structural\n  - input b: structural\n"
        "  - linear in the cotangent, and 0 at 0\n"
        "  - the forward computes the definition in float64, float32, float16, bfloat16; pure and repeatable\n"
        "  - the second derivative agrees at an exact point\n"
    )


def test_the_rule_is_shown_as_it_is_written_and_equals_the_derivative() -> None:
    lines = [line.strip() for line in gradproof("explain-op", "sigmoid").stdout.splitlines() if "x_bar" in line]
    derivative, rule = (sympy.sympify(line.partition(" = ")[2]) for line in lines)
    assert derivative != rule
    assert sympy.simplify((derivative - rule).rewrite(sympy.exp)) == 0


def test_latex_is_an_aligned_display_for_each_section() -> None:
    text = gradproof("explain-op", "mean", "--latex").stdout
    assert text.count(r"\begin{align*}") == text.count(r"\end{align*}") == 3
    assert r"\bar{x}_{0, 1} &= \frac{g}{6}" in text
    assert r"\text{and 2 more elements}" in text
    assert "% " + "  PROVED by structural" in text


def test_a_page_has_formulas_that_browsers_show(tmp_path: Path) -> None:
    page = tmp_path / "divide.html"
    assert gradproof("explain-op", "divide", "--html", str(page)).exit_code == 0
    text = page.read_text()
    assert text.count("<math") == 5
    for part in text.split("<math")[1:]:
        formula = f"<math{part.partition('</math>')[0]}</math>".replace("&InvisibleTimes;", "&#8290;")
        assert len(ElementTree.fromstring(formula)) >= 3
    assert "<b>PROVED by structural</b>" in text


@pytest.mark.parametrize(
    ("op", "words"),
    [
        ("cholesky", "the result y solves L Lᵀ = (a + aᵀ) / 2"),
        ("mse_loss", "those of its parts: "),
        ("isnan", "none: the op has no rule"),
        ("sort", "Proof"),
    ],
)
def test_ops_of_other_kinds(op: str, words: str) -> None:
    run = gradproof("explain-op", op)
    assert run.exit_code == 0
    assert words in run.stdout


def test_a_wrong_rule_has_its_witness_and_status_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wrong_rule_plugin.py").write_text(
        "import numpy as np\n"
        "from gradproof.engine.extend import Op, registering\n"
        "GRADPROOF_API = 1\n"
        "register_ops = registering(Op('bent.square', np.square, lambda g, y, x: g * x, lambda f, x: x * x))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    run = gradproof("explain-op", "bent.square", "--plugin", "wrong_rule_plugin")
    assert run.exit_code == 1
    assert "x_bar = 2*g*x" in run.stdout
    assert "x_bar = g*x" in run.stdout
    assert "the rule gives" in run.stdout


def test_an_unknown_op_has_status_2() -> None:
    run = gradproof("explain-op", "sigmod")
    assert run.exit_code == 2
    assert "no op 'sigmod'" in run.stderr


def test_other_commands_do_not_load_it() -> None:
    script = "import sys, gradproof.server.commands.cli; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "gradproof.server.commands.explain_op" in loaded
    assert "gradproof.server.commands.op_explanation" not in loaded
