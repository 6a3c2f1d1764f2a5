"""Certificates of a server: its own with its key, and the authorities of its clients. They can be reloaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import grpc

from gradproof.server.access.trusted_files import error_text, read_private, read_trusted
from gradproof.server.problems import ConfigurationError, Problem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

T = TypeVar("T")


class Certificates:
    """``certificate`` and ``key`` are PEM files; intermediate certificates follow the server's own. ``client_ca`` holds the
    authorities that sign certificates of clients. Raises ConfigurationError if a file has a problem."""

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None) -> None:
        self._certificate, self._key, self._client_ca = certificate, key, client_ca
        self.expires = datetime.max.replace(tzinfo=UTC)
        """The end of validity of the server's certificate."""
        self._current = self._read()

    def reload(self, *, check_only: bool = False) -> None:
        """Read the files again, for new connections, or only check them. Raises ConfigurationError, and keeps the previous
        certificates."""
        certificates = self._read()
        if not check_only:
            self._current = certificates

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials for a port; each new connection uses the certificates read last."""
        return grpc.dynamic_ssl_server_credentials(
            self._current, lambda: self._current, require_client_authentication=self._client_ca is not None
        )

    def _read(self) -> grpc.ServerCertificateConfiguration:
        problems: list[Problem] = []
        chain = _collected(problems, "tls_cert", self._certificate, _chain)
        pair = _collected(problems, "tls_key", self._key, _key)
        trusted = _collected(problems, "tls_client_ca", self._client_ca, _chain) if self._client_ca else None
        if chain and pair and chain[1][0].public_key() != pair[1].public_key():
            problems.append(Problem("tls_key", f"{self._key} is not the key of the certificate in {self._certificate}"))
        if problems or chain is None or pair is None:
            raise ConfigurationError(problems)
        self.expires = chain[1][0].not_valid_after_utc
        return grpc.ssl_server_certificate_configuration([(pair[0], chain[0])], trusted[0] if trusted else None)


def _collected(problems: list[Problem], setting: str, path: Path, read: Callable[[Path], T]) -> T | None:
    """The result of ``read``; its error is added to ``problems``."""
    try:
        return read(path)
    except (OSError, ValueError) as error:
        problems.append(Problem(setting, error_text(error)))
        return None


def _chain(path: Path) -> tuple[bytes, Sequence[Certificate]]:
    """A file of certificates, as bytes and parsed. Raises ValueError if a certificate is not valid now."""
    from cryptography import x509  # noqa: PLC0415 - start-up time: only servers with TLS need it

    raw = read_trusted(path)
    try:
        certificates = x509.load_pem_x509_certificates(raw)
    except ValueError as error:
        raise ValueError(f"{path} holds no certificate in PEM: {error}") from None
    now = datetime.now(UTC)
    for certificate in certificates:
        name = certificate.subject.rfc4514_string() or f"number {certificate.serial_number:x}"
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if end < now:
            raise ValueError(f"the certificate {name} in {path} expired on {end:%Y-%m-%d}; renew it")
        if start > now:
            raise ValueError(
                f"the certificate {name} in {path} is not valid before {start:%Y-%m-%d %H:%M} UTC; is the clock right?"
            )
    return raw, certificates


def _key(path: Path) -> tuple[bytes, PrivateKeyTypes]:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - as in `_chain`

    raw = read_private(path)
    try:
        return raw, load_pem_private_key(raw, None)
    except TypeError:
        raise ValueError(f"{path} is encrypted; give a key without a passphrase") from None
    except Exception as error:  # UnsupportedAlgorithm and others of the library
        raise ValueError(f"{path} holds no key in PEM: {error}") from None
