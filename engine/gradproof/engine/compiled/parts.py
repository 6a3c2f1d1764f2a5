"""Parts: a long function split into several short functions, each compiled by itself.

Python's compiler holds the GIL, and cannot be cancelled: ten milliseconds for each thousand lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from gradproof.engine.cancellation import watched
from gradproof.engine.compiled.schedule import CHECK

MOST_LINES: Final = 1000
FEW_LINES: Final = 200
FEW_VARIABLES: Final = 16
MEMORY: Final = "R, W, P, O, X, C"
_VARIABLE: Final = re.compile(r"\b[avo]\d+\b")


def functions(lines: Sequence[str]) -> Iterator[str]:
    """The source of the generator function ``run`` of these statements: a single text, or, where they are many, a text for
    each part and a text of ``run``, which calls them. A part gets the variables of earlier parts that it, or a later part,
    reads, in a list that it empties, so that no other reference to them is left."""
    if len(lines) <= FEW_LINES:
        yield _function(f"run({MEMORY})", [*lines, "return"])
        return
    names = [_VARIABLE.findall(line) for line in watched(lines)]
    first, last = dict[str, int](), dict[str, int]()
    for k, found in enumerate(names):
        for name in found:
            first.setdefault(name, k)
            last[name] = k
    cuts = [0, *_cuts(len(lines), first, last), len(lines)]
    if len(cuts) == 2:
        yield _function(f"run({MEMORY})", [*lines, "return"])
        return
    alive: list[str] = []  # variables of earlier parts that are read later
    for k, (start, stop) in enumerate(pairwise(cuts)):
        own = {name for found in names[start:stop] for name in found if first[name] >= start}
        left = sorted(name for name in (*alive, *own) if last[name] >= stop)
        head = [CHECK, f"[{', '.join(alive)}] = L", "L.clear()"]
        yield _function(f"part{k}({MEMORY}, L)", [*head, *lines[start:stop], f"return [{', '.join(left)}]"])
        alive = left
    parts = range(len(cuts) - 1)
    yield _function(f"run({MEMORY})", ["L = []", *(f"L = yield from part{k}({MEMORY}, L)" for k in parts)])


def _cuts(count: int, first: dict[str, int], last: dict[str, int]) -> Iterator[int]:
    """The lines before which a part ends: behind `FEW_LINES` where few variables are alive, or behind `MOST_LINES`."""
    change = [0] * (count + 1)
    for name, k in first.items():
        change[k + 1] += 1
        change[last[name] + 1] -= 1
    alive = start = 0
    for k in range(1, count):
        alive += change[k]
        length = k - start
        if length >= MOST_LINES or (length >= FEW_LINES and alive <= FEW_VARIABLES and count - k >= FEW_LINES):
            yield k
            start = k


def _function(head: str, lines: Sequence[str]) -> str:
    body = "\n    ".join(lines)
    return f"def {head}:\n    {body}\n    yield\n" if lines[-1].startswith("return") else f"def {head}:\n    {body}\n"
