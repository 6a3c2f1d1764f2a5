"""Grad mode: whether ops are recorded for a backward pass; and anomaly mode: whether a NaN in a gradient is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ContextDecorator, contextmanager
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any

_grad: ContextVar[bool] = ContextVar("gradproof_grad_mode", default=True)
_anomaly: ContextVar[bool] = ContextVar("gradproof_anomaly_mode", default=False)
_on_record: ContextVar[tuple[Callable[[Any], None], ...]] = ContextVar("gradproof_saved_tensors_hooks", default=())
_inference: ContextVar[bool] = ContextVar("gradproof_inference_mode", default=False)


def is_grad_enabled() -> bool:
    """True if results of ops on tensors that require grad require grad. Follows torch.is_grad_enabled."""
    return _grad.get()


def is_inference_mode_enabled() -> bool:
    """True inside `inference_mode`. Follows torch.is_inference_mode_enabled."""
    return _inference.get()


def is_anomaly_enabled() -> bool:
    """True if a NaN in a gradient is an error."""
    return _anomaly.get()


def recorders() -> tuple[Callable[[Any], None], ...]:
    """The functions that are called with each node that a gradient flows through, when it is recorded."""
    return _on_record.get()


@contextmanager
def calling_recorders(*functions: Callable[[Any], None]) -> Iterator[None]:
    """Call these functions, and no others, with nodes that are recorded inside."""
    token = _on_record.set(functions)
    try:
        yield
    finally:
        _on_record.reset(token)


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


class inference_mode(ContextDecorator):
    """`no_grad`, under a name of its own: nothing is skipped, and results are ordinary tensors. ``inference_mode(False)``
    inside it records again. With parentheses or without, it is a decorator.

    Follows torch.inference_mode.
    """

    def __new__(cls, mode: bool | Callable[..., Any] = True) -> Any:
        return cls(True)(mode) if callable(mode) else super().__new__(cls)

    def __init__(self, mode: bool | Callable[..., Any] = True) -> None:
        self._modes = _Mode(_inference, bool(mode)), _Mode(_grad, not mode)

    def __enter__(self) -> None:
        for mode in self._modes:
            mode.__enter__()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(kind, error, trace)


class _Switch(_Mode):
    """A mode that is set at once, and as a context manager or decorator only inside."""

    def __init__(self, variable: ContextVar[bool], value: bool) -> None:
        super().__init__(variable, value)
        self._previous = variable.get()
        variable.set(value)

    def __enter__(self) -> None:
        self._variable.set(self._previous)
        super().__enter__()

    def __call__(self, function: Callable[..., Any]) -> Any:
        self._variable.set(self._previous)
        return super().__call__(function)


class set_grad_enabled(_Switch):
    """`enable_grad` or `no_grad`, from here on; as a context manager or decorator, inside it.

    Follows torch.set_grad_enabled.
    """

    def __init__(self, mode: bool) -> None:
        super().__init__(_grad, mode)


class detect_anomaly(_Mode):
    """A NaN in a gradient raises RuntimeError inside, with the node that made it and the line that recorded the node."""

    def __init__(self) -> None:
        super().__init__(_anomaly, True)


class set_detect_anomaly(_Switch):
    """`detect_anomaly` from here on, or off; as a context manager or decorator, inside it."""

    def __init__(self, mode: bool) -> None:
        super().__init__(_anomaly, mode)
