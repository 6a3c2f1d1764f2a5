"""The command `gradproof explain-op`: definition, derivative, rule and proof of an op."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from gradproof.engine.errors import NotFound
from gradproof.engine.registry import build_registry
from gradproof.engine.verify.processes.loading import load_plugin
from gradproof.plugins import BUILTIN


def explain_op(
    name: Annotated[str, typer.Argument(metavar="OP", help="Name of the op.")],
    latex: Annotated[bool, typer.Option("--latex", help="Print the formulas as LaTeX.")] = False,
    page: Annotated[Optional[Path], typer.Option("--html", help="Write a page to this file.")] = None,  # noqa: UP045
    plugin: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option("--plugin", help="Load this plugin: an import path, module or module:attribute. Repeatable."),
    ] = None,
) -> None:
    """Print definition, derivative, rule and proof of an op, in its first case. Needs no server. Exit status 1 if the rule
    is refuted, 2 if there is no such op."""
    from gradproof.server.commands import op_explanation  # noqa: PLC0415 - SymPy and Arb are loaded by this command only

    sys.path.insert(0, "")
    registry = build_registry(BUILTIN, others=[load_plugin(source) for source in plugin or ()], entry_points=True)
    for refusal in registry.refused:
        typer.echo(f"gradproof explain-op: {refusal}", err=True)
    try:
        explanation = op_explanation.explanation_of(registry, registry.op(name))
    except NotFound as error:
        typer.echo(f"gradproof explain-op: {error}", err=True)
        raise typer.Exit(2) from error
    if page is not None:
        page.write_text(op_explanation.as_page(explanation), encoding="utf-8")
    typer.echo(op_explanation.as_latex(explanation) if latex else op_explanation.as_text(explanation))
    if explanation.verdict is not None and explanation.verdict.word == "REFUTED":
        raise typer.Exit(1)
