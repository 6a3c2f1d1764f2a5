"""Grad mode: whether ops are recorded for a backward pass; and anomaly mode: whether a NaN in a gradient is an error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

_grad: ContextVar[bool] = ContextVar("gradproof_grad_mode", default=True)
_anomaly: ContextVar[bool] = ContextVar("gradproof_anomaly_mode", default=False)


def is_grad_enabled() -> bool:
    """True if results of ops on tensors that require grad require grad. Follows torch.is_grad_enabled."""
    return _grad.get()


def is_anomaly_enabled() -> bool:
    """True if a NaN in a gradient is an error."""
    return _anomaly.get()


class _Mode(ContextDecorator):
    """A context manager and decorator that sets a context variable. It may be nested in itself."""

    def __init__(self, variable: ContextVar[bool], value: bool) -> None:
        self._variable, self._value = variable, value
        self._tokens: list[Token[bool]] = []

    def __enter__(self) -> None:
        self._tokens.append(self._variable.set(self._value))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._variable.reset(self._tokens.pop())


class _GradMode(_Mode):
    """A mode that is also a decorator without parentheses."""

    recording = True

    def __new__(cls, function: Callable[..., Any] | None = None) -> Any:
        return super().__new__(cls) if function is None else cls()(function)

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        super().__init__(_grad, self.recording)


class no_grad(_GradMode):
    """Ops inside are not recorded: their results are leaves that do not require grad."""

    recording = False


class enable_grad(_GradMode):
    """Ops inside are recorded, within `no_grad` too."""


class set_grad_enabled(_Mode):
    """`enable_grad` or `no_grad`, from here on; as a context manager, inside it."""

    def __init__(self, mode: bool) -> None:
        super().__init__(_grad, mode)
        self._previous = _grad.get()
        _grad.set(mode)

    def __enter__(self) -> None:
        _grad.set(self._previous)
        super().__enter__()


class detect_anomaly(_Mode):
    """A NaN in a gradient raises RuntimeError inside, with the node that made it and the line that recorded the node."""

    def __init__(self) -> None:
        super().__init__(_anomaly, True)


class set_detect_anomaly(_Mode):
    """`detect_anomaly` from here on, or off; as a context manager, inside it."""

    def __init__(self, mode: bool) -> None:
        super().__init__(_anomaly, mode)
        self._previous = _anomaly.get()
        _anomaly.set(mode)

    def __enter__(self) -> None:
        _anomaly.set(self._previous)
        super().__enter__()
