"""Identities: callers by their tokens and certificates, as a file lists them."""

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

MIN_TOKEN = 16  # bytes; a shorter token can be guessed
KEYS = ("sha256", "certificate", "scopes", "runs", "share")
DEFAULT = frozenset(SCOPES) - {ADMIN}
"""Scopes of a caller without an entry: that of a file with a single token, or of a certificate that no entry names."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


@dataclass(frozen=True)
class Identity:
    """A caller with its credential: the SHA-256 of its token, or a name in its certificate."""

    caller: Caller
    digest: bytes = b""
    certificate: str = ""


@dataclass(frozen=True)
class Identities:
    """The callers of a file."""

    known: Sequence[Identity] = ()

    def by_token(self, token: str) -> Caller | None:
        """The caller with this token, or None. Compares all digests in constant time, so that timing reveals no token."""
        digest, caller = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest(), None
        for identity in self.known:
            if hmac.compare_digest(digest, identity.digest or b"\0" * len(digest)) and identity.digest:
                caller = identity.caller
        return caller

    def by_certificate(self, names: Collection[str]) -> Caller | None:
        """The caller whose certificate has any of these names, or None."""
        return next((known.caller for known in self.known if known.certificate and known.certificate in names), None)


def read_identities(path: Path) -> Identities:
    """The callers of a file: TOML with a table ``callers``, or a single token. Raises ValueError with all faults, a line
    each, OSError if the file cannot be read."""
    raw = read_private(path)
    try:
        text = raw.decode("utf-8").strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is no text in UTF-8") from None
    if not text:
        raise ValueError(f"{path} is empty; `gradproof token new NAME` makes an entry")
    if path.suffix != ".toml" and len(text.splitlines()) == 1 and not text.startswith(("[", "callers", "#")):
        return Identities([_single_token(path, text)])
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is neither a single token in a line nor TOML: {error}") from None
    faults: list[str] = []
    identities = list(_entries(table, faults))
    for kind in ("digest", "certificate"):
        credentials = [(getattr(known, kind), known.caller.name) for known in identities if getattr(known, kind)]
        firsts: dict[Any, str] = {}
        for credential, name in credentials:
            if (first := firsts.setdefault(credential, name)) != name:
                faults.append(f"{first!r} and {name!r} have the same {'token' if kind == 'digest' else kind}")
    if faults:
        raise ValueError("\n".join(f"{path}: {fault}" for fault in faults))
    return Identities(identities)


def _single_token(path: Path, token: str) -> Identity:
    if not token.isprintable() or not token.isascii():
        raise ValueError(
            f"the token in {path} has characters that a header may not have; `gradproof token new NAME` makes one"
        )
    if len(token) < MIN_TOKEN:
        text = f"has {len(token)} bytes, and below {MIN_TOKEN} it can be guessed; `gradproof token new NAME` makes one"
        raise ValueError(f"the token in {path} {text}")
    return Identity(Caller("default", DEFAULT), hashlib.sha256(token.encode()).digest())


def _entries(table: Mapping[str, Any], faults: list[str]) -> Iterator[Identity]:
    """The valid entries of a file; faults of the others are added to ``faults``."""
    faults.extend(
        f"{name!r} means nothing here; entries are tables [callers.NAME]{did_you_mean(name, ['callers'])}"
        for name in table.keys() - {"callers"}
    )
    callers = table.get("callers")
    if not isinstance(callers, dict) or not callers:
        faults.append("there is no [callers.NAME]; `gradproof token new NAME` makes one")
        return
    for name, entry in callers.items():
        if not _NAME.fullmatch(name):
            faults.append(f"callers.{name!r}: a name has up to 64 letters, digits and . _ @ -")
        if not isinstance(entry, dict):
            faults.append(f"callers.{name} is no table; write [callers.{name}]")
            continue
        identity = _entry(name, entry, faults)
        if identity is not None and _NAME.fullmatch(name):
            yield identity


def _entry(name: str, entry: Mapping[str, Any], faults: list[str]) -> Identity | None:
    """The identity of an entry; None if it has faults, which are added to ``faults``."""
    known = len(faults)
    faults.extend(
        f"callers.{name}.{key}: there is no such key{did_you_mean(key, KEYS)}" for key in entry.keys() - set(KEYS)
    )
    digest, certificate = entry.get("sha256", ""), entry.get("certificate", "")
    if not isinstance(digest, str) or (digest and not re.fullmatch(r"[0-9a-fA-F]{64}", digest)):
        faults.append(f"callers.{name}.sha256 is not the SHA-256 of a token, in 64 hexadecimal digits")
    if not isinstance(certificate, str):
        faults.append(f"callers.{name}.certificate is no name of a certificate")
    if not digest and not certificate:
        faults.append(f"callers.{name} has neither sha256, of its token, nor certificate, a name in it")
    scopes = entry.get("scopes")
    if not isinstance(scopes, list) or not scopes or not all(isinstance(scope, str) for scope in scopes):
        faults.append(f"callers.{name}.scopes must be a list of {', '.join(SCOPES)}")
        return None
    try:
        caller = Caller(name, frozenset(scopes), entry.get("runs"), entry.get("share"))
    except ValueError as error:
        faults.append(f"callers.{name}: {error}")
        return None
    return Identity(caller, bytes.fromhex(digest), certificate) if len(faults) == known else None


def new_token(name: str, scopes: Sequence[str], *, runs: int | None = None, share: float | None = None) -> tuple[str, str]:
    """A new token, and its entry for the file of callers. Raises ValueError for a wrong name, scope or quota."""
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
