"""Sources of the checker, as a part of what a proof depends on: every module that a proof runs through, by walking the
imports."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import resolve_name
from pathlib import Path
from platform import machine

import numpy as np
from sympy.external.gmpy import GROUND_TYPES

PACKAGE = "gradproof.engine"
ROOT = f"{PACKAGE}.verify.proof.proof"
VERSIONED = ("sympy", "mpmath", "gmpy2", "python-flint", "numpy", "scipy", "ml_dtypes")
IMPORTING = ("import_module", "__import__")


@cache
def checker_modules() -> frozenset[str]:
    """Names of all modules of the engine that `proof` imports, directly or through others."""
    return frozenset(_sources())


@cache
def checker_digest() -> str:
    """A hash of the sources of the checker, and of its environment."""
    return _digest(*environment())


@cache
def portable_digest() -> str:
    """A hash of the sources of the checker, and of the versions of Python and its libraries, which is the same on all
    processors and for all builds of Python."""
    return _digest(f"{sys.implementation.name} {sys.version_info[:2]}", *_libraries())


def _digest(*environment: str) -> str:
    parts = [f"{name} {hashlib.sha256(text.encode()).hexdigest()}" for name, text in sorted(_sources().items())]
    return hashlib.sha256("\n".join([*parts, *environment]).encode()).hexdigest()


def environment() -> Iterator[str]:
    """The environment of the checker: Python, libraries, and the processor."""
    yield sys.version
    yield from _libraries()
    yield _processor()


def _libraries() -> Iterator[str]:
    """The versions of the libraries that a proof rests on."""
    yield f"optimized {sys.flags.optimize}"
    for name in VERSIONED:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"{name} is not here"
    yield f"SymPy counts with {GROUND_TYPES}"


def _processor() -> str:
    """The processor, whose instructions NumPy computes forwards with."""
    features: dict[str, bool] = getattr(sys.modules.get(f"{np.__name__}._core._multiarray_umath"), "__cpu_features__", {})
    return f"{machine()} {sorted(name for name, there in features.items() if there)}"


@cache
def _sources() -> dict[str, str]:
    sources: dict[str, str] = {}
    pending = [ROOT]
    while pending:
        name = pending.pop()
        file = None if name in sources else _file(name)
        if file is not None:
            sources[name] = file.read_text(encoding="utf-8")
            pending += imported_modules(
                ast.parse(sources[name]), name if file.stem == "__init__" else name.rpartition(".")[0]
            )
    return sources


def _file(name: str) -> Path | None:
    """The source file of a module of the engine; None for any other name."""
    inner = name.removeprefix(PACKAGE)
    if inner == name or inner[:1] not in ("", "."):
        return None
    path = Path(__file__).parents[2].joinpath(*inner.split(".")[1:])
    return next((candidate for candidate in (path.with_suffix(".py"), path / "__init__.py") if candidate.is_file()), None)


def imported_modules(tree: ast.AST, package: str) -> Iterator[str]:
    """Names of the modules that a source of ``package`` imports, in functions, by name and relatively too; of ``from a
    import b`` both ``a`` and ``a.b``, which may be a module, and the packages that contain them. Raises ValueError for
    an import by a computed name, which cannot be followed."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call) and _called(node) in IMPORTING:
            names = [resolve_name(_constant(node), package)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: k + 1]) for k in range(len(parts)))


def _called(node: ast.Call) -> str:
    """The last part of the name of the called function."""
    return str(getattr(node.func, "attr", "") or getattr(node.func, "id", ""))


def _constant(node: ast.Call) -> str:
    first = node.args[0] if node.args else None
    if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
        raise ValueError(f"line {node.lineno}: a module of the checker imports by a name that is computed")
    return first.value
