"""Parts: a long function as several short ones, each compiled by itself.

Python's compiler stops for nobody, and no other thread runs beside it: ten milliseconds for each thousand lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from gradproof.engine.cancellation import watched
from gradproof.engine.compiled.schedule import CHECK

MOST_LINES: Final = 1000
MEMORY: Final = "R, W, P, O, X, C"
_VARIABLE: Final = re.compile(r"\b[avo]\d+\b")


def functions(lines: Sequence[str]) -> Iterator[str]:
    """The source of the generator function ``run`` of these statements: one text, or, where they are many, one for each
    part and one that goes through them. A part is given the variables of those before it that it, or one behind it, reads,
    in a list that it empties, so that nobody else holds them."""
    if len(lines) <= MOST_LINES:
        yield _function(f"run({MEMORY})", [*lines, "return"])
        return
    parts = [lines[start : start + MOST_LINES] for start in range(0, len(lines), MOST_LINES)]
    read = [set(_VARIABLE.findall("\n".join(part))) for part in watched(parts)]
    behind: list[set[str]] = [set()]
    for names in reversed(read):
        behind.append(behind[-1] | names)
    behind.reverse()  # of each part, what it and those behind it read
    made: set[str] = set()
    for k, part in enumerate(parts):
        given = ", ".join(sorted(made & behind[k]))
        made |= read[k]
        left = ", ".join(sorted(made & behind[k + 1]))
        taken = [CHECK, f"[{given}] = L", "L.clear()"]
        yield _function(f"part{k}({MEMORY}, L)", [*taken, *part, f"return [{left}]"])
    yield _function(f"run({MEMORY})", ["L = []", *(f"L = yield from part{k}({MEMORY}, L)" for k in range(len(parts)))])


def _function(head: str, lines: Sequence[str]) -> str:
    body = "\n    ".join(lines)
    return f"def {head}:\n    {body}\n    yield\n" if lines[-1].startswith("return") else f"def {head}:\n    {body}\n"
