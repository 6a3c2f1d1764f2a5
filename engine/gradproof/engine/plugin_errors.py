"""Errors of the code of plugins, which may be of any kind, and have texts of any length."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from gradproof.engine.errors import Cancelled, text_of


class Interrupt(BaseException):
    """Ends a task, whatever code it is in. Raised by Gradproof only."""


class Escaped(RuntimeError):
    """Raised instead of an error that would end a process or a task (`SystemExit`, `CancelledError`)."""


def reraise_own(error: BaseException) -> BaseException:
    """The error of the code of a plugin, of any kind: a plugin that exits is at fault as a plugin that divides by 0 is.
    Raises it again where it is not of that code: `Interrupt`, `Cancelled`, and Ctrl-C, which comes to the main thread."""
    if isinstance(error, (Interrupt, Cancelled)):
        raise error
    if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise error
    return error


def shielded(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function. Raises its exceptions, but `Escaped` instead of those that would end a thread, a task or an
    event loop. A last resort, behind `reraise_own` where an error has a name. A `Cancelled` is raised anew,
    without the frames of the run that it ended."""
    try:
        return function(*arguments)
    except Cancelled as error:
        _drop_frames(error)
    except StopIteration as error:  # which no future can hold
        raise Escaped(describe(error)) from error
    except Exception:
        raise
    except BaseException as error:
        raise Escaped(describe(error)) from error
    raise Cancelled


def _drop_frames(error: BaseException | None) -> None:
    """Drop the traceback of an error, and of the errors that it was raised behind. The frames in it hold the memory of a
    run, and some of them the error itself: all of it would stay until cycles are collected."""
    while error is not None:
        error.__traceback__, error = None, error.__context__


def describe(error: BaseException) -> str:
    """The type and the text of an error."""
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
