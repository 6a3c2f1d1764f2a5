"""Executors that a test runs under, by `GRADPROOF_PLANS`."""

from __future__ import annotations

import pytest

from gradproof.engine.compiled.store import Compilations, Plans

single_executor = pytest.mark.skipif(
    Compilations.default is Plans.ALWAYS, reason="both executors run, and their results are compared"
)
"""For tests of a run that takes other memory, or gives other numbers, the second time."""
