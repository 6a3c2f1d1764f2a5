"""Access: where a server listens, and whom it serves. Each call gets its caller before anything of it is read."""

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
from gradproof.server.access.trusted_files import told
from gradproof.server.calls.calls import CURRENT, Around, Call, Context
from gradproof.server.calls.messages import Unreadable
from gradproof.server.calls.record import identified
from gradproof.server.calls.scopes import OPEN, Unauthenticated, authorize
from gradproof.server.calls.status import fail
from gradproof.server.problems import Problem, Unusable

log = structlog.get_logger("gradproof.server")
SIDE_DOOR = Caller("side door", frozenset((EVALUATE, VERIFY)))
"""The server itself, which warms up through a socket that only this user can reach."""

ASK_SECONDS = 5.0  # for plugins to say whose a call is
ASKING = 8  # calls about which plugins are asked at a time
REFUSE_SECONDS = 0.05  # by which a refusal is late, so that guessing is slow
SOON = timedelta(days=14)
LOG_SECONDS = 1.0  # refusals are logged so often at most, with their count

Connection: TypeAlias = Mapping[str, Iterable[bytes]]
"""Properties of a connection, as gRPC knows them: its kind, and the certificate of the client."""

_AS_OF: ContextVar[int] = ContextVar("gradproof_identified", default=0)
"""The generation of `Access` in which it was found out whose the running call is."""


class Wanted(Protocol):
    """The settings that access is made of."""

    @property
    def token_file(self) -> Path | None: ...
    @property
    def tls_cert(self) -> Path | None: ...
    @property
    def tls_key(self) -> Path | None: ...
    @property
    def tls_client_ca(self) -> Path | None: ...


class Access:
    """Certificates and callers, as the settings say, and what plugins know of callers. Raises Unusable with all that is
    wrong."""

    def __init__(self, settings: Wanted, registry: Registry | None = None) -> None:
        self._token_file = settings.token_file
        self._client_ca = settings.tls_client_ca
        self._identities = Identities()
        self._certificates: Certificates | None = None
        self._hook = registry.manager.hook.authenticate if registry is not None else None
        self._threads = ThreadPoolExecutor(ASKING, "authenticate")
        self.generation = 0
        problems: list[Problem] = []
        if settings.tls_cert is not None and settings.tls_key is not None:
            try:
                self._certificates = Certificates(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
            except Unusable as error:
                problems.extend(error.problems)
        elif settings.tls_cert is not None or settings.tls_key is not None:
            missing = "tls_key" if settings.tls_key is None else "tls_cert"
            problems.append(Problem(missing, "is not given; TLS needs a certificate and its key"))
        if settings.tls_client_ca is not None and settings.tls_cert is None:
            problems.append(Problem("tls_client_ca", "clients show certificates over TLS only; give tls_cert and tls_key"))
        try:
            self._identities = self._read()
        except Unusable as error:
            problems.extend(error.problems)
        if problems:
            raise Unusable(problems)

    def reload(self) -> None:
        """Read certificates and tokens again: for calls, requests of sessions, and connections from now on. Raises Unusable
        if anything is wrong, and keeps all that there was."""
        problems: list[Problem] = []
        identities = self._identities
        try:
            identities = self._read()
        except Unusable as error:
            problems.extend(error.problems)
        if self._certificates is not None:
            try:
                self._certificates.reload(only_look=bool(problems))
            except Unusable as error:
                problems.extend(error.problems)
        if problems:
            raise Unusable(problems)
        self._identities = identities
        self.generation += 1

    def warn(self) -> None:
        """Say in the log what will soon be wrong."""
        if self._certificates is not None and self._certificates.expires - datetime.now(UTC) < SOON:
            log.warning("the certificate of this server expires soon", expires=self._certificates.expires.isoformat())

    def _read(self) -> Identities:
        if self._token_file is None:
            return Identities()
        try:
            return read_identities(self._token_file)
        except (OSError, ValueError) as error:
            raise Unusable([Problem("token_file", line) for line in told(error).splitlines()]) from error

    def close(self) -> None:
        """Ask no plugin any more. Waits for none."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    @property
    def open(self) -> bool:
        """Whether everybody is served."""
        return self._token_file is None and self._client_ca is None and not (self._hook and self._hook.get_hookimpls())

    def interceptors(self) -> list[grpc.aio.ServerInterceptor]:
        return [] if self.open else [Callers(self)]

    def bind(self, server: grpc.aio.Server, address: str) -> int:
        """The port. Raises RuntimeError if the address is taken. A Unix socket is for this user alone."""
        if address.startswith("unix:"):
            before = os.umask(0o177)
            try:
                return int(server.add_insecure_port(address))
            finally:
                os.umask(before)
        if self._certificates is None:
            return int(server.add_insecure_port(address))
        return int(server.add_secure_port(address, self._certificates.credentials()))

    async def caller(self, call: Call, connection: Connection) -> Caller | None:
        """The caller of a call, by how its connection was made, its token, its certificate, or what a plugin says."""
        if b"local" in connection.get("transport_security_type", ()):  # ports of that kind are side doors
            return SIDE_DOOR
        kind, _, token = call.metadata.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            if (found := self._identities.by_token(token.strip())) is not None:
                return found
        elif (names := certified(connection)) and self._client_ca is not None:
            if (found := self._identities.by_certificate(names)) is not None:
                return found
            if self._token_file is None:
                return Caller(names[0], DEFAULT)
        return await self._asked(call, connection)

    async def _asked(self, call: Call, connection: Connection) -> Caller | None:
        """The caller that a plugin names."""
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
            except BaseException as error:  # of a plugin, which may raise anything; it is not to end the server
                raise RuntimeError(f"{type(error).__name__}: {error}") from None

        try:
            found = await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(self._threads, ask), ASK_SECONDS)
        except (RuntimeError, TimeoutError) as error:
            log.warning("a plugin could not say whose a call is; it is refused", reason=str(error) or "it took too long")
            return None
        if found is not None and not isinstance(found, Caller):
            log.warning("a plugin said whose a call is, and that was no Caller; it is refused", kind=type(found).__name__)
            return None
        return found


class Callers(Around):
    """Ends calls of nobody with UNAUTHENTICATED before anything of them is read, and requests beyond the scopes of their
    caller with PERMISSION_DENIED. Whose a call is, is found out once, and again after a reload for each request of a
    session."""

    def __init__(self, access: Access) -> None:
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
        if call.method.startswith(OPEN) or isinstance(request, Unreadable):
            return
        session = call.method.endswith("/Session")
        try:
            if _AS_OF.get() != self._access.generation:
                await self._identify(call, context)
            authorize(call.method, request)  # a session says itself what else its requests need, and goes on
        except GradproofError as error:
            if session:  # it ends when it has heard of this
                raise
            await fail(context, error)

    async def _identify(self, call: Call, context: Context) -> None:
        """Say whose the running call is. Raises Unauthenticated."""
        as_of = self._access.generation
        found = await self._access.caller(call, context.auth_context())
        if found is None:
            self._note(call)
            await asyncio.sleep(REFUSE_SECONDS)
            raise Unauthenticated()
        _AS_OF.set(as_of)
        known = replace(call, caller=found)
        CURRENT.set(known)
        identified(known)

    def _note(self, call: Call) -> None:
        self._refused += 1
        if (now := time.monotonic()) - self._logged >= LOG_SECONDS:
            log.warning("calls without a valid token were refused", count=self._refused, peer=call.peer, method=call.method)
            self._refused, self._logged = 0, now


def certified(connection: Connection) -> list[str]:
    """The names in the certificate of a client: the alternative ones, then the common one."""
    return [*_texts(connection, "x509_subject_alternative_name"), *_texts(connection, "x509_common_name")]


def _texts(connection: Connection, key: str) -> list[str]:
    return [one.decode("utf-8", "replace") for one in connection.get(key, ())]
