"""Access control: the credentials of the port, and authentication of each call before its request is handled."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import grpc
import structlog

from gradproof.engine.caller import EVALUATE, VERIFY, Caller
from gradproof.engine.errors import GradproofError
from gradproof.engine.registry import Registry
from gradproof.server.access.certificates import Certificates
from gradproof.server.access.identities import DEFAULT, Identities, read_identities
from gradproof.server.access.trusted_files import error_text
from gradproof.server.calls.calls import CURRENT, Call, Context, WrappingInterceptor
from gradproof.server.calls.messages import UnreadableMessage
from gradproof.server.calls.record import record_caller
from gradproof.server.calls.scopes import OPEN, Unauthenticated, authorize
from gradproof.server.calls.status import fail
from gradproof.server.problems import ConfigurationError, Problem, collecting

log = structlog.get_logger("gradproof.server")
WARM_UP_CALLER = Caller("warm-up", frozenset((EVALUATE, VERIFY)))
"""The server itself, at the private socket of its warm-up."""

ASK_SECONDS = 5.0  # time limit for plugins to authenticate a call
ASKING = 8  # threads that ask plugins
REFUSE_SECONDS = 0.05  # delay of a refusal, which makes guessing slow
SOON = timedelta(days=14)  # a certificate that expires within this time is logged
LOG_SECONDS = 1.0  # shortest interval between log lines about refusals

Connection: TypeAlias = Mapping[str, Iterable[bytes]]
"""The auth context of gRPC: kind of the connection, and certificate of the client."""

_AS_OF: ContextVar[int] = ContextVar("gradproof_identified", default=0)
"""The generation of `Access` by which the running call was authenticated."""


class AccessSettings(Protocol):
    """The settings that concern access."""

    @property
    def token_file(self) -> Path | None: ...
    @property
    def tls_cert(self) -> Path | None: ...
    @property
    def tls_key(self) -> Path | None: ...
    @property
    def tls_client_ca(self) -> Path | None: ...


class Access:
    """Certificates and callers of the settings, and the ``authenticate`` hook of plugins. Raises ConfigurationError with
    all problems."""

    def __init__(self, settings: AccessSettings, registry: Registry | None = None) -> None:
        self._token_file = settings.token_file
        self._client_ca = settings.tls_client_ca
        self._identities = Identities()
        self._certificates: Certificates | None = None
        self._hook = registry.manager.hook.authenticate if registry is not None else None
        self._threads = ThreadPoolExecutor(ASKING, "authenticate")
        self.generation = 0
        problems: list[Problem] = []
        if settings.tls_cert is not None and settings.tls_key is not None:
            with collecting(problems):
                self._certificates = Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
        elif settings.tls_cert is not None or settings.tls_key is not None:
            missing = "tls_key" if settings.tls_key is None else "tls_cert"
            problems.append(Problem(missing, "is not given; TLS needs a certificate and its key"))
        if settings.tls_client_ca is not None and settings.tls_cert is None:
            problems.append(Problem("tls_client_ca", "clients show certificates over TLS only; give tls_cert and tls_key"))
        with collecting(problems):
            self._identities = self._read()
        if problems:
            raise ConfigurationError(problems)

    def reload(self) -> None:
        """Reload certificates and tokens, for new connections, and for calls and requests of sessions from now on. Raises
        ConfigurationError if there is a problem, and keeps the previous ones."""
        problems: list[Problem] = []
        identities = self._identities
        with collecting(problems):
            identities = self._read()
        if self._certificates is not None:
            with collecting(problems):
                self._certificates.reload(check_only=bool(problems))
        if problems:
            raise ConfigurationError(problems)
        self._identities = identities
        self.generation += 1

    def warn(self) -> None:
        """Log a warning if the certificate expires soon."""
        if self._certificates is not None and self._certificates.expires - datetime.now(UTC) < SOON:
            log.warning("the certificate of this server expires soon", expires=self._certificates.expires.isoformat())

    def _read(self) -> Identities:
        if self._token_file is None:
            return Identities()
        try:
            return read_identities(self._token_file)
        except (OSError, ValueError) as error:
            raise ConfigurationError([Problem("token_file", line) for line in error_text(error).splitlines()]) from error

    def close(self) -> None:
        """Stop asking plugins, without waiting for them."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def serves_everyone(self) -> bool:
        """True if neither token, certificate nor plugin is asked who calls."""
        return self._token_file is None and self._client_ca is None and not (self._hook and self._hook.get_hookimpls())

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        """The interceptors that authenticate and authorize calls; none if everyone is served."""
        return [] if self.serves_everyone else [CallerInterceptor(self)]

    def bind(self, server: grpc.aio.Server, address: str) -> int:
        """Bind ``address`` and return the port. A Unix socket is made with mode 0600. Raises RuntimeError if it is
        taken."""
        if address.startswith("unix:"):
            umask = os.umask(0o177)
            try:
                return int(server.add_insecure_port(address))
            finally:
                os.umask(umask)
        if self._certificates is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, self._certificates.credentials()))

    async def caller(self, call: Call, connection: Connection) -> Caller | None:
        """The caller of a call, by its connection, token, certificate, or a plugin; None if it is unknown."""
        if b"local" in connection.get("transport_security_type", ()):  # the warm-up socket
            return WARM_UP_CALLER
        kind, _, token = call.metadata.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            if (caller := self._identities.by_token(token.strip())) is not None:
                return caller
        elif (names := certificate_names(connection)) and self._client_ca is not None:
            if (caller := self._identities.by_certificate(names)) is not None:
                return caller
            if self._token_file is None:
                return Caller(names[0], DEFAULT)
        return await self._ask_plugins(call, connection)

    async def _ask_plugins(self, call: Call, connection: Connection) -> Caller | None:
        """The caller that the ``authenticate`` hook names."""
        hook = self._hook
        if hook is None or not hook.get_hookimpls():
            return None
        certificate = {
            "common_name": _texts(connection, "x509_common_name"),
            "names": _texts(connection, "x509_subject_alternative_name"),
            "pem": _texts(connection, "x509_pem_cert"),
        }
        certificate = {} if not certificate["pem"] else certificate

        def ask() -> Any:
            try:
                return hook(metadata=dict(call.metadata), peer=call.peer, certificate=certificate)
            except BaseException as error:  # a plugin may raise anything, SystemExit too
                raise RuntimeError(f"{type(error).__name__}: {error}") from None

        try:
            caller = await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._threads, ask), ASK_SECONDS)
        except (RuntimeError, TimeoutError) as error:
            log.warning("a plugin failed to authenticate a call, which is refused", reason=str(error) or "it took too long")
            return None
        if caller is not None and not isinstance(caller, Caller):
            log.warning("a plugin returned no Caller for a call, which is refused", kind=type(caller).__name__)
            return None
        return caller


class CallerInterceptor(WrappingInterceptor):
    """Ends calls of unknown callers with UNAUTHENTICATED before a request is handled, and requests beyond the scopes of
    their caller with PERMISSION_DENIED. A call is authenticated once, and after a reload again with the next request of a
    session."""

    def __init__(self, access: Access) -> None:
        super().__init__()
        self._access = access
        self._refused, self._logged = 0, float("-inf")

    @asynccontextmanager
    async def around(self, call: Call, context: Context) -> AsyncIterator[None]:
        if not call.method.startswith(OPEN):
            try:
                await self._identify(call, context)
            except Unauthenticated as error:
                await fail(context, error)
        yield

    async def message(self, call: Call, request: Any, context: Context) -> None:
        if call.method.startswith(OPEN) or isinstance(request, UnreadableMessage):
            return
        session = call.method.endswith("/Session")
        try:
            if _AS_OF.get() != self._access.generation:
                await self._identify(call, context)
            authorize(call.method, request)  # the session authorizes its requests one by one, and survives a refusal
        except GradproofError as error:
            if session:  # the servicer ends the stream with this error
                raise
            await fail(context, error)

    async def _identify(self, call: Call, context: Context) -> None:
        """Set the caller of the running call. Raises Unauthenticated."""
        as_of = self._access.generation
        caller = await self._access.caller(call, context.auth_context())
        if caller is None:
            self._log_refusal(call)
            await asyncio.sleep(REFUSE_SECONDS)
            raise Unauthenticated()
        _AS_OF.set(as_of)
        authenticated = replace(call, caller=caller)
        CURRENT.set(authenticated)
        record_caller(authenticated)

    def _log_refusal(self, call: Call) -> None:
        self._refused += 1
        if (now := time.monotonic()) - self._logged >= LOG_SECONDS:
            log.warning("calls without a valid token were refused", count=self._refused, peer=call.peer, method=call.method)
            self._refused, self._logged = 0, now


def certificate_names(connection: Connection) -> list[str]:
    """The names in the certificate of a client: subject alternative names, then the common name."""
    return [*_texts(connection, "x509_subject_alternative_name"), *_texts(connection, "x509_common_name")]


def _texts(connection: Connection, key: str) -> list[str]:
    return [text.decode("utf-8", "replace") for text in connection.get(key, ())]
