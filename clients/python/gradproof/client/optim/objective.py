"""Functions of a tree of tensors as functions of a vector, with gradients and products with the Hessian as arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradproof.client import functional, trees
from gradproof.client.events import Array
from gradproof.client.recording.modes import no_grad
from gradproof.client.tensors.constructors import as_tensor
from gradproof.client.tensors.functions import stack
from gradproof.client.tensors.tensor import Tensor


class Packing:
    """A tree of tensors, arrays and numbers, and the vector of float64 of all their elements, in order.

    A list of nothing but numbers is an array, as for SciPy.

    Attributes:
        vector: the elements of the tree.
        shape: the shape of the only leaf; that of the vector if there are several.

    Raises TypeError for a leaf that is neither, and for complex numbers.
    """

    def __init__(self, tree: Any) -> None:
        if isinstance(tree, (list, tuple)) and all(isinstance(x, (int, float, np.number)) for x in trees.flatten(tree)[0]):
            tree = np.asarray(tree, np.float64)
        leaves, self._structure = trees.flatten(tree)
        for leaf in leaves:
            if not isinstance(leaf, (Tensor, np.ndarray, np.number, int, float)):
                raise TypeError(f"x0 has a {type(leaf).__name__}; its leaves must be tensors, arrays or numbers")
        arrays = [np.asarray(leaf.value() if isinstance(leaf, Tensor) else leaf) for leaf in leaves]
        if any(array.dtype.kind == "c" for array in arrays):
            raise TypeError("x0 has complex numbers: minimize over their real and imaginary parts")
        self._kinds = [type(leaf) for leaf in leaves]
        self._shapes = [array.shape for array in arrays]
        self._sizes = [math.prod(shape) for shape in self._shapes]
        self._dtypes = [np.dtype(np.float64) if array.dtype.kind in "biu" else array.dtype for array in arrays]
        self.vector: Array = np.concatenate([np.zeros(0), *(array.ravel().astype(np.float64) for array in arrays)])
        self.shape: tuple[int, ...] = self._shapes[0] if len(arrays) == 1 else self.vector.shape

    def tensors(self, vector: Tensor) -> Any:
        """The tree of tensors that are parts of a vector, through which gradients flow."""
        parts = vector.split(self._sizes) if len(self._sizes) > 1 else [vector]
        leaves = [
            part.reshape(shape).to(dtype) for part, shape, dtype in zip(parts, self._shapes, self._dtypes, strict=True)
        ]
        return trees.unflatten(self._structure, leaves)

    def tree(self, vector: Array) -> Any:
        """The tree with the elements of a vector: tensors, arrays and numbers where they were before."""
        parts = np.split(vector, np.cumsum(self._sizes)[:-1])
        leaves = [
            part.reshape(shape).astype(dtype) for part, shape, dtype in zip(parts, self._shapes, self._dtypes, strict=True)
        ]
        return trees.unflatten(self._structure, map(_as, self._kinds, leaves))


def _as(kind: type, array: Array) -> Any:
    """An array as a tensor, an array or a number."""
    if issubclass(kind, Tensor):
        return as_tensor(array)
    return array if issubclass(kind, np.ndarray) else array.item()


class Objective:
    """A function of a tree of tensors, with a single real number as its result.

    Args:
        function: called with the tree and ``args``.
        args: further arguments.
        packing: the tree as a vector.
    """

    def __init__(self, function: Callable[..., Tensor], args: Sequence[Any], packing: Packing) -> None:
        self._function, self._args, self._packing = function, tuple(args), packing

    def _of_vector(self, vector: Tensor) -> Tensor:
        result = self._function(self._packing.tensors(vector), *self._args)
        if not isinstance(result, Tensor) or result.numel() != 1 or result.dtype.kind != "f":
            found = f"a tensor of shape {result.shape}" if isinstance(result, Tensor) else type(result).__name__
            raise TypeError(f"fun returned {found}; it must return a tensor with a single real number")
        return result.reshape(()) if result.ndim else result

    def value(self, x: Array) -> float:
        """The value at a vector (n,)."""
        with no_grad():
            return float(self._of_vector(as_tensor(x)).item())

    def gradient(self, x: Array) -> tuple[Tensor, Tensor]:
        """The value, and the gradient (n,), which has a verdict."""
        value, gradient = functional.vjp(self._of_vector, as_tensor(x))
        return value, gradient

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        """The value and the gradient (n,) at a vector (n,)."""
        value, gradient = self.gradient(x)
        return float(value.item()), np.array(gradient.numpy())

    def product(self, x: Array, v: Array) -> Array:
        """The product of the Hessian at ``x`` and a vector (n,)."""
        return np.array(functional.vhp(self._of_vector, as_tensor(x), as_tensor(v.reshape(x.shape)))[1].numpy())

    def hessian(self, x: Array) -> Array:
        """The Hessian (n, n) at a vector (n,)."""
        return np.array(functional.hessian(self._of_vector, as_tensor(x)).numpy())


class Condition:
    """A function of a tree of tensors with several results, for a constraint: a tensor, or a list of numbers."""

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], packing: Packing) -> None:
        self._function, self._args, self._packing = function, tuple(args), packing

    def _of_vector(self, vector: Tensor) -> Tensor:
        result = self._function(self._packing.tensors(vector), *self._args)
        tensor = result if isinstance(result, Tensor) else stack([as_tensor(part).reshape(()) for part in result])
        return tensor.reshape(-1)

    def values(self, x: Array) -> Array:
        """The values (m,) at a vector (n,)."""
        with no_grad():
            return np.array(self._of_vector(as_tensor(x)).numpy(), np.float64)

    def jacobian(self, x: Array) -> Array:
        """The Jacobian (m, n) at a vector (n,)."""
        return np.array(functional.jacobian(self._of_vector, as_tensor(x)).numpy(), np.float64)

    def product(self, x: Array, weights: Array, v: Array) -> Array:
        """The product of the Hessian of the weighted sum of the values with a vector (n,)."""
        factors = as_tensor(weights)
        weighted = functional.vhp(
            lambda x: (self._of_vector(x) * factors).sum(), as_tensor(x), as_tensor(v.reshape(x.shape))
        )
        return np.array(weighted[1].numpy())
