"""Jacobians, Hessians and products with them, of Python functions of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np

from gradproof.client.backward.provenance import without_history
from gradproof.client.derivatives.jacobian import by_columns, by_rows, hessian_by_columns, hessian_by_rows, with_zeros
from gradproof.client.derivatives.products import filled, gradient, pull, pull_gradient, push, push_gradient
from gradproof.client.derivatives.program import Derivation, derived
from gradproof.client.tensors.tensor import Tensor
from gradproof.client.transformation import Transformation, reached

Function: TypeAlias = Callable[..., Any]
Tensors: TypeAlias = Tensor | tuple[Tensor, ...]
InputT = TypeVar("InputT", bound=Tensors)
OutputT = TypeVar("OutputT", bound=Tensors)
Gradients: TypeAlias = Sequence[Tensor | None]

NO_OUTPUT_VECTOR = (
    "The vector v can only be None if the user-provided function returns a single Tensor with a single element."
)
NO_INPUT_VECTOR = (
    "The vector v can only be None if the input to the user-provided function is a single Tensor with a single element."
)
STRICT = "This is not allowed in strict mode"
NOT_DIFFERENTIABLE = (
    "Output {0} of the user-provided function does not require gradients. The outputs must be computed in a differentiable "
    "manner from the input when running in strict mode."
)
INDEPENDENT = f"The output of the user-provided function is independent of input {{0}}. {STRICT}."
LINEAR = (
    "While computing the hessian, found that the jacobian of the user-provided function with respect to input {0} is "
    f"independent of the input. {STRICT}. You should ensure that your function is twice differentiable and that the "
    "jacobian depends on the inputs (this would be violated by a linear function for example)."
)
CONSTANT_JACOBIAN = (
    f"The jacobian of the user-provided function is independent of input {{0}}. {STRICT} when create_graph=True."
)
INDEPENDENT_JACOBIAN = f"The jacobian of the user-provided function is independent of input {{0}}. {STRICT}."
INDEPENDENT_HESSIAN = (
    f"The hessian of the user-provided function is independent of entry {{0}} in the grad_jacobian. {STRICT} as it "
    "prevents from using the double backward trick to replace forward mode AD."
)
CONSTANT_HESSIAN = (
    f"The hessian of the user-provided function is independent of input {{0}}. {STRICT} when create_graph=True."
)


@overload
def jacobian(
    func: Callable[..., OutputT],
    inputs: Tensor,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> OutputT: ...
@overload
def jacobian(
    func: Callable[..., OutputT],
    inputs: tuple[Tensor, ...],
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> tuple[OutputT, ...]: ...
def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of ``func`` at ``inputs``, of shape ``output.shape + input.shape``; for several outputs or inputs a
    tuple (of tuples) of them. An output that does not depend on an input has zeros there.

    Args:
        func: a function from tensors to a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        create_graph: whether the Jacobian can be differentiated.
        strict: refuse an output that does not depend on an input.
        vectorize: accepted, and changes nothing: all rows are computed at once, but for those of graphs with hooks or
            functions with a backward of their own.
        strategy: "reverse-mode" for rows, or "forward-mode" for columns.

    Raises TypeError for inputs or outputs that are no tensors, RuntimeError if ``strict`` refuses, ValueError for another
    strategy.

    Follows torch.autograd.functional.jacobian.
    """
    _check_strategy(strategy, strict, vectorize)
    call = _Call("jacobian", func, inputs, create_graph)
    _check_outputs(call.outputs, strict)
    columns, count = strategy == "forward-mode", len(call.primals)
    jacobians = call.derived(by_columns if columns else by_rows, strict=strict)
    if strict:
        _check_jacobians(call, call.outputs, jacobians)
    whole = with_zeros(jacobians, call.outputs, call.primals, columns=columns)
    per_output = tuple(
        call.results(call.several_inputs, whole[k * count : (k + 1) * count]) for k in range(len(call.outputs))
    )
    return per_output if call.several_outputs else per_output[0]


@overload
def hessian(
    func: Callable[..., Tensor],
    inputs: Tensor,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Tensor: ...
@overload
def hessian(
    func: Callable[..., Tensor],
    inputs: tuple[Tensor, ...],
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> tuple[tuple[Tensor, ...], ...]: ...
def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of ``func``, whose result must have one element, of shape ``input.shape + input.shape``; for several
    inputs a tuple of tuples. ``outer_jacobian_strategy``: as ``strategy`` of `jacobian`, for the Jacobian of the gradient.

    Follows torch.autograd.functional.hessian.
    """

    _check_strategy(outer_jacobian_strategy, strict, vectorize)
    call = _Call("hessian", func, inputs, create_graph)
    output = _single_output(call, strict)
    count = len(call.primals)
    if strict:
        _check(gradient([output], call.primals), "", LINEAR)
    columns = outer_jacobian_strategy == "forward-mode"
    blocks = call.derived(hessian_by_columns if columns else hessian_by_rows, strict=strict)
    if strict:
        _check_jacobians(call, call.primals, blocks)
    whole = with_zeros(blocks, call.primals, call.primals, columns=columns)
    rows = tuple(call.results(call.several_inputs, whole[k * count : (k + 1) * count]) for k in range(count))
    return rows if call.several_inputs else rows[0]


def vjp(
    func: Callable[..., OutputT], inputs: InputT, v: OutputT | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[OutputT, InputT]:
    """``func(inputs)``, and the product of ``v`` with its Jacobian. ``v`` may be left out if the result has one element.

    Follows torch.autograd.functional.vjp.
    """
    call = _Call("vjp", func, inputs, create_graph)
    _check_outputs(call.outputs, strict)
    vectors = _vectors("vjp", v, call.outputs, call.several_outputs, NO_OUTPUT_VECTOR)
    pulled = call.derived(pull, vectors, strict=strict)
    if strict:
        _check(pulled, INDEPENDENT, CONSTANT_JACOBIAN if create_graph else "")
    products = filled(pulled, call.primals)
    return call.results(call.several_outputs, call.outputs), call.results(call.several_inputs, products)


def jvp(
    func: Callable[..., OutputT], inputs: InputT, v: InputT | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[OutputT, OutputT]:
    """``func(inputs)``, and the product of its Jacobian with ``v``, which may be left out if the input has one element.

    Follows torch.autograd.functional.jvp.
    """
    call = _Call("jvp", func, inputs, create_graph)
    vectors = _vectors("jvp", v, call.primals, call.several_inputs, NO_INPUT_VECTOR)
    _check_outputs(call.outputs, strict)
    pushed = call.derived(push, vectors, strict=strict)
    if strict:
        used = zip(call.primals, reached(call.outputs, call.primals), strict=True)
        _check([x if depends else None for x, depends in used], INDEPENDENT, "")
        _check(filled(pushed, call.outputs), "", CONSTANT_JACOBIAN if create_graph else "")
    products = filled(pushed, call.outputs)
    return call.results(call.several_outputs, call.outputs), call.results(call.several_outputs, products)


def hvp(
    func: Callable[..., Tensor], inputs: InputT, v: InputT | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensor, InputT]:
    """``func(inputs)``, and the product of its Hessian with ``v``, in forward mode over reverse mode.

    Follows torch.autograd.functional.hvp.
    """
    call, vectors = _with_vectors("hvp", func, inputs, v, create_graph, strict)
    products = call.derived(push_gradient, vectors, strict=strict)
    if strict:
        _check(products, INDEPENDENT_HESSIAN, CONSTANT_HESSIAN if create_graph else "")
    return _with_output(call, products)


def vhp(
    func: Callable[..., Tensor], inputs: InputT, v: InputT | None = None, create_graph: bool = False, strict: bool = False
) -> tuple[Tensor, InputT]:
    """``func(inputs)``, and the product of ``v`` with its Hessian, which is symmetric, in reverse mode twice.

    Follows torch.autograd.functional.vhp.
    """
    call, vectors = _with_vectors("vhp", func, inputs, v, create_graph, strict)
    products = call.derived(pull_gradient, vectors, strict=strict)
    if strict:
        _check(products, INDEPENDENT_JACOBIAN, CONSTANT_HESSIAN if create_graph else "")
    return _with_output(call, products)


class _Call:
    """A function that ran on primals, leaves or views of its inputs.

    Attributes:
        create_graph: whether results keep their histories.
        primals: the tensors that it ran on.
        outputs: the tensors that it returned.
        several_inputs: whether its inputs are a tuple.
        several_outputs: whether it returned a tuple.
    """

    def __init__(self, name: str, func: Function, inputs: Any, create_graph: bool) -> None:
        self.several_inputs, tensors = _tensors(inputs, "inputs", name)
        self.create_graph = create_graph
        transformation = Transformation(create_graph)
        self.primals = [transformation.argument(x) for x in tensors]
        result = transformation.run(func, *self.primals)
        self.several_outputs, self.outputs = _tensors(result, "outputs of the user-provided function", name)

    def derived(self, derivation: Derivation, vectors: Gradients = (), *, strict: bool) -> list[Tensor | None]:
        """What ``derivation`` gives; ``strict``: with a history, by which its dependence can be seen."""
        return derived(derivation, self.outputs, self.primals, vectors, recorded=self.create_graph or strict)

    def results(self, several: bool, tensors: Sequence[Tensor]) -> Any:
        """Tensors as they are returned."""
        kept = tuple(t if self.create_graph else without_history(t) for t in tensors)
        return kept if several else kept[0]


def _tensors(x: Any, noun: str, name: str) -> tuple[bool, list[Tensor]]:
    """Whether ``x`` is a tuple, and the tensors in it. Raises TypeError if it is no tensor, and no tuple of tensors."""
    several = isinstance(x, tuple)
    for k, tensor in enumerate(x if several else (x,)):
        if not isinstance(tensor, Tensor):
            place = f"value at index {k}" if several else f"given {noun}"
            raise TypeError(
                f"The {noun} given to {name} must be either a Tensor or a tuple of Tensors but the {place} has type "
                f"{type(tensor)}."
            )
    return several, list(x) if several else [x]


def _with_vectors(
    name: str, func: Function, inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[_Call, list[Tensor]]:
    """The call of a function with a single element, and the vectors."""
    call = _Call(name, func, inputs, create_graph)
    vectors = _vectors(name, v, call.primals, call.several_inputs, NO_INPUT_VECTOR)
    output = _single_output(call, strict, name)
    if strict:
        _check(pull([output], call.primals, [_ones(output)]), INDEPENDENT, LINEAR)
    return call, vectors


def _with_output(call: _Call, products: Gradients) -> tuple[Any, Any]:
    output = call.results(call.several_outputs, call.outputs)
    return output, call.results(call.several_inputs, filled(products, call.primals))


def _single_output(call: _Call, strict: bool, name: str = "hessian") -> Tensor:
    """The only output. Raises RuntimeError if there are several, or it has several elements."""
    _check_outputs(call.outputs, strict)
    if call.several_outputs:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if call.outputs[0].numel() != 1:
        raise RuntimeError(f"The Tensor returned by the function given to {name} should contain a single element")
    return call.outputs[0]


def _check_jacobians(call: _Call, outputs: Sequence[Tensor], jacobians: Gradients) -> None:
    """Raises RuntimeError for an output that is independent of an input, and, where Jacobians are differentiated, for a
    constant Jacobian."""
    for index, jacobian in enumerate(jacobians):
        k, j = divmod(index, len(call.primals))
        if jacobian is None:
            raise RuntimeError(f"Output {k} of the user-provided function is independent of input {j}. {STRICT}.")
        if call.create_graph and not jacobian.requires_grad and outputs[k].numel():
            raise RuntimeError(CONSTANT_JACOBIAN.format(k))


def _check_strategy(strategy: str, strict: bool, vectorize: bool) -> None:
    if strategy not in ("forward-mode", "reverse-mode"):
        raise ValueError('Expected strategy to be either "forward-mode" or "reverse-mode".')
    if not strict:
        return
    place = "torch.autograd.functional.jacobian: `strict=True` and"
    if strategy == "forward-mode":
        raise RuntimeError(
            f'{place} `strategy="forward-mode"` are not supported together (yet). Please either set `strict=False` or '
            '`strategy="reverse-mode"`.'
        )
    if vectorize:
        raise RuntimeError(
            f"{place} `vectorized=True` are not supported together. Please either set `strict=False` or `vectorize=False`."
        )


def _check(gradients: Gradients, missing: str, constant: str) -> None:
    """Raises RuntimeError with the text ``missing`` for None, and ``constant`` for a gradient without a history; an empty
    text allows it."""
    for k, own in enumerate(gradients):
        if own is None and missing:
            raise RuntimeError(missing.format(k))
        if own is not None and not own.requires_grad and constant:
            raise RuntimeError(constant.format(k))


def _check_outputs(outputs: Sequence[Tensor], strict: bool) -> None:
    if strict:
        _check(outputs, "", NOT_DIFFERENTIABLE)


def _vectors(name: str, v: Any, tensors: Sequence[Tensor], several: bool, missing: str) -> list[Tensor]:
    """The vectors of a product, of exactly the shapes of ``tensors``. ``missing``: the error where they may not be None."""
    if v is None:
        if len(tensors) != 1 or tensors[0].numel() != 1:
            raise RuntimeError(missing)
        return [_ones(tensors[0])]
    vectors = _tensors(v, "v", name)[1]
    if len(vectors) != len(tensors):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(tensors)} but got {len(vectors)}."
            if several
            else "The given v should contain a single Tensor."
        )
    for k, (vector, x) in enumerate(zip(vectors, tensors, strict=True)):
        if vector.shape != x.shape:
            place = f"Entry {k} in v" if several else "v"
            raise RuntimeError(
                f"{place} has invalid size: should be torch.Size({list(x.shape)}) but got torch.Size({list(vector.shape)})."
            )
    return vectors


def _ones(x: Tensor) -> Tensor:
    return Tensor(np.ones(x.shape, x.dtype))
