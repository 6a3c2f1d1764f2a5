"""Hooks where the gradients of leaves are added up. They run here, when the pass is over."""

from __future__ import annotations

from gradproof.client.backward.handles import NodeHooks, label_of
from gradproof.client.backward.results import checked_all
from gradproof.client.tensors.tensor import Tensor


def hooks_of(leaf: Tensor) -> NodeHooks | None:
    """The hooks of the leaf's `AccumulateGrad`, if it has any."""
    node = leaf._accumulate() if leaf._accumulate is not None else None
    return node.hooks if node is not None else None


def before(leaf: Tensor, gradient: Tensor) -> Tensor | None:
    """What hooks leave of a gradient that is about to be added to ``.grad``; None if nothing is to be added."""
    given: tuple[Tensor | None, ...] = (gradient,)
    hooks = hooks_of(leaf)
    for _, hook in hooks.before if hooks else ():
        given = checked_all(hook(given), given, label_of(hook)) or given
    return given[0]


def after(leaf: Tensor, gradient: Tensor) -> None:
    """Call the hooks behind: nothing comes after them that they could change."""
    hooks = hooks_of(leaf)
    for _, hook in hooks.after if hooks else ():
        checked_all(hook((), (gradient,)), (), label_of(hook))
