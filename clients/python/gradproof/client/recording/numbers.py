"""The Python numbers of a graph, each once."""

from __future__ import annotations

from gradproof.client.recording.recorded import Number


class Numbers:
    """Numbers in the order they are met. Real numbers of the same type and value are one, but for zeros, of which one may
    be negative, and for nan.

    Attributes:
        values: the numbers.
    """

    __slots__ = ("_places", "values")

    def __init__(self) -> None:
        self.values: list[Number] = []
        self._places: dict[tuple[type, Number], int] = {}

    def index(self, number: Number) -> int:
        """The position of a number, which is added if it is new."""
        if isinstance(number, complex) or number == 0 or number != number:
            self.values.append(number)
            return len(self.values) - 1
        key = (type(number), number)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = len(self.values)
            self.values.append(number)
        return place
