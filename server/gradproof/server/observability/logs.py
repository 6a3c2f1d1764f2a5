"""Logs in a common format: a line per call, and the lines of libraries, warnings and workers, each with its request id."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterable, MutableMapping
from contextlib import suppress
from threading import Thread
from typing import Any, Literal, TypeAlias

import structlog

from gradproof.engine.errors import KernelRefused, OpRefused, PluginRefused
from gradproof.engine.verify.processes import MARK, MAX_LINE
from gradproof.server.calls.calls import CURRENT, MAX_REQUEST_ID, Call
from gradproof.server.calls.record import PHASES, Record

Form: TypeAlias = Literal["console", "json"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]
QUIET = ("/grpc.health.v1.", "/grpc.reflection.", "/grpc.channelz.")
"""Methods that are called every few seconds, and logged at level debug."""

LOUD = ("asyncio", "grpc")
"""Libraries whose debug lines are left out."""

SERVER_FAULTS = ("INTERNAL", "UNKNOWN", "DATA_LOSS")
log = structlog.get_logger("gradproof.call")
worker_log = structlog.get_logger("gradproof.worker")


def configure(form: Form = "console", level: Level = "info") -> None:
    """As `configure_own`; records of the standard library's loggers and warnings take the same way."""
    configure_own(form, level)
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _StructlogHandler)]
    root.addHandler(_StructlogHandler())
    root.setLevel(level.upper())
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.INFO)


def configure_own(form: Form = "console", level: Level = "info") -> None:
    """Write the server's own log lines of at least ``level`` to standard error, as text or JSON."""
    as_json = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(default=str)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_request_id,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(as_json if form == "json" else [_Renderer()]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _LineWriter(sys.stderr),  # the stderr of the moment
        cache_logger_on_first_use=False,
    )


def refused_part(refusal: PluginRefused) -> str:
    """The noun for the part of a plugin that was refused, or for all of it."""
    return {OpRefused: "op", KernelRefused: "kernel"}.get(type(refusal), "plugin")


def log_refused(refusals: Iterable[PluginRefused]) -> None:
    """Write a line for each part that was refused."""
    log = structlog.get_logger("gradproof.server")
    for refusal in refusals:
        log.warning(f"{refused_part(refusal)} refused", plugin=refusal.plugin, reason=str(refusal))


def _add_request_id(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the request id of the running call."""
    request_id = CURRENT.get().request_id
    if request_id:
        event.setdefault("request_id", request_id)
    return event


class _Renderer:
    """Writes an event as a line of text, as structlog's console does without colours, which is asked where there is an
    exception or a library's name. Each call has a line, which is written in the event loop: structlog's takes as long as a
    small run."""

    def __init__(self) -> None:
        console = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
        self._console: Any = console

    def __call__(self, logger: Any, name: str, event: MutableMapping[str, Any]) -> str:
        if not _EXCEPTIONS.isdisjoint(event):
            text: str = self._console(logger, name, event)
            return text
        timestamp, level, what = event.pop("timestamp", ""), event.pop("level", ""), str(event.pop("event", ""))
        fields = " ".join([f"{key}={_shown(event[key])}" for key in sorted(event)])
        return f"{timestamp} [{level:<9}] {what:<30} {fields}"


def _shown(value: Any) -> str:
    """A value as it is, in quotes where it has spaces or other characters that would end it."""
    if type(value) is not str:
        return repr(value)
    return value if value.isprintable() and not _ENDING.intersection(value) else repr(value)


_EXCEPTIONS = {"exc_info", "exception", "stack", "stack_info", "logger", "logger_name"}
_ENDING = set(" \t='\"\r\n")


class _LineWriter(structlog.PrintLogger):
    """Writes lines, and ignores errors: a full disk or a closed pipe must not fail a call."""

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            super().msg(message)

    log = debug = info = warn = warning = error = critical = exception = fatal = failure = msg


class _StructlogHandler(logging.Handler):
    """Forwards records of the standard library to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, Any] = {"logger": record.name}
            if record.exc_info and record.exc_info[1] is not None:
                fields["exc_info"] = record.exc_info
            structlog.get_logger(record.name).log(record.levelno, " ".join(record.getMessage().split()), **fields)
        except Exception:
            self.handleError(record)


class WorkerLog:
    """Logs lines of worker processes, which write to the pipe end ``write_end``. Definitions of plugins write them, so at
    most ``per_second`` lines a second are logged; the bytes of the others are counted."""

    def __init__(self, per_second: int = 50) -> None:
        self._most = per_second
        self._read_end, self.write_end = os.pipe()
        Thread(target=self._read, name="worker-log", daemon=True).start()

    def close(self) -> None:
        """Close the write end; reading goes on until all writers have ended. May be called twice."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def _read(self) -> None:
        second, logged, dropped, partial = 0, 0, 0, b""
        while part := os.read(self._read_end, 1 << 16):
            if int(time.monotonic()) != second:
                if dropped:
                    worker_log.warning("worker lines left out", bytes=dropped)
                second, logged, dropped = int(time.monotonic()), 0, 0
            if logged >= self._most:
                dropped, partial = dropped + len(part), b""
                continue
            *lines, partial = (partial + part).split(b"\n")
            partial = partial[:MAX_LINE]
            for line in lines[: self._most - logged]:
                origin, _, text = line.decode(errors="replace").rpartition(MARK)
                if text.strip():
                    worker_log.warning(
                        "worker", line=text[:MAX_LINE], **({"request_id": origin[:MAX_REQUEST_ID]} if origin else {})
                    )
            logged += len(lines)
        os.close(self._read_end)


class CallLog:
    """Watcher that logs a line at the end of each call, with names, sizes and times; never values or credentials."""

    def observe(self, record: Record | None, phase: str, seconds: float) -> None:
        """Do nothing: the line of the call has the seconds of its phases."""

    def ended(self, record: Record) -> None:
        """Log the line of a call."""
        call: Call = record.call
        level = logging.WARNING if record.code in SERVER_FAULTS else logging.INFO
        if call.method.startswith(QUIET) and level == logging.INFO:
            level = logging.DEBUG
        bound = log.bind()
        if not bound.is_enabled_for(level):
            return
        fields: dict[str, Any] = {
            "method": call.method,
            "code": record.code,
            "reason": record.reason,
            "limit": record.limit,
            "request_id": call.request_id,
            "caller": call.caller.name,
            "peer": call.peer,
            "seconds": round(record.elapsed, 6),
            **{f"{phase}_seconds": round(record.seconds[phase], 6) for phase in PHASES if phase in record.seconds},
            "bytes_in": record.bytes_in,
            "bytes_out": record.bytes_out,
            **record.verdicts,
        }
        bound.log(level, "call", **{name: value for name, value in fields.items() if value != ""})
