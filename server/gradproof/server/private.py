"""Private files: keys and tokens, which nobody else may read."""

from __future__ import annotations

import os
from pathlib import Path
from stat import S_IMODE, S_ISREG

MAX_BYTES = 1 << 20


def read_private(path: Path) -> bytes:
    """A file that only its owner may read, who is this user or root; a group may read what is root's, since that is how
    containers are given secrets. Raises ValueError for another, OSError where it cannot be read."""
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # nobody waits for the other end of a pipe
        status = os.fstat(file.fileno())
        mode = S_IMODE(status.st_mode)
        if not S_ISREG(status.st_mode):
            raise ValueError(f"{path} is no file")
        if hasattr(os, "geteuid") and status.st_uid not in (os.geteuid(), 0):
            raise ValueError(f"{path} belongs to another user (uid {status.st_uid}), who can read and change it; chown it")
        if mode & (0o037 if status.st_uid == 0 else 0o077):
            raise ValueError(f"{path} may be read or changed by others (mode {mode:04o}); chmod 600 it")
        return file.read(MAX_BYTES + 1)


def told(error: OSError | ValueError) -> str:
    """An error as a sentence that names the file."""
    return f"{error.filename} cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
