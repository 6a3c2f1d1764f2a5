"""A Unix socket that this user alone reaches: a path in a private folder, which is removed with it."""

from __future__ import annotations

import os
import socket
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX, NAME, SCHEME = "gradproof-", "socket", "unix:"
MAX_PATH = 100
"""Bytes of the path of a socket: Linux takes 107, macOS 103."""


def private_address() -> str:
    """The address of a socket in a new folder of mode 0700; empty where there are no Unix sockets, or no path that is short
    enough."""
    if not hasattr(socket, "AF_UNIX"):
        return ""
    for place in (tempfile.gettempdir(), "/tmp"):  # noqa: S108  # the folder in it is private
        with suppress(OSError):
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
            if len(os.fsencode(folder / NAME)) <= MAX_PATH:
                return f"{SCHEME}{folder / NAME}"
            folder.rmdir()
    return ""


def remake(address: str) -> None:
    """Make the folder of a private address again, if it is gone."""
    Path(address.removeprefix(SCHEME)).parent.mkdir(mode=0o700, exist_ok=True)


def remove(address: str) -> None:
    """Remove the socket and the folder of a private address. May be called twice; does nothing for another address."""
    path = Path(address.removeprefix(SCHEME))
    if not address.startswith(SCHEME) or path.name != NAME or not path.parent.name.startswith(PREFIX):
        return
    with suppress(OSError):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        path.parent.rmdir()
