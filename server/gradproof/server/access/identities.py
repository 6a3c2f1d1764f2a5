"""Identities: callers by the tokens and certificates that a file gives them."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradproof.engine.caller import ADMIN, SCOPES, Caller
from gradproof.engine.hints import did_you_mean
from gradproof.server.access.trusted_files import read_private

MIN_TOKEN = 16  # bytes: a shorter one can be guessed
KEYS = ("sha256", "certificate", "scopes", "runs", "share")
DEFAULT = frozenset(SCOPES) - {ADMIN}
"""The scopes of a caller of whom nobody says more: a file with one token, a certificate that no entry names."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True)
class Identity:
    """A caller with what proves it: the SHA-256 of its token, or a name in its certificate."""

    caller: Caller
    digest: bytes = b""
    certificate: str = ""


@dataclass(frozen=True)
class Identities:
    """The callers that a file names. An empty table knows nobody."""

    known: Sequence[Identity] = ()

    def by_token(self, token: str) -> Caller | None:
        """The caller whose token it is. Takes as long for one as for another: digests are compared, and all of them."""
        given, found = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest(), None
        for one in self.known:
            if hmac.compare_digest(given, one.digest or b"\0" * len(given)) and one.digest:
                found = one.caller
        return found

    def by_certificate(self, names: Collection[str]) -> Caller | None:
        """The caller whose certificate has one of these names."""
        return next((one.caller for one in self.known if one.certificate and one.certificate in names), None)


def read_identities(path: Path) -> Identities:
    """The callers of a file: TOML with a table ``callers``, or nothing but one token. Raises ValueError with all that is
    wrong, a line each, OSError where it cannot be read."""
    raw = read_private(path)
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8") from None
    if not text:
        raise ValueError(f"{path} is empty; `gradproof token new NAME` makes an entry")
    if path.suffix != ".toml" and len(text.splitlines()) == 1 and not text.startswith(("[", "callers", "#")):
        return Identities([_plain(path, text)])
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is neither one token in one line nor TOML: {error}") from None
    faults: list[str] = []
    found = list(_entries(table, faults))
    for kind in ("digest", "certificate"):
        proofs = [(getattr(one, kind), one.caller.name) for one in found if getattr(one, kind)]
        firsts: dict[Any, str] = {}
        for proof, name in proofs:
            if (first := firsts.setdefault(proof, name)) != name:
                faults.append(f"{first!r} and {name!r} have the same {'token' if kind == 'digest' else kind}")
    if faults:
        raise ValueError("\n".join(f"{path}: {fault}" for fault in faults))
    return Identities(found)


def _plain(path: Path, token: str) -> Identity:
    if not token.isprintable() or not token.isascii():
        raise ValueError(
            f"the token in {path} has characters that no header may have; `gradproof token new NAME` makes one"
        )
    if len(token) < MIN_TOKEN:
        text = f"has {len(token)} bytes, and below {MIN_TOKEN} it can be guessed; `gradproof token new NAME` makes one"
        raise ValueError(f"the token in {path} {text}")
    return Identity(Caller("default", DEFAULT), hashlib.sha256(token.encode()).digest())


def _entries(table: Mapping[str, Any], faults: list[str]) -> Iterator[Identity]:
    """The entries that are right; what is wrong with the others is added to ``faults``."""
    for name in table.keys() - {"callers"}:
        faults.append(f"{name!r} means nothing here; entries are tables [callers.NAME]{did_you_mean(name, ['callers'])}")
    callers = table.get("callers")
    if not isinstance(callers, dict) or not callers:
        faults.append("there is no [callers.NAME]; `gradproof token new NAME` makes one")
        return
    for name, entry in callers.items():
        before = len(faults)
        if not _NAME.fullmatch(name):
            faults.append(f"callers.{name!r}: a name has up to 64 letters, digits and . _ @ -")
        if not isinstance(entry, dict):
            faults.append(f"callers.{name} is no table; write [callers.{name}]")
            continue
        for key in entry.keys() - set(KEYS):
            faults.append(f"callers.{name}.{key}: there is no such key{did_you_mean(key, KEYS)}")
        digest, certificate = entry.get("sha256", ""), entry.get("certificate", "")
        if not isinstance(digest, str) or (digest and not re.fullmatch(r"[0-9a-fA-F]{64}", digest)):
            faults.append(f"callers.{name}.sha256 is not the SHA-256 of a token, in 64 hexadecimal digits")
        if not isinstance(certificate, str):
            faults.append(f"callers.{name}.certificate is no name of a certificate")
        if not digest and not certificate:
            faults.append(f"callers.{name} has neither sha256, of its token, nor certificate, a name in it")
        scopes = entry.get("scopes")
        if not isinstance(scopes, list) or not scopes or not all(isinstance(one, str) for one in scopes):
            faults.append(f"callers.{name}.scopes is to be a list of {', '.join(SCOPES)}")
            continue
        try:
            caller = Caller(name, frozenset(scopes), entry.get("runs"), entry.get("share"))
        except ValueError as error:
            faults.append(f"callers.{name}: {error}")
            continue
        if len(faults) == before:
            yield Identity(caller, bytes.fromhex(digest), certificate)


def new_token(name: str, scopes: Sequence[str], *, runs: int | None = None, share: float | None = None) -> tuple[str, str]:
    """A new token, and the entry for it in the file of callers. Raises ValueError."""
    if not _NAME.fullmatch(name):
        raise ValueError(f"the name is {name!r}; it may have up to 64 letters, digits and . _ @ -")
    if share is not None and not math.isfinite(share):
        raise ValueError(f"share is {share}; it must be above 0 and at most 1")
    caller = Caller(name, frozenset(scopes or DEFAULT), runs, share)
    token = secrets.token_urlsafe(32)
    quoted = ", ".join(f'"{scope}"' for scope in SCOPES if scope in caller.scopes)
    lines = [
        f'[callers."{name}"]',
        f'sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"',
        f"scopes = [{quoted}]",
        *([f"runs = {runs}"] if runs is not None else []),
        *([f"share = {share}"] if share is not None else []),
    ]
    return token, "\n".join(lines) + "\n"
