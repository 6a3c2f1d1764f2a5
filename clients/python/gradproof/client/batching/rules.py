"""Rules of batching: how an op is applied to all slices at once.

A rule gets an `Application`, of which at least one input is batched, and gives the results with the batch axis in front;
None where it does not fit: then the op is applied to each slice by itself, which is right for every op. So is an op without
a rule: a missing rule costs only speed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from string import ascii_letters
from typing import Any, TypeAlias

import numpy as np

from gradproof.client.batching.application import Application, lifted, moved, reshaped
from gradproof.client.recording.apply import apply
from gradproof.client.recording.recorded import Recorded

Results: TypeAlias = Sequence[Recorded] | None
Rule: TypeAlias = Callable[[Application], Results]


def rule_of(a: Application) -> Rule:
    """The rule for an application."""
    return aligned if a.node.info.elementwise else RULES.get(a.node.op, each)


def each(a: Application) -> Results:
    """No rule: the op is applied to each slice."""
    return None


def aligned(a: Application) -> Results:
    """Elements, or matrices in the last axes: axes of size 1 are put in behind the batch axis, and all broadcasts."""
    return a.results(*a.aligned())


def on_last(count: int) -> Rule:
    """As `aligned`, for ops on the last ``count`` axes, where all inputs have them."""

    def rule(a: Application) -> Results:
        return aligned(a) if all(shape is None or len(shape) >= count for shape in a.shapes) else None

    return rule


def same_elements(a: Application) -> Results:
    """The elements in the same order: a reshape, whatever the op is called."""
    return [reshaped(a.spread(k), (a.size, *spec.shape)) for k, spec in enumerate(a.node.specs)]


def along(*names: str, flat: bool = True) -> Rule:
    """Ops along the axes in these attributes, which are counted behind the batch axis. Where the axis is None, the op is
    applied to the flattened slice; ``flat``: the op is the same then."""

    def rule(a: Application) -> Results:
        if len({len(shape) for shape in a.shapes if shape is not None}) != 1:
            return None
        axes = {name: a.attributes[name] for name in names}
        if all(axis is not None for axis in axes.values()):
            behind = {name: _behind(axis) for name, axis in axes.items()}
            return a.results(*a.all_spread(), **behind) if a.rank else None
        if not flat:
            return None
        inputs = [x if shape is None else _flat(x) for x, shape in zip(a.all_spread(), a.shapes, strict=True)]
        kept = {"keepdims": False} if "keepdims" in a.attributes else {}
        return a.restored(*inputs, axis=1, **kept)

    return rule


def _behind(axis: Any) -> Any:
    """Axes behind the batch axis. Negative axes are counted from the end, where nothing changes."""
    return tuple(map(_behind, axis)) if isinstance(axis, tuple) else axis if axis < 0 else axis + 1


def _flat(x: Any) -> Recorded:
    """A batched tensor with a single axis behind the batch axis."""
    return reshaped(x, (x.shape[0], int(np.prod(x.shape[1:], dtype=int))))


def parts(a: Application) -> Results:
    """Each input has axes of its own."""
    return a.results(*a.all_spread(), axis=_behind(a.attributes["axis"]))


def put_into(a: Application) -> Results:
    """A part that is put into a tensor broadcasts to its place, which has an axis less."""
    if len(a.shapes[1] or ()) >= a.rank:
        return None
    values = lifted(a.inputs[1], a.rank - 1) if a.batched[1] else a.inputs[1]
    names = [name for name in ("axis", "axis1", "axis2") if name in a.attributes]
    return a.results(a.spread(0), values, **{name: _behind(a.attributes[name]) for name in names})


def masked_fill(a: Application) -> Results:
    """A number for each slice is chosen element by element."""
    if not a.batched[2]:
        return aligned(a)
    x, mask, value = a.aligned()
    return [apply("where", mask, apply("astype", value, dtype=a.node.specs[0].dtype.name), x)]


def transpose(a: Application) -> Results:
    """The batch axis stays in front."""
    axes = a.attributes["axes"]
    order = range(a.rank, 0, -1) if axes is None else [axis % a.rank + 1 for axis in axes]
    return a.results(a.inputs[0], axes=(0, *order))


def broadcast_to(a: Application) -> Results:
    """The batch axis stays in front of the new axes."""
    shape = a.node.specs[0].shape
    return [apply("broadcast_to", lifted(a.inputs[0], len(shape)), shape=(a.size, *shape))]


def slices(a: Application) -> Results:
    """The batch axis is taken whole."""
    start, step = a.attributes["start"], a.attributes["step"]
    if a.node.op == "unslice":
        return a.results(*a.inputs, shape=(a.size, *a.attributes["shape"]), start=(0, *start), step=(1, *step))
    values = [lifted(a.spread(k), a.rank) for k in range(1, len(a.inputs))]
    stop = (a.size, *a.attributes["stop"])
    return a.results(a.spread(0), *values, start=(0, *start), stop=stop, step=None if step is None else (1, *step))


def pad(a: Application) -> Results:
    """Nothing is put before and behind the batch axis."""
    widths = a.attributes["widths"]
    pairs = isinstance(widths, tuple) and len(widths) == a.rank and all(isinstance(pair, tuple) for pair in widths)
    return a.results(a.inputs[0], widths=((0, 0), *widths)) if pairs else None


def tile(a: Application) -> Results:
    """The batch axis is there once."""
    given = a.attributes["repetitions"]
    counts = given if isinstance(given, tuple) else (given,)
    rank = max(a.rank, len(counts))
    return a.results(lifted(a.inputs[0], rank), repetitions=(1, *(1,) * (rank - len(counts)), *counts))


def roll(a: Application) -> Results:
    """Along axes, or through the flattened slice by a single shift."""
    return along("axis")(a) if a.attributes["axis"] is not None or isinstance(a.attributes["shift"], int) else None


def windows(a: Application) -> Results:
    """Windows along all axes are windows along all but the batch axis."""
    axis = a.attributes["axis"]
    return a.results(a.inputs[0], axis=tuple(range(1, a.rank + 1)) if axis is None else _behind(axis))


def quantile(a: Application) -> Results:
    """Several quantiles have an axis in front of the batch axis."""
    return along("axis")(a) if isinstance(a.attributes["q"], (int, float)) else None


def norm(a: Application) -> Results:
    """A norm of vectors or matrices; without an order that of all elements."""
    if a.attributes["axis"] is not None or a.attributes["ord"] is None:
        return along("axis")(a)
    return a.restored(a.inputs[0], axis=1 if a.rank == 1 else (1, 2), keepdims=False) if a.rank in (1, 2) else None


def flipped(axis: int) -> Rule:
    """A flip along an axis of the slice."""
    return lambda a: [apply("flip", a.spread(0), axis=axis + 1)]


def matmul(a: Application) -> Results:
    """Vectors become matrices of a row or a column; a factor that is the same for all slices broadcasts.

    Rows of all slices are not joined to a matrix: its product is quicker, but sums in another order than the pass that a
    verdict compares with.
    """
    (left, right), (m, n) = a.inputs, map(len, (a.shapes[0] or (), a.shapes[1] or ()))
    rank = max(m, n, 2)
    if a.batched[0]:
        left = _matrices(left, rank, row=m == 1)
    if a.batched[1]:
        right = _matrices(right, rank, row=False, column=n == 1)
    return a.restored(left, right)


def einsum(a: Application) -> Results:
    """A letter for the batch axis in front of each batched operand, and of the result."""
    left, arrow, right = a.attributes["subscripts"].partition("->")
    letters = [letter for letter in left if letter.isalpha()]
    unused = next((letter for letter in ascii_letters if letter not in letters), None)
    if unused is None:
        return None
    if not arrow:
        right = "..." * ("..." in left) + "".join(sorted(letter for letter in letters if letters.count(letter) == 1))
    terms = [unused * batched + term for term, batched in zip(left.split(","), a.batched, strict=True)]
    return a.results(*a.inputs, subscripts=f"{','.join(terms)}->{unused}{right}")


def _matrices(x: Any, rank: int, *, row: bool, column: bool = False) -> Recorded:
    """Batched matrices, of vectors rows or columns, with ``rank`` axes behind the batch axis."""
    shape = (x.shape[0], 1, *x.shape[1:]) if row else (*x.shape, 1) if column else x.shape
    return lifted(reshaped(x, shape), rank)


def solve(a: Application) -> Results:
    """Right sides that are vectors become matrices of a column."""
    b = a.spread(1)
    column = len(a.shapes[1] or ()) == 1
    rank = max(a.rank, b.ndim - 1)
    return a.restored(lifted(a.spread(0), rank), lifted(reshaped(b, (*b.shape, 1)) if column else b, rank))


def take(a: Application) -> Results:
    """Indices that are the same for all slices stay behind the batch axis; others select from a tensor that is the same, or
    go along it."""
    axis = a.attributes["axis"] % a.rank if a.rank else 0
    if not a.batched[1]:
        return a.results(*a.inputs, axis=axis + 1)
    indices = a.spread(1)
    if not a.batched[0]:
        return [moved(a.results(a.inputs[0], indices, axis=axis)[0], axis, 0)]
    x = moved(a.spread(0), axis + 1, 1)
    rest = x.shape[2:]
    line = reshaped(indices, (a.size, int(np.prod(indices.shape[1:], dtype=int)), *(1,) * len(rest)))
    wide = apply("broadcast_to", line, shape=(*line.shape[:2], *rest))
    taken = apply("take_along_axis", x, wide, axis=1)
    return [_inserted(reshaped(taken, (*indices.shape, *rest)), indices.ndim - 1, axis)]


def _inserted(x: Recorded, count: int, axis: int) -> Recorded:
    """A batched tensor with ``count`` axes moved from behind the batch axis to ``axis`` of the slice."""
    own, rest = list(range(1, count + 1)), list(range(count + 1, x.ndim))
    order = (0, *rest[:axis], *own, *rest[axis:])
    return x if order == tuple(range(x.ndim)) else apply("transpose", x, axes=order)


def embedding(a: Application) -> Results:
    """Rows of a matrix that is the same for all slices."""
    return None if a.batched[0] else a.results(*a.inputs)


def at_indices(a: Application) -> Results:
    """Indices that are the same for all slices are behind the batch axis."""
    if a.batched[1] or not a.rank:
        return None
    return a.results(a.spread(0), a.inputs[1], a.spread(2), axis=_behind(a.attributes["axis"]))


def index_fill(a: Application) -> Results:
    """As `at_indices`, with a number that is the same for all slices."""
    same = a.rank and not any(a.batched[1:])
    return a.results(*a.inputs, axis=_behind(a.attributes["axis"])) if same else None


def _key_of(a: Application, arrays: int) -> tuple[Any, ...]:
    """The key of an index; without any, each array is for an axis."""
    key = a.attributes["key"]
    return ("array",) * arrays if key is None else tuple(key)


def getitem(a: Application) -> Results:
    """An index of the batch axis goes first: all of it, or, where arrays are batched, each slice for itself."""
    arrays = a.inputs[1:]
    key = _key_of(a, len(arrays))
    if not any(a.batched[1:]):
        return None if _apart(key) else a.results(*a.inputs, key=((None, None, None), *key))
    if any(isinstance(entry, tuple) and entry[0] == "mask" for entry in key):
        return None
    rank = max(len(shape or ()) for shape in a.shapes[1:])
    numbers = reshaped(a.node.leaf(np.arange(a.size)), (a.size, *(1,) * rank)) if a.batched[0] else None
    wide = [lifted(x, rank) if batched else x for x, batched in zip(arrays, a.batched[1:], strict=True)]
    place = 0 if _apart(key) else _place(key, a.rank)
    if numbers is not None:
        return [_inserted(a.results(a.inputs[0], numbers, *wide, key=("array", *key))[0], rank, place)]
    return [moved(a.results(a.inputs[0], *wide)[0], place, 0)]


def index_put(a: Application) -> Results:
    """As `getitem`, for arrays that are the same for all slices."""
    key = _key_of(a, len(a.inputs) - 2)
    if any(a.batched[2:]) or _apart(key):
        return None
    values = a.inputs[1]
    if a.batched[1]:
        covered = len(apply("getitem", a.node.inputs[0], *a.node.inputs[2:], key=key).shape)
        values = lifted(values, covered)
    return a.results(a.spread(0), values, *a.inputs[2:], key=((None, None, None), *key))


def _advanced(key: Sequence[Any]) -> Iterator[int]:
    """The positions of arrays, masks and integers in a key."""
    for k, entry in enumerate(key):
        if isinstance(entry, int) or entry == "array" or (isinstance(entry, tuple) and entry[0] == "mask"):
            yield k


def _apart(key: Sequence[Any]) -> bool:
    """True if something is between the arrays of a key: then their axes come first in the result."""
    places = list(_advanced(key))
    return bool(places) and places[-1] - places[0] >= len(places)


def _place(key: Sequence[Any], rank: int) -> int:
    """The axis of the result where the axes of the arrays of a key are."""
    first = next(_advanced(key))
    covered = sum(entry is not None and entry != "..." for entry in key)
    return sum(rank - covered if entry == "..." else 1 for entry in key[:first])


def searchsorted(a: Application) -> Results:
    """Values are looked up in a single line, or in a line for each slice."""
    if a.rank == 1 and not a.batched[0]:
        return a.results(*a.inputs)
    return a.results(*a.all_spread()) if a.rank == len(a.shapes[1] or ()) else None


def elementwise_loss(a: Application) -> Results:
    """The loss of each element, which is then reduced over all axes but the batch axis."""
    reduction = a.attributes["reduction"]
    ranks = {len(shape) for shape in a.shapes if shape is not None}
    if len(ranks) != 1 or reduction not in ("none", "sum", "mean") or (a.tensors > 2 and reduction == "mean"):
        return None
    losses = a.results(*a.aligned(), reduction="none")[0]
    return [losses if reduction == "none" else apply(reduction, _flat(losses), axis=1)]


def class_loss(a: Application) -> Results:
    """The loss of each sample of all slices, which is then reduced over those of a slice."""
    shape, reduction = a.shapes[0] or (), a.attributes["reduction"]
    if not 1 <= len(shape) <= 2 or a.tensors > 2 or shape[:-1] != a.shapes[1] or a.spread(1).dtype.kind not in "iu":
        return None
    x, target = a.spread(0), a.spread(1)
    x, target = reshaped(x, (target.numel(), shape[-1])), reshaped(target, (target.numel(),))
    losses = a.results(x, target, reduction="none")[0]
    if reduction == "none":
        return [reshaped(losses, (a.size, *shape[:-1]))]
    rows = (a.size, target.numel() // max(a.size, 1))
    total = apply("sum", reshaped(losses, rows), axis=1)
    if reduction == "sum":
        return [total]
    counted = apply("not_equal", reshaped(target, rows), a.attributes["ignore_index"])
    return [apply("divide", total, apply("sum", apply("astype", counted, dtype=total.dtype.name), axis=1))]


def _named(rule: Rule, names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, Rule] = {
    **_named(aligned, "astype checked complex polar one_hot ravel_multi_index"),
    **_named(on_last(1), "pairwise_distance"),
    **_named(on_last(2), "adjoint matrix_transpose tril triu det inv cholesky cofactors cdist"),
    **_named(same_elements, "reshape flatten unflatten ravel squeeze expand_dims atleast_1d atleast_2d atleast_3d"),
    **_named(
        along("axis"),
        "sum mean prod max min all any count_nonzero std var ptp euclidean_norm p_norm vector_norm logsumexp argmax argmin "
        "nanmax nanmin nanmean nanprod nansum median nanmedian kthvalue argkth average weighted_logsumexp cumsum cumprod "
        "cumulative_sum cumulative_prod logcumsumexp cummax cummin argcummax argcummin softmax log_softmax softmin glu "
        "normalize sort argsort topk argtopk flip repeat diff trapezoid cumulative_trapezoid cosine_similarity recurrence "
        "unfold overlap_add take_along_axis gather scatter scatter_add put_along_axis add_along_axis",
    ),
    **_named(along("axis", flat=False), "matrix_norm split array_split sections unstack select"),
    **_named(along("axis1", "axis2", flat=False), "swapaxes diagonal trace diag_embed"),
    **_named(along("axes", flat=False), "rot90"),
    **_named(along("source", "destination", flat=False), "moveaxis"),
    **_named(parts, "concat stack"),
    **_named(put_into, "select_scatter diagonal_scatter"),
    **_named(transpose, "transpose permute_dims"),
    **_named(slices, "slice unslice slice_scatter"),
    **_named(quantile, "quantile nanquantile"),
    **_named(at_indices, "index_add index_copy"),
    **_named(
        elementwise_loss,
        "mse_loss l1_loss smooth_l1_loss huber_loss binary_cross_entropy binary_cross_entropy_with_logits kl_div "
        "poisson_nll_loss gaussian_nll_loss hinge_embedding_loss soft_margin_loss margin_ranking_loss",
    ),
    **_named(class_loss, "cross_entropy nll_loss"),
    "broadcast_to": broadcast_to,
    "pad": pad,
    "tile": tile,
    "roll": roll,
    "sliding_window_view": windows,
    "norm": norm,
    "fliplr": flipped(1),
    "flipud": flipped(0),
    "masked_fill": masked_fill,
    "matmul": matmul,
    "solve": solve,
    "take": take,
    "einsum": einsum,
    "embedding": embedding,
    "getitem": getitem,
    "index_put": index_put,
    "index_fill": index_fill,
    "searchsorted": searchsorted,
}
"""The rules by the names of ops; elementwise ops are `aligned`."""
