"""Texts of errors that a stranger's code raised: they may be of any length, and asking for them may raise again."""

from __future__ import annotations

MOST_CHARACTERS = 1000


def text_of(error: BaseException) -> str:
    """What an error says, shortened."""
    try:
        text = str(error)
    except BaseException:  # its text is a stranger's too
        text = ""
    return text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "..."


def named(error: BaseException) -> str:
    """The kind of an error, and what it says."""
    text = text_of(error)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
