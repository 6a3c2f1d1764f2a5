"""Memory of proofs: verdicts on rules, in this process, shipped and on disk, and how long each is kept.

A verdict that depends on no clock stays. A proof that a time limit ended is kept with its CPU time, and tried again
where there is more. A proof that ended for an outer reason (its process died, or waited for a busy machine) is not
saved, and tried again a few times.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from gradproof.engine.lru import LRUCache
from gradproof.engine.registry import Registry
from gradproof.engine.verify.proof_cache.cache import ProofCache
from gradproof.engine.verify.proof_cache.checker import checker_digest, portable_digest
from gradproof.engine.verify.proof_cache.digest import digest_of, name_of, name_under
from gradproof.engine.verify.proof_cache.proof_key import ProofKey
from gradproof.engine.verify.proof_cache.shipped import ShippedProofs
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord

TRIES = 3  # proofs of a key that end for outer reasons
MAX_KEYS = 100_000
"""Classes that are remembered: a stream of new attributes makes new classes without end, and each takes a few KB."""

_log = logging.getLogger(__name__)
LASTING = (RuleWord.PROVED, RuleWord.PROVED_AE, RuleWord.REFUTED)


@dataclass
class _Record:
    """State of a key: its verdict, if known; whether the disk was read; the number of proofs, and whether the last of them
    ended by itself."""

    verdict: RuleVerdict | None = None
    is_read: bool = False
    tries: int = 0
    settled: bool = True


class ProofMemory:
    """Verdicts on the rules of a registry. Safe to use from several threads.

    Args:
        directory: where proofs are saved; None saves none.
        shipped: whether proofs that are shipped with a plugin are used.
        seconds: CPU time that a proof gets here.
        max_keys: classes that are remembered; the least recently used are forgotten, and looked up on disk again.

    Attributes:
        hits, misses: how often a proof was looked for in files, and found, or not.
    """

    def __init__(
        self,
        registry: Registry,
        directory: Path | None,
        seconds: float,
        *,
        shipped: bool = False,
        max_keys: int = MAX_KEYS,
    ) -> None:
        self.registry, self.seconds = registry, float(seconds)
        self.cache = _cache(directory)
        self.shipped = ShippedProofs(registry) if shipped else None
        if self.cache or self.shipped:  # computed now, rather than while a caller waits
            checker_digest()
            portable_digest()
        self._records: LRUCache[ProofKey, _Record] = LRUCache(max_keys)
        self._lock = Lock()
        self.hits = self.misses = 0

    def lookup(self, key: ProofKey) -> RuleVerdict | None:
        """The known verdict on a traced key. The first time it is looked for among shipped proofs, and on disk."""
        with self._lock:
            record = self._record(key)
            if record.verdict is not None or record.is_read or (self.cache is None and self.shipped is None):
                return record.verdict
            record.is_read = True
        verdict = self._read(key)
        if verdict is None:
            with self._lock:
                self.misses += 1
            return None
        with self._lock:
            self.hits += 1
            record = self._record(key)
            record.verdict = record.verdict or verdict
            return record.verdict

    def _read(self, key: ProofKey) -> RuleVerdict | None:
        """The verdict on a key in a file."""
        shipped = self.shipped if self.shipped is not None and self.shipped.has(key.op) else None
        digest = digest_of(self.registry, key) if shipped or self.cache else None
        if digest is None:
            return None
        verdict = shipped.get(key.op, digest) if shipped else None
        if (verdict is None or not self._holds(key, verdict)) and self.cache:
            verdict = self.cache.get(name_under(key.op, digest))
        return verdict if verdict is not None and self._holds(key, verdict) else None

    def _record(self, key: ProofKey) -> _Record:
        """The record of a key, which is used now. The lock is held."""
        return self._records.get(key) or self._records.put(key, _Record())

    def _holds(self, key: ProofKey, verdict: RuleVerdict) -> bool:
        """True if a saved verdict is of this key, and is not of a proof that had less time than there is now."""
        if (verdict.op, verdict.case) != (key.op, str(key.case)):
            return False
        return verdict.word in LASTING or (verdict.word is RuleWord.UNDECIDED and verdict.budget >= self.seconds)

    def is_settled(self, key: ProofKey) -> bool:
        """True if another try would not change the verdict."""
        with self._lock:
            record = self._record(key)
            return record.verdict is not None and (record.settled or record.tries >= TRIES)

    def keep(self, key: ProofKey, verdict: RuleVerdict, *, settled: bool = True) -> None:
        """Remember the verdict on a traced key.

        Args:
            settled: False where it ended for an outer reason.
        """
        with self._lock:
            self._records.put(key, _Record(verdict, True, self._record(key).tries + 1, settled))
        if self.cache is None or not settled or not (verdict.word in LASTING or verdict.budget):
            return
        name = name_of(self.registry, key)
        if name is not None and name == verdict.digest:  # the op that was proved is the op that is here
            self.cache.put(name, verdict, key.case)

    def forget(self, key: ProofKey) -> None:
        """Forget a key, and do not look for it on disk: it is to be proved again."""
        with self._lock:
            self._records.put(key, _Record(is_read=True))

    def keys_of(self, op: str) -> list[ProofKey]:
        """The known classes of an op: those that were asked for, and those on disk that are of the op as it is now."""
        keys = {key: None for key in self._records if key.op == op}
        for name, case in self.cache.cases(op) if self.cache else ():
            key = ProofKey(op, case).traced(self.registry)
            if key not in keys and name_of(self.registry, key) == name:
                keys[key] = None
        return list(keys)


def _cache(directory: Path | None) -> ProofCache | None:
    """The cache in a directory, which may begin at a user's home; None where there is no home."""
    try:
        return None if directory is None else ProofCache(directory.expanduser())
    except RuntimeError as error:
        _log.warning("proofs are not kept on disk: %s", error)
        return None
