"""Entry point of the ``gradproof`` command and of ``python -m gradproof.server``."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version

from gradproof.server.supervision.supervisor import supervise

GRPC_VERBOSITY = "GRPC_VERBOSITY"
"""Variable for the log of gRPC's core, which writes a line for each failed handshake by default. The lines are not in the
server's format, and its errors arrive as statuses too."""


def main() -> None:
    """Run the command line. Exits with the name of the missing extra if the server's libraries are not installed."""
    os.environ.setdefault(GRPC_VERBOSITY, "NONE")
    if sys.argv[1:] == ["--version"]:  # known without the server's libraries
        print(f"gradproof {version('gradproof')}")
        return
    if sys.argv[1:2] == ["serve"]:
        supervise(sys.argv[2:])
    try:
        from gradproof.server.commands.cli import app  # noqa: PLC0415 - starts threads, so it follows the fork of `supervise`
    except ModuleNotFoundError as error:
        sys.exit(f"gradproof: {error}. The command needs the server's libraries: pip install 'gradproof[server]'")
    app()


if __name__ == "__main__":
    main()
