"""Proofs kept on disk, as text: one small JSON file each, named by the op and the hash of all that the proof depends on.

Whoever can write a proof can call a wrong rule proved. So proofs are read from, and written to, a directory that nobody but
its owner may write to, and files whose owner is this user or root: another user can put nothing here. No key is kept beside
them, since whoever may write here might as well read it. Nothing is unpickled: what is read is numbers and text.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, fields, replace
from fractions import Fraction
from pathlib import Path
from stat import S_IMODE, S_ISREG
from typing import Any

import numpy as np

from gradproof.engine.cases import Case
from gradproof.engine.verify.verdict.words import RuleVerdict, RuleWord

SCHEMA = 4
MAX_BYTES = 1 << 20  # of a file that is read
STALE_SECONDS = 3600.0  # after which a file that was never finished is swept away
MAX_ARRAY = 1024  # elements of an array in a case that is kept

_log = logging.getLogger(__name__)


class ProofCache:
    """A directory of proofs, made with mode 0700 where there is none. Two servers may write to it at once (files appear
    whole, by renaming). A file or directory that cannot be used, or that others may have written, is logged, once, and is
    as if it were not there: the proof is then made again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._warned = self._swept = self._trusted = False

    def get(self, name: str) -> RuleVerdict | None:
        """The verdict kept under ``name``, marked as cached, or None."""
        kept = self._read(name)
        return None if kept is None else replace(kept[0], cached=True)

    def cases(self, op: str) -> Iterator[tuple[str, Case]]:
        """The names and cases of all proofs of an op, of any version."""
        try:
            self._trust()
            names = sorted(entry.name for entry in os.scandir(self.directory) if entry.name.startswith(f"{op}-"))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            self._warn(error)
            return
        for name in names:
            kept = self._read(name.removesuffix(".json")) if name.endswith(".json") else None
            if kept is not None and kept[0].op == op and kept[1] is not None:
                yield name.removesuffix(".json"), kept[1]

    def put(self, name: str, verdict: RuleVerdict, case: Case | None = None) -> None:
        """Keep ``verdict``, and the case that it is of."""
        part = ""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._trust()
            self._sweep()
            body = {"verdict": asdict(verdict), "case": None if case is None else case_text(case)}
            text = json.dumps(body, sort_keys=True)
            handle, part = tempfile.mkstemp(dir=self.directory, suffix=".part")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump({"schema": SCHEMA, "name": name, "sum": _sum(text), "body": text}, file)
            os.replace(part, self._path(name))
        except (OSError, ValueError, TypeError) as error:
            self._warn(error)
            if part:
                with suppress(OSError):
                    os.unlink(part)

    def _read(self, name: str) -> tuple[RuleVerdict, Case | None] | None:
        try:
            self._trust()
            whole = json.loads(contents(self._path(name)))
            if not isinstance(whole, dict) or whole.get("schema") != SCHEMA or whole.get("name") != name:
                raise ValueError(f"{self._path(name)} is no proof of this version")
            if whole.get("sum") != _sum(whole["body"]):
                raise ValueError(f"{self._path(name)} has been changed")
            body = json.loads(whole["body"])
            return _verdict(body["verdict"]), None if body["case"] is None else case_from(body["case"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, ArithmeticError) as error:
            self._warn(error)
            return None

    def _trust(self) -> None:
        """Raises ValueError if others may write here; looks until they may not."""
        if not self._trusted:
            if why := distrust(self.directory):
                raise ValueError(why)
            self._trusted = True

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            text = "the cache of proofs at %s cannot be used as it is (%s); proofs are made again where they are missing"
            _log.warning(text, self.directory, error)

    def _sweep(self) -> None:
        """Remove what processes that were killed left unfinished."""
        if self._swept:
            return
        self._swept = True
        for part in self.directory.glob("*.part"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > STALE_SECONDS:
                    part.unlink()

    def _path(self, name: str) -> Path:
        return self.directory / f"{name}.json"


def distrust(directory: Path) -> str:
    """Why proofs in a directory could be anybody's, and what to do about it; nothing where only its owner, who is this user
    or root, may write there. Raises OSError, FileNotFoundError where there is no directory."""
    why = _others(os.stat(directory))
    return why and f"{directory} {why}; name a folder that does not exist yet (it is made with mode 0700), or mend this one"


def _others(status: os.stat_result) -> str:
    """How others than this user and root may write to a file or directory."""
    if hasattr(os, "geteuid") and status.st_uid not in (os.geteuid(), 0):
        return f"belongs to another user (uid {status.st_uid})"
    if S_IMODE(status.st_mode) & 0o022:
        return f"may be written to by others (mode {S_IMODE(status.st_mode):04o})"
    return ""


def contents(path: Path) -> str:
    """A text file. Raises ValueError for what is too large, or is no file that ends."""
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # so that nobody waits for the other end of a pipe
    try:
        status = os.fstat(handle)
        if not S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            raise ValueError(f"{path} is no file of a proof")
        if why := _others(status):
            raise ValueError(f"{path} {why}")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 1).decode("utf-8")
    finally:
        os.close(handle)


def _sum(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _verdict(found: Mapping[str, Any]) -> RuleVerdict:
    """A verdict from its fields. Raises ValueError for other fields, or other types."""
    blank = RuleVerdict(RuleWord.PENDING, "")
    kinds = {one.name: type(getattr(blank, one.name)) for one in fields(RuleVerdict)}
    if found.keys() != kinds.keys():
        raise ValueError(f"a verdict has the fields {', '.join(kinds)}")
    whole = dict(found) | {"word": RuleWord(found["word"]), "obligations": tuple(found["obligations"])}
    if any(type(value) is not kinds[name] for name, value in whole.items()):
        raise ValueError("a field of a verdict has another type")
    if not all(type(one) is str for one in whole["obligations"]):
        raise ValueError("an obligation is no text")
    return RuleVerdict(**whole)


def case_text(case: Case) -> Any:
    """A case as JSON; None for what is no plain value, or too large."""
    try:
        return {
            "inputs": [_plain(x) for x in case.inputs],
            "attributes": {name: _plain(value) for name, value in case.attributes.items()},
            "dtype": case.dtype.name,
            "drawn": list(case.drawn),
            "free": list(case.free),
            "beside": None if case.beside is None else case_text(case.beside),
        }
    except TypeError:
        return None


def case_from(text: Any) -> Case:
    """The case of a `case_text`. Raises ValueError, TypeError or KeyError for another."""
    attributes = {name: _value(value) for name, value in text["attributes"].items()}
    beside = None if text["beside"] is None else case_from(text["beside"])
    inputs, drawn, free = map(_value, text["inputs"]), tuple(text["drawn"]), tuple(text["free"])
    return Case(tuple(inputs), attributes, np.dtype(text["dtype"]), drawn, beside, free)


def _plain(value: Any) -> Any:
    if value is None or type(value) in (bool, int, str):
        return value
    if type(value) is float:
        return {"float": value.hex()}
    if type(value) is Fraction:
        return {"fraction": str(value)}
    if type(value) in (tuple, list):
        return {type(value).__name__: [_plain(one) for one in value]}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biu" and value.size <= MAX_ARRAY:
        return {"array": value.ravel().tolist(), "dtype": value.dtype.name, "shape": list(value.shape)}
    raise TypeError(f"a {type(value).__name__} is not kept")


def _value(text: Any) -> Any:
    if not isinstance(text, dict):
        return text
    if "array" in text:
        return np.array(text["array"], text["dtype"]).reshape(text["shape"])
    [(kind, inner)] = text.items()
    if kind == "float":
        return float.fromhex(inner)
    if kind == "fraction":
        return Fraction(inner)
    return {"tuple": tuple, "list": list}[kind](map(_value, inner))
