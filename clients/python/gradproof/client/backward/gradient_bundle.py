"""Bundles: the gradients on a side of a node as a single value, for hooks that get all of them at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np

from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.spec import Spec
from gradproof.v1 import graph_pb2
from gradproof.wire import encode_attributes

SECTIONS = 16
"""The most parts that the op `split` makes at once."""


class Bundle:
    """Values by key as a single value: a single value as it is, several flattened and concatenated in a common dtype.

    In a graph, bundling and unbundling is an identity with a gradient that is the identity too, to the bit. Between the
    two, all gradients are the gradient of the value ``name``.
    """

    def __init__(self, name: str, specs: Mapping[int, Spec]) -> None:
        self.name, self.specs = name, dict(specs)
        self._alone = len(self.specs) == 1
        if self._alone:
            [self.spec] = self.specs.values()
        else:
            dtype = np.result_type(*(spec.dtype for spec in self.specs.values()))
            self.spec = Spec((sum(spec.size for spec in self.specs.values()),), dtype)

    def near(self, key: int) -> str:
        """The name of a value on the node's side of the bundle."""
        return self.name if self._alone else f"{self.name}.{key}"

    def split(self, bundled: Recorded) -> dict[int, Recorded]:
        """The values by key."""
        if self._alone:
            return dict.fromkeys(self.specs, bundled)
        values, start = dict[int, Recorded](), 0
        for key, spec in self.specs.items():
            part = apply("slice", bundled, start=(start,), stop=(start + spec.size,))
            values[key] = cast(apply("reshape", part, shape=spec.shape), spec.dtype)
            start += spec.size
        return values

    def join(self, values: Mapping[int, Recorded]) -> Recorded:
        """The values as a single value."""
        if self._alone:
            [value] = values.values()
            return value
        dtype = self.spec.dtype
        flat = [apply("reshape", cast(values[key], dtype), shape=(spec.size,)) for key, spec in self.specs.items()]
        return apply("concat", *flat, axis=0)

    def nodes(self, sources: Mapping[int, str], targets: Mapping[int, str]) -> Iterator[graph_pb2.Node]:
        """The identity from ``sources`` to ``targets``."""
        if self._alone:
            [key] = self.specs
            yield _node("reshape", [sources[key]], [targets[key]], shape=self.spec.shape)
            return
        for key, spec in self.specs.items():
            yield _node("astype", [sources[key]], [f"{self.name}.{key}a"], dtype=self.spec.dtype.name)
            yield _node("reshape", [f"{self.name}.{key}a"], [f"{self.name}.{key}b"], shape=(spec.size,))
        yield _node("concat", [f"{self.name}.{key}b" for key in self.specs], [self.name], axis=0)
        sizes = [spec.size for spec in self.specs.values()]
        yield from _split(self.name, sizes, [f"{self.name}.{key}c" for key in self.specs])
        for key, spec in self.specs.items():
            yield _node("reshape", [f"{self.name}.{key}c"], [f"{self.name}.{key}d"], shape=spec.shape)
            yield _node("astype", [f"{self.name}.{key}d"], [targets[key]], dtype=spec.dtype.name)


def _split(source: str, sizes: Sequence[int], names: Sequence[str]) -> Iterator[graph_pb2.Node]:
    """Nodes that cut ``source`` into parts, in several steps if these are many."""
    if len(names) <= SECTIONS:
        yield _node("split", [source], names, sections=tuple(sizes), axis=0)
        return
    step = ceil(len(names) / SECTIONS)
    starts = range(0, len(names), step)
    yield from _split(source, [sum(sizes[k : k + step]) for k in starts], [f"{source}_{k}" for k in starts])
    for k in starts:
        yield from _split(f"{source}_{k}", sizes[k : k + step], names[k : k + step])


def cast(value: Recorded, dtype: np.dtype[Any]) -> Recorded:
    """The value in another dtype, as a recorded op."""
    return value if value.dtype == dtype else apply("astype", value, dtype=dtype.name)


def _node(op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> graph_pb2.Node:
    return graph_pb2.Node(op=op, inputs=inputs, outputs=outputs, attributes=encode_attributes(attributes))
