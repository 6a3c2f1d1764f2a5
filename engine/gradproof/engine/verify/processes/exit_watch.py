"""The watch over processes: says at once that one has ended, whatever ended it, and costs nothing until then."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread


class Watch:
    """Calls ``ended`` of each open socket that is watched once nobody is at its other end any more; from a thread of its
    own, one call after the other. A socket that is closed here is watched no longer. Safe to use from several threads."""

    def __init__(self) -> None:
        self._watched: dict[int, Callable[[], None]] = {}
        self._lock = Lock()
        self._poll: select.epoll | None = None
        self._end: socket.socket | None = None
        self._closed = False

    def add(self, number: int, ended: Callable[[], None]) -> None:
        """Watch the socket with this descriptor. Raises OSError if that is closed."""
        with self._lock:
            if self._closed:
                return
            if self._poll is None:
                self._poll = select.epoll()
                self._end, own = socket.socketpair()
                self._poll.register(own, select.EPOLLRDHUP)
                Thread(target=self._run, args=(self._poll, own), name="watch", daemon=True).start()
            self._watched[number] = ended
            # what is received wakes nobody here; a process that has ended is said once
            self._poll.register(number, select.EPOLLRDHUP | select.EPOLLONESHOT)

    def remove(self, number: int) -> None:
        """Watch it no longer; to be called before it is closed, since its number may soon be another's."""
        with self._lock, suppress(OSError):
            if self._watched.pop(number, None) is not None and self._poll is not None:
                self._poll.unregister(number)

    def close(self) -> None:
        """Watch nothing any more. Does not wait."""
        with self._lock:
            self._closed = True
            self._watched.clear()
            if self._end is not None:
                self._end.close()  # which ends the thread

    def _run(self, poll: select.epoll, own: socket.socket) -> None:
        while True:
            for number, _ in poll.poll():
                if number == own.fileno():
                    own.close()
                    poll.close()
                    return
                with self._lock:
                    ended = self._watched.pop(number, None)
                    if ended is not None:
                        poll.unregister(number)
                if ended is not None:
                    ended()
