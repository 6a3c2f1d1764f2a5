"""Runs whose forward values the server keeps for the record."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping
from contextlib import suppress

from gradproof.client.errors import Forked
from gradproof.client.events import Array
from gradproof.client.session import Session


class Lost(Exception):
    """Kept values that a graph refers to are gone; the graph must be built again without them."""


class CachedForward:
    """The forward values of a graph, kept at the server under ``name`` until no node refers to this object.

    Args:
        name: the name of the run in its session.
        session: the session that keeps it.
        structure: the structure of its graph.
        results: the names of the outputs of its nodes, by the node's number and the slot.
        leaves: the arrays of its leaves with their names, by the ids of the arrays.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        structure: tuple[object, ...],
        results: Mapping[tuple[int, int], str],
        leaves: Mapping[int, tuple[Array, str]],
    ) -> None:
        self.name, self.session, self.structure = name, session, structure
        self.results, self.leaves = results, leaves
        self.release = weakref.finalize(self, release_name, session, name)
        self.release.atexit = False

    @property
    def alive(self) -> bool:
        """True if the server may still have the values."""
        return self.release.alive and self.session.alive


def release_name(session: Session, name: str) -> None:
    """Tell the server that a run is no longer needed.

    The garbage collector may call this in any thread, so it only puts a message into a queue.
    """
    with suppress(ValueError, Forked):  # the session is closed and has freed all, or belongs to another process
        session.release(name)


def release(runs: Iterable[CachedForward]) -> None:
    """Free the values that the server keeps of ``runs``."""
    for run in runs:
        run.release()
