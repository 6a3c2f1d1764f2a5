"""Boxes: the values and nodes on a picture of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["leaf", "inner", "constant", "op"]


@dataclass(frozen=True)
class Box:
    """A value or a node (kind ``op``). ``alarm``: a verdict says that it is wrong."""

    id: str
    kind: Kind
    lines: tuple[str, ...]
    alarm: bool = False
