"""The example plugin: found by its entry point, and proved like any built-in."""

from __future__ import annotations

import importlib.util
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from gradproof.engine import registry as registry_module
from gradproof.engine.registry import ENTRY_POINT_GROUP, build_registry
from gradproof.engine.verify.proof import prove
from gradproof.engine.verify.verdict import RuleWord
from gradproof.plugins import BUILTIN

FOLDER = Path(__file__).parents[2] / "plugins" / "gradproof-swish"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution as if it were installed: on the path, with the entry point that its pyproject declares."""
    monkeypatch.syspath_prepend(FOLDER)
    declared = tomllib.loads((FOLDER / "pyproject.toml").read_text())["project"]["entry-points"]
    points = [EntryPoint(name, value, group) for group, names in declared.items() for name, value in names.items()]
    monkeypatch.setattr(
        registry_module, "installed_entry_points", lambda group: [point for point in points if point.group == group]
    )


@pytest.mark.usefixtures("installed")
def test_the_plugin_is_found_by_its_entry_point_and_proved() -> None:
    assert ENTRY_POINT_GROUP == "gradproof"
    registry = build_registry(BUILTIN, entry_points=True)
    assert not registry.refused
    op = registry.op("swish.swish")
    assert registry.plugin_of(op.name).name == "swish"
    assert [prove(registry, op, case).word for case in op.proof_cases()] == [RuleWord.PROVED, RuleWord.PROVED]


@pytest.mark.usefixtures("installed")
def test_the_plugin_can_be_blocked() -> None:
    registry = build_registry(BUILTIN, entry_points=True, blocked=["swish"])
    assert "swish.swish" not in registry.ops


def test_its_forward_is_finite_at_the_ends() -> None:
    spec = importlib.util.spec_from_file_location("gradproof_swish", FOLDER / "gradproof_swish.py")
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.forward(np.array([-1000.0, 0.0, 1000.0]), np.array(1.0)).tolist() == [0.0, 0.0, 1000.0]
