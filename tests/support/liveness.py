"""Which tensors and nodes are alive."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from gradproof.client.recording.record import Node
from gradproof.client.tensors.tensor import Tensor


class Living:
    """Counts the tensors and nodes made from now on that are not gone. (`gc.get_objects` would hand out objects that
    other threads are in the middle of making.)"""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._made: list[weakref.ref[Any]] = []
        for kind, method in ((Tensor, "_initialise"), (Node, "__init__")):
            monkeypatch.setattr(kind, method, self._noting(getattr(kind, method)))

    def _noting(self, method: Any) -> Any:
        def noted(one: Any, *arguments: Any, **options: Any) -> None:
            self._made.append(weakref.ref(one))
            method(one, *arguments, **options)

        return noted

    def count(self) -> int:
        gc.collect()
        self._made = [one for one in self._made if one() is not None]
        return len(self._made)
