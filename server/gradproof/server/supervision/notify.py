"""The manager of services above a server, as systemd is one: it is told what state the server is in (sd_notify)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


class Manager:
    """The process that listens at ``NOTIFY_SOCKET``, if there is one. ``period``: seconds in which it wants to hear that
    all goes well, from ``WATCHDOG_USEC``; 0 if it does not. What is read is taken out of the environment: it is not for
    children."""

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        self.period = 0.0
        with suppress(ValueError):
            self.period = int(os.environ.pop("WATCHDOG_USEC", "0")) / 1e6
        os.environ.pop("WATCHDOG_PID", None)
        self._beat = 0.0

    def say(self, *lines: str) -> None:
        """Send lines, such as READY=1. Nobody there is no fault."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), address)

    def beat(self, now: float) -> None:
        """Say that all goes well, as often as it wants to hear it. ``now``: on the monotonic clock."""
        if self.period and now - self._beat >= self.period / 4:
            self._beat = now
            self.say("WATCHDOG=1")
