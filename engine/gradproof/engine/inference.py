"""Inference: shapes and dtypes of the results of an op from those of its inputs, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradproof.engine.attributes import Attributes
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.spec import BFLOAT16, DType, Spec


@dataclass(frozen=True)
class Inferred:
    """The result of ``infer``: specs of the outputs, canonical attributes, and, where the op wants its inputs in another
    shape or dtype (broadcast, promoted), the specs that they are converted to by explicit nodes."""

    outputs: tuple[Spec, ...]
    attributes: Attributes = field(default_factory=dict)
    inputs: tuple[Spec, ...] | None = None


class InferenceError(ValueError):
    """Raised by ``infer``: the inputs or attributes do not fit this op. The message completes "op: ..."."""


def promoted(specs: Sequence[Spec]) -> DType:
    """The dtype that NumPy 2 gives to these together (NEP 50); weak scalars count as Python numbers."""
    strong = [spec.dtype for spec in specs if not spec.weak]
    if not strong:
        return np.result_type(*(spec.dtype for spec in specs))
    common = np.result_type(*strong)
    kinds = {spec.dtype.kind for spec in specs if spec.weak}
    if common == BFLOAT16 and "c" not in kinds:
        return common  # NumPy does not know that a Python float is weak beside an extension dtype
    weak = [{"b": True, "c": complex(1), "f": 1.0}.get(kind, 1) for kind in kinds]
    return np.result_type(common, *weak)


def elementwise_inference(
    forward: Callable[..., Any], specs: Sequence[Spec], attributes: Attributes, promotes: Sequence[int] | None
) -> Inferred:
    """The inference of an elementwise op: inputs are broadcast to one shape, and those at the positions ``promotes`` (None:
    all) are promoted to one dtype. Raises InferenceError if shapes do not broadcast, dtypes have none in common, or
    ``forward`` does not take them."""
    shapes = [spec.shape for spec in specs]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        raise InferenceError(f"shapes {' and '.join(map(str, shapes))} do not broadcast") from None
    taking_part = range(len(specs)) if promotes is None else promotes
    try:
        common = promoted([specs[k] for k in taking_part])
    except TypeError:  # float16 and bfloat16: neither holds the other's numbers
        shown = " and ".join(dict.fromkeys(specs[k].dtype.name for k in taking_part))
        raise InferenceError(f"{shown} have no dtype in common: cast an input with astype") from None
    results = _result_dtypes(
        forward, [common if k in taking_part else spec.dtype for k, spec in enumerate(specs)], attributes
    )
    if results[0].kind in "fcV" and common.kind != "c" and results[0] != common:
        # exp of an integer is exp of a float, and a library function may widen float16: the cast becomes a node of
        # its own, so that the rule sees a single dtype.
        common = results[0]
        dtypes = [common if k in taking_part else spec.dtype for k, spec in enumerate(specs)]
        results = _result_dtypes(forward, dtypes, attributes)
    inputs = tuple(Spec(shape, common if k in taking_part else spec.dtype) for k, spec in enumerate(specs))
    weak = shape == () and all(spec.weak for spec in specs)
    return Inferred(tuple(Spec(shape, dtype, weak) for dtype in results), attributes, inputs)


def _result_dtypes(forward: Callable[..., Any], dtypes: Sequence[DType], attributes: Attributes) -> list[DType]:
    """The dtypes that ``forward`` gives for inputs of ``dtypes``: NumPy itself is asked, with empty arrays."""
    try:
        with np.errstate(all="ignore"):
            results = forward(*(np.empty((0,), dtype) for dtype in dtypes), **attributes)
    except InferenceError:
        raise
    except BaseException as error:
        reraise_own(error)
        shown = ", ".join(dtype.name for dtype in dtypes)
        raise InferenceError(f"does not take dtype {shown}") from error
    return [np.asarray(result).dtype for result in (results if isinstance(results, tuple) else (results,))]
