"""Certificates of a server, which can be exchanged while it runs: its own with its key, and those that it trusts clients
by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from gradproof.server.access.trusted_files import read_private, read_trusted, told
from gradproof.server.problems import Problem, Unusable


class Certificates:
    """``certificate`` and ``key``: files in PEM, the certificate first and those between it and its authority behind it;
    ``client_ca``: certificates of which one must have signed that of a client. Raises Unusable where they will not do."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self.expires = datetime.max.replace(tzinfo=UTC)
        """When the certificate of the server does."""
        self._now = self._read()

    def reload(self, *, only_look: bool = False) -> None:
        """Read the files again, for connections from now on, or ``only_look`` at them. Raises Unusable, and keeps what was
        there."""
        found = self._read()
        if not only_look:
            self._now = found

    def credentials(self) -> grpc.ServerCredentials:
        """For a port. Each new connection has what was read last."""
        return grpc.dynamic_ssl_server_credentials(
            self._now, lambda: self._now, require_client_authentication=self._client_ca is not None
        )

    def _read(self) -> grpc.ServerCertificateConfiguration:
        problems: list[Problem] = []
        chain = _found(problems, "tls_cert", self._certificate, _chain)
        pair = _found(problems, "tls_key", self._key, _key)
        trusted = _found(problems, "tls_client_ca", self._client_ca, _chain) if self._client_ca else None
        if chain and pair and chain[1][0].public_key() != pair[1].public_key():
            problems.append(Problem("tls_key", f"{self._key} is not the key of the certificate in {self._certificate}"))
        if problems or chain is None or pair is None:
            raise Unusable(problems)
        self.expires = chain[1][0].not_valid_after_utc
        return grpc.ssl_server_certificate_configuration([(pair[0], chain[0])], trusted[0] if trusted else None)


def _found(problems: list[Problem], setting: str, path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        return read(path)
    except (OSError, ValueError) as error:
        problems.append(Problem(setting, told(error)))
        return None


def _chain(path: Path) -> tuple[bytes, Sequence[Any]]:
    """The bytes of a file of certificates, and they themselves. Raises ValueError for one that is not valid now."""
    from cryptography import x509

    raw = read_trusted(path)
    try:
        found = x509.load_pem_x509_certificates(raw)
    except ValueError as error:
        raise ValueError(f"{path} holds no certificate in PEM: {error}") from None
    now = datetime.now(UTC)
    for one in found:
        who = one.subject.rfc4514_string() or f"number {one.serial_number:x}"
        if one.not_valid_after_utc < now:
            raise ValueError(f"the certificate {who} in {path} expired on {one.not_valid_after_utc:%Y-%m-%d}; renew it")
        if one.not_valid_before_utc > now:
            raise ValueError(
                f"the certificate {who} in {path} is not valid before {one.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; "
                "is the clock right?"
            )
    return raw, found


def _key(path: Path) -> tuple[bytes, Any]:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    raw = read_private(path)
    try:
        return raw, load_pem_private_key(raw, None)
    except TypeError:
        raise ValueError(f"{path} is encrypted; give a key without a passphrase") from None
    except Exception as error:  # the library has kinds of its own for keys it does not know
        raise ValueError(f"{path} holds no key in PEM: {error}") from None
