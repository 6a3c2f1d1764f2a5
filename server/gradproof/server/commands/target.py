"""Target: the server that a command talks to, how it is reached, and as whom. One set of options for all such commands."""

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


def _file(name: str, help: str) -> Any:
    path = Optional[Path]  # noqa: UP045 - typer reads this annotation
    return Annotated[path, typer.Option(f"--{name}", metavar="FILE", envvar=CLIENT + _variable(name), help=help)]


def _variable(name: str) -> str:
    return name.replace("-", "_").upper()


STARTED = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--target", metavar="HOST:PORT", help="A running server. Left out: one is started for this command."),
]
GIVEN = Annotated[str, typer.Argument(metavar="HOST:PORT", help="A running server.")]

OPTIONS: dict[str, tuple[Any, Any]] = {
    "tls": (
        Annotated[
            bool, typer.Option("--tls", envvar=f"{CLIENT}TLS", help="The server's certificate is of a usual authority.")
        ],
        False,
    ),
    "tls_ca": (_file("tls-ca", "Certificates (PEM) to trust; implies --tls."), None),
    "tls_cert": (_file("tls-cert", "Certificate (PEM) to show; implies --tls."), None),
    "tls_key": (_file("tls-key", "Its key (PEM)."), None),
    "token_file": (_file("token-file", "The token in this file says who one is."), None),
}


@dataclass(frozen=True)
class Target:
    """Options as given. ``address``: None for a server that is started for the command; the others do not apply to it."""

    address: str | None
    tls: bool = False
    tls_ca: Path | None = None
    tls_cert: Path | None = None
    tls_key: Path | None = None
    token_file: Path | None = None

    def client(self, plugins: Sequence[str] | None = None) -> Client:
        """A client of it, or of a server started with ``plugins``. Raises ValueError for options that do not go together,
        OSError where a file cannot be read."""
        if self.address is None:
            return connect(None, arguments=[word for source in plugins or () for word in ("--plugin", source)])
        return Client(self.address, **self._options())

    def connection(self) -> Connection:
        """How it is reached; nothing is repeated. Raises as `client` does."""
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
            raise ValueError(f"--token-file: {self.token_file} does not hold one token in one line")
        return token

    def explained(self, error: Exception) -> str:
        """What an error says, and by which option it may be mended."""
        return "; ".join(filter(None, (str(error), self._advice(error))))

    def _advice(self, error: Exception) -> str:
        if isinstance(error, ValueError) and "tls=True" in str(error):
            return "on the command line --tls, or --tls-ca FILE"
        if self.address is None or not isinstance(error, GradproofError):
            return ""
        encrypted = bool(self.tls or self.tls_ca or self.tls_cert)
        if isinstance(error, Unauthenticated):
            wanted = "give --token-file FILE, or --tls-cert and --tls-key"
            return f"that of {self.token_file} is not known there" if self.token_file else wanted
        if isinstance(error, PermissionDenied):
            return "or give a --token-file whose token may"
        if isinstance(error, Unavailable) and not encrypted:
            return "if the server has a certificate, give --tls, or --tls-ca FILE"
        if isinstance(error, Unavailable) and "CERTIFICATE_VERIFY_FAILED" in str(error):
            return "--tls-ca FILE says which certificates to trust, and the address is to be a name in that of the server"
        return ""


def reaching(address: Any = STARTED) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A decorator of commands: it gives one that takes a ``target`` the options that say which, and how it is reached."""

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(command, include_extras=True)
        options = {"address": (address, Parameter.empty if address is GIVEN else None), **OPTIONS}

        @wraps(command)
        def told(**given: Any) -> None:
            target = Target(**{name: given.pop(name) for name in options})
            command(target=target, **given)

        parameters = []
        for one in signature(command).parameters.values():
            taken = options if one.name == "target" else {one.name: (hints[one.name], one.default)}
            for name, (hint, default) in taken.items():
                parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=hint))
        told.__signature__ = signature(command).replace(parameters=parameters)  # type: ignore[attr-defined]
        told.__annotations__ = {one.name: one.annotation for one in parameters}
        return told

    return decorated
