"""Problems with settings: what is wrong, with which one, and what to do. All are said at once, before a server serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

PREFIX, CONFIG = "GRADPROOF_", "GRADPROOF_CONFIG"
"""How the environment variables of settings begin, and the one that names a file of them."""

CLIENT = "GRADPROOF_CLIENT_"
"""How variables begin that are no settings of a server: they say how commands reach one, and as whom."""


class Problem(NamedTuple):
    """A fault of the setting of a name (with dots: ``limits.hooks``); the text says what to do about it."""

    setting: str
    text: str


class Unusable(ValueError):
    """Settings that a server cannot be started with."""

    def __init__(self, problems: Sequence[Problem], origins: Mapping[str, str] | None = None) -> None:
        self.problems = tuple(problems)
        places = origins or {}
        super().__init__("\n".join(f"{_place(one.setting, places.get(one.setting, ''))}: {one.text}" for one in problems))


def _place(setting: str, origin: str) -> str:
    """A flag and a variable are named like the setting; a file has many."""
    return origin if origin.startswith(("-", PREFIX)) else f"{setting} in {origin}" if origin else setting
