"""Places in the code of the caller: file and line of what recorded a node."""

from __future__ import annotations

import sys
from pathlib import Path
from types import CodeType
from typing import Final, TypeAlias

_PACKAGE: Final = str(Path(__file__).parents[1])
_inside: dict[str, bool] = {}
"""Whether a file belongs to this package, for files that were met."""

Place: TypeAlias = tuple[CodeType, int]
"""An instruction of the caller: its line is looked up when somebody asks for it."""


def caller(depth: int = 1) -> Place:
    """The first frame outside this package, of those from ``depth`` frames above the caller of this function on."""
    while True:
        try:
            frame = sys._getframe(depth)  # noqa: SLF001 - other than f_back it makes an object of no frame in between
        except ValueError:
            frame = sys._getframe(depth - 1)  # noqa: SLF001 - as above
            return frame.f_code, frame.f_lasti
        name = frame.f_code.co_filename
        inside = _inside.get(name)
        if inside is None:
            inside = _inside[name] = name.startswith(_PACKAGE)
        if not inside:
            return frame.f_code, frame.f_lasti
        depth += 1


def text_of(place: Place) -> str:
    """File and line of a place."""
    code, instruction = place
    lines = (line for start, end, line in code.co_lines() if start <= instruction < end and line is not None)
    return f"{code.co_filename}:{next(lines, code.co_firstlineno)}"


def caller_place() -> str:
    """File and line of the first frame outside this package."""
    return text_of(caller())
