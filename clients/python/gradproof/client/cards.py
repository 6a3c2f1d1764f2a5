"""Cards: what a notebook shows, as HTML that is readable on light and on dark pages."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

HUES: Final = {"verified": "46, 160, 67", "plausible": "210, 153, 34", "unchecked": "128, 128, 128", "wrong": "218, 54, 51"}
"""Red, green and blue of each summary word: its tint is seen on any page, and text keeps the colour of the page."""


def card(word: str, lines: Iterable[str], details: Iterable[str] = ()) -> str:
    """A card whose border says a summary ``word``: its lines, the first of them bold, and details that open on request."""
    hue = HUES.get(word, HUES["unchecked"])
    first, *rest = map(escape, lines)
    folded = "".join(f"<div>{escape(line)}</div>" for line in details)
    style = f"border-left: 4px solid rgb({hue}); background: rgba({hue}, 0.12); color: inherit; padding: 0.5em 0.8em"
    return (
        f'<div class="gradproof-verdict {escape(word)}" style="{style}">'
        f"<div><b>{first}</b></div>{''.join(f'<div>{line}</div>' for line in rest)}"
        f"{f'<details><summary>contributions</summary>{folded}</details>' if folded else ''}</div>"
    )
