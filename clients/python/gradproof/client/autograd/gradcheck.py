"""Checks of the derivatives of a function, by verdicts instead of differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradproof.client.autograd.function import depends, key_of, reasons_of, recorded_again
from gradproof.client.backward.application import compared
from gradproof.client.backward.engine import grad
from gradproof.client.dtypes import is_differentiable
from gradproof.client.recording.modes import enable_grad
from gradproof.client.recording.reads import watching
from gradproof.client.recording.record import next_number
from gradproof.client.tensors.tensor import Tensor

SEED = 20260


class GradcheckError(RuntimeError):
    """Raised by `gradcheck` and `gradgradcheck`: a gradient is wrong, or nothing is known of it."""


def gradcheck(  # noqa: PLR0913 - the arguments of torch.autograd.gradcheck
    func: Callable[..., Any],
    inputs: Sequence[Any] | Tensor,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """True if the gradients of ``func(*inputs)`` are verified, or plausible.

    For each output a pass is run with a random cotangent, and its gradients are compared with those of what ``func`` has
    recorded: a backward of its own (`Function`) or a `detach` that changes them is told. Then the verdicts are asked for.
    There are no differences and no step: ``eps``, ``atol``, ``rtol`` and the arguments behind ``raise_exception`` are
    accepted, and change nothing.

    Raises GradcheckError, which names output, input, element and both numbers, unless ``raise_exception`` is False;
    ValueError if no input requires grad.

    Follows torch.autograd.gradcheck.
    """
    return _answer(lambda: _Check(func, inputs).first(), raise_exception)


def gradgradcheck(  # noqa: PLR0913 - the arguments of torch.autograd.gradgradcheck
    func: Callable[..., Any],
    inputs: Sequence[Any] | Tensor,
    grad_outputs: Sequence[Tensor] | Tensor | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """As `gradcheck`, of the gradients as functions of ``inputs`` and of the cotangents.

    ``grad_outputs``: the cotangents of the outputs; random by default.

    Follows torch.autograd.gradgradcheck.
    """
    return _answer(lambda: _Check(func, inputs).second(grad_outputs), raise_exception)


def _answer(check: Callable[[], None], raise_exception: bool) -> bool:
    try:
        check()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


class _Check:
    """A call of a function, with what it has recorded recorded once more, from leaves."""

    def __init__(self, func: Callable[..., Any], inputs: Sequence[Any] | Tensor) -> None:
        arguments = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        self._inputs = {k: x for k, x in enumerate(arguments) if isinstance(x, Tensor) and x.requires_grad}
        if not self._inputs:
            raise ValueError(
                "gradcheck expects at least one input tensor to require gradient, but none of them have requires_grad=True."
            )
        self._random = np.random.default_rng(SEED)
        start = next_number()
        with enable_grad(), watching() as watch:
            result = func(*arguments)
        results = result if isinstance(result, (tuple, list)) else (result,)
        self._outputs = {k: y for k, y in enumerate(results) if isinstance(y, Tensor) and is_differentiable(y.dtype)}
        self._stand_ins = [self._leaf(x) for x in self._inputs.values()]
        by_key = dict(zip(map(key_of, self._inputs.values()), self._stand_ins, strict=True))
        outputs = list(self._outputs.values())
        if reasons := reasons_of(outputs, by_key, start):
            raise GradcheckError(f"unchecked: {reasons[0]}")
        if any(depends(x, by_key, start) for x in watch.reads):
            raise GradcheckError("unchecked: the function reads the numbers of a tensor, which are not in the record then")
        self._again = [_tensor(y) for y in recorded_again(outputs, by_key, start)]

    def _leaf(self, x: Tensor) -> Tensor:
        return Tensor(np.array(x.value()), requires_grad=True)

    def first(self) -> None:
        """Check the gradients."""
        for (k, output), again in zip(self._outputs.items(), self._again, strict=True):
            seed = self._drawn(output)
            found = _gradients([output], list(self._inputs.values()), [seed])
            expected = _gradients([again], self._stand_ins, [seed])
            for j, a, b in zip(self._inputs, found, expected, strict=True):
                _check(f"output {k}, input {j}", a, b)

    def second(self, grad_outputs: Sequence[Tensor] | Tensor | None) -> None:
        """Check the gradients of the gradients."""
        given = [grad_outputs] if isinstance(grad_outputs, Tensor) else grad_outputs
        outputs, inputs = list(self._outputs.values()), list(self._inputs.values())
        seeds = [self._drawn(y) for y in outputs] if given is None else [y.detach() for y in given]
        own, other = ([seed.detach().requires_grad_() for seed in seeds] for _ in range(2))
        found = _gradients(outputs, inputs, own, create_graph=True)
        expected = _gradients(self._again, self._stand_ins, other, create_graph=True)
        for j, (a, b) in zip(self._inputs, zip(found, expected, strict=True), strict=True):
            cotangent = self._drawn(self._inputs[j])
            names = [*(f"input {k}" for k in self._inputs), *(f"cotangent {k}" for k in self._outputs)]
            pulled = _gradients([a], [*inputs, *own], [cotangent])
            true = _gradients([b], [*self._stand_ins, *other], [cotangent])
            _check(f"input {j}", _detached(a), _detached(b), numbers_only=True)
            for name, x, y in zip(names, pulled, true, strict=True):
                _check(f"gradient of input {j}, by {name}", x, y)

    def _drawn(self, x: Tensor) -> Tensor:
        numbers = self._random.standard_normal(x.shape)
        if x.dtype.kind == "c":
            numbers = numbers + 1j * self._random.standard_normal(x.shape)
        return Tensor(np.asarray(numbers).astype(x.dtype))


def _gradients(
    outputs: Sequence[Tensor | None], inputs: Sequence[Tensor], seeds: Sequence[Tensor], create_graph: bool = False
) -> list[Tensor | None]:
    """The gradients, None where nothing flows."""
    pairs = [(y, seed) for y, seed in zip(outputs, seeds, strict=True) if y is not None and y.requires_grad]
    if not pairs:
        return [None] * len(inputs)
    roots, cotangents = [y for y, _ in pairs], [seed for _, seed in pairs]
    return list(grad(roots, inputs, cotangents, retain_graph=True, create_graph=create_graph, allow_unused=True))


def _check(place: str, found: Tensor | None, expected: Tensor | None, *, numbers_only: bool = False) -> None:
    """Raises GradcheckError if two gradients differ by more than rounding, or if their verdicts do not hold."""
    shape = next((x for x in (found, expected) if x is not None), None)
    if shape is None:
        return
    a, b = (np.zeros(shape.shape, shape.dtype) if x is None else x.value() for x in (found, expected))
    word, reason = compared(a, b)
    if word == "wrong":
        verdict = found.verdict if found is not None else None
        more = f" ({verdict.reason})" if verdict is not None and verdict.summary == "wrong" else ""
        raise GradcheckError(f"{place}, {reason}{more}")
    for gradient in () if numbers_only else (expected, found):
        verdict = gradient.verdict if gradient is not None else None
        if verdict is not None and verdict.summary in ("wrong", "unchecked"):
            raise GradcheckError(f"{place}: {verdict.summary}: {verdict.reason}")


def _detached(x: Tensor | None) -> Tensor | None:
    return None if x is None else x.detach()


def _tensor(x: object) -> Tensor:
    assert isinstance(x, Tensor)
    return x
