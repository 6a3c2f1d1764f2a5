"""The target server of a command, with its options: address, TLS and token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, Optional, get_type_hints

import typer

from gradproof.client import Client, GradproofError, PermissionDenied, Unauthenticated, Unavailable, connect
from gradproof.client.channel import Connection
from gradproof.server.problems import CLIENT

MAX_TOKEN_BYTES = 1 << 16


def _file(name: str, text: str) -> Any:
    path = Optional[Path]  # noqa: UP045 - typer reads this annotation
    variable = CLIENT + name.replace("-", "_").upper()
    return Annotated[path, typer.Option(f"--{name}", metavar="FILE", envvar=variable, help=text)]


OPTIONAL = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option(
        "--target", metavar="HOST:PORT", help="A running server; by default a server is started for this command."
    ),
]
REQUIRED = Annotated[str, typer.Argument(metavar="HOST:PORT", help="A running server.")]

OPTIONS: dict[str, tuple[Any, Any]] = {
    "tls": (
        Annotated[bool, typer.Option("--tls", envvar=f"{CLIENT}TLS", help="Use TLS, and trust the usual authorities.")],
        False,
    ),
    "tls_ca": (_file("tls-ca", "Authorities (PEM) to trust; implies --tls."), None),
    "tls_cert": (_file("tls-cert", "Certificate (PEM) of this client; implies --tls."), None),
    "tls_key": (_file("tls-key", "Its key (PEM)."), None),
    "token_file": (_file("token-file", "File with the token of this client."), None),
}


@dataclass(frozen=True)
class Target:
    """The options of a command. Without an ``address`` a server is started, to which the other options do not apply."""

    address: str | None
    tls: bool = False
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    token_file: Path | None = None

    def client(self, plugins: Sequence[str] | None = None) -> Client:
        """A client of the target, or of a server that is started with ``plugins``. Raises ValueError for options that
        conflict, OSError if a file cannot be read. Commands draw their own bars."""
        if self.address is None:
            words = [word for source in plugins or () for word in ("--plugin", source)]
            return connect(None, arguments=words, progress=False)
        return Client(self.address, progress=False, **self._options())

    def connection(self) -> Connection:
        """The connection to the target, without retries. Raises as `client` does."""
        assert self.address is not None
        return Connection(self.address, retries=0, **self._options())

    def _options(self) -> dict[str, Any]:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("a certificate and its key go together: give --tls-cert and --tls-key")
        tls: bool | Path = self.tls_ca or self.tls or self.tls_cert is not None
        options: dict[str, Any] = {"tls": tls, "token": self._token()}
        if self.tls_cert is not None:
            options |= {"certificate": self.tls_cert, "key": self.tls_key}
        return options

    def _token(self) -> str:
        if self.token_file is None:
            return ""
        with self.token_file.open("rb") as file:
            token = file.read(MAX_TOKEN_BYTES).decode("ascii", errors="replace").strip()
        if not token or not token.isascii() or not token.isprintable():
            raise ValueError(f"--token-file: {self.token_file} does not hold a single token in a line")
        return token

    def explain(self, error: Exception) -> str:
        """The text of an error, with the option that may cure it."""
        return "; ".join(filter(None, (str(error), self._advice(error))))

    def _advice(self, error: Exception) -> str:
        if isinstance(error, ValueError) and "tls=True" in str(error):
            return "on the command line --tls, or --tls-ca FILE"
        if self.address is None or not isinstance(error, GradproofError):
            return ""
        encrypted = bool(self.tls or self.tls_ca or self.tls_cert)
        if isinstance(error, Unauthenticated):
            if self.token_file:
                return f"the token of {self.token_file} is not known there"
            return "give --token-file FILE, or --tls-cert and --tls-key"
        if isinstance(error, PermissionDenied):
            return "or give a --token-file with that scope"
        if isinstance(error, Unavailable) and not encrypted:
            return "if the server has a certificate, give --tls, or --tls-ca FILE"
        if isinstance(error, Unavailable) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return (
                "--tls-ca FILE names the certificates to trust, and the address must be a name in the server's certificate"
            )
        return ""


def with_target(address: Any = OPTIONAL) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator for commands: replaces their parameter ``target`` by the options of a target. ``address`` is the
    annotation of the address."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        options = {"address": (address, Parameter.empty if address is REQUIRED else None), **OPTIONS}

        @wraps(command)
        def wrapped(**arguments: Any) -> None:
            target = Target(**{name: arguments.pop(name) for name in options})
            command(target=target, **arguments)

        parameters = []
        for own in signature(command).parameters.values():
            replaced = options if own.name == "target" else {own.name: (hints[own.name], own.default)}
            for name, (hint, default) in replaced.items():
                parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint))
        wrapped.__signature__ = signature(command).replace(parameters=parameters)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return wrapped

    return decorate
