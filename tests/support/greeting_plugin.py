"""A plugin that knows callers by a header of its own."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from gradproof.engine.extend import Caller, hookimpl

GRADPROOF_API = 1
GRADPROOF_NAME = "greeting"

HELD = threading.Event()
"""Set to let those go who were kept waiting."""


@hookimpl
def authenticate(metadata: Mapping[str, str], peer: str, certificate: Mapping[str, Sequence[str]]) -> Any:
    who = metadata.get("x-who", "")
    if who == "crash":
        raise RuntimeError("the directory is down")
    if who == "exit":
        raise SystemExit(3)
    if who == "wait":
        HELD.wait(60)
    if who == "wrong":
        return "root"
    return Caller(who, frozenset({"evaluate"})) if who == "friend" else None
