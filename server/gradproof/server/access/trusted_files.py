"""Reading of files that only this user or root may change, and of secrets that nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_IMODE, S_ISREG

MAX_BYTES = 1 << 20


def read_trusted(path: Path) -> bytes:
    """The content of a file that only its owner, who is this user or root, may change. Raises ValueError for other files,
    OSError if it cannot be read."""
    return _read(path, 0o022, "changed", "chmod go-w it")


def read_private(path: Path) -> bytes:
    """The content of a file that no other user may read either. A group may read a file of root, and a file of a group that
    this process is in, since containers get secrets that way. Raises ValueError for other files, OSError if it cannot be
    read."""
    return _read(path, 0o077, "read or changed", "chmod 600 it")


def _read(path: Path, denied: int, access: str, remedy: str) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # opening a pipe does not block
        status = os.fstat(file.fileno())
        mode = S_IMODE(status.st_mode)
        if not S_ISREG(status.st_mode):
            raise ValueError(f"{path} is no file")
        if hasattr(os, "geteuid") and status.st_uid not in (os.geteuid(), 0):
            raise ValueError(f"{path} belongs to another user (uid {status.st_uid}), who can change it; chown it")
        shared = status.st_uid == 0 or status.st_gid in _groups()
        if mode & (denied & ~0o040 if shared else denied):
            raise ValueError(f"{path} may be {access} by others (mode {mode:04o}); {remedy}")
        if status.st_size > MAX_BYTES:
            raise ValueError(f"{path} is larger than {MAX_BYTES} bytes")
        return file.read()


def _groups() -> set[int]:
    """Ids of the groups of this process."""
    return {os.getegid(), *os.getgroups()} if hasattr(os, "getegid") else set()


def error_text(error: OSError | ValueError) -> str:
    """The text of an error of this module, which names the file."""
    return f"{error.filename} cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
