"""Watch over processes: reports the end of a process at once, and costs nothing until then."""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from contextlib import suppress
from threading import Lock, Thread


class Watch:
    """Calls ``ended`` of a watched socket when its other end is closed, from a thread of its own, never two calls at a
    time. A socket that is closed at this end is no longer watched. Thread-safe."""

    def __init__(self) -> None:
        self._watched: dict[int, Callable[[], None]] = {}
        self._lock = Lock()
        self._poll: select.epoll | None = None
        self._end: socket.socket | None = None
        self._closed = False

    def add(self, number: int, ended: Callable[[], None]) -> None:
        """Watch the socket with this descriptor. Raises OSError if it is closed."""
        with self._lock:
            if self._closed:
                return
            if self._poll is None:
                self._poll = select.epoll()
                self._end, wake = socket.socketpair()
                self._poll.register(wake, select.EPOLLRDHUP)
                Thread(target=self._run, args=(self._poll, wake), name="watch", daemon=True).start()
            self._watched[number] = ended
            # no event for received bytes, and a single event for an end
            self._poll.register(number, select.EPOLLRDHUP | select.EPOLLONESHOT)

    def remove(self, number: int) -> None:
        """Stop watching a socket; to be called before it is closed, since its descriptor may be reused."""
        with self._lock, suppress(OSError):
            if self._watched.pop(number, None) is not None and self._poll is not None:
                self._poll.unregister(number)

    def close(self) -> None:
        """Stop watching. Does not wait."""
        with self._lock:
            self._closed = True
            self._watched.clear()
            if self._end is not None:
                self._end.close()  # which ends the thread

    def _run(self, poll: select.epoll, wake: socket.socket) -> None:
        while True:
            for number, _ in poll.poll():
                if number == wake.fileno():
                    wake.close()
                    poll.close()
                    return
                with self._lock:
                    ended = self._watched.pop(number, None)
                    if ended is not None:
                        poll.unregister(number)
                if ended is not None:
                    ended()
