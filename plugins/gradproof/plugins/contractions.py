"""Sums of products over axes that letters name: `einsum`, of two operands at a time, each time a matrix product.

The notation, its errors and their texts are those of `torch.einsum`.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import Any, TypeAlias

import numpy as np

from gradproof.engine.extend import Composite, InferenceError, case, ops, registering
from gradproof.plugins.names import named

GRADPROOF_API = 1

Label: TypeAlias = str | int
"""The name of an axis: a letter, or, behind an ellipsis, its place counted from the last: -1."""

ELLIPSIS = "..."


@dataclass(frozen=True)
class Factor:
    """A traced value with a label for each axis, all different."""

    x: Any
    labels: tuple[Label, ...]


# notation


def fault(text: str) -> InferenceError:
    return InferenceError(f"einsum(): {text}")


def symbols(text: str, start: int, place: str, twice: str, stray: str) -> tuple[str, ...]:
    """The letters of a term, and at most one ellipsis. ``start``: where the term begins in the equation."""
    found: list[str] = []
    k = 0
    while k < len(text):
        if text[k] == ".":
            if ELLIPSIS in found:
                raise fault(f"found '.' for {place} {twice}")
            if text[k : k + 3] != ELLIPSIS:
                raise fault(f"found '.' for {place} {stray}")
            found.append(ELLIPSIS)
            k += 2
        elif text[k] in ascii_letters:
            found.append(text[k])
        elif text[k] != " ":
            raise fault(
                f"invalid subscript given at index {start + k} in the equation string, subscripts must be in [a-zA-Z]"
            )
        k += 1
    return tuple(found)


def inputs_of(text: str, operands: int) -> Iterator[tuple[str, ...]]:
    """The symbols of each operand."""
    parts, start = text.split(","), 0
    if len(parts) != operands:
        raise fault(f"{'fewer' if len(parts) > operands else 'more'} operands were provided than specified in the equation")
    for k, part in enumerate(parts):
        twice, stray = "for which an ellipsis was already found", "that is not part of any ellipsis"
        yield symbols(part, start, f"operand {k}", twice, stray)
        start += len(part) + 1


def output_of(text: str, start: int, known: Collection[str]) -> tuple[str, ...]:
    """The symbols of an explicit output."""
    twice, stray = "but an ellipsis (...) was already found", "that is not part of any ellipsis (...)"
    found = symbols(text, start, "output", twice, stray)
    for k, letter in enumerate(found):
        if letter in found[:k]:
            raise fault(f"output subscript {letter} appears more than once in the output")
        if letter not in known and letter != ELLIPSIS:
            raise fault(f"output subscript {letter} does not appear in the equation for any input operand")
    return found


def labels_of(subscripts: object, ranks: Sequence[int]) -> tuple[list[tuple[Label, ...]], tuple[Label, ...]]:
    """The labels of the axes of each operand, and those of the result. Without an output, the result has the axes behind
    ellipses, and those whose letter appears once, in alphabetical order."""
    if not isinstance(subscripts, str):
        raise InferenceError(f"subscripts is {subscripts!r}; it must be a text, as 'ij,jk->ik'")
    left, arrow, right = subscripts.partition("->")
    terms = list(inputs_of(left, len(ranks)))
    letters = [letter for term in terms for letter in term if letter != ELLIPSIS]
    widths = [rank - len(term) + (ELLIPSIS in term) for term, rank in zip(terms, ranks, strict=True)]
    for k, (term, width) in enumerate(zip(terms, widths, strict=True)):
        count, rank = len(term) - (ELLIPSIS in term), ranks[k]
        if ELLIPSIS in term and width < 0:
            raise fault(
                f"the number of subscripts in the equation ({count}) is more than the number of dimensions ({rank}) for "
                f"operand {k}"
            )
        if ELLIPSIS not in term and width:
            raise fault(
                f"the number of subscripts in the equation ({count}) does not match the number of dimensions ({rank}) for "
                f"operand {k} and no ellipsis was given"
            )
    once = sorted(letter for letter in letters if letters.count(letter) == 1)
    output = output_of(right, len(left) + 2, letters) if arrow else (ELLIPSIS, *once)
    widest = max([width for term, width in zip(terms, widths, strict=True) if ELLIPSIS in term], default=0)
    return [spelled(term, width) for term, width in zip(terms, widths, strict=True)], spelled(output, widest)


def spelled(term: Sequence[str], width: int) -> tuple[Label, ...]:
    """A term with ``width`` labels in place of its ellipsis."""
    return tuple(label for s in term for label in (range(-width, 0) if s == ELLIPSIS else (s,)))


def sizes_of(terms: Sequence[Sequence[Label]], shapes: Sequence[Sequence[int]]) -> Mapping[Label, int]:
    """The number of places along each label, to which axes of size 1 are repeated."""
    sizes: dict[Label, int] = {}
    for k, (term, shape) in enumerate(zip(terms, shapes, strict=True)):
        own: dict[Label, int] = {}
        for label, size in zip(term, shape, strict=True):
            if own.setdefault(label, size) != size:
                raise fault(
                    f"subscript {label} is repeated for operand {k} but the sizes don't match, {size} != {own[label]}"
                )
        for label, size in own.items():
            seen = sizes.setdefault(label, size)
            if seen != size and 1 not in (seen, size):
                name = label if isinstance(label, str) else ELLIPSIS
                raise fault(
                    f"subscript {name} has size {size} for operand {k} which does not broadcast with previously seen size "
                    f"{seen}"
                )
            sizes[label] = size if seen == 1 else seen
    return sizes


# products of two


def einsum(*operands, subscripts):
    """Pairs are taken in the order that `numpy.einsum_path` finds, and as they are written where it knows no letters for
    all labels."""
    terms, output = labels_of(subscripts, [x.ndim for x in operands])
    sizes = sizes_of(terms, [x.shape for x in operands])
    factors = [alone(Factor(x, term), sizes) for x, term in zip(operands, terms, strict=True)]
    for step in path(factors, output, sizes):
        chosen = [factors[k] for k in step]
        factors = [factor for k, factor in enumerate(factors) if k not in step]
        while len(chosen) > 1:
            a, b, *chosen = chosen
            kept = {*output}.union(*(factor.labels for factor in (*chosen, *factors)))
            chosen.insert(0, product(a, b, kept, sizes))
        factors += chosen
    return ordered(summed(factors[0], output), output)


def path(factors: Sequence[Factor], output: Sequence[Label], sizes: Mapping[Label, int]) -> list[tuple[int, ...]]:
    """Positions of the factors that are multiplied in each step; the product is put behind the others."""
    count = len(factors)
    if count < 3 or len(sizes) > len(ascii_letters):
        return [tuple(range(count))]
    letter = dict(zip(sizes, ascii_letters, strict=False))
    text = ",".join("".join(letter[label] for label in factor.labels) for factor in factors)
    shapes = [np.broadcast_to(0.0, factor.x.shape) for factor in factors]
    way = np.einsum_path(
        f"{text}->{''.join(letter[label] for label in output)}", *shapes, optimize="optimal" if count < 5 else "greedy"
    )
    return [tuple(sorted(step)) for step in way[0][1:]]


def alone(factor: Factor, sizes: Mapping[Label, int]) -> Factor:
    """A factor without repeated labels, whose diagonal it is, and without axes along which it is repeated."""
    x, labels = factor.x, factor.labels
    for label in dict.fromkeys(labels):
        while labels.count(label) > 1:
            first, second = [k for k, other in enumerate(labels) if other == label][:2]
            x = ops.diagonal(x, axis1=first, axis2=second)
            labels = (*labels[:first], *labels[first + 1 : second], *labels[second + 1 :], label)
    single = tuple(k for k, label in enumerate(labels) if x.shape[k] == 1 != sizes[label])
    if not single:
        return Factor(x, labels)
    return Factor(ops.squeeze(x, axis=single), tuple(label for k, label in enumerate(labels) if k not in single))


def product(a: Factor, b: Factor, kept: Collection[Label], sizes: Mapping[Label, int]) -> Factor:
    """The product of two factors, summed over the labels that are not ``kept``."""
    a, b = summed(a, {*b.labels, *kept}), summed(b, {*a.labels, *kept})
    shared = [label for label in a.labels if label in b.labels]
    inner = [label for label in shared if label not in kept]
    batch = [label for label in shared if label in kept]
    rows = [label for label in a.labels if label not in shared]
    columns = [label for label in b.labels if label not in shared]
    if not inner or (batch and not rows and not columns):
        return summed(elementwise(a, b, shared, rows, columns), kept)
    left = grouped(a, batch, [rows] * bool(rows or batch) + [inner], sizes)
    right = grouped(b, batch, [inner] + [columns] * bool(columns or batch), sizes)
    labels = (*batch, *rows, *columns)
    return Factor(reshaped(left @ right, [sizes[label] for label in labels]), labels)


def elementwise(a: Factor, b: Factor, shared: Sequence[Label], rows: Sequence[Label], columns: Sequence[Label]) -> Factor:
    """The products of elements, with the labels of ``a`` and then ``columns``."""
    x, y = a.x, ordered(b, [*shared, *columns])
    if columns:
        x = ops.expand_dims(x, axis=tuple(range(x.ndim, x.ndim + len(columns))))
    if rows:
        y = ops.expand_dims(y, axis=tuple(k for k, label in enumerate(a.labels) if label in rows))
    return Factor(x * y, (*a.labels, *columns))


def grouped(factor: Factor, batch: Sequence[Label], groups: Sequence[Sequence[Label]], sizes: Mapping[Label, int]) -> Any:
    """A stack of matrices: the axes ``batch``, and one for each group of labels."""
    x = ordered(factor, [*batch, *(label for group in groups for label in group)])
    return reshaped(x, [*(sizes[label] for label in batch), *(math.prod(sizes[k] for k in group) for group in groups)])


def summed(factor: Factor, kept: Collection[Label]) -> Factor:
    """The sums over the labels that are not ``kept``."""
    axes = tuple(k for k, label in enumerate(factor.labels) if label not in kept)
    if not axes:
        return factor
    return Factor(ops.sum(factor.x, axis=axes), tuple(label for label in factor.labels if label in kept))


def ordered(factor: Factor, labels: Sequence[Label]) -> Any:
    """The value with its axes in the order of ``labels``."""
    axes = tuple(factor.labels.index(label) for label in labels)
    return factor.x if axes == tuple(range(len(axes))) else ops.transpose(factor.x, axes=axes)


def reshaped(x: Any, shape: Sequence[int]) -> Any:
    return x if x.shape == tuple(shape) else ops.reshape(x, shape=tuple(shape))


def einsum_define(f, i, *operands, subscripts):
    """The sum of the products over all places of the labels that the result has not."""
    terms, output = labels_of(subscripts, [x.ndim for x in operands])
    sizes = sizes_of(terms, [x.shape for x in operands])
    inner = [label for label in sizes if label not in output]

    def element(x, term, at):
        return x[tuple(at[label] if size > 1 else 0 for label, size in zip(term, x.shape, strict=True))]

    return f.total(
        math.prod(
            element(x, term, dict(zip([*output, *inner], [*i, *place], strict=True)))
            for x, term in zip(operands, terms, strict=True)
        )
        for place in np.ndindex(*(sizes[label] for label in inner))
    )


SUMS = (
    case((2, 3), (3, 4), subscripts="ij,jk->ik"),
    case((2, 3, 4), (3,), subscripts="abc,b"),
    case((2, 3, 1), (4, 2, 3), subscripts="bi...,kbi->...kb"),
    case((3, 2, 3), subscripts="iji->ji"),
    case((2, 2), (3,), (4, 3), subscripts="ii,j,kj->k"),
    case((2, 1), (1, 3), subscripts="bi,bi->b"),
)

# fmt: off
CONTRACTIONS = (
    Composite("einsum", einsum, define=einsum_define, cases=SUMS,
              doc="sums of products over axes that letters name, as in 'ij,jk->ik'"),
)
# fmt: on

register_ops = registering(*named(CONTRACTIONS))
