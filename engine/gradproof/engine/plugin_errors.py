"""Strangers' code: a function of a plugin may raise anything, and its errors may say anything, at any length."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from gradproof.engine.errors import Cancelled, text_of


class Interrupt(BaseException):
    """Ends what is at work, whatever code it is in. Raised by Gradproof only."""


class Escaped(RuntimeError):
    """An error that is to end a process or a task (`SystemExit`, `CancelledError`), and is not to end ours."""


def foreign(error: BaseException) -> BaseException:
    """The error of a stranger's code, which may be of any kind: a plugin that exits is at fault like one that divides by 0.
    Raises it again where it is not that code's: `Interrupt`, `Cancelled`, and Ctrl-C, which comes to the main thread."""
    if isinstance(error, (Interrupt, Cancelled)):
        raise error
    if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
        raise error
    return error


def contained(function: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a function. Raises what it raises, but `Escaped` instead of what would end a thread, a task or an event
    loop: a last resort, behind `foreign` where an error has a name."""
    try:
        return function(*arguments)
    except StopIteration as error:  # which no future can hold
        raise Escaped(named(error)) from error
    except Exception:
        raise
    except BaseException as error:
        raise Escaped(named(error)) from error


def named(error: BaseException) -> str:
    """The kind of an error, and what it says."""
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
