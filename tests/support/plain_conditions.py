"""The conditions of the function table, in numbers: for oracles that read definitions."""

from __future__ import annotations

from typing import Any


class Plainly:
    """The reading in numbers, where a condition is a truth."""

    def where(self, condition: bool, a: Any, b: Any) -> Any:
        return a if condition else b

    def less(self, a: Any, b: Any) -> bool:
        return bool(a < b)

    def less_equal(self, a: Any, b: Any) -> bool:
        return bool(a <= b)

    def equal(self, a: Any, b: Any) -> bool:
        return bool(a == b)

    def both(self, a: bool, b: bool) -> bool:
        return a and b

    def either(self, a: bool, b: bool) -> bool:
        return a or b

    def negate(self, a: bool) -> bool:
        return not a
