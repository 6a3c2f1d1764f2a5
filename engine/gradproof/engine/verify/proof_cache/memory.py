"""The memory of proofs: what is known of a rule, in this process and on disk; what is worth keeping, and for how long.

A verdict that no clock had a part in stays. One that a clock ended is kept with the CPU time that it had, and tried again
where there is more. One that ended for another reason than itself (its process died, or waited for a busy machine) is kept
nowhere, and tried again a few times.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict
from pathlib import Path
from threading import Lock

from gradproof.engine.registry import Registry
from gradproof.engine.verify.proof_cache.cache import ProofCache
from gradproof.engine.verify.proof_cache.checker import checker_digest
from gradproof.engine.verify.proof_cache.digest import name_of
from gradproof.engine.verify.proof_cache.proof_key import ProofKey
from gradproof.engine.verify.verdict import RuleVerdict, RuleWord

TRIES = 3
MAX_KEYS = 100_000
"""Classes that are remembered: a stream of new attributes makes new ones without end, and each takes a few KB."""

_log = logging.getLogger(__name__)
LASTING = (RuleWord.PROVED, RuleWord.PROVED_AE, RuleWord.REFUTED)


class ProofMemory:
    """What is known of the rules of a registry. Safe to use from several threads.

    Args:
        directory: where proofs are kept; None keeps none.
        seconds: CPU time that a proof gets here.
        max_keys: classes that are remembered; the least recently used are forgotten, and looked up on disk again.

    Attributes:
        hits, misses: how often the disk was asked for a proof, and had it, or not.
    """

    def __init__(self, registry: Registry, directory: Path | None, seconds: float, *, max_keys: int = MAX_KEYS) -> None:
        self.registry, self.seconds, self.max_keys = registry, float(seconds), max_keys
        self.cache = _cache(directory)
        if self.cache:
            checker_digest()  # now, rather than while someone waits
        self._used: OrderedDict[ProofKey, None] = OrderedDict()
        self._known: dict[ProofKey, RuleVerdict] = {}
        self._seen: dict[str, dict[ProofKey, None]] = {}
        self._looked: set[ProofKey] = set()
        self._tries: Counter[ProofKey] = Counter()
        self._unsettled: set[ProofKey] = set()
        self._lock = Lock()
        self.hits = self.misses = 0

    def lookup(self, key: ProofKey) -> RuleVerdict | None:
        """What is known of a traced key. Reads the disk the first time."""
        with self._lock:
            self._use(key)
            known = self._known.get(key)
            if known is not None or self.cache is None or key in self._looked:
                return known
            self._looked.add(key)
        name = name_of(self.registry, key)
        verdict = self.cache.get(name) if name else None
        if verdict is None or not self._holds(key, verdict):
            with self._lock:
                self.misses += 1
            return None
        with self._lock:
            self.hits += 1
            self._use(key)
            return self._known.setdefault(key, verdict)

    def _use(self, key: ProofKey) -> None:
        """Note that a key is used now, and forget those that were used longest ago. The lock is held."""
        self._seen.setdefault(key.op, {})[key] = None
        self._used[key] = None
        self._used.move_to_end(key)
        while len(self._used) > self.max_keys:
            oldest, _ = self._used.popitem(last=False)
            del self._seen[oldest.op][oldest]
            self._known.pop(oldest, None)
            self._looked.discard(oldest)
            self._tries.pop(oldest, None)
            self._unsettled.discard(oldest)

    def _holds(self, key: ProofKey, verdict: RuleVerdict) -> bool:
        """Whether what was kept is of this key, and is not of a proof that had less time than there is now."""
        if (verdict.op, verdict.case) != (key.op, str(key.case)):
            return False
        return verdict.word in LASTING or (verdict.word is RuleWord.UNDECIDED and verdict.budget >= self.seconds)

    def is_settled(self, key: ProofKey) -> bool:
        """Whether another try would find nothing else."""
        with self._lock:
            return key in self._known and (key not in self._unsettled or self._tries[key] >= TRIES)

    def keep(self, key: ProofKey, verdict: RuleVerdict, *, settled: bool = True) -> None:
        """Remember the verdict on a traced key.

        Args:
            settled: False where it ended for another reason than itself.
        """
        with self._lock:
            self._use(key)
            self._known[key] = verdict
            self._looked.add(key)
            self._tries[key] += 1
            (self._unsettled.discard if settled else self._unsettled.add)(key)
        if self.cache is None or not settled or not (verdict.word in LASTING or verdict.budget):
            return
        name = name_of(self.registry, key)
        if name is not None and name == verdict.digest:  # what was proved there is what is here
            self.cache.put(name, verdict, key.case)

    def forget(self, key: ProofKey) -> None:
        """Know nothing of a key, and do not look on disk for it: it is to be proved again."""
        with self._lock:
            self._use(key)
            self._known.pop(key, None)
            self._looked.add(key)
            self._tries.pop(key, None)
            self._unsettled.discard(key)

    def keys_of(self, op: str) -> list[ProofKey]:
        """The classes of an op that are known here: those that were asked for, and those on disk that are of the op as it
        is now."""
        with self._lock:
            keys = dict(self._seen.get(op, {}))
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
