"""Origin: the process that a connection belongs to.

gRPC does not survive a fork: a call in a forked child would wait for threads that it does not have, and a new connection in
it may abort or hang, even where the parent has closed its own. So calls in a child raise Forked at once.
"""

from __future__ import annotations

import ctypes
import gc
import os
from typing import TypeVar
from weakref import WeakSet

from gradproof.client.errors import Forked

T = TypeVar("T")
_first: int | None = None  # the process in which there was a connection first
_held: WeakSet[object] = WeakSet()


class Origin:
    """The process that makes a connection. Raises Forked if it is a fork of a process that has made any.

    ``survives_fork``: the connection has no gRPC, and may also be used, and made, in a fork.
    """

    def __init__(self, *, survives_fork: bool = False) -> None:
        if not survives_fork:
            claim()
        self.survives_fork = survives_fork
        self._pid = os.getpid()

    @property
    def here(self) -> bool:
        """True if this is that process, and no fork of it."""
        return os.getpid() == self._pid

    def check(self) -> None:
        """Raises Forked if this is a fork of it, unless the connection survives that."""
        if not self.here and not self.survives_fork:
            raise _forked(self._pid)


def claim() -> None:
    """Note that this process has connections. Raises Forked if it is a fork of a process that has had any."""
    global _first
    if _first is None:
        _first = os.getpid()
    if _first != os.getpid():
        raise _forked(_first)


def held(grpc_object: T) -> T:
    """Note a channel or a call, which a fork must not free: freeing may wait for a lock whose owner is not there."""
    _held.add(grpc_object)
    return grpc_object


_forking: list[object] = []


def _before_fork() -> None:
    """Hold references to the objects that a fork must not free, and switch the garbage collector off."""
    if _first is not None:
        _forking.extend((gc.isenabled(), *_held))
        gc.disable()


def _after_in_parent() -> None:
    if _forking and _forking[0]:
        gc.enable()
    _forking.clear()


def _after_in_child() -> None:
    for grpc_object in _forking:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(grpc_object))  # for ever, at the end of the interpreter too
    if _forking:
        gc.freeze()  # what is in cycles is not looked at either
    _after_in_parent()


os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)


def _forked(pid: int) -> Forked:
    return Forked(
        f"process {os.getpid()} is a fork of process {pid}, which has made a client, and gRPC does not survive a fork: "
        "start processes by multiprocessing's 'spawn' or 'forkserver', or make the first client after the fork"
    )
