"""The command `gradproof new-plugin`: a plugin with an op of each kind, tests and a workflow, from a template."""

from __future__ import annotations

import keyword
from pathlib import Path
from typing import Annotated

import typer

TEMPLATE = Path(__file__).parents[1] / "data" / "plugin_template"


def new_plugin(
    name: Annotated[str, typer.Argument(help="Name of the plugin and of the namespace of its ops.")],
    folder: Annotated[Path, typer.Option("--into", help="Folder in which gradproof-NAME is made.")] = Path(),
) -> None:
    """Make a plugin that installs, proves and passes as it is: an elementwise op, a reduction, a composite, a function of
    SciPy, a hook, tests, a workflow. Exit status 2 if it cannot be made."""
    fault = _fault(name, folder / f"gradproof-{name}")
    if fault:
        typer.echo(f"gradproof new-plugin: {fault}", err=True)
        raise typer.Exit(2)
    made = write_plugin(name, folder / f"gradproof-{name}")
    typer.echo(f"made {made}: pip install -e '{made}[test]', then pytest in it")


def _fault(name: str, made: Path) -> str:
    """The reason why a plugin cannot be made, or the empty string."""
    if not name.isidentifier() or name != name.lower() or keyword.iskeyword(name) or not name.isascii():
        return f"{name!r} is no name of a plugin: it is lower-case letters, digits and _, and begins with a letter"
    if made.exists():
        return f"{made} is there already"
    try:
        import copier  # noqa: F401, PLC0415 - an extra, which this command alone needs
    except ModuleNotFoundError:
        return "needs copier: pip install 'gradproof[plugin]'"
    return ""


def write_plugin(name: str, made: Path) -> Path:
    """Write the plugin called ``name`` to the folder ``made``. Raises copier's errors."""
    import copier  # noqa: PLC0415 - an extra, which this command alone needs

    copier.run_copy(str(TEMPLATE), made, data={"name": name}, defaults=True, quiet=True)
    return made
