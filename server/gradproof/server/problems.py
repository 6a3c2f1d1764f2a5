"""Problems of settings, which are collected and reported together before a server starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

PREFIX, CONFIG = "GRADPROOF_", "GRADPROOF_CONFIG"
"""Prefix of the environment variables of settings, and the variable that names a file of settings."""

CLIENT = "GRADPROOF_CLIENT_"
"""Prefix of the variables of commands that connect to a server; they are no settings of a server."""


class Problem(NamedTuple):
    """A problem of the setting ``setting`` (dotted: ``limits.hooks``); ``text`` states the remedy too."""

    setting: str
    text: str


class ConfigurationError(ValueError):
    """Settings that a server cannot be started with: all ``problems``, a line of the message each. ``origins`` maps
    settings to the flag, variable or file that they come from."""

    def __init__(self, problems: Sequence[Problem], origins: Mapping[str, str] | None = None) -> None:
        self.problems = tuple(problems)
        known = origins or {}
        lines = (f"{_place(problem.setting, known.get(problem.setting, ''))}: {problem.text}" for problem in problems)
        super().__init__("\n".join(lines))


@contextmanager
def collecting(problems: list[Problem]) -> Iterator[None]:
    """Add the problems of a ConfigurationError in the block to ``problems``, and go on."""
    try:
        yield
    except ConfigurationError as error:
        problems.extend(error.problems)


def _place(setting: str, origin: str) -> str:
    """The name of a flag or variable, which says the setting already; for a file, the setting too."""
    return origin if origin.startswith(("-", PREFIX)) else f"{setting} in {origin}" if origin else setting
