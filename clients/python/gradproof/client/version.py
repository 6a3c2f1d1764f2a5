"""The version of the installed distribution. `gradproof` itself is a namespace, which has no attributes."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("gradproof")
except PackageNotFoundError:  # a source tree on the path
    __version__ = "unknown"
