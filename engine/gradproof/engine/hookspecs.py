"""Hooks that a plugin may implement. A plugin is a module or object with ``GRADPROOF_API = 1`` and any of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pluggy

from gradproof.engine.caller import Caller
from gradproof.engine.kernels import Kernel
from gradproof.engine.named_hook import NamedHook
from gradproof.engine.op import Op

API_VERSION = 1
"""The version of this interface. A plugin states the version that it was written for as ``GRADPROOF_API``."""

hookspec = pluggy.HookspecMarker("gradproof")
hookimpl = pluggy.HookimplMarker("gradproof")


@hookspec
def register_ops(register: Callable[[Op], None]) -> None:
    """Register ops: called once while an engine starts. Call ``register(op)`` for each op; its rule is traced on all its
    cases, and the plugin is refused if a rule does not trace. Third-party names are ``namespace.name``."""


@hookspec
def register_hooks(register: Callable[[NamedHook], None]) -> None:
    """Register hooks: called once while an engine starts. Call ``register(hook)`` for each named gradient hook."""


@hookspec
def register_kernels(register: Callable[[Kernel], None]) -> None:
    """Register kernels: called once while an engine starts, after all ops are known. Call ``register(kernel)`` for each
    faster forward of an op. It is measured, and left out where it is wrong in any way; the rest of the plugin stays."""


@hookspec(firstresult=True)
def authenticate(metadata: Mapping[str, str], peer: str, certificate: Mapping[str, Sequence[str]]) -> Caller | None:
    """Name the caller of a call that has neither a token nor a certificate that the server knows. None
    leaves it to the next plugin, and refuses the call behind the last. An exception refuses it too. Runs in a thread of its
    own, for five seconds at most. ``certificate`` holds the common name (``common_name``), the alternative names
    (``names``) and the text (``pem``) of the client's certificate, and is empty where it showed none. A server with a
    plugin that has this hook serves no unknown caller."""
