"""Proofs kept on disk, as text: one small JSON file each, named by the hash of all that the proof depends on."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from gradproof.engine.verify.verdict import Rule, RuleVerdict


class ProofCache:
    """A directory of proofs. Two servers may write to it at once (files appear whole, by renaming); a file that cannot
    be read is as if it were not there."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def get(self, digest: str) -> RuleVerdict | None:
        """The verdict kept under ``digest``, marked as cached, or None."""
        try:
            fields = json.loads(self._path(digest).read_text(encoding="utf-8"))
            kept = RuleVerdict(**{**fields, "word": Rule(fields["word"]), "obligations": tuple(fields["obligations"])})
            return replace(kept, cached=True)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put(self, digest: str, verdict: RuleVerdict) -> None:
        """Keep ``verdict``. A full or read-only disk is not an error: the proof is then made again."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.directory, suffix=".part")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(verdict), file, sort_keys=True)
            os.replace(name, self._path(digest))
        except OSError:
            return

    def _path(self, digest: str) -> Path:
        return self.directory / f"{digest}.json"
