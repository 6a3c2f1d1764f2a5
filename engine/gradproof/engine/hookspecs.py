"""The hooks a plugin may implement. A plugin is a module or object with ``GRADPROOF_API = 1`` and any of these."""

from __future__ import annotations

from collections.abc import Callable

import pluggy

from gradproof.engine.named_hook import NamedHook
from gradproof.engine.op import Op

API_VERSION = 1
"""The version of this file. A plugin states the one it was written for as ``GRADPROOF_API``."""

hookspec = pluggy.HookspecMarker("gradproof")
hookimpl = pluggy.HookimplMarker("gradproof")


@hookspec
def register_ops(register: Callable[[Op], None]) -> None:
    """Called once while an engine starts. Call ``register(op)`` for each op; its rule is traced on all its cases at
    once, and one that does not trace refuses the whole plugin. Third-party names are ``namespace.name``."""


@hookspec
def register_hooks(register: Callable[[NamedHook], None]) -> None:
    """Called once while an engine starts. Call ``register(hook)`` for each named gradient hook."""
