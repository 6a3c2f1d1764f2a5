"""Plugins and registry of a worker, loaded from import paths."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gradproof.engine.registry import Registry, build_registry
from gradproof.engine.verify.arrays import calibration

_registry: Registry | None = None
_extra_bytes = 1 << 30


def load_plugin(source: str) -> Any:
    """The plugin at an import path, ``module`` or ``module:attribute``."""
    module, _, attribute = source.partition(":")
    plugin: Any = importlib.import_module(module)
    for part in attribute.split(".") if attribute else ():
        plugin = getattr(plugin, part)
    return plugin


def load_registry(sources: Sequence[str], path: Sequence[str], extra_bytes: int, folder: Path | None = None) -> None:
    """Build the registry from the import paths of its plugins.

    Args:
        extra_bytes: memory that a worker may allocate beyond the memory mapped at its start.
        folder: where measurements of NumPy's functions are stored; None stores none.
    """
    global _registry, _extra_bytes
    sys.path[:] = path
    _registry = build_registry(
        [load_plugin(source) for source in sources], kernels=False
    )  # the server accepted each before
    _extra_bytes = extra_bytes
    calibration.keep_in(folder)


def loaded_registry() -> Registry:
    """The registry of this process, which `load_registry` has built."""
    assert _registry is not None
    return _registry


def allowed_bytes() -> int:
    """Memory that a worker may allocate beyond the memory mapped at its start."""
    return _extra_bytes
