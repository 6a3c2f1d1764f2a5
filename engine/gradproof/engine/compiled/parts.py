"""Parts: a long function split into several short functions, each compiled by itself.

Python's compiler holds the GIL, and cannot be cancelled: ten milliseconds for each thousand lines.
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
    """The source of the generator function ``run`` of these statements: a single text, or, where they are many, a text for
    each part and a text of ``run``, which calls them. A part gets the variables of earlier parts that it, or a later part,
    reads, in a list that it empties, so that no other reference to them is left."""
    if len(lines) <= MOST_LINES:
        yield _function(f"run({MEMORY})", [*lines, "return"])
        return
    parts = [lines[start : start + MOST_LINES] for start in range(0, len(lines), MOST_LINES)]
    read = [set(_VARIABLE.findall("\n".join(part))) for part in watched(parts)]
    behind: list[set[str]] = [set()]
    for names in reversed(read):
        behind.append(behind[-1] | names)
    behind.reverse()  # by part the variables that it and later parts read
    assigned: set[str] = set()
    for k, part in enumerate(parts):
        taken = ", ".join(sorted(assigned & behind[k]))
        assigned |= read[k]
        left = ", ".join(sorted(assigned & behind[k + 1]))
        head = [CHECK, f"[{taken}] = L", "L.clear()"]
        yield _function(f"part{k}({MEMORY}, L)", [*head, *part, f"return [{left}]"])
    yield _function(f"run({MEMORY})", ["L = []", *(f"L = yield from part{k}({MEMORY}, L)" for k in range(len(parts)))])


def _function(head: str, lines: Sequence[str]) -> str:
    body = "\n    ".join(lines)
    return f"def {head}:\n    {body}\n    yield\n" if lines[-1].startswith("return") else f"def {head}:\n    {body}\n"
