"""Texts that generated modules share: docstrings, lists of names, and the layout of ruff."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

CLIENT = Path(__file__).parents[1] / "gradproof" / "client"


def generated_from(source: str) -> str:
    """The note in the docstring of a generated module: what it is generated from, and how."""
    return f"Generated from {source} by ``make methods``; do not edit."


def write(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as ``ruff`` lays it out, without imports and exemptions that are not used."""
    ruff = str(Path(sys.executable).with_name("ruff"))
    at = [f"--stdin-filename={CLIENT / path.name}", "-"]
    for command in (["check", "--fix-only", "--quiet", "--select=I,F401,RUF100,A,PLR0913"], ["format"]):
        text = subprocess.run([ruff, *command, *at], input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def docstring(first: str, rest: str) -> str:
    """A docstring of a first sentence and a paragraph, which are written on a single line if both fit."""
    if len(first) + len(rest) < 109:
        return f'"""{first} {rest}"""'
    return f'"""{textwrap.fill(first, 112)}\n\n{textwrap.fill(rest, 115)}\n"""'


def indented(text: str) -> str:
    """The text, four spaces further in."""
    return textwrap.indent(text, "    ")


def listed(names: Iterable[str]) -> str:
    """The lines of ``__all__``, in the order of ruff: numbers within names by their values."""

    def key(name: str) -> list[int | str]:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    return "\n".join(f"    {name!r}," for name in sorted(names, key=key))


IMPORTS = """
import numpy as np
from collections.abc import Sequence
from typing import Any, Literal, Self, TypeVar, cast, overload

from gradproof.client.recording.apply import apply, apply_as, apply_multiple
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.arguments import along, axes_of, axis_of, first, of_rank, scaled, spread
from gradproof.client.tensors.conversions import Conversions
from gradproof.client.tensors.ordering import MinAndMax, ValuesAndIndices
from gradproof.client.tensors.signatures import Axes, DTypeLike, Operand, Places, Reduction, Scalar, given
from gradproof.client.tensors.tensor import Tensor
"""
"""All that generated source may refer to; `write` leaves out the imports that a module does not need."""
