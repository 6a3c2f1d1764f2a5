"""The check of an op by its declaration: mistakes that authors make are told, and right rules pass."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.support.authors_rules import ABS, RIGHT, ROWS_OF_MISTAKES, SQUARE, TANH, Row

from gradproof.engine.extend import Op
from gradproof.engine.registering import registering
from gradproof.testing import CHECKS, Fault, OpFault, check_op, run_rule


def plugin_of(*ops: Op) -> object:
    class Authors:
        GRADPROOF_API = 1
        GRADPROOF_NAME = "authors"
        register_ops = staticmethod(registering(*ops))

    return Authors()


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS_OF_MISTAKES, ids=str)
def test_a_mistake_is_told_with_its_input_and_its_likely_cause(row: Row) -> None:
    plugin = plugin_of(row.wrong, *row.beside)
    with pytest.raises(OpFault) as told:
        check_op(row.wrong, plugin)
    assert row.check in [fault.check for fault in told.value.faults]
    text = str(next(fault for fault in told.value.faults if fault.check == row.check))
    for words in row.told:
        assert words in text, text


@pytest.mark.slow
@pytest.mark.parametrize(("op", "beside"), RIGHT, ids=[op.name for op, _ in RIGHT])
def test_a_right_rule_passes(op: Op, beside: tuple[Op, ...]) -> None:
    report = check_op(op, plugin_of(op, *beside))
    assert report.verdicts, str(report)


def faults_of(op: Op, **options: Any) -> dict[str, Fault]:
    with pytest.raises(OpFault) as told:
        check_op(op, **options)
    return {fault.check: fault for fault in told.value.faults}


HALVED = replace(SQUARE, rule=lambda g, y, x: g * x)


def test_a_counterexample_runs_as_it_is_pasted() -> None:
    text = faults_of(HALVED)["proof"].counterexample
    assert len(text.splitlines()) <= 4
    found: dict[str, Any] = {"op": HALVED}
    exec(text.replace("run_rule(op", "found = run_rule(op"), found)
    results, cotangents = found["found"]
    assert text.endswith(f"is {float(cotangents[0])!r}, and should be {float(2 * cotangents[0])!r}")
    assert results[0].shape == ()


def test_a_counterexample_of_an_installed_plugin_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "halved_plugin.py").write_text(
        "import numpy as np\n"
        "from gradproof.engine.extend import Op, registering\n"
        "GRADPROOF_API = 1\n"
        "OP = Op('halved.square', np.square, lambda g, y, x: g * x, lambda f, x: x * x)\n"
        "register_ops = registering(OP)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(OpFault) as told:
        check_op("halved.square", "halved_plugin")
    assert "run_rule('halved.square', np.array(1.0), g=np.array(1.0), plugin='halved_plugin')" in str(told.value)


def test_a_rule_wrong_everywhere_is_told_once() -> None:
    assert list(faults_of(HALVED)) == ["proof"]


def test_a_right_rule_that_loses_digits_is_told_where() -> None:
    cancelling = replace(TANH, rule=lambda g, y, x: g * (1 - y * y))
    found = faults_of(cancelling)
    assert "proof" not in found
    assert found["stress"].hint.startswith("about 0 digits are right: digits cancel")
    assert "np.array(40.0)" in found["stress"].counterexample


def test_lost_digits_of_a_forward_are_counted() -> None:
    op = Op(
        "authors.less",
        lambda x: np.exp(x) - 1,
        lambda g, y, x: g * (y + 1),
        lambda f, x: f.expm1(x),
        stress=(1e-9,),
    )
    fault = faults_of(op, checks=["stress"])["stress"]
    assert fault.reason == "the forward does not compute the definition in float64"
    assert fault.hint.startswith("about 7 digits are right: digits cancel")


def test_checks_are_chosen_by_name() -> None:
    assert check_op(HALVED, checks=["purity", "memory"]).checks == ("registration", "purity", "memory")
    with pytest.raises(ValueError, match="no check is called 'proofs'"):
        check_op(HALVED, checks=["proofs"])


def test_an_op_without_a_definition_is_compared_with_differences() -> None:
    right = replace(SQUARE, define=None)
    assert any("no definition" in note for note in check_op(right).notes)
    wrong = replace(right, rule=lambda g, y, x: g * x)
    assert "slope" in faults_of(wrong)["proof"].reason


def test_an_unknown_op_is_named() -> None:
    with pytest.raises(OpFault, match=r"no plugin registers it: give the plugin of 'authors\.nothing'"):
        check_op("authors.nothing")


def test_run_rule_takes_numbers_seeds_and_names() -> None:
    np.testing.assert_array_equal(run_rule(ABS, [-2.0, 3.0], g=[1.0, 10.0])[1], [[-1.0, 10.0]])
    results, cotangents = run_rule("sum", [[1.0, 2.0], [3.0, 4.0]], axis=0)
    np.testing.assert_array_equal(results, [[4.0, 6.0]])
    np.testing.assert_array_equal(cotangents, [np.ones((2, 2))])


# the pytest plugin

PLUGIN = """
import numpy as np
from gradproof.engine.extend import Op, ops, registering
GRADPROOF_API = 1
GRADPROOF_NAME = "pair"
RIGHT = Op("pair.right", np.sin, lambda g, y, x: g * ops.cos(x), lambda f, x: f.sin(x))
WRONG = Op("pair.wrong", np.cos, lambda g, y, x: g * ops.sin(x), lambda f, x: f.cos(x))
BROKEN = Op("pair.broken", np.abs, lambda g, y, x: g if x > 0 else -g, lambda f, x: x)
register_ops = registering(RIGHT, WRONG, BROKEN)
"""

TESTS = """
import pytest

@pytest.mark.gradproof("pair_plugin", checks=["proof", "purity"])
def test_ops(op_check):
    op_check()
"""


@pytest.fixture(scope="module")
def run_of_pytest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a run of pytest prints: a plugin with a wrong op, a plugin that is refused, and tests that have no marker."""
    folder = tmp_path_factory.mktemp("authors")
    (folder / "pair_plugin.py").write_text(PLUGIN)
    (folder / "test_pair.py").write_text(TESTS)
    (folder / "old_plugin.py").write_text(PLUGIN.replace("GRADPROOF_API = 1", "GRADPROOF_API = 7"))
    (folder / "test_old.py").write_text(TESTS.replace("pair_plugin", "old_plugin"))
    (folder / "test_loose.py").write_text("def test_other(tmp_path):\n    pass\n")
    (folder / "test_bare.py").write_text("def test_ops(op_check):\n    op_check()\n")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rA", "--strict-markers"]
    command.append("--continue-on-collection-errors")
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


@pytest.mark.slow
def test_the_marker_makes_a_test_of_each_op_and_check(run_of_pytest: str) -> None:
    for name in ("pair.right-registration", "pair.right-proof", "pair.right-purity", "pair.wrong-purity"):
        assert f"PASSED test_pair.py::test_ops[{name}]" in run_of_pytest
    assert "FAILED test_pair.py::test_ops[pair.wrong-proof]" in run_of_pytest
    assert "FAILED test_pair.py::test_ops[pair.broken-registration]" in run_of_pytest
    assert "pair.broken-proof" not in run_of_pytest
    assert "PASSED test_loose.py::test_other" in run_of_pytest
    assert "likely: the sign is wrong" in run_of_pytest
    assert "fault_of" not in run_of_pytest, "the traceback shows the machinery"


@pytest.mark.slow
def test_the_fixture_without_its_marker_says_what_is_missing(run_of_pytest: str) -> None:
    assert "the fixture op_check needs @pytest.mark.gradproof(plugin)" in run_of_pytest


@pytest.mark.slow
def test_a_refused_plugin_is_a_test_that_says_so(run_of_pytest: str) -> None:
    assert "FAILED test_old.py::test_ops[" in run_of_pytest
    assert "this Gradproof has plugin API 1" in run_of_pytest


def test_the_pytest_plugin_loads_no_library_of_the_proofs() -> None:
    script = "import sys, gradproof.pytest_plugin; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sympy", "flint", "numpy", "scipy", "grpc"} & set(loaded)


def test_checks_have_a_sentence_each() -> None:
    assert all((check.__doc__ or "").strip() for check in CHECKS.values())
