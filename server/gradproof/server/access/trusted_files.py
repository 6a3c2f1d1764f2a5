"""Files of trust: what nobody else may change, and of secrets nobody else may read either."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_IMODE, S_ISREG

MAX_BYTES = 1 << 20


def read_trusted(path: Path) -> bytes:
    """A file that nobody but its owner, who is this user or root, may change. Raises ValueError for another, OSError where
    it cannot be read."""
    return _read(path, 0o022, "changed", "chmod go-w it")


def read_private(path: Path) -> bytes:
    """A file that nobody else may read either. A group may read what is root's, and what is its own where this process
    is in it, since that is how containers are given secrets. Raises ValueError for another, OSError where it cannot be
    read."""
    return _read(path, 0o077, "read or changed", "chmod 600 it")


def _read(path: Path, others: int, what: str, mend: str) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # nobody waits for the other end of a pipe
        status = os.fstat(file.fileno())
        mode = S_IMODE(status.st_mode)
        if not S_ISREG(status.st_mode):
            raise ValueError(f"{path} is no file")
        if hasattr(os, "geteuid") and status.st_uid not in (os.geteuid(), 0):
            raise ValueError(f"{path} belongs to another user (uid {status.st_uid}), who can change it; chown it")
        shared = status.st_uid == 0 or status.st_gid in _groups()
        if mode & (others & ~0o040 if shared else others):
            raise ValueError(f"{path} may be {what} by others (mode {mode:04o}); {mend}")
        if status.st_size > MAX_BYTES:
            raise ValueError(f"{path} is larger than {MAX_BYTES} bytes")
        return file.read()


def _groups() -> set[int]:
    """Groups that this process is in."""
    return {os.getegid(), *os.getgroups()} if hasattr(os, "getegid") else set()


def told(error: OSError | ValueError) -> str:
    """An error as a sentence that names the file."""
    return f"{error.filename} cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
