"""``python -m gradproof.server`` and the ``gradproof`` command."""

from __future__ import annotations

import os
import sys

NATIVE = "GRPC_VERBOSITY"
"""How much gRPC's core writes by itself: a line for each failed handshake of a stranger, unless it is told not to. Its
errors come through statuses too, and lines that are not ours break a log in JSON."""


def main() -> None:
    """Run the command line; say which extra is missing if the server's libraries are not installed."""
    os.environ.setdefault(NATIVE, "NONE")
    if sys.argv[1:2] == ["serve"]:
        from gradproof.server.supervision.guard import guarded

        guarded(sys.argv[2:])  # before anything is imported that has threads
    try:
        from gradproof.server.commands.cli import app
    except ModuleNotFoundError as error:
        sys.exit(f"gradproof: {error}. The command needs the server's libraries: pip install 'gradproof[server]'")
    app()


if __name__ == "__main__":
    main()
