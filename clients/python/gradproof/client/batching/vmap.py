"""Vectorization of functions: `vmap` runs a function of a slice once, and applies its ops to all slices at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, ParamSpec, TypeVar

import numpy as np

from gradproof.client.backward.provenance import pass_on
from gradproof.client.batching.application import moved
from gradproof.client.batching.slices import Slices, joined
from gradproof.client.recording.placeholders import running
from gradproof.client.recording.recorded import Recorded
from gradproof.client.tensors.constructors import as_tensor
from gradproof.client.tensors.generator import random_state, set_random_state
from gradproof.client.tensors.tensor import Tensor
from gradproof.client.trees import Structure, flatten, text, unflatten

P = ParamSpec("P")
OutputT = TypeVar("OutputT")


def vmap(
    func: Callable[P, OutputT],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[P, OutputT]:
    """The function that applies ``func`` to all slices of its arguments at once: ``func`` runs once, on tensors without
    values that have the shape of a slice, and the ops that it records are then applied to all slices.

    Args:
        func: a function of a slice of its arguments, which returns a tensor or a tree of tensors. Values must not steer it:
            no ``if`` on a tensor, no ``float``.
        in_dims: the axis of each argument that its slices are taken along: an int for all tensors, or a tuple with an int,
            None or a tree of these for each argument by position. Arguments with None, arguments by keyword and tensors
            of a closure are the same for all slices.
        out_dims: the axis of each result that the slices are put along: an int, or a tree of ints; None for a result that
            is the same for all slices.
        randomness: whether random numbers drawn in ``func`` are an "error", the "same" for all slices or "different".
        chunk_size: the number of slices at once; default: all.

    Works to any depth, and inside and around `grad`, `vjp`, `jvp`, `jacrev` and their relatives: ``vmap(grad(f))`` gives
    the gradient of each sample. The new function raises ValueError for arguments without tensors, axes that do not fit, and
    results that are no tensors; RuntimeError if ``func`` needs the value of a tensor.

    Follows torch.vmap.
    """
    if randomness not in ("error", "same", "different"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def vectorized(*args: P.args, **kwargs: P.kwargs) -> OutputT:
        call = _Call(func, in_dims, out_dims, randomness, kwargs)
        result: OutputT = call(args, chunk_size)
        return result

    return vectorized


class _Call:
    """A call of a vectorized function; the arguments are those of `vmap`."""

    def __init__(
        self, func: Callable[..., Any], in_dims: Any, out_dims: Any, randomness: Any, kwargs: dict[str, Any]
    ) -> None:
        self._func, self._in_dims, self._out_dims = func, in_dims, out_dims
        self._randomness, self._kwargs = randomness, kwargs
        self._name = _name_of(func)

    def __call__(self, args: tuple[Any, ...], chunk_size: int | None) -> Any:
        """The results for all slices."""
        self._check_out_dims()
        leaves, dims, structure = self._arguments(args)
        size = _size(leaves, dims)
        fronts = [x if dim is None else moved(x, dim, 0) for x, dim in zip(leaves, dims, strict=True)]
        if chunk_size is None or chunk_size >= size:
            outputs, form, out_dims = self._run(fronts, dims, structure, size)
        else:
            outputs, form, out_dims = self._chunked(fronts, dims, structure, size, chunk_size)
        placed = [y if dim is None else _placed(y, dim) for y, dim in zip(outputs, out_dims, strict=True)]
        return unflatten(form, placed)

    def _chunked(
        self, leaves: Sequence[Any], dims: Sequence[int | None], structure: Structure, size: int, chunk_size: int
    ) -> tuple[list[Any], Structure, list[int | None]]:
        state, chunks = random_state(), []
        for first in range(0, size, chunk_size):
            if self._randomness == "same":
                set_random_state(state)
            last = min(first + chunk_size, size)
            parts = [x if dim is None else x[first:last] for x, dim in zip(leaves, dims, strict=True)]
            chunks.append(self._run(parts, dims, structure, last - first))
        _, form, out_dims = chunks[0]
        columns = zip(*(outputs for outputs, _, _ in chunks), strict=True)
        outputs = [column[0] if dim is None else joined(column) for column, dim in zip(columns, out_dims, strict=True)]
        return outputs, form, out_dims

    def _run(
        self, leaves: Sequence[Any], dims: Sequence[int | None], structure: Structure, size: int
    ) -> tuple[list[Any], Structure, list[int | None]]:
        """The results with the batch axis in front, their structure, and the axes to put it at."""
        parts = Slices(size, self._randomness)
        slices = [x if dim is None else parts.slice_of(x) for x, dim in zip(leaves, dims, strict=True)]
        with running(parts.level):
            result = self._func(*unflatten(structure, slices), **self._kwargs)
        outputs, form = flatten(result)
        out_dims = self._output_dims(result, form)
        parts.run([y for y in outputs if isinstance(y, Tensor)])
        return [self._output(y, dim, parts) for y, dim in zip(outputs, out_dims, strict=True)], form, out_dims

    def _output(self, y: Any, dim: int | None, parts: Slices) -> Any:
        """A result for all slices."""
        if dim is None:
            if isinstance(y, Tensor) and parts.batched(y) is not None:
                raise ValueError(
                    f"vmap({self._name}, ...): `{self._name}` can not return a BatchedTensor when out_dim is None"
                )
            return y
        if not isinstance(y, Tensor):
            raise ValueError(
                f"vmap({self._name}, ...): `{self._name}` must only return Tensors, got type {type(y)}. Did you mean to "
                "set out_dims= to None for output?"
            )
        if not -y.ndim - 1 <= dim <= y.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-y.ndim - 1}, {y.ndim}], but got {dim})"
            )
        return parts.spread(y)

    def _arguments(self, args: tuple[Any, ...]) -> tuple[list[Any], list[int | None], Structure]:
        """The leaves of the arguments, the axis of each, and their structure. Raises ValueError with PyTorch's texts."""
        place = f"vmap({self._name}, in_dims={self._in_dims}, ...)(<inputs>): "
        if not isinstance(self._in_dims, (int, tuple)):
            raise ValueError(
                f"{place}expected `in_dims` to be int or a (potentially nested) tuple matching the structure of inputs, "
                f"got: {type(self._in_dims)}."
            )
        if not args:
            raise ValueError(
                f"vmap({self._name})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are trying to vmap "
                "over a function with no inputs. The latter is unsupported."
            )
        leaves, structure = flatten(args)
        dims = _spread(self._in_dims, structure)
        if dims is None:
            raise ValueError(
                f"{place}in_dims is not compatible with the structure of `inputs`. in_dims has structure "
                f"{text(flatten(self._in_dims)[1])} but inputs has structure {text(structure)}."
            )
        axes: list[int | None] = []
        for k, (x, dim) in enumerate(zip(leaves, dims, strict=True)):
            if dim is not None and not isinstance(dim, int):
                raise ValueError(
                    f"{place}Got in_dim={dim} for an input but in_dim must be either an integer dimension or None."
                )
            if dim is not None and isinstance(x, np.ndarray):
                x = leaves[k] = as_tensor(x)
            if dim is not None and not isinstance(x, Tensor):
                raise ValueError(
                    f"{place}Got in_dim={dim} for an input but the input is of type {type(x)}. We cannot vmap over "
                    "non-Tensor arguments, please use None as the respective in_dim"
                )
            if dim is not None and not -x.ndim <= dim < x.ndim:
                raise ValueError(
                    f"{place}Got in_dim={dim} for some input, but that input is a Tensor of dimensionality {x.ndim} so "
                    f"expected in_dim to satisfy -{x.ndim} <= in_dim < {x.ndim}."
                )
            axes.append(None if dim is None else dim % x.ndim)
        return leaves, axes, structure

    def _check_out_dims(self) -> None:
        for dim in [self._out_dims] if isinstance(self._out_dims, int) else flatten(self._out_dims)[0]:
            if dim is not None and not isinstance(dim, int):
                raise ValueError(
                    f"vmap({self._name}, ..., out_dims={self._out_dims}): `out_dims` must be an int, None or a python "
                    "collection of ints representing where in the outputs the vmapped dimension should appear."
                )

    def _output_dims(self, result: Any, structure: Structure) -> list[int | None]:
        """The axis of each output."""
        given = self._out_dims
        if isinstance(result, Tensor):
            dims = list(given) if isinstance(given, tuple) and len(given) == 1 else [given]
            if given is None or isinstance(dims[0], int):
                return dims
        elif (spread := _spread(given, structure)) is not None:
            return spread
        self._refuse_out_dims(structure)

    def _refuse_out_dims(self, structure: Structure) -> NoReturn:
        raise ValueError(
            f"vmap({self._name}, ..., out_dims={self._out_dims})(<inputs>): out_dims is not compatible with the structure "
            f"of `outputs`. out_dims has structure {text(flatten(self._out_dims)[1])} but outputs has structure "
            f"{text(structure)}."
        )


def _placed(y: Tensor, dim: int) -> Recorded:
    """A result with the batch axis at ``dim`` in place of the front."""
    placed = moved(y, 0, dim % y.ndim)
    pass_on(y, placed)
    return placed


def _size(leaves: Sequence[Any], dims: Sequence[int | None]) -> int:
    """The number of slices. Raises ValueError unless all batched tensors agree."""
    sizes = [x.shape[dim] for x, dim in zip(leaves, dims, strict=True) if dim is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped "
            "dimension"
        )
    size: int = sizes[0]
    return size


def _spread(dims: Any, structure: Structure) -> list[Any] | None:
    """The entry of ``dims`` for each leaf of a tree, of which ``dims`` is the beginning; None if it is not."""
    if dims is None or isinstance(dims, int) or structure.is_leaf():
        fits = dims is None or isinstance(dims, int) or not isinstance(dims, (tuple, list, dict))
        return [dims] * structure.num_leaves if fits else None
    tree = unflatten(structure, range(structure.num_leaves))
    if type(dims) is not type(tree) or len(dims) != len(tree):
        return None
    if isinstance(dims, dict):
        if dims.keys() != tree.keys():
            return None
        names = sorted(dims) if all(isinstance(name, str) for name in dims) else list(dims)
        pairs = [(dims[name], flatten(tree[name])) for name in names]
    else:
        pairs = [(dim, flatten(part)) for dim, part in zip(dims, tree, strict=True)]
    spread: list[Any] = [None] * structure.num_leaves
    for dim, (positions, part) in pairs:
        entries = _spread(dim, part)
        if entries is None:
            return None
        for position, entry in zip(positions, entries, strict=True):
            spread[position] = entry
    return spread


def _name_of(func: Callable[..., Any]) -> str:
    if isinstance(func, functools.partial):
        return f"functools.partial({_name_of(func.func)}, ...)"
    return str(getattr(func, "__name__", repr(func)))
