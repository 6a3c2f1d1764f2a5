"""Cases with sampled attributes, which the op does not declare: a rule that is proved at the declared values may ignore,
or misuse, an attribute."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import sympy
from sympy.core.relational import Relational

from gradproof.engine.cases import Case
from gradproof.engine.inference import Inferred
from gradproof.engine.neighbours import texts_of, variations
from gradproof.engine.op import Op
from gradproof.engine.plugin_errors import reraise_own
from gradproof.engine.scalar_functions import SYMBOLIC
from gradproof.engine.verify.identities.branches import explicit
from gradproof.engine.verify.proof.symbols import symbols
from gradproof.engine.verify.readings import read_op


def sampled_cases(op: Op) -> Iterator[Case]:
    """The first declared case with further values of its attributes that the op takes, and for which its forward gives
    numbers. Runs forwards, and no definition."""
    declared = op.declared_cases()
    wholes = [{**op.attributes, **case_.attributes} for case_ in declared]
    for sampled in variations(wholes, texts_of(op.forward, op.infer, *op.definitions)):
        case = replace(declared[0], attributes={**declared[0].attributes, **sampled}, sampled=tuple(sampled))
        outputs = forward_bytes(op, case) if op.takes(case) else None
        guessed = any(isinstance(wholes[0][name], str) or wholes[0][name] is None for name in sampled)
        if outputs is not None and not (guessed and outputs == forward_bytes(op, declared[0])):
            yield case


def forward_bytes(op: Op, case: Case) -> list[bytes] | None:
    """The bytes of the forward's results at a point of the domain, if they are finite there; else None."""
    random = Random(str(case.inputs))
    try:
        inference = op.inference(case.specs(), case.attributes)
        inputs: list[Any] = []
        for k, (spec, x) in enumerate(zip(inference.inputs or case.specs(), case.inputs, strict=True)):
            point = [float(op.domain(k).sample(random)) for _ in range(spec.size)]
            inputs.append(x if isinstance(x, np.ndarray) else np.array(point, spec.dtype).reshape(spec.shape))
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outs = op.forward(*inputs, **inference.attributes)
    except BaseException as error:  # a plugin's forward, at values that it may not expect
        reraise_own(error)
        return None
    arrays = [np.asarray(out) for out in (outs if isinstance(outs, tuple) else (outs,))]
    return [x.tobytes() for x in arrays] if all(np.isfinite(x).all() for x in arrays) else None


def turns_what_is_compared(op: Op, case: Case, inference: Inferred) -> bool:
    """True if a sampled number has the opposite sign of the declared number, and a comparison in the definition reads it:
    then the sign may be a part of its meaning, as that of a radius is."""
    declared = {**op.attributes, **op.declared_cases()[0].attributes}
    for name in case.sampled:
        if isinstance(declared[name], (float, Fraction)) and declared[name] * case.attributes[name] < 0:
            return _is_compared(op, case, inference, name)
    return False


def _is_compared(op: Op, case: Case, inference: Inferred, name: str) -> bool:
    specs, symbol = inference.inputs or case.specs(), sympy.Symbol(name, real=True)
    cells = [symbols(f"x{k}_", spec.shape, op.domain(k))[1] for k, spec in enumerate(specs)]
    try:
        outputs = read_op(op, SYMBOLIC, cells, {**inference.attributes, name: symbol}, inference.outputs)
    except BaseException as error:  # a definition that needs a number
        reraise_own(error)
        return True
    return any(r.has(symbol) for y in outputs for cell in y.flat for r in explicit(cell).atoms(Relational))
