"""A folder of small JSON files with checksums, which is used only where nobody else may write to it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from stat import S_IMODE, S_ISREG
from typing import Any, TypeVar

MAX_BYTES = 1 << 20  # of a file that is read
STALE_SECONDS = 3600.0  # age at which an unfinished file is removed

_log = logging.getLogger(__name__)
T = TypeVar("T")


class TrustedFolder:
    """A folder of JSON files, created with mode 0700 if there is none. Several processes may write to it at once: a file is
    written beside its place and moved there. A folder or file that cannot be used, or that other users may have written, is
    as if it were not there; the first such failure is logged.

    Args:
        path: the folder.
        schema: version of the content of the files; files of other versions are not read.
        warning: a text with two ``%s``, the folder and the failure.
    """

    def __init__(self, path: Path, schema: int, warning: str) -> None:
        self.path, self.schema, self.warning = path, schema, warning
        self._warned = self._swept = self._trusted = False

    def load(self, name: str, decode: Callable[[Any], T]) -> T | None:
        """The content of a file, decoded; None where there is none that can be used."""
        path = self.path / name
        try:
            self._demand_trust()
            whole = json.loads(_contents(path))
            if not isinstance(whole, dict) or whole.get("schema") != self.schema or whole.get("name") != name:
                raise ValueError(f"{path} is not of this version")
            if whole.get("sum") != _checksum(whole["body"]):
                raise ValueError(f"{path} has been changed")
            return decode(json.loads(whole["body"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, ArithmeticError) as error:
            self._warn(error)
            return None

    def save(self, name: str, body: Any) -> None:
        """Write ``body`` to a file, if the folder can be used."""
        part = ""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._demand_trust()
            self._sweep()
            text = json.dumps(body, sort_keys=True)
            handle, part = tempfile.mkstemp(dir=self.path, suffix=".part")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"schema": self.schema, "name": name, "sum": _checksum(text), "body": text}, file)
            os.replace(part, self.path / name)
        except (OSError, ValueError, TypeError) as error:
            self._warn(error)
            if part:
                with suppress(OSError):
                    os.unlink(part)

    def names(self, prefix: str, suffix: str) -> list[str]:
        """The sorted names of the files that begin and end so; none where the folder cannot be used."""
        try:
            self._demand_trust()
            with os.scandir(self.path) as entries:
                return sorted(e.name for e in entries if e.name.startswith(prefix) and e.name.endswith(suffix))
        except FileNotFoundError:
            return []
        except (OSError, ValueError) as error:
            self._warn(error)
            return []

    def _demand_trust(self) -> None:
        """Check who may write here, until nobody else may. Raises ValueError."""
        if not self._trusted:
            if why := distrust(self.path):
                raise ValueError(why)
            self._trusted = True

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning(self.warning, self.path, error)

    def _sweep(self) -> None:
        """Remove files that killed processes left unfinished."""
        if self._swept:
            return
        self._swept = True
        for part in self.path.glob("*.part"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > STALE_SECONDS:
                    part.unlink()


def distrust(folder: Path) -> str:
    """The reason why other users may have written the files of a folder, with advice; empty where only its owner, who is
    this user or root, may write there. Raises OSError, FileNotFoundError where there is no folder."""
    why = _writers(os.stat(folder))
    return why and f"{folder} {why}; name a folder that does not exist yet (it is made with mode 0700), or mend this folder"


def _writers(status: os.stat_result) -> str:
    """Ways in which users other than the owner and root may write to a file or folder."""
    if hasattr(os, "geteuid") and status.st_uid not in (os.geteuid(), 0):
        return f"belongs to another user (uid {status.st_uid})"
    if S_IMODE(status.st_mode) & 0o022:
        return f"may be written to by others (mode {S_IMODE(status.st_mode):04o})"
    return ""


def _contents(path: Path) -> str:
    """The text of a file. Raises ValueError for a large file, a file that is no regular file, or an untrusted file."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # opening a pipe does not wait for its other end
    try:
        status = os.fstat(handle)
        if not S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise ValueError(f"{path} is no regular file of at most {MAX_BYTES} bytes")
        if why := _writers(status):
            raise ValueError(f"{path} {why}")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1).decode("utf-8")
    finally:
        os.close(handle)


def _checksum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
