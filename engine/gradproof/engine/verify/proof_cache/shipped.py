"""Proofs that are shipped with a plugin: a text file beside its module, ``proofs/MODULE.txt``, written by ``make proofs``.

Proofs that take long are found once, where a package is made. An entry is found by the digest of all that a proof depends
on, as in the cache on disk; of the machine only the processor and the build of Python may be others, since rules are proved
in exact arithmetic. The part of the digest that all proofs share, the checker, stands once at the head of the file, so that
a change of an op changes its own lines only.

Such a file is as trusted as the code beside it: whoever may write there may write the rules, and the checker. The head has
a sum of the lines, by which a file is not used that was edited, or merged from two that were made by different checkers.
"""

from __future__ import annotations

import hashlib
import json
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from gradproof.engine.cases import Case
from gradproof.engine.registry import Plugin, Registry
from gradproof.engine.verify.proof_cache.cache import verdict_from
from gradproof.engine.verify.proof_cache.checker import portable_digest
from gradproof.engine.verify.proof_cache.digest import digest_of
from gradproof.engine.verify.proof_cache.proof_key import ProofKey
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord

SCHEMA = 1
FOLDER = "proofs"
HEAD = "gradproof proofs"
BLANK = RuleVerdict(RuleWord.PENDING, "")
OWN = frozenset({"digest", "cached", "shipped", "budget"})
"""Fields that say where a verdict is from, and not what it is."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShippedFile:
    """The file of a module. ``lines``: the verdicts as text, by the digest of op and case; ``checker``: the digest of the
    checker that made them; ``fault``: why none is used, if the file is not as it was written."""

    checker: str = ""
    lines: Mapping[str, str] = field(default_factory=dict)
    fault: str = ""


class ShippedProofs:
    """The proofs that are shipped with the plugins of a registry. Reads each file once."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._files: dict[str, ShippedFile] = {}

    def of(self, op: str) -> ShippedFile:
        """The file with the proofs of an op; an empty file where there is none."""
        plugin = self.registry.plugin_of(op)
        known = self._files.get(plugin.name)
        if known is None:
            known = self._files[plugin.name] = read(path_of(plugin))
            if known.fault:
                _log.warning("shipped proofs of plugin %s are not used: %s", plugin.name, known.fault)
        return known

    def all(self, op: str) -> dict[str, RuleVerdict]:
        """All proofs of an op by their digests, also those of another checker."""
        file = self.of(op)
        mark = json.dumps([op], ensure_ascii=False)[:-1] + ","
        return {digest: _decoded(line) for digest, line in file.lines.items() if line.startswith(mark)}

    def has(self, op: str) -> bool:
        """True if there may be proofs of an op: its file was made by this checker."""
        file = self.of(op)
        return bool(file.lines) and file.checker == portable_digest()

    def of_case(self, op: str, case: Case) -> RuleVerdict | None:
        """The verdict on the rule of an op in a case, or None."""
        digest = digest_of(self.registry, ProofKey(op, case)) if self.has(op) else None
        return None if digest is None else self.get(op, digest)

    def get(self, op: str, digest: str) -> RuleVerdict | None:
        """The verdict under the digest of an op and a case, marked as shipped, or None."""
        line = self.of(op).lines.get(digest) if self.has(op) else None
        if line is None:
            return None
        try:
            verdict = _decoded(line)
        except (ValueError, TypeError, KeyError) as error:
            _log.warning("a shipped proof of %s is not used: %s", op, error)
            return None
        return replace(verdict, cached=True, shipped=True)


def path_of(plugin: Plugin) -> Path | None:
    """The place of the shipped proofs of a plugin, beside its module; None for a plugin without a file."""
    module = sys.modules.get(plugin.source.partition(":")[0])
    file = getattr(module, "__file__", None)
    return None if file is None else Path(file).parent / FOLDER / f"{Path(file).stem}.txt"


def read(path: Path | None) -> ShippedFile:
    """The content of a file; an empty file where there is none."""
    if path is None:
        return ShippedFile()
    try:
        head, _, body = path.read_text(encoding="utf-8").partition("\n")
    except FileNotFoundError:
        return ShippedFile()
    except (OSError, ValueError) as error:
        return ShippedFile(fault=f"{path}: {error}")
    name, _, facts = head.partition(": ")
    words = facts.split()
    if name != HEAD or len(words) != 3 or words[0] != f"{SCHEMA}":
        return ShippedFile(fault=f"{path} is not of this version; run `make proofs`")
    if words[2] != _sum(body):
        return ShippedFile(words[1], fault=f"{path} has been changed; run `make proofs`")
    return ShippedFile(words[1], _by_digest(body))


def write(path: Path, verdicts: Iterable[tuple[str, RuleVerdict]]) -> None:
    """Write verdicts, each behind the digest of its op and case, as made by this checker; sorted by op and case."""
    body = "".join(sorted({f"{_encoded(verdict)} {digest}\n" for digest, verdict in verdicts}))
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{HEAD}: {SCHEMA} {portable_digest()} {_sum(body)}\n{body}", encoding="utf-8")


def _by_digest(body: str) -> dict[str, str]:
    """The lines by their last word."""
    parts = (line.rpartition(" ") for line in body.splitlines())
    return {digest: line for line, _, digest in parts}


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode("utf-8")).hexdigest()


def _encoded(verdict: RuleVerdict) -> str:
    """A verdict as a line: op and case first, then the fields that say something."""
    told = {
        name: value
        for name, value in asdict(verdict).items()
        if name not in OWN and value != getattr(BLANK, name) and name not in ("op", "case")
    }
    told["seconds"] = float(f"{verdict.seconds:.1g}")
    return json.dumps([verdict.op, verdict.case, told], ensure_ascii=False)


def _decoded(line: str) -> RuleVerdict:
    """The verdict in a line. Raises ValueError, TypeError or KeyError."""
    op, case, told = json.loads(line)
    whole: dict[str, Any] = {each.name: getattr(BLANK, each.name) for each in fields(RuleVerdict)}
    return verdict_from(whole | {"op": op, "case": case} | told)
