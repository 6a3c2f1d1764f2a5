"""Notification of a service manager such as systemd about the state of the server (sd_notify)."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


class ServiceManager:
    """The process that listens at ``NOTIFY_SOCKET``, if any. ``period`` is its watchdog interval in seconds, from
    ``WATCHDOG_USEC``; 0 if it has none. Both variables are removed from the environment, so that children do not inherit
    them. Protocol: sd_notify(3) of systemd."""

    def __init__(self) -> None:
        self._address = os.environ.pop("NOTIFY_SOCKET", "")
        self.period = 0.0
        with suppress(ValueError):
            self.period = int(os.environ.pop("WATCHDOG_USEC", "0")) / 1e6
        os.environ.pop("WATCHDOG_PID", None)
        self._last_beat = 0.0

    def notify(self, *lines: str) -> None:
        """Send lines, such as READY=1. Does nothing if there is no manager."""
        if not self._address:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto("\n".join(lines).encode(), address)

    def keep_alive(self, now: float) -> None:
        """Send WATCHDOG=1, four times per period at most. ``now`` is a time of the monotonic clock."""
        if self.period and now - self._last_beat >= self.period / 4:
            self._last_beat = now
            self.notify("WATCHDOG=1")
