"""Boxes: the values and nodes on a picture of a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["leaf", "inner", "constant", "op", "fold"]


@dataclass(frozen=True)
class Box:
    """A value, a node (kind ``op``) or nodes that repeat (kind ``fold``). ``alarm``: a verdict says that it is wrong;
    ``title``: a text that a picture shows under the pointer."""

    id: str
    kind: Kind
    lines: tuple[str, ...]
    alarm: bool = False
    title: str = ""
