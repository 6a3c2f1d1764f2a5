"""Pytest plugin: a test for each op of a plugin and each check, of a marker and a fixture. Inert where neither is used.

    @pytest.mark.gradproof("my_plugin")
    def test_ops(op_check):
        op_check()

It is imported by every run of pytest beside an installed Gradproof, so it imports what the checks need when they are used.
"""

from __future__ import annotations

import pytest

MARKER = "gradproof"
FIXTURE = "op_check"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    text = f"{MARKER}(plugin, ops=None, checks=None): fixture {FIXTURE} checks these ops of a plugin, all by default"
    config.addinivalue_line("markers", text)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make a test of each op and each check for a function that has the fixture. Raises UsageError without the marker."""
    if FIXTURE not in metafunc.fixturenames:
        return
    mark = metafunc.definition.get_closest_marker(MARKER)
    if mark is None:
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: the fixture {FIXTURE} needs @pytest.mark.{MARKER}(plugin)")
    from gradproof.testing.op_checks import op_checks  # noqa: PLC0415 - SymPy and Arb are loaded for those who use them

    checks = op_checks(*mark.args, **mark.kwargs)
    metafunc.parametrize(FIXTURE, checks, ids=map(str, checks))
