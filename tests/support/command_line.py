"""The command line, called in this process."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from gradproof.server.commands.cli import app


def gradproof(*words: str) -> Result:
    """The result of ``gradproof`` with these words."""
    return CliRunner().invoke(app, words)
