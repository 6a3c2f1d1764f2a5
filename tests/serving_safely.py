"""Certificates and files of tokens for tests, and channels that use them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
import trustme

TOKENS = {name: f"the token of {name}, in a test" for name in ("alice", "checker", "operator", "nobody")}
"""Tokens that are long enough. Nobody's is in no file."""

SCOPES = {"alice": ["evaluate"], "checker": ["evaluate", "verify"], "operator": ["evaluate", "verify", "admin"]}


def private(path: Path, text: str | bytes) -> Path:
    """A file that nobody else may read."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(0o600)
    return path


def callers(path: Path, scopes: Mapping[str, Sequence[str]] = SCOPES, more: str = "") -> Path:
    """A file of callers by their tokens."""
    entries = [
        f'[callers.{name}]\nsha256 = "{hashlib.sha256(TOKENS[name].encode()).hexdigest()}"\nscopes = {list(given)}\n'
        for name, given in scopes.items()
    ]
    return private(path, "\n".join([*entries, more]))


def bearer(name: str) -> tuple[tuple[str, str], ...]:
    """The metadata with somebody's token."""
    return (("authorization", f"Bearer {TOKENS[name]}"),)


class Authority:
    """An authority with the certificate and key of a server, in files."""

    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.trusted = folder / "ca.pem"
        self.trusted.write_bytes(self.ca.cert_pem.bytes())
        self.certificate, self.key = folder / "certificate.pem", folder / "key.pem"
        self.renew()

    def renew(self) -> None:
        """Another certificate in the same files."""
        made = self.ca.issue_cert("127.0.0.1", "localhost")
        self.certificate.write_bytes(b"".join(one.bytes() for one in made.cert_chain_pems))
        private(self.key, made.private_key_pem.bytes())

    def channel(self, target: str, client: trustme.LeafCert | None = None) -> grpc.Channel:
        """A connection of its own, which shows the certificate of ``client``."""
        pair = (client.private_key_pem.bytes(), client.cert_chain_pems[0].bytes()) if client else (None, None)
        credentials = grpc.ssl_channel_credentials(self.ca.cert_pem.bytes(), *pair)
        return grpc.secure_channel(target, credentials, [("grpc.use_local_subchannel_pool", 1)])
