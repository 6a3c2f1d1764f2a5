"""`gradproof new-plugin`: what it makes is the example plugin, installs, proves and passes."""

from __future__ import annotations

import sys
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from tests.support.command_line import gradproof

from gradproof.engine.registry import ENTRY_POINT_GROUP
from gradproof.testing.op_checks import OpCheck, op_checks

EXAMPLE = Path(__file__).parents[2] / "plugins" / "gradproof-swish"
ANSWERS = ".copier-answers.yml"
LEFT_BY_TOOLS = {"__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache"}


def files_in(folder: Path) -> dict[str, str]:
    paths = [path for path in folder.rglob("*") if path.is_file() and not LEFT_BY_TOOLS & set(path.parts)]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in paths}


def test_the_example_plugin_is_what_it_makes(tmp_path: Path) -> None:
    run = gradproof("new-plugin", "swish", "--into", str(tmp_path))
    assert run.exit_code == 0, run.output
    made = files_in(tmp_path / "gradproof-swish")
    assert "name: swish" in made.pop(ANSWERS)
    assert made == files_in(EXAMPLE)


@pytest.mark.slow
def test_a_plugin_of_another_name_passes_all_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert gradproof("new-plugin", "robust_2", "--into", str(tmp_path)).exit_code == 0
    folder = tmp_path / "gradproof-robust_2"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    [(name, value)] = project["entry-points"][ENTRY_POINT_GROUP].items()
    monkeypatch.syspath_prepend(folder)
    plugin = EntryPoint(name, value, ENTRY_POINT_GROUP).load()
    checks: list[OpCheck] = op_checks(plugin)
    assert {check.op.name for check in checks} == {
        "robust_2.swish",
        "robust_2.mean_square",
        "robust_2.blend",
        "robust_2.relative_entropy",
    }
    for check in checks:
        check()
    assert not any("{{" in text for name, text in files_in(folder).items() if not name.startswith(".github"))


@pytest.mark.parametrize("name", ["Robust", "two words", "class", "9lives", "a-b", "ä"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path) -> None:
    run = gradproof("new-plugin", name, "--into", str(tmp_path))
    assert run.exit_code == 2
    assert "is no name of a plugin" in run.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "gradproof-robust").mkdir()
    run = gradproof("new-plugin", "robust", "--into", str(tmp_path))
    assert run.exit_code == 2
    assert "is there already" in run.stderr
    assert not list((tmp_path / "gradproof-robust").iterdir())


def test_without_copier_a_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "copier", None)
    run = gradproof("new-plugin", "robust", "--into", str(tmp_path))
    assert run.exit_code == 2
    assert run.stderr == "gradproof new-plugin: needs copier: pip install 'gradproof[plugin]'\n"
