"""A server in this process: the handler of every call, and the event loop on which it waits."""

from __future__ import annotations

import asyncio
import atexit
import os
from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import Any

import structlog

from gradproof.engine.compiled.blocks import use_threads
from gradproof.engine.compiled.store import Compilations
from gradproof.engine.engine import Engine
from gradproof.engine.verify.processes import Workers
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.server.calls.scopes import AUTODIFF, OPS
from gradproof.server.configuration.configuration import configure
from gradproof.server.configuration.settings import Settings
from gradproof.server.local.direct_handler import DirectHandler
from gradproof.server.local.direct_runs import DirectRuns
from gradproof.server.observability import logs
from gradproof.server.runs.handler import Handler
from gradproof.server.services.services import AutodiffServicer, OpServicer

STOP_SECONDS = 5.0
"""Time for cancelled calls to end."""

log = structlog.get_logger("gradproof.server")


class LocalServer:
    """Calls of this process to a handler, whose event loop runs in another thread. Runs compute in the threads that call;
    checks run in worker processes, which end with this process, however it ends. Belongs to the process that made it."""

    def __init__(self, handler: Handler, loop: asyncio.AbstractEventLoop) -> None:
        self.handler, self.loop = handler, loop
        self.runs = DirectRuns(DirectHandler(handler, loop, self))
        self._services = {AUTODIFF: AutodiffServicer(handler), OPS: OpServicer(handler)}
        self._owner = os.getpid()

    @property
    def here(self) -> bool:
        """True in the process that made the server, and in no fork of it."""
        return os.getpid() == self._owner

    def behaviour(self, method: str) -> Callable[..., Any]:
        """The servicer's method of this full name. Raises AttributeError if there is none."""
        service, _, name = method.rpartition("/")
        found: Callable[..., Any] = getattr(self._services[f"{service}/"], name)
        return found

    def call_later(self, seconds: float, function: Callable[[], object]) -> Callable[[], object]:
        """Call a function on the event loop after ``seconds``, unless the function that is returned was called before."""
        timers: list[asyncio.TimerHandle] = []

        def start() -> None:
            timers.append(self.loop.call_later(max(0.0, seconds), function))

        def stop() -> None:
            timers.pop().cancel()

        self.loop.call_soon_threadsafe(start)
        return lambda: self.loop.call_soon_threadsafe(stop)

    def stop(self) -> None:
        """Do nothing: the handler is another's."""


class OwnServer(LocalServer):
    """A local server with a handler and a loop of its own. ``settings``: those of network, encryption and callers mean
    nothing here."""

    def __init__(self, settings: Settings) -> None:
        use_threads(settings.threads)
        registry = settings.registry()
        logs.log_refused(registry.refused)
        workers = Workers()
        workers.prepare()  # a first check would otherwise wait for it
        proofs = ProofPool(
            registry,
            settings.cache_directory(),
            shipped=settings.shipped_proofs,
            workers=workers,
            at_once=settings.proof_workers,
            seconds=settings.proof_seconds,
        )
        engine = Engine(registry, compilations=Compilations(settings.plans))
        super().__init__(Handler(engine, proofs, settings.limits), asyncio.new_event_loop())
        self._thread = Thread(target=self.loop.run_forever, name="gradproof-local", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """End all calls and worker processes. May be called twice; does nothing in a fork of the owner."""
        if not self.here or not self._thread.is_alive():
            return
        atexit.unregister(self.stop)
        asyncio.run_coroutine_threadsafe(self._end_calls(), self.loop).result(2 * STOP_SECONDS)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(STOP_SECONDS)
        self.handler.close()
        self.handler.proofs.close()
        if not self._thread.is_alive():
            self.loop.close()

    async def _end_calls(self) -> None:
        calls = asyncio.all_tasks() - {asyncio.current_task()}
        for call in calls:
            call.cancel()
        if calls:
            await asyncio.wait(calls, timeout=STOP_SECONDS)


def start_local(arguments: Sequence[str] = ()) -> OwnServer:
    """A server with the settings that ``arguments`` of ``gradproof serve`` and the environment give. Raises
    ConfigurationError."""
    configuration = configure(["--owner", str(os.getpid()), *arguments])
    configuration.check()
    settings = configuration.settings
    if not structlog.is_configured():
        logs.configure_own(settings.log_format, "warning" if settings.log_level == "info" else settings.log_level)
    return OwnServer(settings)


_shared: LocalServer | None = None
_lock = Lock()


def shared_server() -> LocalServer:
    """The process's server for all clients that bring none, with the environment's settings; made at the first call."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = start_local()
        return _shared


def _forget() -> None:
    """Forget the server in a fork, which has none of its threads."""
    global _shared, _lock
    _shared, _lock = None, Lock()


os.register_at_fork(after_in_child=_forget)
