"""Columns of a product that are parts of a sum: each part is computed as a product of its own, dense.

The gradient of arrays that were joined along their last axis is cut from a product ``g @ t``: so it is in a convolution of
slices. Such parts have lines of a few elements, far apart, and to add them costs several times the product. A column of a
product is the product with that column. Whether a library gives it the same bits depends on the order in which it adds,
which does not depend on values: so it is tried once, for the shapes and strides at hand; where the bits differ, the whole
product is computed and its columns are copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from gradproof.engine.cancellation import watched
from gradproof.engine.compiled.simplify import Cut, Item, Simplified
from gradproof.engine.inference import Inferred
from gradproof.engine.op import Op
from gradproof.engine.spec import Array, Spec
from gradproof.engine.trace import Instruction

LEAST: Final = 1 << 14
"""Elements of a product, below which it is left whole."""


def columns_apart(program: Simplified, is_sum: Sequence[int]) -> Simplified:
    """The program with products apart whose columns are read by ``is_sum`` only, values that are sums of parts."""
    sums = set(is_sum)
    readers: dict[int, list[Item]] = {}
    for item in watched(program.items):
        for number in (item.number,) if isinstance(item, Cut) else item.inputs:
            readers.setdefault(number, []).append(item)
    specs, items = list(program.specs), list[Item]()
    apart: dict[int, tuple[int, int]] = {}  # by slice the split product, and its place there
    gone: set[int] = set()
    for item in watched(program.items):
        if isinstance(item, Cut) or gone.isdisjoint(item.outputs):
            slices = _slices(item, program.specs, readers, sums) if not isinstance(item, Cut) else None
            if slices is None or isinstance(item, Cut):
                items.append(item)
                continue
            (product,), lead = item.outputs, program.specs[slices[0].outputs[0]].shape[:-1]
            width = program.specs[slices[0].outputs[0]].shape[-1]
            spec = Spec((len(slices), *lead, width), program.specs[product].dtype)
            specs.append(spec)
            split = len(specs) - 1
            items.append(Instruction(_split_product(spec), item.inputs, (split,), {}))
            gone.update(number for reader in readers[product] if not isinstance(reader, Cut) for number in reader.outputs)
            for place, cut in enumerate(slices):
                apart[cut.outputs[0]] = (split, place)
                gone.add(cut.outputs[0])
                items.append(Instruction(_piece(place), (split,), cut.outputs, {}))
    return replace(program, specs=specs, items=items) if apart else program


def _slices(
    product: Instruction, specs: Sequence[Spec], readers: dict[int, list[Item]], sums: set[int]
) -> list[Instruction] | None:
    """The slices that cut a product of two matrices in columns of the same width, all of it, in their order; None if it is
    read in any other way."""
    if product.op.name != "matmul" or len(product.outputs) != 1:
        return None
    spec = specs[product.outputs[0]]
    if (
        spec.ndim != 2
        or spec.size < LEAST
        or spec.dtype.char not in "fd"
        or any(specs[k].ndim != 2 for k in product.inputs)
    ):
        return None
    source = product.outputs[0]
    if len(readers.get(source, ())) == 1:
        (reader,) = readers[source]
        if not isinstance(reader, Cut) and reader.op.name == "reshape":
            source = reader.outputs[0]
    shape = specs[source].shape
    slices = readers.get(source, [])
    if len(slices) < 2 or shape[-1:] != spec.shape[-1:]:
        return None
    width, found = shape[-1] // len(slices), dict[int, Instruction]()
    for cut in slices:
        if isinstance(cut, Cut) or cut.op.name != "slice" or specs[cut.outputs[0]].shape != (*shape[:-1], width):
            return None
        readers_of = readers.get(cut.outputs[0], [])
        if not readers_of or any(isinstance(x, Cut) or x.outputs[0] not in sums for x in readers_of):
            return None
        start, step = cut.attributes["start"], cut.attributes["step"]
        if any(start[:-1]) or any(k != 1 for k in step) or start[-1] % width:
            return None
        found[start[-1] // width] = cut
    return [found[k] for k in range(len(slices))] if len(found) * width == shape[-1] == len(slices) * width else None


def _piece(place: int) -> Op:
    return Op("piece", lambda x: x[place], infer=lambda x: Inferred((Spec(x.shape[1:], x.dtype),)), view=True)


def _split_product(spec: Spec) -> Op:
    into = partial(_write, _Agreement(spec.shape[0]))

    def forward(a: Array, b: Array) -> Array:
        out = np.empty(spec.shape, spec.dtype)
        into(out, a, b)
        return out

    return Op("matmul", forward, into=into, infer=lambda a, b: Inferred((spec,)))


def _write(agreement: _Agreement, out: Array, a: Array, b: Array) -> None:
    parts = out.reshape(out.shape[0], len(a), -1)
    if agreement.holds(a, b):
        _apart(a, b, parts)
    else:
        np.copyto(parts, np.matmul(a, b).reshape(len(a), out.shape[0], -1).transpose(1, 0, 2))


def _apart(a: Array, b: Array, parts: Array) -> None:
    width = parts.shape[-1]
    for k, part in enumerate(parts):
        np.matmul(a, b[:, k * width : (k + 1) * width], part)


class _Agreement:
    """Whether the columns of a product have the bits of products of their own, by dtype and strides of the factors."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._known: dict[tuple[Any, ...], bool] = {}

    def holds(self, a: Array, b: Array) -> bool:
        key = (a.strides, b.strides)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._try(_like(a), _like(b))
        return known

    def _try(self, a: Array, b: Array) -> bool:
        whole = np.matmul(a, b)
        parts = np.empty((self._count, len(a), b.shape[1] // self._count), a.dtype)
        _apart(a, b, parts)
        return bool(parts.transpose(1, 0, 2).tobytes() == whole.tobytes())


def _like(x: Array) -> Array:
    """Random numbers in an array of the same shape and strides."""
    numbers = np.random.default_rng(0).normal(size=x.shape)
    if x.flags.c_contiguous:
        return numbers.astype(x.dtype)
    if x.T.flags.c_contiguous:
        return np.asarray(numbers.T.astype(x.dtype, order="C")).T
    extent = sum(abs(stride) * (size - 1) for stride, size in zip(x.strides, x.shape, strict=True)) // x.itemsize + 1
    view = np.lib.stride_tricks.as_strided(np.empty(extent, x.dtype), x.shape, [abs(stride) for stride in x.strides])
    view[...] = numbers
    return view
