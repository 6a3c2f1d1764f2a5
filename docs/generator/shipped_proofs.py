"""Writes the proofs that are shipped with the built-in plugins: ``make proofs``. Only what is missing is proved.

    python -m docs.generator.shipped_proofs [--cold] [--check] [OP ...]

The shape classes that `tests/verify/proof/test_shape_classes.py` lists are shipped too: those that runs meet most.

``--cold`` proves all anew. ``--check`` proves all anew and writes nothing: it ends with status 1 where a shipped verdict is
another, or is missing.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from tests.verify.proof.test_shape_classes import class_key, situations

from gradproof.engine.registry import Plugin, Registry, build_registry
from gradproof.engine.verify.proof_cache import ProofKey, ShippedProofs, keys_of
from gradproof.engine.verify.proof_cache.checker import portable_digest
from gradproof.engine.verify.proof_cache.digest import digest_of
from gradproof.engine.verify.proof_cache.memory import LASTING
from gradproof.engine.verify.proof_cache.shipped import path_of, write
from gradproof.engine.verify.proof_pool import ProofPool
from gradproof.engine.verify.verdict import RuleVerdict
from gradproof.plugins import BUILTIN

SECONDS = 120.0  # of a proof: those that take long are found here, once
SAMPLING_SECONDS = 5.0  # of the attributes of an op
AT_ONCE = 2
MAX_REQUESTS = 200  # that wait in the queue, which is bounded
STALE = "the shipped proofs are stale: run `make proofs`"


def stale(registry: Registry) -> Iterator[str]:
    """Why the proofs of each plugin are stale: another checker made them, or they are of another module, or an op has none.
    Looks at a single case of each module, since a digest takes in the whole source: a second for all."""
    shipped = ShippedProofs(registry)
    for plugin in registry.plugins:
        ops = [op for op in plugin.ops if op.differentiable and keys_of_own(registry, op.name)]
        if not ops:
            continue
        file = shipped.of(ops[0].name)
        if file.fault or file.checker != portable_digest():
            yield f"{plugin.name}: {file.fault or 'the checker is another' if file.lines else 'there are none'}"
            continue
        lost = [op.name for op in ops if not shipped.all(op.name)]
        if lost:
            yield f"{plugin.name}: there are none of {', '.join(lost)}"
        elif digest_of(registry, keys_of_own(registry, ops[0].name)[0]) not in file.lines:
            yield f"{plugin.name}: the ops are others"


def keys_of_own(registry: Registry, name: str) -> list[ProofKey]:
    """The keys of an op itself, without those of its parts."""
    return [key for key in keys_of(registry, registry.op(name)) if key.op == name]


class Proving:
    """The proofs of the ops of a registry, made by a pool of processes. ``cold``: shipped proofs are not used."""

    def __init__(self, registry: Registry, *, cold: bool) -> None:
        self.registry = registry
        portable_digest()  # of the sources that are loaded now, whatever is changed while proofs are made
        self.pool = ProofPool(registry, shipped=not cold, at_once=AT_ONCE, seconds=SECONDS)

    def keys(self, name: str) -> list[ProofKey]:
        """What is proved of an op: its cases, sampled attributes, and listed shape classes."""
        listed = [key for parameters in situations(name) if (key := class_key(*parameters.values)) is not None]
        sampled = self.pool.sampled_keys(name, SAMPLING_SECONDS)
        return list(dict.fromkeys([*keys_of(self.registry, self.registry.op(name)), *listed, *sampled]))

    def wanted(self, names: Iterable[str]) -> dict[str, list[ProofKey]]:
        """What is proved of ops, by the plugin that has the rule: the parts of composites have their own."""
        wanted: dict[str, dict[ProofKey, None]] = {plugin.name: {} for plugin in self.registry.plugins}
        for key in (key for name in names for key in self.keys(name)):
            for each in (key.general, key) if key.general else (key,):
                wanted[self.registry.plugin_of(key.op).name][each] = None
        return {name: list(keys) for name, keys in wanted.items()}

    def verdicts(self, keys: list[ProofKey]) -> Iterator[tuple[ProofKey, RuleVerdict]]:
        """The verdicts on rules, with their keys; none of a key whose proof for all values of its attributes is there."""
        for start in range(0, len(keys), MAX_REQUESTS):
            chunk = keys[start : start + MAX_REQUESTS]
            for key in chunk:
                self.pool.request(key)
            self.pool.wait(chunk, SECONDS * len(chunk))
            for key in chunk:
                verdict = self.pool.memory.lookup(key.traced(self.registry))
                if verdict is not None:
                    yield key, verdict


def lasting(verdicts: Iterable[tuple[ProofKey, RuleVerdict]], registry: Registry) -> dict[str, RuleVerdict]:
    """The verdicts that depend on no clock, by their digests."""
    named = ((digest_of(registry, key), verdict) for key, verdict in verdicts if verdict.word in LASTING)
    return {digest: verdict for digest, verdict in named if digest is not None}


def told(verdict: RuleVerdict) -> tuple[str, ...]:
    """The fields of a verdict that are the same whenever and wherever it is made."""
    return verdict.word, verdict.op, verdict.case, verdict.domain, verdict.tie_set, *verdict.obligations


def steady(digest: str, verdict: RuleVerdict, before: dict[str, RuleVerdict]) -> RuleVerdict:
    """A verdict with the seconds that it had before, where it is the same: so its line stays."""
    known = before.get(digest)
    return replace(verdict, seconds=known.seconds) if known is not None and told(known) == told(verdict) else verdict


def ship(registry: Registry, plugin: Plugin, made: dict[str, RuleVerdict], names: Sequence[str]) -> None:
    """Write the proofs that were made for a plugin, and keep those of its ops that are not among ``names``."""
    path, shipped = path_of(plugin), ShippedProofs(registry)
    if path is None:
        return
    before = {digest: verdict for op in plugin.ops for digest, verdict in shipped.all(op.name).items()}
    others = [op.name for op in plugin.ops if op.name not in names and shipped.has(op.name)]
    kept = {digest: verdict for op in others for digest, verdict in shipped.all(op).items()}
    verdicts = kept | {digest: steady(digest, verdict, before) for digest, verdict in made.items()}
    write(path, verdicts.items())
    print(f"{path.name}: {len(verdicts)} proofs, {path.stat().st_size >> 10} KiB", flush=True)


def differences(registry: Registry, plugin: Plugin, made: dict[str, RuleVerdict], names: Sequence[str]) -> Iterator[str]:
    """Differences of the shipped proofs of ops from those that were made anew, a line each."""
    shipped = ShippedProofs(registry)
    known = {digest: verdict for op in plugin.ops for digest, verdict in shipped.all(op.name).items() if op.name in names}
    made = {digest: verdict for digest, verdict in made.items() if verdict.op in names}
    for digest in dict.fromkeys([*made, *known]):
        texts = [str(told(each[digest])) if digest in each else "nothing" for each in (known, made)]
        if texts[0] != texts[1]:
            yield f"shipped: {texts[0]}\n  anew: {texts[1]}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or check the shipped proofs; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m docs.generator.shipped_proofs")
    parser.add_argument("ops", nargs="*", help="names of ops; all, if there are none")
    parser.add_argument("--cold", action="store_true", help="prove all anew")
    parser.add_argument("--check", action="store_true", help="prove all anew, and compare")
    options = parser.parse_args(arguments)
    registry, started = build_registry(BUILTIN), time.monotonic()
    names = options.ops or [op.name for op in registry.ops.values()]
    proving = Proving(registry, cold=options.cold or options.check)
    different = count = 0
    try:
        wanted = proving.wanted(names)
        for plugin in registry.plugins:
            made = list(proving.verdicts(wanted[plugin.name]))
            count += len(made)
            for _, verdict in made:
                if verdict.word not in LASTING:
                    print(f"{verdict.op} {verdict.case}: {verdict.word}: {verdict.reason}")
            if options.check:
                lines = list(differences(registry, plugin, lasting(made, registry), names))
                different += len(lines)
                print("".join(f"{line}\n" for line in lines), end="")
            elif made:
                ship(registry, plugin, lasting(made, registry), names)
    finally:
        proving.pool.close()
    print(f"{count} proofs in {time.monotonic() - started:.0f} s")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
