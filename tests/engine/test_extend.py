"""The module that plugins import: light, and complete."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gradproof.engine import extend

HEAVY = ("sympy", "mpmath", "scipy", "flint", "gmpy2", "pydantic")


@pytest.mark.parametrize("module", ["gradproof.engine.extend", "gradproof.engine.trace"])
def test_a_plugin_imports_no_library_of_the_proofs(module: str) -> None:
    script = f"import sys, {module}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "numpy" in run.stdout.split()
    assert not set(HEAVY) & set(run.stdout.split())


def test_all_that_is_listed_is_there() -> None:
    assert all(hasattr(extend, name) for name in extend.__all__)
