"""Trees of tensors: tuples, named tuples, lists, dicts and dataclasses, nested in any way. None is a leaf."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeAlias

import optree

NAMESPACE: Final = "gradproof"

Structure: TypeAlias = optree.PyTreeSpec
"""A tree without its leaves."""


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves and the structure of a tree."""
    leaves, structure = optree.tree_flatten(tree, none_is_leaf=True, namespace=NAMESPACE)
    new = {type(leaf) for leaf in leaves if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type)}
    if not new:
        return leaves, structure
    for kind in new:
        _register(kind)
    return flatten(tree)


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """The tree with this structure and these leaves."""
    return optree.tree_unflatten(structure, leaves)


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with the results of ``function`` for its leaves."""
    leaves, structure = flatten(tree)
    return unflatten(structure, map(function, leaves))


def text(structure: Structure) -> str:
    """A structure with a star for each leaf."""
    return repr(unflatten(structure, [_Star()] * structure.num_leaves))


class _Star:
    def __repr__(self) -> str:
        return "*"


def _register(kind: type[Any]) -> None:
    """Let instances of a dataclass be trees of their fields; texts, flags, functions and None belong to the structure."""
    names = [field.name for field in dataclasses.fields(kind) if field.init]

    def split(instance: Any) -> tuple[list[Any], tuple[Any, ...], list[str]]:
        fields = {name: getattr(instance, name) for name in names}
        still = {name: x for name, x in fields.items() if x is None or isinstance(x, (str, bool)) or callable(x)}
        moving = [name for name in names if name not in still]
        return [fields[name] for name in moving], (tuple(moving), *still.items()), moving

    def join(structure: Any, children: Iterable[Any]) -> Any:
        moving, *still = structure
        return kind(**dict(zip(moving, children, strict=True)), **dict(still))

    with suppress(ValueError):  # another thread was first
        optree.register_pytree_node(kind, split, join, namespace=NAMESPACE)
