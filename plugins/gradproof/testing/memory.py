"""Checks of what an op does with memory: purity, and the facts `into`, `view` and `place`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gradproof.engine.errors import DataFault
from gradproof.engine.inference import InferenceError, Inferred
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import describe, reraise_own
from gradproof.engine.spec import Array, spec_of
from gradproof.testing.fault import Broken
from gradproof.testing.samples import ordinary
from gradproof.testing.subject import Subject

COPY = "work on a copy: inputs belong to the caller"


def purity(subject: Subject) -> None:
    """Raises Broken if forward or backward write to their inputs, give other bits when they are called again, or write to
    a result that they gave before."""
    op = subject.op
    for inferred, arrays, others in _calls(op):
        attributes = inferred.attributes
        _demand_pure("forward", op.forward, arrays, others, attributes, op)
        if op.backward is None:
            continue
        saved = []
        for inputs in (arrays, others):
            results = _listed(op.forward(*[x.copy() for x in inputs], **attributes))
            seeds = [np.resize(np.array([1.25, -0.75]), y.shape).astype(y.dtype) for y in results]
            saved.append([*seeds, *results, *inputs])
        _demand_pure("backward", _flat_backward(op), saved[0], saved[1], attributes, op)


def _calls(op: Op) -> Iterator[tuple[Inferred, list[Array], list[Array]]]:
    """Inputs of the forward in each case, converted as a plan would; and others of the same shapes."""
    for case in () if op.composite else op.declared_cases():
        inferred = op.inference(case.specs(), case.attributes)
        both = []
        for seed in (0, 1):
            specs = inferred.inputs or case.specs()
            pairs = zip(ordinary(op, case, seed=seed), specs, strict=True)
            both.append([np.broadcast_to(x, spec.shape).astype(spec.dtype) for x, spec in pairs])
        yield inferred, both[0], both[1]


def _demand_pure(
    name: str, function: Any, arrays: Sequence[Array], others: Sequence[Array], attributes: Any, op: Op
) -> None:
    given = [x.copy() for x in arrays]
    try:
        with np.errstate(all="ignore"):
            first = _listed(function(*given, **attributes))
            bits = [y.tobytes() for y in first]
            _demand_unchanged(name, given, arrays, op)
            again = _listed(function(*given, **attributes))
            function(*[x.copy() for x in others], **attributes)
            if [y.tobytes() for y in first] != bits:
                raise Broken(f"the {name} writes to a result that it returned before", "return a new array each time")
            later = _listed(function(*given, **attributes))
    except (Broken, DataFault, InferenceError):
        raise
    except BaseException as error:  # the code of a plugin; the other checks name what it raises
        reraise_own(error)
        return
    if any([y.tobytes() for y in results] != bits for results in (again, later)):
        raise Broken(f"the {name} gives other bits when it is called again", "it keeps state, or draws random numbers")


def _demand_unchanged(name: str, given: Sequence[Array], arrays: Sequence[Array], op: Op) -> None:
    for k, (x, before) in enumerate(zip(given, arrays, strict=True)):
        if x.tobytes() != before.tobytes():
            which = _argument_name(op, name, k)
            raise Broken(f"the {name} writes to {which}: {before.tolist()} became {x.tolist()}", COPY)


def _argument_name(op: Op, name: str, k: int) -> str:
    if name == "forward":
        return f"its input {op.input_name(k)}"
    if k < op.outputs:
        return "the cotangent g"
    return "the result y" if k < 2 * op.outputs else f"its input {op.input_name(k - 2 * op.outputs)}"


def _flat_backward(op: Op) -> Any:
    """The backward over a flat list of cotangents, results and inputs."""

    def call(*arrays: Array, **attributes: Any) -> Any:
        n = op.outputs
        g, y = (arrays[0], arrays[1]) if n == 1 else (arrays[:n], arrays[n : 2 * n])
        assert op.backward is not None
        return op.backward(g, y, *arrays[2 * n :], **attributes)

    return call


def _listed(returned: Any) -> list[Array]:
    group = returned if isinstance(returned, tuple) else (returned,)
    return [np.asarray(y) for y in group if y is not None]


def facts(subject: Subject) -> None:
    """Raises Broken if `into` writes other bits than the forward gives, `place` is another place, or `view` is none."""
    op = subject.op
    for inferred, arrays, _ in _calls(op):
        try:
            with np.errstate(all="ignore"):
                result = _listed(op.forward(*[x.copy() for x in arrays], **inferred.attributes))[0]
        except BaseException as error:  # the code of a plugin; the other checks name what it raises
            reraise_own(error)
            continue
        if op.into is not None:
            out = np.full(result.shape, 7, result.dtype)
            given = [x.copy() for x in arrays]
            _demand_runs("into", op.into, out, *given, **inferred.attributes)
            _demand_bits("into", out, result)
            if any(x.tobytes() != y.tobytes() for x, y in zip(given, arrays, strict=True)):
                raise Broken("`into` writes to an input", "it writes to its first argument only, which overlaps no input")
        if op.place is not None:
            out = np.zeros(result.shape, result.dtype)
            out[_demand_runs("place", op.place, spec_of(arrays[0]), **inferred.attributes)] = arrays[0]
            _demand_bits("place", out, result)
        if op.view and result.size:
            source = arrays[0].copy()
            if not np.shares_memory(op.forward(source, **inferred.attributes), source):
                raise Broken(
                    "`view` is declared, and the forward gives an array of its own",
                    "leave `view` out: a plan would let go of memory that it thinks is shared",
                )


def _demand_runs(name: str, function: Any, *arguments: Any, **attributes: Any) -> Any:
    try:
        with np.errstate(all="ignore"):
            return function(*arguments, **attributes)
    except BaseException as error:
        raise Broken(f"`{name}` raised {describe(reraise_own(error))}") from error


def _demand_bits(name: str, got: Array, expected: Array) -> None:
    for index in np.ndindex(expected.shape):
        if got[index].tobytes() != expected[index].tobytes():
            raise Broken(
                f"the forward gives {expected[index].item()!r} at {list(index)}, and its `{name}` {got[index].item()!r}"
            )
