"""A bar on the terminal while checks and proofs take longer than a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from gradproof.client.events import Progress

if TYPE_CHECKING:
    from rich import progress as rich_progress

PATIENCE: Final = 1.0
"""Seconds that a call may take before a bar is drawn."""


@contextmanager
def reporting(
    title: str, shown: bool, on_progress: Callable[[Progress], None] | None = None
) -> Iterator[Callable[[Progress], None] | None]:
    """A function to call with each report, which calls ``on_progress`` and draws a bar where it is ``shown``; None where
    nobody wants reports. No bar is drawn where standard error is no terminal, or the library `rich` is missing."""
    if not (shown and sys.stderr is not None and sys.stderr.isatty() and find_spec("rich")):
        yield on_progress
        return
    bar = Bar(title)

    def report(progress: Progress) -> None:
        bar.draw(progress)
        if on_progress is not None:
            on_progress(progress)

    try:
        yield report
    finally:
        bar.remove()


class Bar:
    """A line that shows how far a call is. It appears after a second, and leaves nothing behind."""

    def __init__(self, title: str) -> None:
        self._title, self._begin = title, time.monotonic()
        self._line: rich_progress.Progress | None = None

    def draw(self, progress: Progress) -> None:
        """Draw the line for a report."""
        if time.monotonic() - self._begin < PATIENCE:
            return
        if self._line is None:
            self._line = _started(self._title)
        proofs = progress.stage == "proofs"
        done, total = (
            (progress.proofs_done, progress.proofs_total) if proofs else (progress.nodes_read, progress.nodes_total)
        )
        text = f"{self._title}: {progress.stage}" if progress.stage else self._title
        task = self._line.task_ids[0]
        self._line.update(task, description=text, completed=done, total=total or None, refresh=True)

    def remove(self) -> None:
        """Remove the line, if there is any."""
        if self._line is not None:
            self._line.stop()
            self._line = None


def _started(title: str) -> rich_progress.Progress:
    from rich import console, progress  # noqa: PLC0415 - of the extra `server`, and slow to import

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
    )
    line = progress.Progress(
        *columns,
        console=console.Console(file=sys.stderr),
        transient=True,
        auto_refresh=False,
        redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),  # what is printed to a file stays there
    )
    line.add_task(title, total=None)
    line.start()
    return line
