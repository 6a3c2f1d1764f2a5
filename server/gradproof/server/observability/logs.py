"""Logs: one line for each call, and everything else that is said, in one form and with the id of the call it belongs to."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import MutableMapping
from contextlib import suppress
from threading import Thread
from typing import Any, Literal, TypeAlias

import structlog

from gradproof.engine.verify.processes import MARK, MAX_LINE
from gradproof.server.calls.calls import CURRENT, MAX_REQUEST_ID, Call
from gradproof.server.calls.record import PHASES, Record

Form: TypeAlias = Literal["console", "json"]
Level: TypeAlias = Literal["debug", "info", "warning", "error"]
QUIET = ("/grpc.health.v1.", "/grpc.reflection.", "/grpc.channelz.")
"""Calls that are made every few seconds, or by whoever looks around."""

LOUD = ("asyncio", "grpc")
"""Libraries whose debugging is of no use to an operator."""

GRAVE = ("INTERNAL", "UNKNOWN", "DATA_LOSS")
log = structlog.get_logger("gradproof.call")
said = structlog.get_logger("gradproof.worker")


def configure(form: Form = "console", level: Level = "info") -> None:
    """Write lines of at least ``level`` to standard error: for people, or as JSON. What the standard library's loggers and
    warnings say goes the same way."""
    shown: Any = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    rendering = [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer(default=str)]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _of_call,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(rendering if form == "json" else [shown]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(sys.stderr),  # whatever stderr is at the time
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if not isinstance(one, _Passing)]
    root.addHandler(_Passing())
    root.setLevel(level.upper())
    for name in LOUD:
        logging.getLogger(name).setLevel(logging.INFO)


def _of_call(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say which call a line belongs to."""
    request_id = CURRENT.get().request_id
    if request_id:
        event.setdefault("request_id", request_id)
    return event


class _Lines(structlog.PrintLogger):
    """Writes lines where they can be written: a log on a full disk, or that nobody reads any more, costs no call."""

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            super().msg(message)

    log = debug = info = warn = warning = error = critical = exception = fatal = failure = msg


class _Passing(logging.Handler):
    """Hands records of the standard library on to structlog."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            said: dict[str, Any] = {"logger": record.name}
            if record.exc_info and record.exc_info[1] is not None:
                said["exc_info"] = record.exc_info
            structlog.get_logger(record.name).log(record.levelno, " ".join(record.getMessage().split()), **said)
        except Exception:
            self.handleError(record)


class WorkerLog:
    """Lines that worker processes write, from a pipe: `end` is theirs. They are strangers' lines: at most so many a second
    are passed on, the others are counted."""

    def __init__(self, per_second: int = 50) -> None:
        self._most = per_second
        self._mine, self.end = os.pipe()
        Thread(target=self._read, name="worker-log", daemon=True).start()

    def close(self) -> None:
        """Read until all that write have ended. May be called twice."""
        if self.end >= 0:
            os.close(self.end)
            self.end = -1

    def _read(self) -> None:
        second, taken, dropped, begun = 0, 0, 0, b""
        while part := os.read(self._mine, 1 << 16):
            if int(time.monotonic()) != second:
                if dropped:
                    said.warning("worker lines left out", bytes=dropped)
                second, taken, dropped = int(time.monotonic()), 0, 0
            if taken >= self._most:
                dropped, begun = dropped + len(part), b""
                continue
            *lines, begun = (begun + part).split(b"\n")
            begun = begun[:MAX_LINE]
            for line in lines[: self._most - taken]:
                origin, _, text = line.decode(errors="replace").rpartition(MARK)
                if text.strip():
                    said.warning(
                        "worker", line=text[:MAX_LINE], **({"request_id": origin[:MAX_REQUEST_ID]} if origin else {})
                    )
            taken += len(lines)
        os.close(self._mine)


class CallLog:
    """Watches calls: a line for each as it ends. It has names, sizes and times; never values, nor what was sent to prove
    who one is."""

    def observe(self, record: Record | None, phase: str, seconds: float) -> None:
        """Parts of a call are on its line."""

    def ended(self, record: Record) -> None:
        call: Call = record.call
        level = logging.WARNING if record.code in GRAVE else logging.INFO
        if call.method.startswith(QUIET) and level == logging.INFO:
            level = logging.DEBUG
        if not log.is_enabled_for(level):
            return
        said: dict[str, Any] = {
            "method": call.method,
            "code": record.code,
            "reason": record.reason,
            "limit": record.limit,
            "request_id": call.request_id,
            "caller": call.caller.name,
            "peer": call.peer,
            "seconds": round(record.elapsed, 6),
            **{f"{part}_seconds": round(record.seconds[part], 6) for part in PHASES if part in record.seconds},
            "bytes_in": record.bytes_in,
            "bytes_out": record.bytes_out,
            **record.verdicts,
        }
        log.log(level, "call", **{name: value for name, value in said.items() if value != ""})
