"""Functions of functions by the names of `torch.func`: gradients, products with Jacobians, Jacobians and Hessians.

Arguments, results and auxiliary results may be trees of tensors: tuples, named tuples, lists, dicts and dataclasses, nested
in any way. Functions run once, and may themselves use these transformations, to any depth. A result keeps its history where
it depends on a tensor outside that requires grad, and grad mode is enabled where the transformation is called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar, TypeVarTuple, overload

import numpy as np

from gradproof.client.backward.engine import cotangent_of
from gradproof.client.backward.engine import grad as autograd_grad
from gradproof.client.backward.provenance import without_history
from gradproof.client.batching.vmap import vmap as vmap
from gradproof.client.derivatives.jacobian import by_columns, by_rows, columns_of_rows, with_zeros
from gradproof.client.derivatives.products import Vectors, filled, pull, push
from gradproof.client.derivatives.program import Derivation, derived
from gradproof.client.dtypes import is_differentiable
from gradproof.client.recording.modes import is_grad_enabled
from gradproof.client.recording.recorded import Recorded
from gradproof.client.recording.spec import Spec
from gradproof.client.stateless import functional_call as functional_call
from gradproof.client.tensors.constructors import as_tensor
from gradproof.client.tensors.tensor import Tensor
from gradproof.client.transformation import Transformation
from gradproof.client.trees import Structure, flatten, mapped, text, unflatten

OutputT = TypeVar("OutputT")
AuxT = TypeVar("AuxT")
CotangentT = TypeVar("CotangentT", contravariant=True)
Primals = TypeVarTuple("Primals")
Argnums: TypeAlias = int | tuple[int, ...]

GRAD = "grad_and_value(f)(*args)"
VJP = "vjp(f, *primals)"
JVP = "jvp(f, primals, tangents)"


class Pullback(Protocol, Generic[CotangentT, *Primals]):
    """The pull function of `vjp`."""

    def __call__(
        self, cotangents: CotangentT, retain_graph: bool = True, create_graph: bool | None = None
    ) -> tuple[*Primals]:
        """The cotangents of the primals. ``create_graph``: whether they may have a history; default: whether grad mode is
        enabled. ``retain_graph`` changes nothing: the record stays as long as the function."""


@overload
def grad(func: Callable[..., Tensor], argnums: int = 0, has_aux: Literal[False] = False) -> Callable[..., Tensor]: ...
@overload
def grad(
    func: Callable[..., Tensor], argnums: tuple[int, ...], has_aux: Literal[False] = False
) -> Callable[..., tuple[Tensor, ...]]: ...
@overload
def grad(
    func: Callable[..., tuple[Tensor, AuxT]], argnums: int = 0, *, has_aux: Literal[True]
) -> Callable[..., tuple[Tensor, AuxT]]: ...
@overload
def grad(
    func: Callable[..., tuple[Tensor, AuxT]], argnums: tuple[int, ...], *, has_aux: Literal[True]
) -> Callable[..., tuple[tuple[Tensor, ...], AuxT]]: ...
def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of ``func`` by its arguments ``argnums``, in their shapes and trees.

    Args:
        func: a function whose result is a 0-d tensor.
        argnums: the position of an argument, or a tuple of positions for a tuple of gradients. The other arguments, by
            position or keyword, may be anything.
        has_aux: ``func`` returns ``(result, aux)``, and the new function ``(gradient, aux)``.

    The new function raises RuntimeError, and ValueError for an argument that is no tensor or array, with PyTorch's texts.

    Follows torch.func.grad.
    """
    differentiated = Differentiated(
        func, argnums, has_aux, lambda gradients, value: (gradients, value[1]) if has_aux else gradients
    )
    return differentiated.function_of_arguments()


@overload
def grad_and_value(
    func: Callable[..., Tensor], argnums: int = 0, has_aux: Literal[False] = False
) -> Callable[..., tuple[Tensor, Tensor]]: ...
@overload
def grad_and_value(
    func: Callable[..., Tensor], argnums: tuple[int, ...], has_aux: Literal[False] = False
) -> Callable[..., tuple[tuple[Tensor, ...], Tensor]]: ...
@overload
def grad_and_value(
    func: Callable[..., tuple[Tensor, AuxT]], argnums: int = 0, *, has_aux: Literal[True]
) -> Callable[..., tuple[Tensor, tuple[Tensor, AuxT]]]: ...
@overload
def grad_and_value(
    func: Callable[..., tuple[Tensor, AuxT]], argnums: tuple[int, ...], *, has_aux: Literal[True]
) -> Callable[..., tuple[tuple[Tensor, ...], tuple[Tensor, AuxT]]]: ...
def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `grad`, with the result beside the gradient: ``(gradient, result)``, or ``(gradient, (result, aux))``.

    Follows torch.func.grad_and_value.
    """
    return Differentiated(func, argnums, has_aux, lambda gradients, value: (gradients, value)).function_of_arguments()


@overload
def value_and_grad(
    func: Callable[..., Tensor], argnums: int = 0, has_aux: Literal[False] = False
) -> Callable[..., tuple[Tensor, Tensor]]: ...
@overload
def value_and_grad(
    func: Callable[..., Tensor], argnums: tuple[int, ...], has_aux: Literal[False] = False
) -> Callable[..., tuple[Tensor, tuple[Tensor, ...]]]: ...
@overload
def value_and_grad(
    func: Callable[..., tuple[Tensor, AuxT]], argnums: int = 0, *, has_aux: Literal[True]
) -> Callable[..., tuple[tuple[Tensor, AuxT], Tensor]]: ...
@overload
def value_and_grad(
    func: Callable[..., tuple[Tensor, AuxT]], argnums: tuple[int, ...], *, has_aux: Literal[True]
) -> Callable[..., tuple[tuple[Tensor, AuxT], tuple[Tensor, ...]]]: ...
def value_and_grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `grad_and_value`, in the order of JAX: ``(result, gradient)``, or ``((result, aux), gradient)``."""
    return Differentiated(func, argnums, has_aux, lambda gradients, value: (value, gradients)).function_of_arguments()


@overload
def vjp(
    func: Callable[..., OutputT], *primals: *Primals, has_aux: Literal[False] = False
) -> tuple[OutputT, Pullback[OutputT, *Primals]]: ...
@overload
def vjp(
    func: Callable[..., tuple[OutputT, AuxT]], *primals: *Primals, has_aux: Literal[True]
) -> tuple[OutputT, Pullback[OutputT, *Primals], AuxT]: ...
def vjp(func: Callable[..., Any], *primals: *Primals, has_aux: bool = False) -> Any:
    """``func(*primals)``, and the function from a cotangent of it, of the same shapes and tree, to a tuple with a cotangent
    for each primal. ``func`` runs once; its cotangents may be pulled back several times. With ``has_aux`` ``func`` returns
    ``(output, aux)``, and ``aux`` is a third result.

    Raises RuntimeError, TypeError and ValueError with PyTorch's texts.

    Follows torch.func.vjp.
    """
    call = _Call(VJP, func, primals, {}, None, has_aux)
    outputs, structure = _outputs(call)
    _check_differentiable(outputs)

    def pullback(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        leaves, given = flatten(cotangents)
        if given != structure:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {text(given)}, primal output: {text(structure)}"
            )
        seeds = [_cotangent(y, g, k) for k, (y, g) in enumerate(zip(outputs, leaves, strict=True))]
        recording = is_grad_enabled() if create_graph is None else create_graph
        pulled = filled(call.derived(pull, outputs, seeds, recording), call.primals)
        return unflatten(call.structure, call.transformation.released(pulled, recording))

    results = unflatten(structure, call.transformation.released(outputs))
    return (results, pullback, call.aux) if has_aux else (results, pullback)


@overload
def jvp(
    func: Callable[..., OutputT],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    *,
    strict: bool = False,
    has_aux: Literal[False] = False,
) -> tuple[OutputT, OutputT]: ...
@overload
def jvp(
    func: Callable[..., tuple[OutputT, AuxT]],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    *,
    strict: bool = False,
    has_aux: Literal[True],
) -> tuple[OutputT, OutputT, AuxT]: ...
def jvp(
    func: Callable[..., Any],
    primals: tuple[Any, ...],
    tangents: tuple[Any, ...],
    *,
    strict: bool = False,
    has_aux: bool = False,
) -> Any:
    """``func(*primals)``, and the product of its Jacobian with ``tangents``, in forward mode, of the same shapes and tree.

    Args:
        func: a function from tensors to a tree of tensors.
        primals: the tuple of its arguments.
        tangents: a tangent for each, of the same shapes and trees.
        strict: refuse an output that does not depend on the primals.
        has_aux: ``func`` returns ``(output, aux)``, and ``aux`` is a third result.

    Raises RuntimeError and ValueError with PyTorch's texts.

    Follows torch.func.jvp.
    """
    directions = _tangents(primals, tangents)
    call = _Call(JVP, func, primals, {}, None, has_aux)
    outputs, structure = _outputs(call)
    pushed = call.derived(push, outputs, directions)
    if strict and any(tangent is None for tangent in pushed):
        raise RuntimeError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed "
            "with strict=True."
        )
    released = call.transformation.released([*outputs, *filled(pushed, outputs)])
    both = unflatten(structure, released[: len(outputs)]), unflatten(structure, released[len(outputs) :])
    return (*both, call.aux) if has_aux else both


def linearize(func: Callable[..., OutputT], *primals: Any) -> tuple[OutputT, Callable[..., OutputT]]:
    """``func(*primals)``, and the function from tangents of the primals to the tangent of the output. ``func`` runs once.

    Follows torch.func.linearize.
    """
    call = _Call(JVP, func, primals, {}, None, False)
    outputs, structure = _outputs(call)

    def pushforward(*tangents: Any) -> Any:
        leaves, given = flatten(tangents)
        if given != call.structure:
            raise RuntimeError(
                f"Expected the tangents {text(given)} to have the same argspec as the primals {text(call.structure)}"
            )
        directions = [_as_tensor(v) for v in leaves]
        for k, (x, v) in enumerate(zip(call.primals, directions, strict=True)):
            for noun, ours, own in (("shape", v.shape, x.shape), ("dtype", v.dtype, x.dtype)):
                if ours != own:
                    raise RuntimeError(
                        f"tangent:{k} with {noun} {ours} in flattened pytree doesn't match the {noun} {own} of the "
                        "corresponding primal."
                    )
        pushed = filled(call.derived(push, outputs, directions, is_grad_enabled()), outputs)
        return unflatten(structure, call.transformation.released(pushed, is_grad_enabled()))

    return unflatten(structure, call.transformation.released(outputs)), pushforward


@overload
def jacrev(
    func: Callable[..., OutputT], argnums: int = 0, has_aux: Literal[False] = False, *, chunk_size: int | None = None
) -> Callable[..., OutputT]: ...
@overload
def jacrev(
    func: Callable[..., OutputT],
    argnums: tuple[int, ...],
    has_aux: Literal[False] = False,
    *,
    chunk_size: int | None = None,
) -> Callable[..., tuple[OutputT, ...]]: ...
@overload
def jacrev(
    func: Callable[..., tuple[OutputT, AuxT]],
    argnums: int = 0,
    *,
    has_aux: Literal[True],
    chunk_size: int | None = None,
) -> Callable[..., tuple[OutputT, AuxT]]: ...
@overload
def jacrev(
    func: Callable[..., tuple[OutputT, AuxT]],
    argnums: tuple[int, ...],
    *,
    has_aux: Literal[True],
    chunk_size: int | None = None,
) -> Callable[..., tuple[tuple[OutputT, ...], AuxT]]: ...
def jacrev(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, chunk_size: int | None = None
) -> Callable[..., Any]:
    """The function that gives the Jacobian of ``func`` by its arguments ``argnums``, in reverse mode, all rows at
    once.

    In place of each output stands the tree of the argument (for a tuple ``argnums``: a tuple of trees), with Jacobians of
    shape ``output.shape + argument.shape``.

    Args:
        func: a function whose result is a tree of real tensors.
        argnums: the position of an argument, or a tuple of positions.
        has_aux: ``func`` returns ``(output, aux)``, and the new function ``(Jacobian, aux)``.
        chunk_size: the number of rows at once; default: all, as long as their values take no more than 256 MB together.
            With 1, and where hooks or functions with a backward of their own are on the way, there is a pass for each row.

    The new function raises RuntimeError and ValueError with PyTorch's texts.

    Follows torch.func.jacrev.
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        _check_real("jacrev", "inputs", args)
        call = _Call(VJP, func, args, kwargs, argnums, has_aux)
        outputs, structure = _outputs(call)
        _check_differentiable(outputs)
        _check_real("jacrev", "outputs", outputs)
        rows = call.derived(by_rows, outputs, chunk_size=chunk_size)
        return _jacobian(call, outputs, structure, with_zeros(rows, outputs, call.primals), has_aux)

    return jacobian


@overload
def jacfwd(
    func: Callable[..., OutputT], argnums: int = 0, has_aux: Literal[False] = False, *, randomness: str = "error"
) -> Callable[..., OutputT]: ...
@overload
def jacfwd(
    func: Callable[..., OutputT],
    argnums: tuple[int, ...],
    has_aux: Literal[False] = False,
    *,
    randomness: str = "error",
) -> Callable[..., tuple[OutputT, ...]]: ...
@overload
def jacfwd(
    func: Callable[..., tuple[OutputT, AuxT]], argnums: int = 0, *, has_aux: Literal[True], randomness: str = "error"
) -> Callable[..., tuple[OutputT, AuxT]]: ...
@overload
def jacfwd(
    func: Callable[..., tuple[OutputT, AuxT]],
    argnums: tuple[int, ...],
    *,
    has_aux: Literal[True],
    randomness: str = "error",
) -> Callable[..., tuple[tuple[OutputT, ...], AuxT]]: ...
def jacfwd(
    func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """As `jacrev`, in forward mode, all columns at once. ``randomness`` changes nothing, since ``func`` runs once.

    Follows torch.func.jacfwd.
    """

    @wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        _check_real("jacfwd", "inputs", args)
        call = _Call(JVP, func, args, kwargs, argnums, has_aux)
        outputs, structure = _outputs(call)
        _check_real("jacfwd", "outputs", outputs)
        columns = call.derived(by_columns, outputs)
        return _jacobian(call, outputs, structure, with_zeros(columns, outputs, call.primals, columns=True), has_aux)

    return jacobian


@overload
def hessian(func: Callable[..., Tensor], argnums: int = 0) -> Callable[..., Tensor]: ...
@overload
def hessian(func: Callable[..., Tensor], argnums: tuple[int, ...]) -> Callable[..., tuple[tuple[Tensor, ...], ...]]: ...
def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """The function that gives the Hessian of ``func`` by its arguments ``argnums``: the Jacobian in forward mode of the
    Jacobian in reverse mode, of shape ``output.shape + argument.shape + argument.shape``.

    Follows torch.func.hessian.
    """

    @wraps(func)
    def hessian_of(*args: Any, **kwargs: Any) -> Any:
        _check_real("jacfwd", "inputs", args)
        call = _Call(JVP, func, args, kwargs, argnums, False)
        call.place = VJP
        outputs, structure = _outputs(call)
        _check_differentiable(outputs)
        _check_real("jacrev", "outputs", outputs)
        rows = [Spec(y.shape + x.shape, x.dtype) for y in outputs for x in call.primals]
        blocks = with_zeros(call.derived(columns_of_rows, outputs), rows, call.primals, columns=True)
        blocks, count = call.transformation.released(blocks), len(call.primals)
        trees = [unflatten(call.structure, blocks[k * count : (k + 1) * count]) for k in range(len(rows))]
        return unflatten(
            structure, [unflatten(call.structure, trees[k * count : (k + 1) * count]) for k in range(len(outputs))]
        )

    return hessian_of


class Differentiated:
    """A function whose gradient is taken.

    Args:
        function: the function.
        argnums: the positions of the arguments that it is differentiated by.
        has_aux: whether it returns a pair, of which the second is not differentiated.
        arrange: makes the result of gradients and value.
    """

    def __init__(
        self, function: Callable[..., Any], argnums: Argnums, has_aux: bool, arrange: Callable[[Any, Any], Any]
    ) -> None:
        self.function, self._argnums, self._has_aux, self._arrange = function, argnums, has_aux, arrange
        self._made: Callable[..., Any] | None = None

    def function_of_arguments(self) -> Callable[..., Any]:
        """The function that gives the gradients, with their histories."""

        @wraps(self.function)
        def gradient(*args: Any, **kwargs: Any) -> Any:
            call = _Call(GRAD, self.function, args, kwargs, self._argnums, self._has_aux)
            output = _scalar(call.result)
            gradients = filled(call.derived(pull, [output], [_cotangent(output, None, 0)]), call.primals)
            *released, value = call.transformation.released([*gradients, output])
            return self._result(call, released, value)

        self._made = gradient
        gradient.differentiated = self  # type: ignore[attr-defined]
        return gradient

    def has_made(self, function: Callable[..., Any]) -> bool:
        """True of the function of its gradients, and of none that wraps it."""
        return self._made is function

    def at_once(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
        """Value and gradients of ``function``, which stands for the function, from a pass that is not recorded."""
        call = _Call(GRAD, function, args, kwargs, self._argnums, self._has_aux)
        output = _scalar(call.result)
        gradients = autograd_grad(output, call.primals, materialize_grads=True)
        return self._result(call, gradients, without_history(output))

    def _result(self, call: _Call, gradients: Sequence[Tensor], value: Recorded) -> Any:
        return self._arrange(unflatten(call.structure, gradients), (value, call.aux) if self._has_aux else value)


def differentiated_by(function: Callable[..., Any]) -> Differentiated | None:
    """The function that a function gives the gradients of; None for any other function."""
    own = getattr(function, "differentiated", None)
    return own if isinstance(own, Differentiated) and own.has_made(function) else None


class _Call:
    """A function that ran on primals in place of some of its arguments.

    Args:
        place: names the call in errors.
        func: the function.
        args: its arguments by position.
        kwargs: its arguments by keyword.
        argnums: the positions of the arguments that it is differentiated by; None: all of them.
        has_aux: the function returns a pair, of which the second is not differentiated.

    Attributes:
        transformation: decides on histories.
        primals: the tensors in place of the arguments.
        structure: the structure of these arguments.
        result: what the function returned to be differentiated.
        aux: the rest of what it returned.
    """

    def __init__(
        self,
        place: str,
        func: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        argnums: Argnums | None,
        has_aux: bool,
    ) -> None:
        self.place, self.transformation = place, Transformation()
        positions = _positions(argnums, len(args))
        chosen = [args[k] for k in positions]
        leaves, self.structure = flatten(chosen[0] if isinstance(argnums, int) else tuple(chosen))
        self.primals = [self.transformation.argument(_primal(x, forward=place == JVP)) for x in leaves]
        whole = list(args)
        tree = unflatten(self.structure, self.primals)
        for k, x in zip(positions, (tree,) if isinstance(argnums, int) else tree, strict=True):
            whole[k] = x
        self.result, self.aux = self.transformation.run(func, *whole, **kwargs), None
        if has_aux:
            if not isinstance(self.result, tuple) or len(self.result) != 2:
                raise RuntimeError(f"{place}: output of function f should be a tuple: (output, aux) if has_aux is True")
            self.result, aux = self.result
            self.aux = mapped(lambda x: self.transformation.released([x])[0] if isinstance(x, Tensor) else x, aux)

    def derived(
        self,
        derivation: Derivation,
        outputs: Sequence[Tensor],
        vectors: Vectors = (),
        recording: bool | None = None,
        **options: Any,
    ) -> list[Tensor | None]:
        """What ``derivation`` gives of ``outputs`` by the primals; recorded where a result keeps its history.
        ``recording``: whether results may have one; default: as at the call."""
        may = self.transformation.recording if recording is None else recording
        recorded = may and self.transformation.reach(*outputs, *(v for v in vectors if v is not None))
        return derived(derivation, outputs, self.primals, vectors, recorded=recorded, **options)


def _positions(argnums: Any, count: int) -> list[int]:
    """The positions of the chosen arguments. Raises RuntimeError with PyTorch's texts."""
    if argnums is None:
        return list(range(count))
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    wrapped = []
    for k in argnums if isinstance(argnums, tuple) else (argnums,):
        if not isinstance(k, int):
            raise RuntimeError(f"argnum must be int, got: {type(k)}")
        if not -count <= k < count:
            raise RuntimeError(f"Got argnum={k}, but only {count} positional inputs")
        wrapped.append(k % count)
    if not wrapped:
        raise RuntimeError("argnums must be non-empty")
    if len(set(wrapped)) != len(wrapped):
        raise RuntimeError(f"argnums elements must be unique, got {tuple(wrapped)}")
    return wrapped


def _as_tensor(x: Any) -> Any:
    """NumPy's arrays and numbers as tensors; anything else as it is."""
    return as_tensor(x) if isinstance(x, (np.ndarray, np.generic)) else x


def _primal(x: Any, *, forward: bool) -> Tensor:
    """A tensor to differentiate by. Raises ValueError, or RuntimeError for integers in reverse mode."""
    tensor = _as_tensor(x)
    if not isinstance(tensor, Tensor):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
    if forward and not is_differentiable(tensor.dtype):
        raise ValueError(f"Expected primal to be floating point or complex, but got: {tensor.dtype.name}")
    return tensor


def _tangents(primals: Any, tangents: Any) -> list[Tensor]:
    """The tangents, which fit the primals. Raises RuntimeError with PyTorch's texts."""
    if not isinstance(primals, tuple):
        raise RuntimeError(f"{JVP}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals).")
    (points, structure), (directions, given) = flatten(primals), flatten(tangents)
    if structure != given:
        raise RuntimeError(
            f"{JVP}: Expected primals and tangents to have the same python structure. For example, if primals is a tuple "
            f"of 3 tensors, tangents also must be. Got primals with structure {text(structure)} and tangents with "
            f"structure {text(given)}"
        )
    for noun, leaves in (("primals", points), ("tangents", directions)):
        if not leaves:
            raise RuntimeError(f"{JVP}: Expected {noun} to contain at least one Tensor.")
        for x in leaves:
            if not isinstance(_as_tensor(x), Tensor):
                raise RuntimeError(f"{JVP}: Expected {noun} to only contain Tensors, got {type(x)}")
    vectors = [_as_tensor(v) for v in directions]
    for x, v in zip(points, vectors, strict=True):
        if tuple(x.shape) != v.shape:
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
                f"supported. Tensor is of size {list(x.shape)} while the given forward gradient is of size {list(v.shape)}."
            )
    return vectors


def _scalar(result: Any) -> Tensor:
    """A result that has a gradient. Raises RuntimeError for any other."""
    if not isinstance(result, Tensor):
        raise RuntimeError(f"{GRAD}: Expected f(*args) to return a Tensor, got {type(result)}")
    if result.shape:
        raise RuntimeError(
            f"{GRAD}: Expected f(*args) to return a scalar Tensor, got tensor with {result.ndim} dims. Maybe you wanted to "
            "use the vjp or jacrev APIs instead?"
        )
    return result


def _cotangent(output: Tensor, gradient: Any, index: int) -> Tensor:
    """A cotangent of an output. Raises RuntimeError or TypeError if it does not fit."""
    cotangent = cotangent_of(output, _as_tensor(gradient), index)
    assert isinstance(cotangent, Tensor)
    return cotangent


def _outputs(call: _Call) -> tuple[list[Tensor], Structure]:
    """The outputs of a call and their structure. Raises RuntimeError if there is none, or if any is no tensor."""
    leaves, structure = flatten(call.result)
    if not leaves or (len(leaves) == 1 and leaves[0] is None):
        raise RuntimeError(f"{call.place}: Expected f to be a function that has non-empty output (got output = {leaves})")
    for y in leaves:
        if not isinstance(y, Tensor):
            raise RuntimeError(f"{call.place}: expected f(*primals) to return only tensors, got unsupported type {type(y)}")
    return leaves, structure


def _check_differentiable(outputs: Sequence[Tensor]) -> None:
    for y in outputs:
        if not is_differentiable(y.dtype):
            raise RuntimeError(
                "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got Tensor with dtype "
                f"{y.dtype.name}"
            )


def _check_real(name: str, noun: str, tree: Any) -> None:
    for k, x in enumerate(flatten(tree)[0]):
        if isinstance(_as_tensor(x), Tensor) and x.dtype.kind == "c":
            raise RuntimeError(
                f"{name}: Expected all {noun} to be real but received complex tensor at flattened input idx: {k}"
            )


def _jacobian(
    call: _Call, outputs: Sequence[Tensor], structure: Structure, jacobians: Sequence[Tensor], has_aux: bool
) -> Any:
    """The tree of Jacobians: in place of each output the tree of the arguments."""
    whole = call.transformation.released(jacobians)
    count = len(call.primals)
    trees = [unflatten(call.structure, whole[k * count : (k + 1) * count]) for k in range(len(outputs))]
    jacobian = unflatten(structure, trees)
    return (jacobian, call.aux) if has_aux else jacobian
