"""The signature of an application of an op: its attributes, and the shapes and dtypes of its results."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from gradproof.client import dtypes
from gradproof.client.events import OpInfo
from gradproof.client.recording.names import saves
from gradproof.client.recording.spec import Spec
from gradproof.v1 import graph_pb2


class Messages(Protocol):
    """Nodes that are sent in place of a node that stands for them.

    Attributes:
        derived: whether some were derived by rules.
    """

    derived: bool

    def messages(self, inputs: Sequence[str], outputs: Sequence[str]) -> Iterator[tuple[graph_pb2.Node, tuple[bytes, ...]]]:
        """The nodes between inputs and outputs of these names, each with the rules that it was derived by."""


class Signature:
    """An op with its attributes, applied to inputs of some shapes and dtypes. Nodes that were recorded alike share it, so
    that it stands for all of them in keys: it is equal to itself only.

    Attributes:
        info: the op.
        op: its name.
        attributes: its attributes as plain values.
        specs: shapes and dtypes of the results.
        differentiable: whether gradients flow through the op.
        flows: for each result whether its dtype can have a gradient.
        is_step: whether no result can have one, as of a comparison.
        saves: whether the rule of the op needs values of the forward pass.
        body: the nodes that are sent for a node with this signature, where that stands for a whole function.
    """

    __slots__ = ("__weakref__", "attributes", "body", "differentiable", "flows", "info", "is_step", "op", "saves", "specs")

    def __init__(
        self, info: OpInfo, attributes: Mapping[str, Any], specs: Sequence[Spec], body: Messages | None = None
    ) -> None:
        self.body = body
        self.info, self.op, self.differentiable = info, info.name, info.differentiable
        self.attributes, self.specs = attributes, tuple(specs)
        self.flows = tuple(dtypes.is_differentiable(spec.dtype) for spec in self.specs)
        self.is_step = not any(self.flows)
        self.saves = saves(info.name)


def attributes_key(attributes: Mapping[str, Any]) -> Hashable:
    """A key that tells attributes apart that compare equal: 1, 1.0 and True, 0.0 and -0.0."""
    parts: list[Any] = []
    for name, value in attributes.items():
        kind = type(value)
        exact = kind is int or kind is str or kind is bool or value is None
        parts += [name, kind, value if exact else repr(plain(value))]
    return tuple(parts)


def plain(value: Any) -> Any:
    """An attribute as plain Python: tuples for lists, int for NumPy's integers, a name for a dtype."""
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (np.dtype, type)):
        return np.dtype(value).name
    return value
