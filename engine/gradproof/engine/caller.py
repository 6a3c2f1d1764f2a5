"""Caller of a server: the name under which a call is made, its scopes, and its quotas."""

from __future__ import annotations

from dataclasses import dataclass

EVALUATE, VERIFY, ADMIN = SCOPES = ("evaluate", "verify", "admin")
"""Scopes: running graphs; asking for checks and proofs; proving anew, and seeing the calls of others."""


@dataclass(frozen=True)
class Caller:
    """Identity of a caller.

    Args:
        name: the name of its token or certificate; empty where the server asks for none.
        scopes: the scopes of its calls, of `SCOPES`.
        runs: how many of its runs may be in flight at a time; None for the server's limit.
        share: the part of all runs in flight that may be its own, above 0 and up to 1; None for the server's limit.

    Raises:
        ValueError: if a scope is not in `SCOPES`, or a quota is out of its range.
    """

    name: str = ""
    scopes: frozenset[str] = frozenset(SCOPES)
    runs: int | None = None
    share: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "scopes", frozenset(self.scopes))
        if unknown := sorted(map(str, self.scopes - set(SCOPES))):
            raise ValueError(f"there is no scope {unknown[0]!r}; there are {', '.join(SCOPES)}")
        if self.runs is not None and (type(self.runs) is not int or self.runs < 1):
            raise ValueError(f"runs is {self.runs!r}; it must be a whole number, 1 or more")
        if self.share is not None and (type(self.share) not in (int, float) or not 0 < self.share <= 1):
            raise ValueError(f"share is {self.share!r}; it must be above 0 and at most 1")
