"""The checker as a part of what a proof depends on: every module that a proof runs through, by walking the imports."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGE = "gradproof.engine"
ROOT = f"{PACKAGE}.verify.proof"
VERSIONED = ("sympy", "python-flint", "numpy", "scipy", "ml_dtypes")


@cache
def checker_modules() -> frozenset[str]:
    """The names of all modules of the engine that `proof` imports, directly or through others."""
    return frozenset(_sources())


@cache
def checker_digest() -> str:
    """A hash of their sources, and of the versions of Python and of the libraries beneath."""
    parts = [f"{name} {hashlib.sha256(text.encode()).hexdigest()}" for name, text in sorted(_sources().items())]
    parts += [sys.version, *(f"{name} {version(name)}" for name in VERSIONED)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@cache
def _sources() -> dict[str, str]:
    found: dict[str, str] = {}
    pending = [ROOT]
    while pending:
        name = pending.pop()
        file = None if name in found else _file(name)
        if file is not None:
            found[name] = file.read_text(encoding="utf-8")
            pending += imported(ast.parse(found[name]))
    return found


def _file(name: str) -> Path | None:
    """The source of a module of the engine; None for what is none."""
    inner = name.removeprefix(PACKAGE)
    if inner == name or inner[:1] not in ("", "."):
        return None
    path = Path(__file__).parent.parent.joinpath(*inner.split(".")[1:])
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def imported(tree: ast.AST) -> Iterator[str]:
    """The names of the modules that a source imports, those inside of functions too; of ``from a import b`` both ``a`` and
    ``a.b``, which may be one."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
