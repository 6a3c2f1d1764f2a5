"""Registries for tests: the built-in ops, and the ops of a plugin or of a test."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from gradproof.engine.op import Op
from gradproof.engine.registering import registering
from gradproof.engine.registry import Registry, build_registry
from gradproof.plugins import BUILTIN


def plugin_of(ops: Sequence[Op]) -> Any:
    """A plugin of ``ops``, named after the namespace of the first. No other process can import it."""

    class OpsUnderTest:
        GRADPROOF_API = 1
        GRADPROOF_NAME = ops[0].name.partition(".")[0]
        register_ops = staticmethod(registering(*ops))

    return OpsUnderTest()


def registry_with(*ops: Op, plugin: Any = None) -> Registry:
    """The built-in ops, those of a plugin, and ``ops``, those among them that the plugin does not register itself.

    Args:
        ops: ops to register, in this order.
        plugin: a module or object with ``register_ops``, or its import path (``"module"`` or ``"module:attribute"``).

    Returns:
        The registry. Its ``refused`` says what was not taken, and why.
    """
    plugins = [] if plugin is None else [loaded(plugin)]
    known = build_registry(BUILTIN, others=plugins)
    missing = [op for op in ops if op.name not in known.ops]
    return build_registry(BUILTIN, others=[*plugins, plugin_of(missing)]) if missing else known


def loaded(plugin: Any) -> Any:
    """The plugin, imported if it is an import path. Raises ImportError or AttributeError."""
    if not isinstance(plugin, str):
        return plugin
    module, _, attribute = plugin.partition(":")
    found = import_module(module)
    return getattr(found, attribute) if attribute else found


def module_of(op: Op) -> ModuleType | None:
    """The module that an op's forward is defined in, if that is a plugin; else None."""
    module = sys.modules.get(getattr(op.forward, "__module__", None) or "")
    return module if hasattr(module, "GRADPROOF_API") and hasattr(module, "register_ops") else None
