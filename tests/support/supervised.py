"""Serving processes that do nothing but what a test tells them, under a real supervisor."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time

from gradproof.server.supervision.supervised_process import this_process
from gradproof.server.supervision.supervisor import supervise


def main() -> None:
    how, *words = sys.argv[1:]
    told = json.loads(how)
    supervise(words)
    process = this_process()
    held = signal.SIG_IGN if told.get("deaf") else lambda *_: os._exit(0)
    signal.signal(signal.SIGTERM, held)
    signal.signal(signal.SIGHUP, lambda *_: process.report("ready"))
    process.report(
        "settings",
        grace=told.get("grace", 30.0),
        processes=told.get("processes", 1),
        watchdog=told.get("watchdog", 0.0),
        json=True,
    )
    if told.get("fails") == process.number:
        os._exit(3)
    folder = process.folder or (tempfile.mkdtemp() if told.get("processes", 1) > 1 else "")
    process.report("bound", host="127.0.0.1", port=process.port or told.get("port", 1), folder=folder)
    process.report("ready")
    said = {
        "number": process.number,
        "pid": os.getpid(),
        "restarted": process.restarted,
        "port": process.port,
        "folder": folder,
    }
    os.write(1, json.dumps(said).encode() + b"\n")  # at once: others write there too
    if told.get("dies"):
        time.sleep(0.05)
        os._exit(4)
    while True:
        if not (told.get("sticks") == process.number and not process.restarted):
            process.report("beat")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
