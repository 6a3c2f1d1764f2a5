"""Serving processes that do nothing but what a test tells them, under a real guard."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time

from gradproof.server.supervision import seat
from gradproof.server.supervision.guard import guarded


def main() -> None:
    how, *words = sys.argv[1:]
    told = json.loads(how)
    guarded(words)
    mine = seat.mine()
    held = signal.SIG_IGN if told.get("deaf") else lambda *_: os._exit(0)
    signal.signal(signal.SIGTERM, held)
    signal.signal(signal.SIGHUP, lambda *_: mine.say("ready"))
    mine.say(
        "settings",
        grace=told.get("grace", 30.0),
        processes=told.get("processes", 1),
        watchdog=told.get("watchdog", 0.0),
        json=True,
    )
    if told.get("fails") == mine.number:
        os._exit(3)
    folder = mine.folder or (tempfile.mkdtemp() if told.get("processes", 1) > 1 else "")
    mine.say("bound", host="127.0.0.1", port=mine.port or told.get("port", 1), folder=folder)
    mine.say("ready")
    said = {"number": mine.number, "pid": os.getpid(), "again": mine.again, "port": mine.port, "folder": folder}
    os.write(1, json.dumps(said).encode() + b"\n")  # at once: others write there too
    if told.get("dies"):
        time.sleep(0.05)
        os._exit(4)
    while True:
        if not (told.get("sticks") == mine.number and not mine.again):
            mine.say("beat")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
