"""``python -m gradproof.server`` and the ``gradproof`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; say which extra is missing if the server's libraries are not installed."""
    if sys.argv[1:2] == ["serve"]:
        from gradproof.server.guard import guarded

        guarded(sys.argv[2:])  # before anything is imported that has threads
    try:
        from gradproof.server.cli import app
    except ModuleNotFoundError as error:
        sys.exit(f"gradproof: {error}. The command needs the server's libraries: pip install 'gradproof[server]'")
    app()


if __name__ == "__main__":
    main()
